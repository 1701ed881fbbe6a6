"""Cells are tried: grouped by what they share, in several processes, within a time limit.

The rules:
1. A process takes one base at a time, cuts and marks it once, and tries all its attacks.
2. What is kept is not tried again. Every result is kept as soon as it is there.
3. When the time is up, no further cell is begun; the figures say how many there are.
4. A cell that fails is told with its reason and counts nowhere; an attack that does not apply to a clip
   (24 frames a second of a clip that has 8) is kept as such.
"""

import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeVar

import cv2

from benchmarks.attacks import codecs
from benchmarks.attacks.catalog import FOLLOWED, SUITE
from benchmarks.attacks.footage import CannotAttack, Footage, Frame, Situation
from benchmarks.trials import quality
from benchmarks.trials.cells import (
    MARKED,
    QUALITY,
    Base,
    Cell,
    Result,
    Store,
    attack_digest,
    digest,
    source_digest,
)
from benchmarks.trials.material import SIZES, Source, held, starts, window
from benchmarks.trials.scheme import CannotMark, Marked, Scheme
from benchmarks.trials.schemes import FOREIGN, scheme_of

DONE: Final = "done"
CANNOT: Final = "cannot"
EXACT: Final = "exact"
WRONG: Final = "wrong"
NOTHING: Final = "none"

Given = TypeVar("Given")
Got = TypeVar("Got")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be tried; ``strength``: see `schemes.SCHEMES`."""

    scheme: str
    strength: float | None
    attacks: tuple[str, ...]
    sizes: tuple[str, ...]
    windows: int = 1
    keys: int = 1
    seeds: int = 1
    kinds: tuple[str, ...] = (MARKED,)
    quality: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One base with its cells, for one process; ``deadline`` on the system's monotonic clock."""

    base: Base
    source: Source
    attacks: tuple[str, ...]
    seeds: int
    scheme: str
    strength: float | None
    store: Path
    deadline: float | None


@dataclass(slots=True)
class Outcome:
    """Results of a task (also those that were kept), how many are new, what failed, what the time cut off."""

    results: list[Result] = field(default_factory=list)
    fresh: int = 0
    failed: list[str] = field(default_factory=list)
    left: int = 0


def tasks(order: Order, sources: Sequence[Source], store: Path, deadline: float | None) -> list[Task]:
    """All tasks, key by key: a run that is cut short has tried the first keys on every clip first."""
    made = []
    attacks = order.attacks + ((QUALITY,) if order.quality else ())
    for key in range(order.keys):
        for number in range(order.windows):
            for source in sources:
                for size in order.sizes:
                    begins = starts(source, SIZES[size], order.windows)
                    if number >= len(begins):
                        continue
                    for kind in order.kinds:
                        base = Base(
                            clip=source.digest, name=source.name, material=source.material, size=size,
                            start=begins[number], key=key, kind=kind,
                        )  # fmt: skip
                        made.append(
                            Task(
                                base=base, source=source, seeds=order.seeds, scheme=order.scheme,
                                attacks=attacks if kind == MARKED else order.attacks,
                                strength=order.strength, store=store, deadline=deadline,
                            )
                        )  # fmt: skip
    return made


def run(work: Sequence[Task], jobs: int, said: Callable[[str], None]) -> Outcome:
    """Try everything; `said` gets a line of progress for each task."""
    whole = Outcome()
    for number, (task, outcome) in enumerate(each(attempt, work, jobs), start=1):
        whole.results += outcome.results
        whole.fresh += outcome.fresh
        whole.failed += outcome.failed
        whole.left += outcome.left
        base = task.base
        told = f"{len(outcome.results) - outcome.fresh} kept, {outcome.fresh} new"
        told += f", {outcome.left} left" if outcome.left else ""
        said(f"{number} of {len(work)}: {base.name} {base.size} at {base.start:g} s, key {base.key}: {told}")
        for reason in outcome.failed:
            said(f"FAILED {reason}")
    return whole


def each(do: Callable[[Given], Got], work: Sequence[Given], jobs: int) -> Iterator[tuple[Given, Got]]:
    """Do all of it in `jobs` processes of one thread each; what was given and what came of it, as it ends."""
    if jobs == 1:
        _quiet()
        yield from ((task, do(task)) for task in work)
        return
    # A child reads these when it loads numpy; by then it is too late for this process.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_quiet) as pool:
        waiting = {pool.submit(do, task): task for task in work}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def _quiet() -> None:
    """One thread a process: several processes already use the processors."""
    cv2.setNumThreads(1)


