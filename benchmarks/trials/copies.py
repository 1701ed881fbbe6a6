"""Trials of the copying benchmark: releases in a home, and what is done to them before they are verified."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.attacks.catalog import SUITE
from benchmarks.attacks.codecs import codec
from benchmarks.attacks.footage import CannotAttack, Footage, Frame, Situation, joined, planes, resized
from benchmarks.tools.processes import COUNTERMARK, CommandFailed, run
from benchmarks.trials.material import Source, laid_down
from benchmarks.trials.pairs import KEPT_CRF, OTHER, REAL, RENDERED, SIMILAR, Shot, filed, shots
from benchmarks.trials.pasting import Tiles, average, difference, pasted, smooth, still
from benchmarks.trials.schemes import FOREIGN, detection_key
from pipeline.home import Home
from pipeline.keyring import load_keyring
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from pipeline.settings import load
from pipeline.verify.opening import open_local
from watermark.base import Picture
from watermark.carrier import HiddenMark, Strength
from watermark.keys import DetectionKey
from watermark.payload import PayloadCodec

COPY: Final = "copy"
FAIR: Final = "fair"
REMARK: Final = "remark"
NOT_APPLICABLE: Final = "not applicable"

GAINS: Final = (0.5, 1.0, 2.0)
HOST_CRF: Final = 23
FILE_CRF: Final = 16.0
OTHERS: Final = 2  # hosts of each material that are not like the victim
STUDY_FRAMES: Final = 24  # of each clip that a mark is estimated from: three of each state
WIDELY_STUDIED: Final = 3  # victims of which 100 clips are studied: that takes minutes each

ESTIMATES: Final = (
    "original", "smooth", "still", "average 1 frame", "average 10 frames", "average 100 frames",
    "average 1 clip", "average 10 clips", "average 100 clips", "average 10 clips, 10 payloads",
    "average 100 clips, 100 payloads",
)  # fmt: skip
FAIR_ATTACKS: Final = (
    "none", "h264_28", "h264_35", "h264_40", "resize_0.55+h264_26", "long_192_crf_30", "crop_0.71+h264_26",
    "crop_0.55+h264_26", "flip+h264_26", "rotate_5+h264_26", "stretch_1.33+h264_26", "letterbox+h264_26",
    "brightness_1.5+h264_26", "contrast_0.5+h264_26", "gamma_1.4+h264_26", "hue_0.25+h264_26",
    "grayscale+h264_26",
    "blur_9+h264_26", "speed_1.1+h264_26", "first_2s+h264_26", "last_2s+h264_26", "drop_50+h264_26",
    "perspective_0.1+h264_26", "combined_30", "screen_recording", "overlay_10+h264_26", "logo+h264_26",
    "pip_60+h264_26", "regeneration_proxy",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried: `kind`; the victim's and the host's names; the estimate's, and how often it is added.

    Of a fair copy `estimate` is the attack, of a re-marked release the number of foreign keys.
    """

    kind: str
    victim: str
    estimate: str
    host: str = ""
    gain: float = 0.0

    def told(self, result: dict[str, Any]) -> dict[str, str]:
        """By what results are grouped."""
        if self.kind != COPY:
            return {"attack" if self.kind == FAIR else "keys": self.estimate}
        return {"estimate": self.estimate, "gain": f"{self.gain:g}", "host": result["host"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A victim: its shot, the released file and its payload."""

    shot: Shot
    file: Path
    payload: int


class Stand:
    """All shots, and the releases of the first of each family, in `folder`."""

    def __init__(self, sources: Sequence[Source], rendered: int, folder: Path) -> None:
        self.shots = {shot.name: shot for shot in shots(sources, rendered)}
        self._folder, self._home = folder, folder / "home"
        self.victims = {shot.name: shot for shot in self.shots.values() if not shot.change}
        digests = "".join(source.digest for source in sources)
        self._made = hashlib.sha256(f"{digests} {rendered}".encode()).hexdigest()[:8]

    def prepare(self, said: Callable[[str], None]) -> None:
        """Release what is not released yet; who cannot be released is no victim. Raises: CommandFailed."""
        for part in ("shots", "releases", "estimates", "results"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        for name, shot in list(self.victims.items()):
            if not self._record(shot).exists():
                said(f"releasing {name}")
                try:
                    self._release(shot)
                except CommandFailed as error:
                    said(f"{name} is left out: {error}")
                    del self.victims[name]

    def _record(self, shot: Shot) -> Path:
        return self._folder / "releases" / f"{shot.name.replace(' ', '_')}.json"

    def _release(self, shot: Shot) -> None:
        record = self._record(shot)
        target = record.with_suffix(".mp4")
        done = run(
            [*COUNTERMARK, "guard", str(self._file(shot)), "-o", str(target), "--policy", "marks-only",
             "--audio", "strip", "--home", str(self._home), "--json"]
        )  # fmt: skip
        answer = json.loads(done.output)
        record.write_text(json.dumps({"payload": answer["release"]["payload"]}), encoding="utf-8")

    def _file(self, shot: Shot) -> Path:
        path = self._folder / "shots" / f"{shot.name.replace(' ', '_')}.mp4"
        if not path.exists():
            with tempfile.TemporaryDirectory(prefix="countermark-shot-") as scratch:
                filed(shot.make(Path(scratch) / "raw"), path, KEPT_CRF)
        return path

    def _released(self, name: str) -> Release:
        record = self._record(self.shots[name])
        payload = int(json.loads(record.read_text(encoding="utf-8"))["payload"], 16)
        return Release(shot=self.shots[name], file=record.with_suffix(".mp4"), payload=payload)

    def attempt(self, trial: Trial) -> dict[str, Any]:
        """Do it, verify the file, and say what came out."""
        release = self._released(trial.victim)
        with tempfile.TemporaryDirectory(prefix="countermark-copy-") as name:
            scratch = Path(name)
            try:
                footage = self._footage(trial, release, scratch)
                made = filed(footage, scratch / "clip.mp4", FILE_CRF)
            except CannotAttack as error:
                return {"verdict": NOT_APPLICABLE, "read": False, "host": "", "material": str(error)}
            with open_local(load(self._home)) as verifier:
                report = verifier.verify(made)
        hidden = report.evidence["hidden_mark"].found.get("payload")
        host = self.shots.get(trial.host)
        return {
            "verdict": str(report.verdict), "read": hidden == f"{release.payload:016x}",
            "host": self._kind_of(release.shot, host), "material": (host or release.shot).material,
        }  # fmt: skip

    @staticmethod
    def _kind_of(victim: Shot, host: Shot | None) -> str:
        if host is None:
            return ""
        if host.family == victim.family:
            return f"{SIMILAR}: {host.change}, {host.material}"
        return f"{OTHER}, {host.material}"

    def _footage(self, trial: Trial, release: Release, scratch: Path) -> Footage:
        marked = _read(release.file, scratch / "release")
        if trial.kind == FAIR:
            return SUITE[trial.estimate].apply(marked, Situation(seed=1))
        if trial.kind == REMARK:
            for number in range(int(trial.estimate)):
                marked = embedded(marked, detection_key(FOREIGN + number), number + 1)
            return marked
        host = _read(self._file(self.shots[trial.host]), scratch / "host")
        laid = pasted(host, self._estimate(trial.estimate, release, marked, scratch), trial.gain)
        return codec(laid, Situation(seed=1), name="h264", crf=HOST_CRF)

    def _estimate(self, name: str, release: Release, marked: Footage, scratch: Path) -> Any:
        if name == "original":
            return partial(difference, marked, _read(self._file(release.shot), scratch / "plain"))
        if name in ("smooth", "still"):
            return partial(smooth if name == "smooth" else still, marked)
        kept = self._folder / "estimates" / f"{self._made} {release.payload:016x} {name}.npz"
        if not kept.exists():
            tiles = self._averaged(name, release, marked, scratch)
            partial_ = kept.with_suffix(".partial.npz")
            np.savez(partial_, *(part.astype(np.float16) for part in tiles.parts))
            partial_.rename(kept)
        with np.load(kept) as stored:
            return Tiles(parts=tuple(stored[f"arr_{i}"].astype(np.float32) for i in range(3)))

    def _averaged(self, name: str, release: Release, marked: Footage, scratch: Path) -> Tiles:
        count = int(name.split()[1])
        if "frame" in name:
            return average([marked], count)
        return average(self._studied(count, release, scratch, several="payloads" in name), STUDY_FRAMES)

    def _studied(self, count: int, release: Release, scratch: Path, *, several: bool) -> Iterator[Footage]:
        """Other clips with the release's key and its payload, or each with one of its own."""
        keyring = load_keyring(Home(self._home).keys)
        issue = PayloadCodec(keyring.minting).issue
        names = [name for name, shot in self.shots.items() if shot.family != release.shot.family]
        for number in range(count):
            plain = _read(self._file(self.shots[names[number * 7 % len(names)]]), scratch / "study")
            flipped = plain.each(_mirrored) if number // len(names) % 2 else plain
            payload = issue(1_000_000 + number) if several else release.payload
            yield embedded(flipped, keyring.current, payload)


def trials(stand: Stand) -> Iterator[Trial]:
    """Everything that can be tried."""
    for place, (name, victim) in enumerate(stand.victims.items()):
        for host in _hosts(stand, victim):
            for estimate in ESTIMATES:
                if "100 clips" not in estimate or place < WIDELY_STUDIED:
                    yield from (
                        Trial(kind=COPY, victim=name, estimate=estimate, host=host, gain=gain)
                        for gain in GAINS
                    )
        yield from (Trial(kind=FAIR, victim=name, estimate=attack) for attack in FAIR_ATTACKS)
        yield from (Trial(kind=REMARK, victim=name, estimate=str(keys)) for keys in range(1, 6))


def _hosts(stand: Stand, victim: Shot) -> list[str]:
    similar = [s.name for s in stand.shots.values() if s.family == victim.family and s.change]
    for sort in (REAL, RENDERED):
        others = [s.name for s in stand.victims.values() if s.family != victim.family and s.material == sort]
        first = sum(victim.name.encode()) % len(others) if others else 0
        similar += [*others[first:], *others[:first]][:OTHERS]
    return similar


def embedded(footage: Footage, key: DetectionKey, payload: int) -> Footage:
    """The footage with a hidden mark. The one place here that knows the embedder's interface."""

    def play() -> Iterator[Frame]:
        mark = HiddenMark(key, payload, footage.width, footage.height, Strength())
        for time, image in footage.play():
            marked = mark.embed(Picture(time, *planes(image)))
            assert marked.u is not None and marked.v is not None  # noqa: PT018 - there is colour
            yield Frame(time, joined(marked.y, marked.u, marked.v))

    return replace(footage, play=play)


def _mirrored(image: Any) -> Any:
    return joined(*(np.ascontiguousarray(plane[:, ::-1]) for plane in planes(image)))


def _read(path: Path, scratch: Path) -> Footage:
    """A file's frames, laid down; sides that are odd lose nothing, since no file here has one."""
    with open_clip(path, limits=MediaLimits(), threads=1) as clip:
        rate = float(clip.info.frame_rate or 24)
        size = clip.info.width, clip.info.height
        frames = (
            Frame(frame.time, resized(joined(frame.y, frame.u, frame.v), *size))
            for frame in clip.frames()
            if frame.u is not None and frame.v is not None
        )
        return laid_down(frames, scratch, rate)
