"""A clip of many minutes through guard and verify, with the memory of every process over time.

The clip is drawn while it is written: a few seconds of landscape, shown over and over, each time shifted,
every other time mirrored and a little brighter or darker, so that no two passes are alike; with a tone that
wanders. Then `countermark guard` and `countermark verify` run as a user runs them, and the resident memory of
their processes is read from /proc. Flat: the last minute of a process needs no more than its first, and
twice the length needs no more memory (run it with two lengths).
"""

import heapq
import json
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from benchmarks import common
from benchmarks.attacks.footage import joined, planes
from benchmarks.common import Conditions, Row, once, rate, say
from benchmarks.tools.processes import COUNTERMARK, CommandFailed, Finished, Sample, Watched, watch
from benchmarks.tools.video import contents
from generator.base import GenerationRequest
from generator.scene import SceneGenerator

SUITE: Final = "long_clip"
WIDTH, HEIGHT = 1280, 720
RATE: Final = Fraction(30)
SCENE_SECONDS: Final = 4.0
SEED: Final = 11
SHIFT: Final = 38  # pixels from pass to pass
BRIGHTNESS: Final = (0, 12, -12, 6, -6)  # grey levels, pass by pass
SOUND_RATE: Final = 48_000
SOUND_FRAME: Final = 1024  # samples
MINUTE: Final = 60.0
EVERY: Final = 0.25  # seconds between looks at the memory; what is gone sooner is not seen
VERIFY_STATUSES: Final = (0, 1, 3)

Luma420 = NDArray[np.uint8]
Part = av.VideoFrame | av.AudioFrame


def draw(target: Path, minutes: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """Write the clip as it is drawn: H.264 and AAC, of width and height `size`, `minutes` long."""
    with av.open(str(target), "w", format="mp4") as made:
        video = made.add_stream("libx264", RATE, options={"crf": "20", "preset": "veryfast"})
        sound = made.add_stream("aac", SOUND_RATE)
        assert isinstance(video, VideoStream)
        assert isinstance(sound, AudioStream)
        (video.width, video.height), video.pix_fmt = size, "yuv420p"
        sound.codec_context.layout = "mono"
        pictures: Iterator[Part] = _pictures(minutes, size)
        for part in heapq.merge(pictures, _tones(minutes), key=_time):
            made.mux(video.encode(part) if isinstance(part, av.VideoFrame) else sound.encode(part))
        made.mux(video.encode(None))
        made.mux(sound.encode(None))


def _time(part: Part) -> float:
    return part.time or 0.0


def _pictures(minutes: int, size: tuple[int, int]) -> Iterator[av.VideoFrame]:
    scene = _scene(*size)
    for index in range(round(minutes * MINUTE * RATE)):
        turn, place = divmod(index, len(scene))
        picture = av.VideoFrame.from_ndarray(_varied(scene[place], turn), format="yuv420p")
        picture.pts, picture.time_base = index, 1 / RATE
        yield picture


def _scene(width: int, height: int) -> list[Luma420]:
    request = GenerationRequest(
        prompt="", width=width, height=height, seconds=SCENE_SECONDS, frame_rate=RATE, seed=SEED
    )
    drawn = SceneGenerator().generate(request).frames
    return [cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).astype(np.uint8, copy=False) for rgb in drawn]