def attempt(task: Task) -> Outcome:
    """All cells of one base."""
    tried, store, outcome = scheme_of(task.scheme, task.strength), Store(task.store), Outcome()
    with ExitStack() as stack:
        bench: _Bench | None = None
        for attack, seed in _named(task):
            cell = Cell(base=task.base, attack=attack, seed=seed)
            visible = attack != QUALITY and SUITE[attack].visible
            name = digest(cell, tried, _work(attack), visible=visible)
            kept = store.get(name)
            if kept is not None:
                outcome.results.append(kept)
                continue
            if task.deadline is not None and time.monotonic() >= task.deadline:
                outcome.left += 1
                continue
            try:
                if bench is None:
                    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="countermark-trial-"))
                    bench = _Bench(task, tried, Path(folder))
                result = bench.measure() if attack == QUALITY else bench.attack(attack, seed)
            except Exception as error:  # noqa: BLE001 - a cell that fails must not end the run
                outcome.failed.append(f"{cell.told}: {type(error).__name__}: {error}")
                continue
            outcome.results.append(store.put(name, cell, result))
            outcome.fresh += 1
    return outcome


def _named(task: Task) -> list[tuple[str, int]]:
    """Attacks and seeds: only chance is tried more than once."""
    return [
        (attack, seed)
        for attack in task.attacks
        for seed in range(task.seeds if attack != QUALITY and SUITE[attack].drawn else 1)
    ]


def _work(attack: str) -> str:
    """Digest of what is done to the base."""
    if attack == QUALITY:
        return source_digest(quality) + source_digest(codecs) + version("imageio-ffmpeg")
    return attack_digest(SUITE[attack])


class _Bench:
    """A base on the bench: its window, and its marked copies, each made once."""

    def __init__(self, task: Task, scheme: Scheme, folder: Path) -> None:
        self._base, self._scheme, self._folder = task.base, scheme, folder
        self._plain = window(task.source, SIZES[task.base.size], task.base.start, folder / "plain")
        self._marked: dict[bool, Marked] = {}

    def _copy(self, *, visible: bool) -> Marked:
        if self._base.kind != MARKED:
            return Marked(footage=self._plain, record={})
        if visible not in self._marked:
            made = self._scheme.embed(self._plain, self._base.key, visible=visible)
            laid = held(made.footage, self._folder / ("visible" if visible else "hidden"))
            self._marked[visible] = Marked(footage=laid, record=made.record)
        return self._marked[visible]

    def attack(self, name: str, seed: int) -> Result:
        """One cell's result."""
        attack, spent = SUITE[name], Spent()
        begun = time.process_time()
        try:
            marked = self._copy(visible=attack.visible)
            prepared = time.process_time()
            # The attack's name is in its chance: crops of two sizes are cut in different places.
            situation = Situation(seed=chance_of(name, seed), remark=self._remark)
            attacked = attack.apply(marked.footage, situation)
        except (CannotAttack, CannotMark) as error:
            return {"state": CANNOT, "reason": str(error), "clip_seconds": self._plain.seconds}
        record = marked.record if attack.visible and self._base.kind == MARKED else None
        reading = self._scheme.detect(spent.over(attacked.play()), self._base.key, record)
        detecting = time.process_time() - prepared - spent.seconds
        found = NOTHING if reading.payload is None else WRONG
        if reading.payload == self._scheme.payload(self._base.key):
            found = EXACT
        return {
            "state": DONE, "payload": found, "present": reading.present, "score": reading.score,
            "removed": reading.removed, "details": dict(reading.details), "record": dict(marked.record),
            "evidence": list(reading.evidence),
            "clip_seconds": self._plain.seconds, "size": [attacked.width, attacked.height],
            "seconds": {
                "prepare": prepared - begun, "attack": spent.seconds, "detect": detecting,
            },
        }  # fmt: skip

    def _remark(self, footage: Footage, number: int) -> Footage:
        return self._scheme.embed(footage, FOREIGN + number).footage

    def measure(self) -> Result:
        """What the mark costs this clip."""
        begun = time.process_time()
        try:
            marked = self._copy(visible=False)
        except CannotMark as error:
            return {"state": CANNOT, "reason": str(error), "clip_seconds": self._plain.seconds}
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            figures = quality.measure(self._plain, marked.footage, Path(folder))
        return {
            "state": DONE, "figures": figures, "record": dict(marked.record),
            "clip_seconds": self._plain.seconds,
            "seconds": {"prepare": 0.0, "attack": 0.0, "detect": time.process_time() - begun},
        }  # fmt: skip


class Spent:
    """Processor seconds that making frames takes, apart from what is done with them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def over(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The same frames, the making of each counted."""
        while True:
            begun = time.process_time()
            frame = next(frames, None)
            self.seconds += time.process_time() - begun
            if frame is None:
                return
            yield frame


def chance_of(name: str, seed: int) -> int:
    """A number of an attack's name and a seed; an attack that H.264 follows gets the same as without."""
    told = f"{name.removesuffix(FOLLOWED)}/{seed}"
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:6])
