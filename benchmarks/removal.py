"""Is the removal of the visible mark noticed, and how often is it claimed by mistake?

Clips are marked as a release is, painted over in five ways and encoded; others are encoded and cut into
windows, and some bear no mark at all. All are read blind, and judged by what the two marks say of each other.
Every third clip is for choosing thresholds, the others for the figures; goals are judged by the latter.
"""

import os
import sys
import tempfile
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import common
from benchmarks.common import Row, median, once, rate, say
from benchmarks.trials import goals, material, removal
from benchmarks.trials.cells import MARKED, Result
from benchmarks.trials.material import NoMaterial, Source
from benchmarks.trials.removal import UNTOUCHED, Order
from watermark.removal import HOLE, Verdict

SUITE_NAME: Final = "removal"
CELLS: Final = Path(tempfile.gettempdir()) / "countermark-removal"
CHOOSING: Final = "thresholds"
JUDGING: Final = "figures"
LABEL_ONLY: Final = "label only"  # a figure of its own: half of the mark is still there

Reading = Mapping[str, Any]


def main() -> int:
    """The command; 2 where there is nothing to try."""
    asked = _asked()
    at_commit, measured = common.commit(), common.machine()
    try:
        sources = material.real(asked.clips) + material.rendered(asked.rendered, asked.cells / "rendered")
    except NoMaterial as error:
        print(error, file=sys.stderr)
        return 2
    parts = split(sources)
    order = Order(untouched=asked.keys, inpainted=asked.inpainted_keys, unmarked=asked.unmarked_keys)
    deadline = time.monotonic() + 60 * asked.minutes if asked.minutes is not None else None
    work = removal.tasks(order, sources, asked.cells, deadline)
    say(f"{len(work)} clips to mark or not, of {len(sources)} sources; results kept in {asked.cells}")
    results, left = removal.run(work, asked.jobs, say)
    named = [
        once(f"clips for {part}", len(names), "count", {"names": " ".join(sorted(names))})
        for part, names in ((CHOOSING, parts[CHOOSING]), (JUDGING, parts[JUDGING]))
    ]
    rest = [once("trials left by the time limit", left, "count")]
    rows = [*measured, *named, *rest, *figures(results, parts), *common.machine()]
    common.present(SUITE_NAME, rows, at_commit, as_json=asked.json)
    return 0


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=True)
    add = parser.add_argument
    add("--rendered", type=common.whole(0), default=6, help="clips rendered from the repository's own world")
    add("--keys", type=common.whole(1), default=18, help="of clips in which nothing is painted over")
    add("--inpainted-keys", type=common.whole(0), default=4, help="of clips that are painted over")
    add("--unmarked-keys", type=common.whole(0), default=3, help="looked for in clips without marks")
    add("--jobs", type=common.whole(1), default=len(os.sched_getaffinity(0)), help="processes")
    add("--minutes", type=float, help="begin no further clip after so long")
    add("--cells", type=Path, default=CELLS, metavar="DIR", help="where results are kept")
    return parser.parse_args()


def split(sources: Iterable[Source]) -> dict[str, set[str]]:
    """Every third clip by name for choosing thresholds, of real and rendered ones alike."""
    parts: dict[str, set[str]] = {CHOOSING: set(), JUDGING: set()}
    counts: dict[str, int] = defaultdict(int)
    for source in sorted(sources, key=lambda one: (one.material, one.name)):
        parts[CHOOSING if counts[source.material] % 3 == 0 else JUDGING].add(source.name)
        counts[source.material] += 1
    return parts


def figures(results: Sequence[Result], parts: Mapping[str, set[str]]) -> list[Row]:
    """Rates by what was done, crf and material, then over all; what thresholds rest on; processor time."""
    made: list[Row] = []
    for part, names in parts.items():
        those = [one for one in results if one["cell"]["base"]["name"] in names]
        marked = [one for one in those if one["cell"]["base"]["kind"] == MARKED]
        unmarked = [one for one in those if one["cell"]["base"]["kind"] != MARKED]
        painted = [one for one in marked if one["method"] != UNTOUCHED]
        untouched = [one for one in marked if one["method"] == UNTOUCHED]
        told = {"part": part}
        for kind, group in (("painted", painted), ("untouched", untouched), ("unmarked", unmarked)):
            for key, cells in _grouped(group).items():
                made += _rates(kind, cells, told | dict(zip(("method", "crf", "material"), key, strict=True)))
        made += _totals(painted, untouched, unmarked, told)
        made += _evidence(painted, untouched, told)
    return made + _costs(results)


def _grouped(results: Iterable[Result]) -> dict[tuple[str, int, str], list[Result]]:
    groups: dict[tuple[str, int, str], list[Result]] = defaultdict(list)
    for one in results:
        groups[one["method"], one["crf"], one["cell"]["base"]["material"]].append(one)
    return dict(sorted(groups.items()))