def _varied(picture: Luma420, turn: int) -> Luma420:
    """The picture of one pass: all of it shifted and mirrored, its luma toned."""

    def moved(plane: Luma420, shift: int) -> Luma420:
        rolled = np.roll(plane, shift, axis=1)
        return rolled[:, ::-1] if turn % 2 else rolled

    y, u, v = planes(picture)
    luma = moved(y, turn * SHIFT).astype(np.int16) + BRIGHTNESS[turn % len(BRIGHTNESS)]
    toned = np.clip(luma, 16, 235).astype(np.uint8)
    return joined(toned, moved(u, turn * SHIFT // 2), moved(v, turn * SHIFT // 2))


def _tones(minutes: int) -> Iterator[av.AudioFrame]:
    for start in range(0, round(minutes * MINUTE * SOUND_RATE), SOUND_FRAME):
        seconds = (start + np.arange(SOUND_FRAME)) / SOUND_RATE
        wave = 0.2 * np.sin(2 * np.pi * (220 * seconds + 20 * np.sin(seconds)))
        tone = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
        tone.sample_rate, tone.pts, tone.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
        yield tone


def memory(command: str, samples: Sequence[Sample], minutes: int) -> list[Row]:
    """Peaks of every process, over each minute of its life and at all; and of their sum."""
    rows: list[Row] = []
    names: dict[str, int] = {}
    for pid in dict.fromkeys(sample.pid for sample in samples):
        own = [sample for sample in samples if sample.pid == pid]
        role = own[-1].role
        names[role] = names.get(role, 0) + 1
        rows += _process(own, {"command": command, "process": f"{role} {names[role]}", "minutes": minutes})
    moments: dict[float, float] = {}
    for sample in samples:
        look = round(sample.at / EVERY)
        moments[look] = moments.get(look, 0.0) + sample.mib
    whole: Conditions = {"command": command, "process": "all together", "minutes": minutes}
    return [*rows, once("peak memory", max(moments.values()), "MiB", whole)]


def _process(own: Sequence[Sample], conditions: dict[str, str | int]) -> list[Row]:
    """Pages shared between processes count in each."""
    born, died = own[0].at, own[-1].at
    most = max(own, key=lambda sample: sample.mib)
    lived: Conditions = {**conditions, "from": round(born, 1), "to": round(died, 1)}
    rows = [once("peak memory", most.mib, "MiB", {**lived, "at": round(most.at, 1)})]
    for minute in range(int((died - born) // MINUTE) + 1):
        part = [sample.mib for sample in own if minute <= (sample.at - born) / MINUTE < minute + 1]
        if part:
            rows.append(once("peak memory in a minute", max(part), "MiB", {**conditions, "minute": minute}))
    return rows


def _figures(command: str, done: Finished, minutes: int) -> list[Row]:
    named: Conditions = {"command": command, "minutes": minutes}
    return [
        once("wall seconds", done.seconds, "s", named),
        once("processor seconds", done.cpu_seconds, "s", named),
        once("wall seconds per second of clip", done.seconds / (minutes * MINUTE), "ratio", named),
    ]


def measure(folder: Path, minutes: int) -> list[Row]:
    """All rows. Raises: CommandFailed."""
    clip, released, home = folder / "long.mp4", folder / "released.mp4", folder / "home"
    say(f"drawing {minutes} minutes")
    draw(clip, minutes)
    say("guard")
    guarded = watch(
        [*COUNTERMARK, "guard", str(clip), "-o", str(released), "--policy", "marks-only",
         "--audio", "accept", "--home", str(home), "--json"],
        every=EVERY,
    )  # fmt: skip
    say("verify")
    verified = watch(
        [*COUNTERMARK, "verify", str(released), "--home", str(home), "--json"],
        every=EVERY, allowed=VERIFY_STATUSES,
    )  # fmt: skip
    rows = [*common.machine(), *_kept(clip, released, minutes), *_verdict(verified.finished, minutes)]
    stages = json.loads(guarded.finished.output)["stages"]
    rows += [
        once("stage seconds", taken, "s", {"stage": stage, "minutes": minutes})
        for stage, taken in stages.items()
    ]
    for command, watched in (("guard", guarded), ("verify", verified)):
        rows += _of(command, watched, minutes)
    return rows


def _of(command: str, watched: Watched, minutes: int) -> list[Row]:
    return _figures(command, watched.finished, minutes) + memory(command, watched.samples, minutes)


def _kept(clip: Path, released: Path, minutes: int) -> list[Row]:
    was, now = contents(clip), contents(released)
    same = (was.width, was.height, was.frames, was.sound) == (now.width, now.height, now.frames, now.sound)
    told: Conditions = {
        "minutes": minutes, "width": now.width, "height": now.height, "frames": now.frames,
        "bytes in": clip.stat().st_size, "bytes out": released.stat().st_size,
    }  # fmt: skip
    return [
        rate("kept size, frame count and audio", int(same), 1, told),
        once("length difference", now.seconds - was.seconds, "s", told),
    ]


def _verdict(done: Finished, minutes: int) -> list[Row]:
    report = json.loads(done.output)[0]
    told: Conditions = {
        "minutes": minutes, "expected": "intact", "found": report["verdict"],
        "flags": " ".join(report["flags"]), "span": str(report["evidence"]["hidden_mark"].get("span")),
    }  # fmt: skip
    right = report["verdict"] == "intact" and not report["flags"]
    return [rate("verdict as expected", int(right), 1, told)]


def main() -> None:
    """The command."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--minutes", type=common.whole(1), default=10, help="length of the clip")
    asked = parser.parse_args()
    at_commit = common.commit()
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(Path(folder), asked.minutes)
    except CommandFailed as error:
        parser.exit(3, f"{error}\n")
    common.present(SUITE, rows, at_commit, as_json=asked.json)


if __name__ == "__main__":
    main()
