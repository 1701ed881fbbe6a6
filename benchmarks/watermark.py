"""What marks survive: attacks × clips × sizes × keys × seeds, each rate with its interval against its goal.

`core` is twenty rows, `suite` all of them (docs/attacks.md), `peer` those of VideoSeal's evaluation. Results
of single cells are kept in a folder, so a run that was stopped goes on, and only what changed is tried again.
"""

import os
import sys
import tempfile
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import Final

from benchmarks import common
from benchmarks.attacks.catalog import SUITE, chosen
from benchmarks.common import Row, once, say
from benchmarks.trials import figures, material, quality
from benchmarks.trials.cells import MARKED, UNMARKED
from benchmarks.trials.material import SIZES, NoMaterial, Source
from benchmarks.trials.running import Order, Outcome, run, tasks
from benchmarks.trials.scheme import PeerMissing
from benchmarks.trials.schemes import SCHEMES, UnknownScheme, scheme_of

SUITE_NAME: Final = "watermark"
NAMED: Final = ("core", "suite", "peer")
CELLS: Final = Path(tempfile.gettempdir()) / "countermark-cells"


def main() -> int:
    """The command; 2 where there is nothing to try."""
    asked = _asked()
    if asked.list:
        for attack in SUITE.values():
            print(f"{attack.name}\t{attack.family}\t{'VideoSeal' if attack.peer else ''}\t{attack.told}")
        return 0
    at_commit, measured = common.commit(), common.machine()
    try:
        clips = sources(asked)
    except NoMaterial as error:
        print(error, file=sys.stderr)
        return 2
    order = _order(asked)
    if order.quality and not quality.can_measure():
        print("no VMAF here: pip install imageio-ffmpeg (extra dev), or add --no-quality", file=sys.stderr)
        return 2
    outcome = _run(asked, order, clips)
    named = [once("clips", len(clips), "count", {"names": " ".join(one.name for one in clips)})]
    rows = [*measured, *named, *_run_rows(order, outcome), *figures.rows(outcome.results), *common.machine()]
    common.present(SUITE_NAME, rows, at_commit, as_json=asked.json)
    return 0


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    add = parser.add_argument
    material_options(parser, rendered=6)
    add("--attacks", nargs="+", default=["core"], metavar="NAME", help="core, suite, peer, or names (--list)")
    add("--sizes", nargs="+", choices=list(SIZES), default=["1080p", "480p", "256p"])
    add("--windows", type=common.whole(1), default=1, help="parts of each clip")
    add("--keys", type=common.whole(1), default=1)
    add("--seeds", type=common.whole(1), default=1, help="of the attacks' chance")
    add("--scheme", default="countermark", metavar="NAME[=FOLDER]", help=f"one of {', '.join(SCHEMES)}")
    add(
        "--strength", "--decibels", type=float,
        help="luma PSNR of our mark in dB, or a multiple of a peer's published strength; "
        "by default what a release would get, or what the peer published",
    )  # fmt: skip
    add("--unmarked", action="store_true", help="try the same cells without a mark too")
    add("--quality", action="store_true", default=True, help="what the mark costs each clip (the default)")
    add("--no-quality", dest="quality", action="store_false")
    add("--jobs", type=common.whole(1), default=len(os.sched_getaffinity(0)), help="processes")
    add("--minutes", type=float, help="begin no further cell after so long")
    add("--list", action="store_true", help="print every attack with its steps and stop")
    asked = parser.parse_args()
    unknown = [name for name in asked.attacks if name not in NAMED and name not in SUITE]
    if unknown:
        parser.error(f"there is no attack {unknown[0]!r}; --list shows all of them")
    try:
        scheme_of(asked.scheme, asked.strength)
    except (UnknownScheme, PeerMissing) as error:
        parser.error(str(error))
    return asked


def material_options(parser: ArgumentParser, *, rendered: int) -> None:
    """What `sources` reads. `rendered`: how many clips, unless it is said."""
    add = parser.add_argument
    add("--clips", metavar="DIR", help="folder of video files; without it, rendered clips only")
    told = "clips rendered from the repository's own world"
    add("--rendered", type=common.whole(0), default=rendered, help=told)
    add("--cells", type=Path, default=CELLS, metavar="DIR", help="where results and rendered clips are kept")


def sources(asked: Namespace) -> list[Source]:
    """All clips that `clips`, `rendered` and `cells` name. Raises: NoMaterial with what to do."""
    return real_clips(asked) + material.rendered(asked.rendered, asked.cells / "rendered")


def real_clips(asked: Namespace) -> list[Source]:
    """Those of `clips`. Raises: NoMaterial with what to do, also where none at all are asked for."""
    found: list[Source] = []
    if asked.clips is None:
        say("no --clips DIR: rendered clips only, which say little about real ones")
    else:
        folder = Path(asked.clips)
        if not folder.is_dir():
            raise NoMaterial(f"there is no folder {folder}; --clips names one that holds video files")
        try:
            found += material.real(common.folder_of_clips(asked.clips))
        except ArgumentTypeError as error:
            raise NoMaterial(str(error)) from None
    if not found and not asked.rendered:
        raise NoMaterial("nothing to try: name a folder with --clips DIR, or ask for --rendered 6")
    return found


def _order(asked: Namespace) -> Order:
    names = dict.fromkeys(attack.name for name in asked.attacks for attack in chosen(name))
    return Order(
        scheme=asked.scheme, strength=asked.strength, attacks=tuple(names), sizes=tuple(asked.sizes),
        windows=asked.windows, keys=asked.keys, seeds=asked.seeds, quality=asked.quality,
        kinds=(MARKED, UNMARKED) if asked.unmarked else (MARKED,),
    )  # fmt: skip


def _run(asked: Namespace, order: Order, clips: list[Source]) -> Outcome:
    # The deadline is compared in other processes: on Linux they share the monotonic clock.
    deadline = time.monotonic() + 60 * asked.minutes if asked.minutes is not None else None
    work = tasks(order, clips, asked.cells, deadline)
    say(f"{len(work)} windows of {len(clips)} clips, {len(order.attacks)} attacks; cells in {asked.cells}")
    return run(work, asked.jobs, say)


def _run_rows(order: Order, outcome: Outcome) -> list[Row]:
    told = {
        "scheme": order.scheme, "strength": order.strength, "windows": order.windows, "keys": order.keys,
        "seeds": order.seeds,
    }  # fmt: skip
    return [
        once("cells", len(outcome.results), "count", told),
        once("cells failed", len(outcome.failed), "count", {"first": next(iter(outcome.failed), None)}),
        once("cells left by the time limit", outcome.left, "count"),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
