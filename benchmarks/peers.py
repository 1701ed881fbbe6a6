"""Peers at the price of our mark: what each survives at the same VMAF loss and bitrate, by one decision rule.

Every scheme marks the same clips at 480 lines, a peer as strongly as costs what ours costs (docs/peers.md);
all go through the same attacks and are read blind. A scheme detects where its score lies above a threshold
that unmarked clips under the same attacks set. 24 frames, so that slow peers can be run; 72, VideoSeal's
number, for those that are quick. Results are kept in a folder: a run that was stopped goes on.
"""

import os
import sys
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks import common, watermark
from benchmarks.attacks.catalog import SUITE, chosen
from benchmarks.common import Row, once, say
from benchmarks.tools import attack_table
from benchmarks.trials import peer_rows, quality
from benchmarks.trials.cells import MARKED, UNMARKED, Base, Result
from benchmarks.trials.matching import FAILED, PRICE, Match, match
from benchmarks.trials.material import NoMaterial, Source
from benchmarks.trials.peer_rows import OURS, Heard
from benchmarks.trials.running import DONE, Order, Task, attempt, each, tasks
from benchmarks.trials.scheme import PeerMissing
from benchmarks.trials.schemes import UnknownScheme, scheme_of

SUITE_NAME: Final = "peers"
SHORT, LONG = "480p24", "480p72"
Key = tuple[str, str, str]  # scheme, size, digest of the clip

