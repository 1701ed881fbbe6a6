"""What the gate and the judges of words find and let pass: `bench safety --parts names --prompts DIR`.

A thin dispatcher. Each part is a module ``benchmarks/tools/safety_NAME.py`` with one function
``measure(given: Given) -> list[Row]``; it is found by its file, and imported only when it is asked for. Every
row gets its part's name as a condition. A part that wants a file of DIR asks ``given.file("benign.jsonl")``,
which says plainly what is missing.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from benchmarks import common
from benchmarks.common import Row, say
from benchmarks.tools.given import Given, Missing

SUITE: Final = "safety"
PREFIX: Final = "safety_"
TOOLS: Final = Path(__file__).parent / "tools"

Measure = Callable[[Given], list[Row]]


def parts() -> list[str]:
    """The names of all parts, by their files."""
    return sorted(file.stem.removeprefix(PREFIX) for file in TOOLS.glob(f"{PREFIX}*.py"))


def part(name: str) -> Measure:
    """The function that measures a part."""
    measure: Measure = import_module(f"benchmarks.tools.{PREFIX}{name}").measure
    return measure


def run(name: str, given: Given) -> list[Row]:
    """The rows of one part, each with the part's name. Raises: Missing."""
    say(name)
    return [
        Row(
            metric=row.metric, value=row.value, unit=row.unit, n=row.n, interval=row.interval,
            conditions={"part": name} | dict(row.conditions),
        )
        for row in part(name)(given)
    ]  # fmt: skip


def main() -> int:
    """Measure what was asked for and print it; 2 where a file that a part needs is not there."""
    parser = common.options(__doc__, clips=False)
    known = parts()
    parser.add_argument("--parts", nargs="+", choices=known, default=known, help="what to measure; all")
    parser.add_argument("--prompts", type=Path, metavar="DIR", help="folder with prompts as JSON lines")
    parser.add_argument("--quick", action="store_true", help="small samples: a look, no result to keep")
    asked = parser.parse_args()
    given = Given(prompts=asked.prompts, quick=asked.quick)
    at_commit, rows = common.commit(), common.machine()
    try:
        for name in asked.parts:
            rows += run(name, given)
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    rows += common.machine()
    common.present(SUITE, rows, at_commit, as_json=asked.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
