"""The view of the registry at size: what it finds, how quickly, after what start, in how much memory.

For each size a registry is filled through the product (opt-outs of 20 references each), read from the
database, and read again from the index's files by a fresh process, which then answers. Hits are all
references that score more than any reference does for a query that belongs to nobody; brute force says which.
Memory is the resident size of that process above what it was before, with a view of two subjects loaded.
The fp16 vectors of large segments are mapped, so that they are resident as far as they were looked at; the
figure that counts, "with all vectors looked at", takes all of them as resident.
"""

import argparse
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import common
from benchmarks.common import Row, median, once, rate, say
from benchmarks.tools import index_world as world
from classifiers.base import Kind, Seen, Sight
from classifiers.names import check_names, prepare
from classifiers.similarity import NEIGHBOURS, all_near
from registry import optouts
from registry.db import open_database
from registry.segment_files import FileUnusable, load_one
from registry.subject_types import NameDraft, OptOutDraft
from registry.view import Snapshot, View

SUITE: Final = "registry_index"
SIZES: Final = (10_000, 100_000, 1_000_000)
QUICK: Final = (10_000,)
NAMES: Final = 100_000
QUICK_NAMES: Final = 5_000
QUERIES: Final = 200
BATCH: Final = 48  # frames and regions of a short clip
CHANGES: Final = 30
FLIPS: Final = 200
FLIPPED_BYTES: Final = 20 << 30  # that are hashed for all flips of a size together
MILLISECONDS: Final = 1000.0
SETTLE: Final = 900.0


def measure(folder: Path, *, quick: bool, database: str | None = None) -> list[Row]:
    """All rows; the view is the same over any database, so that SQLite in `folder` is used."""
    rows: list[Row] = []
    for size in QUICK if quick else SIZES:
        say(f"index of {size:,} references")
        rows += _of_size(folder / f"index-{size}", size)
    say("names")
    rows += _in_child("names", folder / "names", QUICK_NAMES if quick else NAMES)
    return rows


def _of_size(folder: Path, size: int) -> list[Row]:
    rows = _in_child("fill", folder, size)
    rows += _in_child("rebuild", folder, size)
    rows += _in_child("serve", folder, size)
    rows += _in_child("flip", folder, size)
    shutil.rmtree(folder)
    return rows