RUNNABLE: Final = ("dwtDct", "dwtDctSvd", "rivaGan", "blind-watermark")
QUICK: Final = (OURS, "dwtDct", "dwtDctSvd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is tried on what: ``schemes`` with ours first, ``long``: those also tried on 72 frames."""

    schemes: tuple[str, ...]
    long: tuple[str, ...]
    attacks: tuple[str, ...]
    sources: tuple[Source, ...]
    keys: int
    jobs: int
    store: Path
    deadline: float | None

    def columns(self) -> list[tuple[str, str]]:
        """(scheme, size): the short ones of all first, so that a run cut short compares everybody."""
        long = [one for one in self.schemes if one in self.long]
        return [(one, SHORT) for one in self.schemes] + [(one, LONG) for one in long]


def main() -> int:
    """The command; 2 where there is nothing to try."""
    asked = _asked()
    at_commit, measured = common.commit(), common.machine()
    try:
        plan = _plan(asked)
    except (NoMaterial, PeerMissing, UnknownScheme) as error:
        print(error, file=sys.stderr)
        return 2
    if not quality.can_measure():
        print("no VMAF here: pip install imageio-ffmpeg (extra dev)", file=sys.stderr)
        return 2
    heard, failed, left = compare(plan)
    told = [
        once("clips", len(plan.sources), "count", {"names": " ".join(one.name for one in plan.sources)}),
        once("cells failed", len(failed), "count", {"first": next(iter(failed), None)}),
        once("cells left by the time limit", left, "count"),
    ]
    rows: list[Row] = [*measured, *told, *peer_rows.rows(heard), *common.machine()]
    if asked.json:
        common.present(SUITE_NAME, rows, at_commit, as_json=True)
    else:
        print(attack_table.markdown(common.document(SUITE_NAME, rows, at_commit)))
    return 0


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    add = parser.add_argument
    watermark.material_options(parser, rendered=2)
    add("--peers", nargs="+", metavar="NAME[=FOLDER]",
        help=f"by default those of {', '.join(RUNNABLE)} that are installed; videoseal=FOLDER, "
        "trustmark=FOLDER with weights")  # fmt: skip
    add("--long", nargs="*", default=list(QUICK), metavar="NAME", help="schemes tried on 72 frames too")
    add("--attacks", nargs="+", default=["core"], metavar="NAME", help="core, suite, peer, or names")
    add("--keys", type=common.whole(1), default=1)
    add("--jobs", type=common.whole(1), default=len(os.sched_getaffinity(0)), help="processes")
    add("--minutes", type=float, help="begin no further cell after so long")
    asked = parser.parse_args()
    unknown = [name for name in asked.attacks if name not in watermark.NAMED and name not in SUITE]
    if unknown:
        parser.error(f"there is no attack {unknown[0]!r}; `bench watermark --list` shows all of them")
    return asked


def _plan(asked: Namespace) -> Plan:
    """Raises: NoMaterial, UnknownScheme, PeerMissing for a peer asked for by name that is not here."""
    if asked.peers is None:
        peers = [name for name in RUNNABLE if _here(name)]
        if not peers:
            scheme_of(RUNNABLE[0], None)  # raises with what to do
    else:
        peers = list(dict.fromkeys(asked.peers))
        for name in peers:
            scheme_of(name, None)
    names = dict.fromkeys(attack.name for name in asked.attacks for attack in chosen(name))
    return Plan(
        schemes=(OURS, *(name for name in peers if name != OURS)),
        long=(OURS, *asked.long) if asked.long else (),  # ours sets the price of all others
        attacks=tuple(names), sources=tuple(watermark.sources(asked)), keys=asked.keys, jobs=asked.jobs,
        store=asked.cells,
        # The deadline is compared in other processes: on Linux they share the monotonic clock.
        deadline=time.monotonic() + 60 * asked.minutes if asked.minutes is not None else None,
    )  # fmt: skip


def _here(name: str) -> bool:
    try:
        scheme_of(name, None)
    except PeerMissing as error:
        say(f"without {name}: {error}")
        return False
    return True


def compare(plan: Plan) -> tuple[list[Heard], list[str], int]:
    """Everything heard, cells that failed, and how many the time limit left."""
    ours = {size: _matches(plan, [(OURS, size)], {}) for scheme, size in plan.columns() if scheme == OURS}
    prices = {key: result for found in ours.values() for key, result in found.items()}
    found = prices | _matches(plan, [column for column in plan.columns() if column[0] != OURS], prices)
    work = [task for column in plan.columns() for task in _cells(plan, column, found)]
    say(f"{len(work)} windows, {len(plan.attacks)} attacks; cells in {plan.store}")
    cells: dict[tuple[str, str], list[Result]] = defaultdict(list)
    failed = [one["reason"] for one in found.values() if one["state"] == FAILED]
    left = 0
    for number, (task, outcome) in enumerate(each(attempt, work, plan.jobs), start=1):
        cells[task.scheme, task.base.size] += outcome.results
        failed += outcome.failed
        left += outcome.left
        say(f"{number} of {len(work)}: {task.scheme}, {task.base.name} {task.base.size}: {outcome.fresh} new")
        for reason in outcome.failed:
            say(f"FAILED {reason}")
    heard = []
    for scheme, size in plan.columns():
        matches = tuple(result for key, result in found.items() if key[:2] == (scheme, size))
        heard.append(Heard(scheme=scheme, size=size, matches=matches, cells=tuple(cells[scheme, size])))
    return heard, failed, left


def _matches(
    plan: Plan, columns: Sequence[tuple[str, str]], prices: Mapping[Key, Result]
) -> dict[Key, Result]:
    """What each clip costs; clips that ours cannot mark are nobody's."""
    work = []
    for scheme, size in columns:
        for source in plan.sources:
            ours = prices.get((OURS, size, source.digest))
            if scheme != OURS and (ours is None or ours["state"] != DONE):
                continue
            base = Base(
                clip=source.digest, name=source.name, material=source.material, size=size, start=0.0, key=0
            )
            target = ours["figures"] if ours else None
            work.append(Match(base=base, source=source, scheme=scheme, store=plan.store, target=target))
    found: dict[Key, Result] = {}
    for task, result in each(match, work, plan.jobs):
        found[task.scheme, task.base.size, task.base.clip] = result
        say(_told(task, result) if result["state"] == DONE else f"{result['state']}: {result['reason']}")
    return found


def _cells(plan: Plan, column: tuple[str, str], found: Mapping[Key, Result]) -> list[Task]:
    """Marked cells of every key. Unmarked ones of ours for every key, since its search looks for a key; of
    peers for every other clip, since their scores are those of messages drawn at random, on whatever clip.
    """
    scheme, size = column
    work: list[Task] = []
    for number, source in enumerate(plan.sources):
        matched = found.get((scheme, size, source.digest))
        if matched is None or matched["state"] != DONE:
            continue
        marked = Order(
            scheme=scheme, strength=matched["strength"], attacks=plan.attacks, sizes=(size,), keys=plan.keys,
            kinds=(MARKED,),
        )  # fmt: skip
        orders = [marked]
        if scheme == OURS or number % 2 == 0:
            keys = plan.keys if scheme == OURS else 1
            orders.append(replace(marked, kinds=(UNMARKED,), keys=keys))
        work += [one for order in orders for one in tasks(order, [source], plan.store, plan.deadline)]
    return work


def _told(task: Match, result: Result) -> str:
    figures, strength = result["figures"], result["strength"]
    own = "its own strength" if strength is None else f"strength {strength:.2f}"
    return (
        f"{PRICE} of {task.scheme} on {task.base.name} {task.base.size}: {own}, "
        f"VMAF loss {figures['vmaf loss']:.2f}, bitrate {figures['bitrate']:+.1%}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
