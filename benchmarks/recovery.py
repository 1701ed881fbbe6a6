"""How often a release that lost its credential is recovered, and whether what is none ever is.

Clips are released into a home of the benchmark's own, then stripped by remuxing, re-encoding at other sizes
and qualities, and cropping (`benchmarks.trials.stripping` has the treatments), and verified against the
home. The same is done to clips that were never marked, and to clips on which a release's mark was laid.
`recovered` counts only with the right release. Two other validators are asked about the releases themselves.
Exit code 1 when an unmarked clip or a transplanted mark is recovered, or any file is taken for another
release. Results are kept: a run that was stopped goes on.
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

from benchmarks import common
from benchmarks.common import Row, once, rate, say
from benchmarks.trials import material
from benchmarks.trials.cells import Store
from benchmarks.trials.material import NoMaterial
from benchmarks.trials.schemes import tree_digest
from benchmarks.trials.stripping import (
    CROP,
    MARKED_KINDS,
    REENCODE,
    REMUX,
    TRANSPLANT,
    UNMARKED,
    Stand,
    Trial,
    treatment,
    trials,
)
from benchmarks.trials.tampering import C2PA, ENCYPHER
from benchmarks.trials.witnesses import opinions
from pipeline.settings import load
from pipeline.verify.opening import open_local

SUITE: Final = "recovery"
CELLS: Final = Path(tempfile.gettempdir()) / "countermark-cells"
READ: Final = ("watermark", "pipeline/verify", "pipeline/credentials", "pipeline/release")
MADE: Final = (
    "watermark",
    "pipeline/media",
    "pipeline/release",
    "pipeline/credentials",
    "benchmarks/trials/stripping.py",
)
USED: Final = ("trials/stripping.py", "trials/pasting.py", "attacks", "tools/containers.py")
RECOVERED: Final = "recovered"
GOAL: Final = 0.98  # lower bound of the 95 % interval

Result = tuple[Trial, dict[str, Any]]


def main() -> int:
    """The command; 1 for a clip that was recovered and is none, 2 where there is nothing to try."""
    asked = _asked()
    at_commit, measured = common.commit(), common.machine()
    cv2.setNumThreads(1)
    try:
        sources = material.real(common.folder_of_clips(asked.clips)) if asked.clips else []
    except NoMaterial as error:
        print(error, file=sys.stderr)
        return 2
    folder = asked.cells / SUITE / _stand_name(sources)
    stand = Stand(sources, asked.rendered, folder)
    stand.prepare(say)
    counts = {CROP: asked.crops, REENCODE: asked.reencodes, REMUX: asked.remuxes, UNMARKED: asked.unmarked,
              TRANSPLANT: asked.transplants}  # fmt: skip
    results, left = _run(asked, stand, trials(stand.clips, counts))
    rows = [
        *measured, once("clips released", len(stand.clips), "count"),
        once("trials left by the time limit", left, "count"), *_rows(results),
        *_witnessed(stand, folder / "home"), *common.machine(),
    ]  # fmt: skip
    common.present(SUITE, rows, at_commit, as_json=asked.json)
    return int(any(_wrong(trial, result) for trial, result in results))


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    add = parser.add_argument
    add("--clips", metavar="DIR", help="folder of video files; without it, drawn clips only")
    add("--rendered", type=common.whole(1), default=24, help="drawn clips of 1280 x 720, 5 s")
    add("--crops", type=common.whole(0), default=210, help="cropped and re-encoded copies")
    add("--reencodes", type=common.whole(0), default=60, help="re-encoded copies")
    add("--remuxes", type=common.whole(0), default=30, help="remuxed copies")
    add("--unmarked", type=common.whole(0), default=60, help="clips without a mark, treated likewise")
    add("--transplants", type=common.whole(0), default=20, help="marks laid on other clips")
    add("--jobs", type=common.whole(1), default=len(os.sched_getaffinity(0)), help="processes")
    add("--minutes", type=float, help="begin no further trial after so long")
    add("--cells", type=Path, default=CELLS, metavar="DIR", help="where results are kept")
    return parser.parse_args()


def _stand_name(sources: Sequence[material.Source]) -> str:
    """Releases of other code, or of other clips of the same names, are others."""
    clips = [hashlib.sha256(source.path.read_bytes()).hexdigest() for source in sources]
    return hashlib.sha256(json.dumps([tree_digest(*MADE), clips]).encode()).hexdigest()[:16]


def _run(asked: Namespace, stand: Stand, wanted: Sequence[Trial]) -> tuple[list[Result], int]:
    store = Store(asked.cells / SUITE / "results")
    code = tree_digest(*READ, *(f"benchmarks/{part}" for part in USED))
    names = {trial: hashlib.sha256(json.dumps([repr(trial), code]).encode()).hexdigest() for trial in wanted}
    found = {trial: kept for trial in wanted if (kept := store.get(names[trial]))}
    say(f"{len(wanted)} trials, {len(found)} of them kept in {asked.cells}")
    end = time.monotonic() + 60 * asked.minutes if asked.minutes is not None else None
    for trial, result in _tried(asked.jobs, stand, [trial for trial in wanted if trial not in found], end):
        found[trial] = store.put(names[trial], trial, result)
        missed = "" if trial.kind not in MARKED_KINDS or _found(result) else f" {treatment(trial)}"
        say(f"{len(found)} of {len(wanted)}: {trial} {result['verdict']}{missed}")
    return [(trial, found[trial]) for trial in wanted if trial in found], len(wanted) - len(found)


def _tried(
    jobs: int, stand: Stand, wanted: Sequence[Trial], end: float | None
) -> Iterator[tuple[Trial, dict[str, Any]]]:
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        waiting = {pool.submit(_attempt, stand, trial, end): trial for trial in wanted}
        for future in as_completed(waiting):
            result = future.result()
            if result is not None:
                yield waiting[future], result


def _attempt(stand: Stand, trial: Trial, end: float | None) -> dict[str, Any] | None:
    return None if end is not None and time.monotonic() >= end else stand.attempt(trial)


def _found(result: dict[str, Any]) -> bool:
    return bool(result["verdict"] == RECOVERED and result["right"])


def _wrong(trial: Trial, result: dict[str, Any]) -> bool:
    if trial.kind in MARKED_KINDS:
        return bool(result["named"] and not result["right"])
    # Without a mark even the very pictures are nobody's; with one, pictures like the release's are not sure.
    unsure = ("recovered-unconfirmed",) if trial.kind == UNMARKED else ()
    return result["verdict"] in ("intact", RECOVERED, *unsure)


def _rows(results: Sequence[Result]) -> list[Row]:
    groups: dict[tuple[str, str], list[Result]] = {}
    for trial, result in results:
        if trial.kind in MARKED_KINDS:
            groups.setdefault(("stripped copy recovered", "all"), []).append((trial, result))
            groups.setdefault(("stripped copy recovered", trial.kind), []).append((trial, result))
            groups.setdefault(("stripped copy recovered", result["material"]), []).append((trial, result))
        else:
            groups.setdefault((f"{trial.kind} clip recovered", "all"), []).append((trial, result))
    rows = []
    for (metric, over), mine in groups.items():
        told: dict[str, Any] = {"over": over, "releases": len({trial.clip for trial, _ in mine})}
        verdicts = Counter(result["verdict"] for _, result in mine)
        told |= {f"says {verdict}": count for verdict, count in sorted(verdicts.items())}
        told["wrong release"] = sum(r["named"] and not r["right"] for _, r in mine)
        if metric == "stripped copy recovered":
            rows.append(_with_goal(metric, sum(_found(r) for _, r in mine), len(mine), told))
            unsure = sum(r["verdict"] == "recovered-unconfirmed" and r["right"] for _, r in mine)
            rows.append(rate("stripped copy recovered-unconfirmed", unsure, len(mine), {"over": over}))
        else:
            rows.append(rate(metric, sum(r["verdict"] == RECOVERED for _, r in mine), len(mine), told))
    return rows


def _witnessed(stand: Stand, home: Path) -> list[Row]:
    """How many releases each validator calls whole and trusted, given the home's roots."""
    with open_local(load(home)) as verifier:
        asked = [
            opinions(stand.released(name).file.read_bytes(), verifier.trust).accepts for name in stand.clips
        ]
    return [
        rate("release called trusted", sum(one[name] for one in asked), len(asked), {"by": name})
        for name in (C2PA, ENCYPHER)
    ]


def _with_goal(metric: str, found: int, count: int, told: dict[str, Any]) -> Row:
    met = common.wilson(found, count)[0] >= GOAL
    return rate(metric, found, count, {**told, "goal": GOAL, "met": met})


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())
