"""What reading the hidden mark costs: processor seconds of a blind search, rate, and memory over an hour.

Each measurement is a process of its own with one thread. Its processor seconds are the detector's alone:
making frames (reading, marking, attacking them) is counted apart, and so is loading the list of a million
issued payloads, which a process does once for all clips that it reads. *Aligned* is the slope between a long
and a short clip that lie as they were marked: what a further frame costs once the mark is found. The hour is
a drawn scene shown over and over, moved and toned anew at each pass, marked on the way and read as it comes.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks import common, watermark
from benchmarks.attacks.catalog import SUITE
from benchmarks.attacks.footage import Footage, Frame, Image, Situation, planes
from benchmarks.common import Conditions, Row, median, once, rate, say
from benchmarks.tools.processes import KIB_PER_MIB, PAGE_MIB, PROC
from benchmarks.trials.material import NoMaterial, Size, Source, swung, window
from benchmarks.trials.running import EXACT, NOTHING, WRONG, Spent, chance_of
from benchmarks.trials.scheme import Scheme
from benchmarks.trials.schemes import scheme_of

SUITE_NAME: Final = "detection"
SECONDS: Final = 10.0
TAKEN: Final = 5.0  # seconds of a clip that are shown, forwards and backwards
LONGER: Final = 3  # times as long as the short clip, for the slope
STRENGTH: Final = 44.0  # dB of luma where the strength is not chosen
LINES: Final = {"480p": 480, "1080p": 1080}
UNMARKED: Final = "no mark"
UNMOVED: Final = "unmoved"
MOVED: Final = ("flip", "crop_0.71", "rotate_5", "resize_0.55", "speed_1.1")
SEARCH_GOAL: Final = 2.0  # processor seconds
ALIGNED_GOAL: Final = 400.0  # Mpixel/s
MEMORY_GOAL: Final = 300.0  # MiB
SCENE_FRAMES: Final = 48
SHIFT: Final = 37  # pixels from pass to pass
TONES: Final = (0, 12, -12, 6, -6)  # grey levels, pass by pass
PERIODS: Final = 24  # of a stream, the highest memory of each is told
FORGET_PEAK: Final = "5"  # what Linux takes in clear_refs for that


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search: of what, at how many lines, how it was moved (`UNMARKED`, `UNMOVED` or an attack)."""

    source: Source
    lines: int
    how: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A drawn stream of so many minutes, marked or not."""

    minutes: float
    lines: int
    rate: float
    marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``cpu``: of the detector, ``making``: of the frames, both in seconds; memory in MiB.

    ``loading``: seconds of making the list of issued payloads, before the first frame and not within ``cpu``;
    ``payload``: EXACT, WRONG or NOTHING; ``base``: resident before the first frame; ``looks``: the end of
    each period in seconds of the stream, and the highest memory within it.
    """

    cpu: float
    making: float
    loading: float
    payload: str
    pixels: int
    base: float
    peak: float
    looks: tuple[tuple[float, float], ...] = ()


def main() -> int:
    """The command; 2 where there is nothing to try."""
    asked = _asked()
    at_commit, measured = common.commit(), common.machine()
    try:
        clips = watermark.sources(asked)
    except NoMaterial as error:
        print(error, file=sys.stderr)
        return 2
    rows = [*measured, *_search_rows(clips, asked), *_aligned_rows(clips, asked), *_memory_rows(asked)]
    common.present(SUITE_NAME, [*rows, *common.machine()], at_commit, as_json=asked.json)
    return 0


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    add = parser.add_argument
    watermark.material_options(parser, rendered=1)
    add("--rounds", type=common.whole(1), default=1, help="times that each search is measured")
    add("--sizes", nargs="+", choices=list(LINES), default=list(LINES))
    add("--moved", nargs="*", choices=list(SUITE), metavar="ATTACK", default=list(MOVED))
    add("--minutes", type=float, default=60.0, help="length of the marked stream; 0 for none")
    add("--unmarked-minutes", type=float, default=2.0, help="length of the stream that is searched in vain")
    return parser.parse_args()


