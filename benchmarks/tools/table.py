"""Results as Markdown: `python -m benchmarks.tools.table FILE [--by clip] METRIC[:condition=value;…] …`.

Each METRIC becomes a column (or, without `--by`, each row of the file that matches one becomes a line).
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from benchmarks.common import ROOT

NONE: Final = "–"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help=f"a result, e.g. of {ROOT.name}/benchmarks/results")
    parser.add_argument("--by", help="condition whose values become the lines, e.g. clip")
    parser.add_argument("metrics", nargs="*", help="metric, with conditions that it must have")
    asked = parser.parse_intermixed_args()
    rows = json.loads(asked.file.read_text())["rows"]
    wanted = [_selection(text) for text in asked.metrics]
    print(_crossed(rows, asked.by, wanted) if asked.by else _listed(rows, wanted))


def _selection(text: str) -> tuple[str, dict[str, str]]:
    """("VMAF loss", {"marks": "hidden"}) from ``VMAF loss:marks=hidden``."""
    metric, _, conditions = text.partition(":")
    return metric, dict(part.split("=", 1) for part in conditions.split(";") if part)


def _matches(row: dict[str, Any], metric: str, conditions: dict[str, str]) -> bool:
    held = row["conditions"]
    return row["metric"] == metric and all(str(held.get(key)) == value for key, value in conditions.items())


def _listed(rows: list[dict[str, Any]], wanted: list[tuple[str, dict[str, str]]]) -> str:
    lines = ["| metric | conditions | value | unit | n | interval |", "|---|---|---|---|---|---|"]
    for row in rows:
        if not wanted or any(_matches(row, *selection) for selection in wanted):
            told = ", ".join(f"{key} {value}" for key, value in row["conditions"].items())
            low, high = map(_number, row["interval"])
            cells = (row["metric"], told, _number(row["value"]), row["unit"], row["n"], f"{low} … {high}")
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _crossed(rows: list[dict[str, Any]], by: str, wanted: list[tuple[str, dict[str, str]]]) -> str:
    keys = list(dict.fromkeys(row["conditions"][by] for row in rows if by in row["conditions"]))
    names = [": ".join(part for part in (m, ", ".join(c.values())) if part) for m, c in wanted]
    lines = [f"| {by} | " + " | ".join(names) + " |", "|---" * (len(wanted) + 1) + "|"]
    for key in keys:
        own = [row for row in rows if row["conditions"].get(by) == key]
        cells = [_cell(own, *selection) for selection in wanted]
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: list[dict[str, Any]], metric: str, conditions: dict[str, str]) -> str:
    found = [row for row in rows if _matches(row, metric, conditions)]
    if not found:
        return NONE
    row = found[0]
    verdict = row["conditions"].get("found")
    if verdict is not None:
        return f"{verdict}{'' if row['value'] else ' ✗'}"
    if row["n"] == 1:
        return _number(row["value"])
    low, high = map(_number, row["interval"])
    return f"{_number(row['value'])} ({low} … {high})"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


if __name__ == "__main__":
    main()