def _readings(results: Iterable[Result]) -> list[Reading]:
    return [reading for one in results for reading in one["readings"]]


def _share(metric: str, readings: Sequence[Reading], verdict: Verdict, told: Mapping[str, Any]) -> Row:
    return rate(metric, sum(reading["verdict"] == verdict for reading in readings), len(readings), told)


def _rates(kind: str, cells: Sequence[Result], told: Mapping[str, Any]) -> list[Row]:
    readings = _readings(cells)
    if not readings:
        return []
    if kind == "painted":
        return [
            _share("removal noticed", readings, Verdict.REMOVED, told),
            rate("hidden mark read", sum(one["payload"] for one in readings), len(readings), told),
            _share("said to be present although painted over", readings, Verdict.PRESENT, told),
        ]
    marks = {"marks": "both" if kind == "untouched" else "none"}
    rows = [_share("removal claimed by mistake", readings, Verdict.REMOVED, {**told, **marks})]
    rows.append(_share("forged label claimed by mistake", readings, Verdict.FORGED, {**told, **marks}))
    if kind == "untouched":
        rows.append(_share("present", readings, Verdict.PRESENT, told))
    else:
        rows.append(_share("none", readings, Verdict.NONE, told))
    return rows


def _totals(
    painted: Sequence[Result],
    untouched: Sequence[Result],
    unmarked: Sequence[Result],
    told: Mapping[str, Any],
) -> list[Row]:
    """Over all methods and crfs, against the goals where the figures are for judging."""
    made: list[Row] = []
    for method in dict.fromkeys(one["method"] for one in painted):
        readings = _readings(one for one in painted if one["method"] == method)
        made.append(_against_noticed(readings, dict(told) | {"method": method, "crf": "all"}))
    whole = _readings(one for one in painted if one["method"] != LABEL_ONLY)
    if whole:
        made.append(_against_noticed(whole, dict(told) | {"method": "all but label only", "crf": "all"}))
    if read := [one for one in whole if one["payload"]]:
        made.append(_share("removal noticed where the hidden mark was read", read, Verdict.REMOVED, told))
    for marks, cells in (("both", untouched), ("none", unmarked), ("both or none", [*untouched, *unmarked])):
        readings = _readings(cells)
        if readings:
            made.append(_against_claimed(readings, dict(told) | {"marks": marks, "crf": "all"}))
            forged = _share("forged label claimed by mistake", readings, Verdict.FORGED,
                            dict(told) | {"marks": marks, "crf": "all"})  # fmt: skip
            made.append(forged)
    return made


def _against_noticed(readings: Sequence[Reading], told: dict[str, Any]) -> Row:
    noticed = sum(reading["verdict"] == Verdict.REMOVED for reading in readings)
    judged = {"goal": goals.REMOVAL, "reached": goals.reached(goals.REMOVAL, noticed, len(readings))}
    return rate("removal noticed", noticed, len(readings), told | judged)


def _against_claimed(readings: Sequence[Reading], told: dict[str, Any]) -> Row:
    claimed = sum(reading["verdict"] == Verdict.REMOVED for reading in readings)
    limit = goals.FALSE_REMOVAL
    judged = {"goal": limit, "reached": goals.stayed_under(limit, claimed, len(readings))}
    return rate("removal claimed by mistake", claimed, len(readings), told | judged)


def _evidence(painted: Sequence[Result], untouched: Sequence[Result], told: Mapping[str, Any]) -> list[Row]:
    """What the threshold of a hole rests on: evidence where boxes were filled, and along a wrong path."""
    full = [one for one in painted if one["method"] != LABEL_ONLY]
    holes = [one["hole"] for one in _readings(full) if one["left"] is not None]
    nothing = [one["elsewhere"] for one in _readings(untouched) if one["elsewhere"] is not None]
    made = []
    for metric, values in (("evidence of a hole where boxes were filled", holes),
                           ("evidence of a hole along a wrong path", nothing)):  # fmt: skip
        if values:
            for share in (0.01, 0.5, 0.99, 0.999):
                where = dict(told) | {"quantile": share, "of": len(values)}
                made.append(once(metric, float(np.quantile(values, share)), "log odds", where))
    if holes:
        made.append(rate("hole over the threshold where boxes were filled", sum(one >= HOLE for one in holes),
                         len(holes), dict(told) | {"threshold": HOLE}))  # fmt: skip
    if nothing:
        made.append(rate("hole over the threshold along a wrong path", sum(one >= HOLE for one in nothing),
                         len(nothing), dict(told) | {"threshold": HOLE}))  # fmt: skip
    return made


def _costs(results: Sequence[Result]) -> list[Row]:
    by: dict[str, list[float]] = defaultdict(list)
    for one in results:
        by[one["cell"]["base"]["kind"]].append(one["seconds"])
    return [median("processor seconds of a trial", by[kind], "s", {"marks": kind}) for kind in sorted(by)]


if __name__ == "__main__":
    raise SystemExit(main())