def _search_rows(clips: Sequence[Source], asked: Namespace) -> list[Row]:
    """Processor seconds of each kind of search, over clips and rounds."""
    made: list[Row] = []
    for size in asked.sizes:
        for how in (UNMOVED, *asked.moved, UNMARKED):
            for material in dict.fromkeys(clip.material for clip in clips):
                done = [
                    measure(Search(source=clip, lines=LINES[size], how=how, seconds=SECONDS))
                    for clip in clips
                    if clip.material == material
                    for _ in range(asked.rounds)
                ]
                told: Conditions = {"size": size, "clip": how, "material": material, "seconds": SECONDS}
                row = median("processor seconds of a search", [one.cpu for one in done], "s", told)
                goal = {"goal": SEARCH_GOAL, "reached": row.interval[1] <= SEARCH_GOAL}
                made.append(replace(row, conditions={**told, **goal}))
                exact = sum(one.payload == EXACT for one in done)
                made.append(rate("payload read", exact, len(done), told))
                made.append(median("peak memory", [one.peak for one in done], "MiB", told))
                loading = [one.loading for one in done]
                made.append(median("processor seconds of loading the list, once", loading, "s", told))
                say(f"{how} at {size}, {material}: {row.value:.2f} s, read {exact} of {len(done)}")
    return made


def _aligned_rows(clips: Sequence[Source], asked: Namespace) -> list[Row]:
    made: list[Row] = []
    for size in asked.sizes:
        for clip in clips:
            short, long = (
                measure(Search(source=clip, lines=LINES[size], how=UNMOVED, seconds=seconds))
                for seconds in (SECONDS, LONGER * SECONDS)
            )
            told: Conditions = {"size": size, "clip": clip.name, "material": clip.material}
            if short.payload != EXACT:
                made.append(once("aligned detection not measured: the mark is not read", 1, "clips", told))
                continue
            spent = max(long.cpu - short.cpu, 1e-3)
            speed = (long.pixels - short.pixels) / spent / 1e6
            goal = {"goal": ALIGNED_GOAL, "reached": speed >= ALIGNED_GOAL}
            made.append(once("aligned detection", speed, "Mpixel/s", {**told, **goal}))
            made.append(once("aligned, from the start", short.pixels / short.cpu / 1e6, "Mpixel/s", told))
            say(f"aligned at {size}, {clip.name}: {speed:.0f} Mpixel/s")
    return made


def _memory_rows(asked: Namespace) -> list[Row]:
    """A short and a long stream of each kind: flat is when the long one needs no more."""
    made: list[Row] = []
    for size in asked.sizes:
        for marked, minutes in ((True, asked.minutes), (False, asked.unmarked_minutes)):
            # The hour is that of the smaller size; the larger ones are as long as the unmarked stream.
            whole = minutes if size == asked.sizes[0] else min(minutes, asked.unmarked_minutes)
            if whole > 0:
                made += _stream_rows(Stream(minutes=whole, lines=LINES[size], rate=12.0, marked=marked))
    return made


def _stream_rows(stream: Stream) -> list[Row]:
    say(f"{stream.minutes:g} min at {stream.lines} lines, {'marked' if stream.marked else 'unmarked'}")
    done = measure(stream)
    told: Conditions = {
        "lines": stream.lines, "minutes": stream.minutes, "frames per second": stream.rate,
        "marked": stream.marked, "payload": done.payload, "material": "rendered",
    }  # fmt: skip
    half = len(done.looks) // 2
    made = [once("peak memory in a period", mib, "MiB", {**told, "until": at}) for at, mib in done.looks]
    early, late = (
        max((mib for _, mib in part), default=0.0) for part in (done.looks[:half], done.looks[half:])
    )
    growth = late - early
    made.append(once("growth of the peak from the first to the second half", growth, "MiB", told))
    made.append(once("resident before the first frame", done.base, "MiB", told))
    goal = {"goal": MEMORY_GOAL, "reached": done.peak <= MEMORY_GOAL}
    made.append(once("peak memory", done.peak, "MiB", {**told, **goal}))
    made.append(once("processor seconds of a search", done.cpu, "s", told))
    say(f"peak {done.peak:.0f} MiB, growth {growth:+.1f} MiB, {done.cpu:.1f} s of processor")
    return made


def measure(task: Search | Stream) -> Measured:
    """In a fresh process of one thread."""
    # The child reads these when it loads numpy; by then it is too late for this process.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, task).result()


def _measured(task: Search | Stream) -> Measured:
    return _searched(task) if isinstance(task, Search) else _streamed(task)


