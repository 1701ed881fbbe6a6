"""Marks moved to other clips, and what `verify` makes of them, with a real registry.

Clips are released by `countermark guard` into a home of the benchmark's own. Then the mark of a release is
estimated from it, from other clips with the same payload or with several, and pasted on other clips: real and
drawn ones, and ones that are like the release (another seed, one attribute changed, begun a little later).
`verify` must say neither `intact` nor `recovered`. Beside that, fair copies of the releases, as platforms
make them, say how often a clip that is the same is not called so; and releases are marked again with other
keys.
Results are kept in a folder: a run that was stopped goes on.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import cv2

from benchmarks import common, watermark
from benchmarks.common import Row, once, rate, say
from benchmarks.tools.processes import CommandFailed
from benchmarks.trials import material
from benchmarks.trials.cells import Store
from benchmarks.trials.copies import COPY, FAIR, NOT_APPLICABLE, REMARK, Stand, Trial, trials
from benchmarks.trials.material import NoMaterial
from benchmarks.trials.schemes import tree_digest

SUITE: Final = "copying"
CELLS: Final = Path(tempfile.gettempdir()) / "countermark-cells"
ACCEPTED: Final = ("intact", "recovered")
READ: Final = ("watermark", "pipeline/verify", "pipeline/credentials", "pipeline/release")
USED: Final = ("copying.py", "trials/copies.py", "trials/pairs.py", "trials/pasting.py", "attacks")

_stand: Stand | None = None


def main() -> int:
    """The command; 2 where there is nothing to try."""
    asked = _asked()
    at_commit, measured = common.commit(), common.machine()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        stand = _made(asked)
        stand.prepare(say)
    except (NoMaterial, CommandFailed) as error:
        print(error, file=sys.stderr)
        return 2
    wanted = [*_picked(stand, COPY, asked.trials), *_picked(stand, FAIR, asked.fair),
              *_picked(stand, REMARK, asked.remarks)]  # fmt: skip
    results, left = _run(asked, wanted)
    rows = [
        *measured, once("clips released", len(stand.victims), "count"),
        once("trials left by the time limit", left, "count"), *_rows(results), *common.machine(),
    ]  # fmt: skip
    common.present(SUITE, rows, at_commit, as_json=asked.json)
    return 0


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    add = parser.add_argument
    add("--clips", metavar="DIR", help="folder of video files; without it, rendered clips only")
    add("--rendered", type=common.whole(0), default=6, help="drawn worlds; a landscape for every four")
    add("--trials", type=common.whole(0), default=400, help="pasted marks, drawn from all combinations")
    add("--fair", type=common.whole(0), default=120, help="fair copies")
    add("--remarks", type=common.whole(0), default=30, help="releases marked again with 1 to 5 other keys")
    add("--jobs", type=common.whole(1), default=len(os.sched_getaffinity(0)), help="processes")
    add("--minutes", type=float, help="begin no further trial after so long")
    add("--cells", type=Path, default=CELLS, metavar="DIR", help="where results are kept")
    return parser.parse_args()


def _made(asked: Namespace) -> Stand:
    return Stand(watermark.real_clips(asked), asked.rendered, asked.cells / "copying")


def _picked(stand: Stand, kind: str, count: int) -> list[Trial]:
    """The first `count` of all trials of a kind in an order without pattern, the same every time."""
    found = [trial for trial in trials(stand) if trial.kind == kind]
    return sorted(found, key=lambda trial: hashlib.sha256(repr(trial).encode()).digest())[:count]


def _run(asked: Namespace, wanted: Sequence[Trial]) -> tuple[list[tuple[Trial, dict[str, Any]]], int]:
    store, code = Store(asked.cells / "copying" / "results"), _code()
    names = {_digest(trial, code): trial for trial in wanted}
    kept = {name: found for name in names if (found := store.get(name))}
    say(f"{len(wanted)} trials, {len(kept)} of them kept in {asked.cells}")
    end = time.monotonic() + 60 * asked.minutes if asked.minutes is not None else None
    for name, result in _tried(asked, {name: t for name, t in names.items() if name not in kept}, end):
        kept[name] = store.put(name, names[name], result)
        if len(kept) % 20 == 0:
            say(f"{len(kept)} of {len(wanted)}")
    return [(names[name], result) for name, result in kept.items()], len(names) - len(kept)


def _tried(
    asked: Namespace, names: dict[str, Trial], end: float | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    ordered = sorted(names, key=lambda name: (names[name].victim, names[name].estimate))
    if not ordered:
        return
    set_up = (asked.clips, asked.rendered, asked.cells)
    context = get_context("spawn")
    with ProcessPoolExecutor(asked.jobs, context, initializer=_begin, initargs=set_up) as pool:
        waiting = {pool.submit(_attempt, names[name], end): name for name in ordered}
        for future in as_completed(waiting):
            try:
                result = future.result()
            except Exception as error:  # noqa: BLE001 - one trial that fails must not end the run
                say(f"FAILED {names[waiting[future]]}: {type(error).__name__}: {error}")
                continue
            if result is not None:
                yield waiting[future], result


def _begin(clips: str | None, rendered: int, cells: Path) -> None:
    global _stand  # noqa: PLW0603 - one stand a process, made once
    cv2.setNumThreads(1)
    sources = material.real(common.folder_of_clips(clips)) if clips else []
    _stand = Stand(sources, rendered, cells / "copying")


def _attempt(trial: Trial, end: float | None) -> dict[str, Any] | None:
    assert _stand is not None
    return None if end is not None and time.monotonic() >= end else _stand.attempt(trial)


def _code() -> str:
    return tree_digest(*READ, *(f"benchmarks/{part}" for part in USED))


def _digest(trial: Trial, code: str) -> str:
    return hashlib.sha256(json.dumps([repr(trial), code]).encode()).hexdigest()


def _rows(results: Sequence[tuple[Trial, dict[str, Any]]]) -> list[Row]:
    rows = []
    for kind, metric in (
        (COPY, "copy accepted"),
        (FAIR, "fair copy recovered"),
        (REMARK, "re-marked recovered"),
    ):
        mine = [
            (trial, result) for trial, result in results
            if trial.kind == kind and result["verdict"] != NOT_APPLICABLE
        ]  # fmt: skip
        rows += _shares(metric, kind, mine)
    return rows


def _shares(metric: str, kind: str, mine: Sequence[tuple[Trial, dict[str, Any]]]) -> list[Row]:
    """Over all, and by each thing that trials differ in; of copies also those whose payload was read."""
    if not mine:
        return []
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {("all", ""): [result for _, result in mine]}
    for trial, result in mine:
        for name, value in trial.told(result).items():
            groups.setdefault((name, value), []).append(result)
        if kind == COPY and result["read"]:
            groups.setdefault(("all, payload read", ""), []).append(result)
            groups.setdefault(("payload read, host", trial.told(result)["host"]), []).append(result)
    rows = []
    for (name, value), found in sorted(groups.items()):
        verdicts = Counter(result["verdict"] for result in found)
        told: dict[str, str | int] = {name: value} if value else {"over": name}
        told |= {"read": sum(result["read"] for result in found), "material": _material(found)}
        told |= {f"says {verdict}": count for verdict, count in sorted(verdicts.items())}
        rows.append(rate(metric, sum(verdicts[word] for word in ACCEPTED), len(found), told))
    return rows


def _material(found: Sequence[dict[str, Any]]) -> str:
    return " and ".join(sorted({result["material"] for result in found}))


if __name__ == "__main__":
    raise SystemExit(main())
