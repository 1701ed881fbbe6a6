"""Trials of what marks say of each other: painted-over clips, and windows in which nothing was painted.

The rules:
1. One base (a clip's window with one key) is one task: marked once as a release would be, then painted over
   and encoded, or encoded and cut into windows. All is read as a verification reads it: the hidden mark
   blind, then what the marks say.
2. Results are kept under a digest of everything that can change them; a run that was stopped goes on.
3. Keys from `FIRST_KEY` on: no path or pattern that a threshold was chosen on is tried here.
"""

import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2

from benchmarks.attacks import codecs, footage, removers
from benchmarks.attacks.footage import Footage, Frame, Situation
from benchmarks.trials.cells import MARKED, UNMARKED, Base, Cell, Result, Store, digest, source_digest
from benchmarks.trials.material import SIZES, Source, held, window
from benchmarks.trials.running import DONE, chance_of
from benchmarks.trials.scheme import CannotMark, Marked
from benchmarks.trials.schemes import Countermark, Read, detection_key, layout_of
from watermark.local_carrier import PathHoles, together
from watermark.visible_path import Plate

SIZE: Final = "480p"
CRFS: Final = (23, 28, 33)
FIRST_KEY: Final = 100
UNTOUCHED: Final = "untouched"
METHODS: Final[dict[str, Callable[[Footage, Situation], Footage]]] = {
    "box": lambda clip, chance: removers.telea_held(clip, chance, seconds=0.5),
    "tracked": removers.telea,
    "temporal median": lambda clip, chance: removers.temporal_median(clip, chance, seconds=2.0),
    "delogo": removers.delogo_tracked,
    "label only": lambda clip, chance: removers.telea(clip, chance, plates=1),
}
# From and to, in seconds; what lies beyond a clip's end is left out, the first is the whole clip.
WINDOWS: Final = (
    (0.0, 60.0), (0.0, 2.0), (0.5, 3.0), (1.0, 4.0), (2.0, 60.0), (2.5, 5.0), (1.5, 3.5), (0.25, 2.25),
    (3.0, 5.0), (0.0, 3.0),
)  # fmt: skip
BLIND_WINDOWS: Final = 5  # of them for clips without a mark: a search that finds nothing takes long
OTHER_PATH: Final = 8  # variants further
LEAST_SECONDS: Final = 1.4  # of a window that is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One base: what is tried on it, and where results are kept; ``deadline`` on the monotonic clock."""

    base: Base
    source: Source
    methods: tuple[str, ...]
    crfs: tuple[int, ...]
    store: Path
    deadline: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How many keys: of untouched windows, of painted-over clips, and (wrong ones) of unmarked windows."""

    untouched: int
    inpainted: int
    unmarked: int
    size: str = SIZE
    crfs: tuple[int, ...] = CRFS


def tasks(order: Order, sources: Sequence[Source], store: Path, deadline: float | None) -> list[Task]:
    """Key by key, so that a run that is cut short has tried every clip."""
    made = []
    for kind, count in ((MARKED, max(order.untouched, order.inpainted)), (UNMARKED, order.unmarked)):
        for number in range(count):
            for source in sources:
                base = Base(
                    clip=source.digest, name=source.name, material=source.material, size=order.size,
                    start=0.0, key=FIRST_KEY + number, kind=kind,
                )  # fmt: skip
                painted = kind == MARKED and number < order.inpainted
                methods = (UNTOUCHED, *(METHODS if painted else ()))
                made.append(
                    Task(
                        base=base, source=source, methods=methods, crfs=order.crfs, store=store,
                        deadline=deadline,
                    )
                )  # fmt: skip
    return sorted(made, key=lambda task: (task.base.key, task.base.kind))


def run(work: Sequence[Task], jobs: int, said: Callable[[str], None]) -> tuple[list[Result], int]:
    """All results (also those that were kept), and how many trials the time limit left."""
    results: list[Result] = []
    left = 0
    for number, (task, found, missing) in enumerate(_outcomes(work, jobs), start=1):
        results += found
        left += missing
        said(f"{number} of {len(work)}: {task.base.name} {task.base.kind}, key {task.base.key}: {len(found)}")
    return results, left


def _outcomes(work: Sequence[Task], jobs: int) -> Iterator[tuple[Task, list[Result], int]]:
    if jobs == 1:
        _quiet()
        yield from ((task, *attempt(task)) for task in work)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a child reads these when it loads numpy
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_quiet) as pool:
        waiting = {pool.submit(attempt, task): task for task in work}
        for future in as_completed(waiting):
            yield waiting[future], *future.result()


def _quiet() -> None:
    cv2.setNumThreads(1)


def attempt(task: Task) -> tuple[list[Result], int]:
    """All trials of one base; a clip that cannot be marked has none."""
    scheme, store = Countermark(), Store(task.store)
    names = {name: digest(_cell(task, name), scheme, _work(name), visible=True) for name in _names(task)}
    kept = {name: store.get(known) for name, known in names.items()}
    missing = [name for name, result in kept.items() if result is None]
    if missing and not (task.deadline is not None and time.monotonic() >= task.deadline):
        with tempfile.TemporaryDirectory(prefix="countermark-removal-") as folder:
            try:
                bench = _Bench(task, scheme, Path(folder))
            except CannotMark:
                return [], 0
            for name in missing:
                kept[name] = store.put(names[name], _cell(task, name), bench.tried(name))
    done = [result for result in kept.values() if result is not None]
    return done, len(kept) - len(done)


def _cell(task: Task, name: str) -> Cell:
    return Cell(base=task.base, attack=name, seed=0)


def _names(task: Task) -> list[str]:
    """Trials by name: what is painted over (or not), and the crf it is encoded with afterwards."""
    return [f"{method}/{crf}" for method in task.methods for crf in task.crfs]


def _work(name: str) -> str:
    """Digest of what is done to a base in one trial."""
    own = Path(__file__).read_bytes() + name.encode()
    parts = "".join(source_digest(module) for module in (removers, codecs, footage))
    return hashlib.sha256(own + parts.encode()).hexdigest()


class _Bench:
    """A base on the bench."""

    def __init__(self, task: Task, scheme: Countermark, folder: Path) -> None:
        self._key, self._scheme, self._folder = task.base.key, scheme, folder
        plain = window(task.source, SIZES[task.base.size], 0.0, folder / "plain")
        made = Marked(footage=plain, record={"width": plain.width, "height": plain.height, "variant": 0})
        self._marked = task.base.kind == MARKED
        if self._marked:
            made = scheme.embed(plain, self._key, visible=True)
        self._clip = held(made.footage, folder / "marked")
        self._record = made.record
        self._painted: tuple[str, Footage] | None = None

    def tried(self, name: str) -> Result:
        """One result: of a painted clip as a whole, of an untouched one window by window."""
        method, crf = name.split("/")
        begun = time.process_time()
        chance = Situation(seed=chance_of(method, self._key))
        coded = codecs.codec(self._paint(method, chance), chance, name="h264", crf=int(crf))
        laid = held(replace(coded, boxes=None), self._folder / "coded")
        spans = self._spans(method)
        readings = [
            {"from": start, "to": min(end, laid.seconds), **self._read(laid, start, end)}
            for start, end in spans
            if min(end, laid.seconds) - start >= LEAST_SECONDS
        ]
        return {
            "state": DONE, "method": method, "crf": int(crf), "readings": readings,
            "clip_seconds": laid.seconds, "seconds": time.process_time() - begun,
        }  # fmt: skip

    def _spans(self, method: str) -> tuple[tuple[float, float], ...]:
        if method != UNTOUCHED:
            return WINDOWS[:1]
        return WINDOWS if self._marked else WINDOWS[:BLIND_WINDOWS]

    def _paint(self, method: str, chance: Situation) -> Footage:
        """The clip with its boxes filled, kept for the crfs that follow."""
        if method == UNTOUCHED:
            return self._clip
        if self._painted is None or self._painted[0] != method:
            filled = METHODS[method](self._clip, chance)
            self._painted = (method, held(replace(filled, boxes=None), self._folder / "painted"))
        return self._painted[1]

    def _read(self, clip: Footage, start: float, end: float) -> dict[str, Any]:
        frames = (
            Frame(time - start, image) for time, image in clip.play() if start - 1e-6 <= time < end - 1e-6
        )
        read = self._scheme.testimony(frames, self._key, self._record)
        return {
            "payload": read.detection.payload == self._scheme.payload(self._key),
            "verdict": str(read.said.verdict), "reason": read.said.reason and str(read.said.reason),
            "partly": read.said.partly, "hole": read.said.hole.evidence, "left": read.said.hole.left,
            "label": read.said.evidence.label.score if read.said.evidence else None,
            "handle": read.said.evidence.handle.score if read.said.evidence else None,
            "elsewhere": self._elsewhere(read) if (start, end) == WINDOWS[0] else None,
        }  # fmt: skip

    def _elsewhere(self, read: Read) -> float | None:
        """Evidence of a hole along another path, where nothing was painted over: what a wrong path shows."""
        found, told = read.detection, read.said.framing
        if found.payload is None or told is None:
            return None
        layout = layout_of(self._key, found.payload, self._record, other=OTHER_PATH)
        holes = PathHoles(
            read.kept.frames, layout, detection_key(self._key), found.payload, read.kept.colours
        )
        whole = ((read.kept.frames[0].time, read.kept.frames[-1].time),)
        return together(holes.at(told, plate, whole) for plate in Plate).evidence