def _searched(task: Search) -> Measured:
    cv2.setNumThreads(1)
    scheme = scheme_of("countermark", STRENGTH)
    size = Size(name="", lines=task.lines, seconds=TAKEN)
    with tempfile.TemporaryDirectory(prefix="countermark-detection-") as folder:
        plain = window(task.source, size, 0.0, Path(folder) / "plain")
        footage = swung(plain, Path(folder) / "swung", task.seconds)
        if task.how != UNMARKED:
            footage = scheme.embed(footage, 0).footage
        if task.how not in (UNMARKED, UNMOVED):
            footage = SUITE[task.how].apply(footage, Situation(seed=chance_of(task.how, 0)))
        return _read(scheme, footage, looks=0)


def _streamed(task: Stream) -> Measured:
    cv2.setNumThreads(1)
    scheme = scheme_of("countermark", STRENGTH)
    footage = drawn(task.lines, task.rate, task.minutes * 60)
    footage = scheme.embed(footage, 0).footage if task.marked else footage
    return _read(scheme, footage, looks=PERIODS)


def _read(scheme: Scheme, footage: Footage, *, looks: int) -> Measured:
    started = _cpu()
    scheme.detect((), 0)  # a search of nothing loads the list
    loading = _cpu() - started
    spent, pixels, base = Spent(), 0, _resident()
    every = footage.seconds / looks if looks else float("inf")
    highest: dict[int, float] = {}  # of each period
    (PROC / "self" / "clear_refs").write_text(FORGET_PEAK)

    def watched() -> Iterator[Frame]:
        nonlocal pixels
        for frame in spent.over(footage.play()):
            pixels += footage.width * footage.height
            if looks:
                period = int(frame.time / every)
                highest[period] = max(highest.get(period, 0.0), _resident())
            yield frame

    before = _cpu()
    reading = scheme.detect(watched(), 0)
    cpu = _cpu() - before - spent.seconds
    found = NOTHING if reading.payload is None else WRONG
    return Measured(
        cpu=cpu, making=spent.seconds, loading=loading, pixels=pixels, base=base, peak=_peak(),
        payload=EXACT if reading.payload == scheme.payload(0) else found,
        looks=tuple((round((period + 1) * every, 1), mib) for period, mib in highest.items()),
    )  # fmt: skip


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident() -> float:
    return int((PROC / "self" / "statm").read_text().split()[1]) * PAGE_MIB


def _peak() -> float:
    """Highest resident memory since the peak was forgotten; `ru_maxrss` would hold the parent's as well."""
    told = (PROC / "self" / "status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) / KIB_PER_MIB


def drawn(lines: int, rate: float, seconds: float) -> Footage:
    """A textured scene under a moving camera, 16:9, for as long as wanted; no two passes are alike."""
    height, width = lines, round(lines * 16 / 9 / 2) * 2
    world = _texture(height, width)
    count = round(seconds * rate)

    def play() -> Iterator[Frame]:
        for index in range(count):
            turn, place = divmod(index, SCENE_FRAMES)
            yield Frame(index / rate, _view(world, height, width, turn, place))

    return Footage(width=width, height=height, rate=rate, seconds=count / rate, play=play)


def _texture(height: int, width: int) -> Image:
    """Octaves of smooth noise, larger than the frame by the camera's way."""
    random = np.random.default_rng(7)
    tall, wide = height + SCENE_FRAMES, width + 2 * SCENE_FRAMES
    field = np.zeros((tall, wide), np.float32)
    for scale in (4, 8, 16, 32, 64):
        grid = random.standard_normal((tall // scale + 2, wide // scale + 2)).astype(np.float32)
        field += cv2.resize(grid, (wide, tall), interpolation=cv2.INTER_CUBIC) * np.float32(scale**0.5)
    return np.asarray(np.clip(120 + 30 * field / field.std(), 16, 235), dtype=np.uint8)


def _view(world: Image, height: int, width: int, turn: int, place: int) -> Image:
    image = np.full((height * 3 // 2, width), 128, np.uint8)
    cut = world[place : place + height, 2 * place : 2 * place + width]
    luma = planes(image)[0]
    toned = np.roll(cut, turn * SHIFT, axis=1).astype(np.int16) + TONES[turn % len(TONES)]
    luma[:] = np.clip(toned, 16, 235)
    return image


if __name__ == "__main__":
    raise SystemExit(main())
