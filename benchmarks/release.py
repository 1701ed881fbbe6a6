"""Clips through `countermark guard` and `countermark verify`: what is kept, found and spent.

For every clip, in a home of its own: one guard on the fresh home, then rounds of (guard on the warm home,
plain transcodes), interleaved, so that a ratio compares commands that ran next to each other. The goal's
plain transcode is x264 medium; where releases are encoded at another preset, that one is measured as well,
which tells the cost of everything but the encoder. Then the verifier on the release, on two copies as a
platform would make them, and on the original. Then the marks' cost in quality, against the same encoder
without marks.
"""

import json
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import common
from benchmarks.common import Conditions, Row, mean, median, once, rate, say
from benchmarks.tools import quality
from benchmarks.tools.processes import COUNTERMARK, CommandFailed, Finished, run
from benchmarks.tools.video import Contents, contents, transcode
from pipeline.home import Home
from pipeline.keyring import load_keyring
from pipeline.settings import load
from watermark.carrier import Strength

SUITE: Final = "release"
GOAL_PRESET: Final = "medium"  # of the plain transcode that the goal names
PLATFORM_CRF: Final = 28.0
BITRATE_CRF: Final = 23.0  # at which the goal for the bitrate is stated
HALF_SIZE_GOAL_FROM: Final = 540  # pixels of the short side
LENGTH_TOLERANCE: Final = 0.002  # seconds: time stamps are whole numbers of some time base
VERIFY_STATUSES: Final = (0, 1, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question to the verifier. `expected`: None where it is measured without a goal."""

    attack: str
    path: Path
    expected: str | None


def plain_transcodes(preset: str) -> list[str]:
    """Program and preset of what a release is compared with; `preset`: of the releases themselves."""
    return [f"pyav {name}" for name in dict.fromkeys((GOAL_PRESET, preset))] + [f"ffmpeg {GOAL_PRESET}"]


def plain_transcode(clip: Path, target: str, crf: str, preset: str) -> list[str]:
    """The command that decodes and encodes a clip by PyAV and does nothing else."""
    command = [sys.executable, "-m", "benchmarks.tools.video", str(clip), target]
    return [*command, "--crf", crf, "--preset", preset]


class ClipRun:
    """One clip in a home of its own, with everything that is measured on it."""

    def __init__(self, clip: Path, folder: Path, rounds: int) -> None:
        self._clip, self._folder, self._rounds = clip, folder, rounds
        self._home, self._release = folder / "home", folder / "release.mp4"
        self._settings = load(self._home)
        self._contents = contents(clip)
        self._plains = plain_transcodes(self._settings.preset)
        self.ratios: dict[str, list[float]] = {}
        self.seconds: dict[str, list[float]] = {}

    def rows(self) -> list[Row]:
        """Everything, in the order in which it has to be done."""
        first = self._guard("first", self._release)
        self._answer: dict[str, Any] = json.loads(first.output)
        parts = [once("guard seconds, fresh home", first.seconds, "s", self._conditions())]
        parts += self._kept() + self._timing() + self._verdicts()
        return parts + self._picture()

    def _conditions(self, **more: str | float | bool | None) -> Conditions:
        held = self._contents
        return {
            "clip": self._clip.name, "width": held.width, "height": held.height,
            "seconds": round(held.seconds, 3), "frames": held.frames, **more,
        }  # fmt: skip

    def _guard(self, name: str, target: Path) -> Finished:
        # Another prompt makes another job: the same order on the same bytes would only be looked up.
        return run(
            [
                *COUNTERMARK, "guard", str(self._clip), "-o", str(target), "--policy", "marks-only",
                "--audio", "accept", "--prompt", f"benchmark {name}", "--home", str(self._home), "--json",
            ]
        )  # fmt: skip

    def _kept(self) -> list[Row]:
        was, now = self._contents, contents(self._release)
        kept = {
            "size": (now.width, now.height) == (was.width, was.height),
            "length": abs(now.seconds - was.seconds) <= LENGTH_TOLERANCE,
            "frame count": now.frames == was.frames,
            "audio": now.sound == was.sound,
        }
        rows = [
            rate(f"kept {what}", int(same), 1, self._conditions(audio=was.sound is not None))
            for what, same in kept.items()
        ]
        return [*rows, once("length difference", now.seconds - was.seconds, "s", self._conditions())]

    def _timing(self) -> list[Row]:
        taken: dict[str, list[Finished]] = {name: [] for name in ("guard", *self._plains)}
        stages: list[dict[str, float]] = []
        for turn in range(self._rounds):
            again = self._folder / f"again-{turn}.mp4"
            taken["guard"].append(self._guard(str(turn), again))
            for plain in self._plains:
                taken[plain].append(run(self._plain(*plain.split())))
            stages.append(json.loads(taken["guard"][-1].output)["stages"])
        return self._walls(taken) + self._ratios(taken) + self._stages(stages)

    def _plain(self, program: str, preset: str) -> list[str]:
        crf = f"{self._settings.crf:g}"
        target = str(self._folder / f"plain-{program}.mp4")
        if program == "pyav":
            return plain_transcode(self._clip, target, crf, preset)
        return [
            quality.ffmpeg(), "-v", "error", "-y", "-i", str(self._clip), "-c:v", "libx264", "-crf", crf,
            "-preset", preset, "-pix_fmt", "yuv420p", "-c:a", "copy", target,
        ]  # fmt: skip

    def _walls(self, taken: dict[str, list[Finished]]) -> list[Row]:
        rows = []
        for name, runs in taken.items():
            self.seconds[name] = [run.seconds for run in runs]
            rows.append(median("wall seconds", self.seconds[name], "s", self._conditions(command=name)))
            used = [run.cpu_seconds for run in runs]
            rows.append(median("processor seconds", used, "s", self._conditions(command=name)))
        peak = max(run.peak_mib for run in taken["guard"])
        return [*rows, once("peak memory of guard's largest process", peak, "MiB", self._conditions())]

    def _ratios(self, taken: dict[str, list[Finished]]) -> list[Row]:
        rows = []
        for plain in self._plains:
            pairs = list(zip(taken["guard"], taken[plain], strict=True))
            self.ratios[plain] = [guard.seconds / other.seconds for guard, other in pairs]
            work = [guard.cpu_seconds / other.cpu_seconds for guard, other in pairs]
            against = self._conditions(against=plain)
            rows.append(median("guard over plain transcode, wall", self.ratios[plain], "ratio", against))
            rows.append(median("guard over plain transcode, processor", work, "ratio", against))
        return rows

    def _stages(self, stages: Sequence[dict[str, float]]) -> list[Row]:
        names = list(dict.fromkeys(name for taken in stages for name in taken))
        return [
            median(
                "stage seconds", [taken[name] for taken in stages if name in taken], "s",
                self._conditions(stage=name),
            )
            for name in names
        ]  # fmt: skip

    def _verdicts(self) -> list[Row]:
        recoded, half = self._folder / "recoded.mp4", self._folder / "half.mp4"
        size = (self._contents.width // 4 * 2, self._contents.height // 4 * 2)
        transcode(self._release, recoded, crf=PLATFORM_CRF)
        transcode(self._release, half, crf=PLATFORM_CRF, size=size)
        half_goal = "recovered" if self._contents.short_side >= HALF_SIZE_GOAL_FROM else None
        probes = (
            Probe(attack="none", path=self._release, expected="intact"),
            Probe(attack="h264 crf 28, metadata stripped", path=recoded, expected="recovered"),
            Probe(attack="half size, h264 crf 28, metadata stripped", path=half, expected=half_goal),
            Probe(attack="unmarked original", path=self._clip, expected="none"),
        )
        return [row for probe in probes for row in self._verify(probe)]

    def _verify(self, probe: Probe) -> list[Row]:
        done = run(
            [*COUNTERMARK, "verify", str(probe.path), "--home", str(self._home), "--json"],
            allowed=VERIFY_STATUSES,
        )
        report = json.loads(done.output)[0]
        told = report["verdict"]
        same = (report["release"] or {}).get("id") == self._answer["release"]["id"]
        found = self._conditions(
            attack=probe.attack, expected=probe.expected, found=told, same_release=same,
            flags=" ".join(report["flags"]), hidden_mark=report["evidence"]["hidden_mark"]["state"],
            log10_chance=report["evidence"]["hidden_mark"].get("log10_chance"),
            visible_mark=report["evidence"]["visible_mark"]["state"],
        )  # fmt: skip
        wanted = probe.expected or "recovered"
        right = told == wanted and (same or wanted == "none") and not report["flags"]
        metric = "verdict as expected" if probe.expected else "recovered (no goal)"
        seconds = self._conditions(attack=probe.attack)
        return [rate(metric, int(right), 1, found), once("verify seconds", done.seconds, "s", seconds)]

    def _picture(self) -> list[Row]:
        """What the hidden mark costs, and both marks: the mark that this very release bears, drawn alone."""
        marked = self._mark_step()
        strength = Strength(**marked["strength"])
        rows = [
            once("hidden mark luma PSNR", marked["psnr"], "dB", self._conditions()),
            once("hidden mark strength", strength.psnr, "dB", self._conditions()),
            once("hidden mark strength in colour", strength.chroma, "dB", self._conditions()),
        ]
        if (marked["width"], marked["height"]) != (self._contents.width, self._contents.height):
            return rows  # turned or padded: no frame by frame comparison with the file as stored
        for crf in (self._settings.crf, BITRATE_CRF):
            rows += self._cost(marked, crf)
        return rows

    def _cost(self, marked: dict[str, Any], crf: float) -> list[Row]:
        plain, hidden = self._folder / "unmarked.mp4", self._folder / "hidden.mp4"
        key = load_keyring(Home(self._home).keys).current
        mark = (key, int(self._answer["release"]["payload"], 16), Strength(**marked["strength"]))
        quality.encode(self._clip, plain, self._settings, crf=crf, mark=None)
        quality.encode(self._clip, hidden, self._settings, crf=crf, mark=mark)
        files = {"hidden": hidden} | ({"both": self._release} if crf == self._settings.crf else {})
        rows = self._bitrates(contents(plain), files, crf)
        return rows + (self._vmaf(plain, files, crf) if quality.has_vmaf() else [])

    def _bitrates(self, plain: Contents, files: dict[str, Path], crf: float) -> list[Row]:
        return [
            once(
                "bitrate change", contents(path).video_bytes / plain.video_bytes - 1, "share",
                self._conditions(marks=marks, crf=crf),
            )
            for marks, path in files.items()
        ]  # fmt: skip

    def _vmaf(self, plain: Path, files: dict[str, Path], crf: float) -> list[Row]:
        level = quality.vmaf(self._clip, plain)
        rows = [once("VMAF without marks", level, "points", self._conditions(crf=crf))]
        for marks, path in files.items():
            loss = level - quality.vmaf(self._clip, path)
            rows.append(once("VMAF loss", loss, "points", self._conditions(marks=marks, crf=crf)))
        return rows

    def _mark_step(self) -> dict[str, Any]:
        """What the last marking step of the measured release recorded."""
        query = (
            "SELECT job_step.result FROM job_step JOIN release USING (job_id)"
            " WHERE release.id = ? AND job_step.name LIKE 'mark/%' ORDER BY job_step.name DESC"
        )
        database = sqlite3.connect(f"{Home(self._home).database.as_uri()}?mode=ro", uri=True)
        try:
            (text,) = database.execute(query, (self._answer["release"]["id"],)).fetchone()
        finally:
            database.close()
        result: dict[str, Any] = json.loads(text)
        return result


def overall(rows: Sequence[Row], runs: Sequence[ClipRun]) -> list[Row]:
    """Over all clips: ratios of summed times, shares of verdicts, mean and worst of quality."""
    return _total_ratios(runs) + _shares(rows) + _means(rows)


def _total_ratios(runs: Sequence[ClipRun]) -> list[Row]:
    rows = []
    for plain in runs[0].ratios:
        rounds = zip(*(zip(r.seconds["guard"], r.seconds[plain], strict=True) for r in runs), strict=True)
        totals = [sum(a for a, _ in turn) / sum(b for _, b in turn) for turn in rounds]
        against: Conditions = {"against": plain, "clips": len(runs)}
        rows.append(median("guard over plain transcode, wall, all clips", totals, "ratio", against))
        middle = [statistics.median(run.ratios[plain]) for run in runs]
        rows.append(median("guard over plain transcode, wall, per clip", middle, "ratio", against))
    return rows


def _shares(rows: Sequence[Row]) -> list[Row]:
    groups: dict[tuple[str, Any], list[float]] = {}
    for row in rows:
        if row.unit == "share" and row.metric != "bitrate change":
            groups.setdefault((row.metric, row.conditions.get("attack")), []).append(row.value)
    return [
        rate(f"{metric}, all clips", round(sum(values)), len(values), {"attack": attack} if attack else {})
        for (metric, attack), values in groups.items()
    ]


def _means(rows: Sequence[Row]) -> list[Row]:
    groups: dict[tuple[str, str, Any, Any], list[float]] = {}
    for row in rows:
        if row.metric in ("VMAF loss", "bitrate change", "hidden mark luma PSNR"):
            key = (row.metric, row.unit, row.conditions.get("marks"), row.conditions.get("crf"))
            groups.setdefault(key, []).append(row.value)
    return [
        mean(f"{metric}, mean", values, unit, {"marks": marks or "hidden", "crf": crf})
        for (metric, unit, marks, crf), values in groups.items()
    ]


def measure(clips: Sequence[Path], rounds: int) -> list[Row]:
    """All rows. Raises: CommandFailed."""
    rows, runs = common.machine(), []
    for clip in clips:
        say(clip.name)
        with tempfile.TemporaryDirectory() as folder:
            runs.append(ClipRun(clip, Path(folder), rounds))
            rows += runs[-1].rows()
    return rows + common.machine()[1:] + overall(rows, runs)


def main() -> None:
    """The command."""
    parser = common.options(__doc__, clips=True)
    parser.add_argument("--rounds", type=common.whole(1), default=3, help="interleaved timing rounds")
    asked = parser.parse_args()
    at_commit = common.commit()
    try:
        rows = measure(asked.clips, asked.rounds)
    except CommandFailed as error:
        parser.exit(3, f"{error}\n")
    common.present(SUITE, rows, at_commit, as_json=asked.json)


if __name__ == "__main__":
    main()