def fill(folder: Path, size: int) -> list[Row]:
    """Register everything."""
    folder.mkdir(parents=True)
    engine, begun = open_database(folder / "registry.db"), time.perf_counter()
    world.register(engine, size // world.REFERENCES)
    seconds = time.perf_counter() - begun
    engine.dispose()
    return [once("registering through add_many", seconds, "s", _of(size))]


def rebuild(folder: Path, size: int) -> list[Row]:
    """A start without files: everything is read from the database, indexed, and written."""
    engine = open_database(folder / "registry.db")
    view, begun = View(engine, folder / "index"), time.perf_counter()
    view.current()
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    view.settle(SETTLE)
    merging = time.perf_counter() - begun
    view.close()
    return [
        once("cold start from the database, index built", seconds, "s", _of(size) | {"goal": "1M <= 60"}),
        once("merging beside after it", merging, "s", _of(size)),
        once("peak memory of it", _status("VmHWM") / 2**20, "MiB", _of(size)),
        once("files of the index", world.size_of(folder / "index") / size, "bytes per reference", _of(size)),
    ]


def serve(folder: Path, size: int) -> list[Row]:
    """A start from files, and what it answers."""
    engine = open_database(folder / "registry.db")
    near, strange = world.queries(size // world.REFERENCES, QUERIES)
    _warm(folder / "small")  # what the libraries take themselves is no reference's
    before = _status("VmRSS"), _status("RssAnon")
    view, begun = View(engine, folder / "index"), time.perf_counter()
    snapshot = view.current()
    rows = [once("cold start from files", time.perf_counter() - begun, "s", _of(size) | {"goal": "1M <= 60"})]
    rows += _memory(size, "after the start", before, snapshot)
    rows += _recall(size, snapshot, near, strange)
    rows += _latency(size, snapshot, np.concatenate([near, strange]))
    rows += _changes(size, view, engine)
    view.close()
    return rows


def _warm(folder: Path) -> None:
    folder.mkdir()
    engine = open_database(folder / "registry.db")
    world.register(engine, 2)
    snapshot = View(engine, folder / "index").current()
    snapshot.search(world.SPACE, [world.KIND], world.queries(2, 2)[0], NEIGHBOURS)
    engine.dispose()
    shutil.rmtree(folder)
    gc.collect()


def _memory(size: int, when: str, before: tuple[int, int], snapshot: Snapshot) -> list[Row]:
    gc.collect()
    resident, anonymous = _status("VmRSS") - before[0], _status("RssAnon") - before[1]
    told = _of(size) | {"when": when}
    return [
        once("memory, resident", resident / size, "bytes per reference", told),
        once("memory, not in files", anonymous / size, "bytes per reference", told),
        once("memory with all vectors looked at", (anonymous + _mapped(snapshot)) / size,
             "bytes per reference", told | {"goal": "<= 1200"}),
    ]  # fmt: skip


def _recall(size: int, snapshot: Snapshot, near: Any, strange: Any) -> list[Row]:
    """Hits found, of those of brute force; through the widening search that the checks use."""
    subjects = size // world.REFERENCES
    least = max(float(scores.max()) for _, scores in world.brute_force(subjects, strange))
    wanted: list[set[str]] = [set() for _ in near]
    for first, scores in world.brute_force(subjects, near):
        for query, number in zip(*np.nonzero(scores > least + 1e-4), strict=True):
            wanted[query].add(world.digest(first + int(number)))
    seen = Seen(kind=Kind.FRAME, space=world.SPACE, vectors=near)
    found = all_near(snapshot, seen, Kind.PICTURE, NEIGHBOURS, np.full(len(near), least, np.float32))
    told_of = [{match.reference for match in matches} for matches in found]
    right = sum(len(hits & matches) for hits, matches in zip(wanted, told_of, strict=True))
    told = _of(size) | {"threshold": round(least, 4), "queries": len(near)}
    shown = sum(1 for hits in wanted if hits)
    met = sum(1 for hits, matches in zip(wanted, told_of, strict=True) if hits & matches)
    return [
        rate("recall of hits against brute force", right, sum(map(len, wanted)), told | {"goal": ">= 0.999"}),
        rate("queries with a hit that find one", met, shown, told),
    ]


def _latency(size: int, snapshot: Snapshot, asked: Any) -> list[Row]:
    def search(queries: Any) -> None:
        snapshot.search(world.SPACE, [world.KIND], queries, NEIGHBOURS)

    single = [_timed(search, query[None]) for query in asked]
    batch = [_timed(search, asked[:BATCH]) for _ in range(5)]
    told = _of(size) | {"neighbours": NEIGHBOURS}
    return [
        *_quantiles("query", single, "ms", told),
        median(f"{BATCH} queries at once", [s * MILLISECONDS for s in batch], "ms", told),
    ]


def _changes(size: int, view: View, engine: Any) -> list[Row]:
    """From an opt-out's return until its picture is found, one after another."""
    took = []
    for number in range(CHANGES):
        draft = world.draft(size // world.REFERENCES + number)
        made = optouts.add(engine, draft, now=world.NOW, sign_checkpoint=world.SIGNER)
        asked = np.frombuffer(draft.vectors[0].vector, np.float16)[None].astype(np.float32)
        begun = time.perf_counter()
        [[best]] = view.current().search(world.SPACE, [world.KIND], asked, 1)
        took.append(time.perf_counter() - begun)
        if best.subject != made.subject:
            raise RuntimeError("an opt-out was not found")
    return _quantiles("opt-out returned -> found in this process", took, "ms", _of(size))


def flip(folder: Path, size: int) -> list[Row]:
    """One bit flipped somewhere in a segment or sidecar: it must not be used."""
    index, rng = folder / "index", random.Random(4)
    paths = sorted(path for path in index.glob("*.*") if path.suffix in (".segment", ".json"))
    if not paths:
        return []
    tries = max(10, min(FLIPS, FLIPPED_BYTES // world.size_of(index)))
    detected = sum(_detected(index, rng.choice(paths), rng) for _ in range(tries))
    return [rate("a flipped bit is detected", detected, tries, _of(size) | {"goal": 1.0})]


def _detected(index: Path, path: Path, rng: random.Random) -> bool:
    place, bit = rng.randrange(path.stat().st_size), 1 << rng.randrange(8)
    _flip(path, place, bit)
    try:
        load_one(index, path.stem)
    except FileUnusable:
        return True
    finally:
        _flip(path, place, bit)
    return False


def _flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        [byte] = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ bit]))


def names(folder: Path, size: int) -> list[Row]:
    """Names in texts: the start, and from an opt-out's return to the refusal of a prompt with the name."""
    folder.mkdir(parents=True)
    engine = open_database(folder / "registry.db")
    made = world.names(size + CHANGES)
    world.register_names(engine, made[:size])
    gc.collect()
    before, view, begun = (
        _status("VmRSS"),
        View(engine, folder / "index", prepare=prepare),
        time.perf_counter(),
    )
    view.current()
    rows = [
        once("cold start, names indexed", time.perf_counter() - begun, "s", {"names": size}),
        once("memory of names", (_status("VmRSS") - before) / size, "bytes per name", {"names": size}),
    ]
    took = []
    for text in made[size:]:
        sight = Sight(texts=(f"a painting of {text} on a beach",))
        draft = OptOutDraft(kind="character", name=text, owner="Studio", names=(NameDraft(text=text),))
        optouts.add(engine, draft, now=world.NOW, sign_checkpoint=world.SIGNER)
        begun = time.perf_counter()
        report = check_names(sight, view.current())
        took.append(time.perf_counter() - begun)
        if not any(finding.sure and finding.reference == text for finding in report.findings):
            raise RuntimeError("a name was not found")
    view.close()
    shutil.rmtree(folder)
    return [*rows, *_quantiles("opt-out returned -> its name refused", took, "ms", {"names": size})]


def _quantiles(metric: str, seconds: Sequence[float], unit: str, told: dict[str, Any]) -> list[Row]:
    values = sorted(one * MILLISECONDS for one in seconds)
    ends = values[0], values[-1]
    return [
        Row(
            metric=f"{metric}, p{share}", value=float(np.percentile(values, share)), unit=unit,
            n=len(values), interval=ends, conditions=told,
        )
        for share in (50, 99)
    ]  # fmt: skip


def _timed(work: Callable[[Any], None], queries: Any) -> float:
    begun = time.perf_counter()
    work(queries)
    return time.perf_counter() - begun


def _of(size: int) -> dict[str, Any]:
    return {"references": size, "dimension": world.DIMENSION}


def _mapped(snapshot: Snapshot) -> int:
    """Bytes of vectors that lie in files."""
    shelves = snapshot.shelves.values()
    return sum(s.stored.nbytes for shelf in shelves for s in shelf if s.stored is not None and s.file)


def _status(field: str) -> int:
    """Bytes that the kernel tells of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


STAGES: Final[dict[str, Callable[[Path, int], list[Row]]]] = {
    "fill": fill, "rebuild": rebuild, "serve": serve, "flip": flip, "names": names,
}  # fmt: skip


def _in_child(stage: str, folder: Path, size: int) -> list[Row]:
    """Run a stage in a process of its own: caches and memory of one are no other's."""
    say(f"  {stage}")
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, "--stage", stage, "--size", str(size), "--folder", str(folder)],
        stdout=subprocess.PIPE, check=True, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        cwd=common.ROOT,
    )  # fmt: skip
    return [Row(**(row | {"interval": tuple(row["interval"])})) for row in json.loads(done.stdout)]


def main() -> None:
    """Run alone: all sizes, or one stage for `_in_child`."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--quick", action="store_true", help="10,000 references only")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help="one size only")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        print(json.dumps([asdict(row) for row in STAGES[asked.stage](asked.folder, asked.size)]))
        return
    at_commit = common.commit()
    with tempfile.TemporaryDirectory(prefix="countermark-index-") as folder:
        rows = common.machine()
        if asked.size:
            rows += _of_size(Path(folder) / "index", asked.size)
        else:
            rows += measure(Path(folder), quick=asked.quick)
    common.present(SUITE, rows, at_commit, as_json=asked.json)


if __name__ == "__main__":
    main()
