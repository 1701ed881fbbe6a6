"""What marks survive, as Markdown and drawn: `python -m benchmarks.tools.attack_table FILE [--svg OUT]`.

FILE is what `countermark bench watermark --json` or `countermark bench peers --json` printed. A column is a
size and material, or a scheme; each cell says the share, its 95 % interval, and over how many trials.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

Document = Mapping[str, Any]
Found = Mapping[str, Any]

NONE: Final = "–"
PUBLISHED: Final = Path(__file__).parents[1] / "trials" / "published.json"
LABELS: Final = 190  # pixels for the attacks' names
SPAN: Final = 460  # pixels from 0 to 1
LINE: Final = 10  # pixels for each mark
GAP: Final = 8
TOP: Final = 44
COLOURS: Final = ("#0b6e4f", "#c8553d", "#4a6fa5", "#8a5a9e", "#b8860b", "#5c5c5c", "#2f9bb3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of a result laid out: ``cells[attack][column]`` is the row that stands there."""

    title: str
    columns: tuple[str, ...]
    cells: Mapping[str, Mapping[str, Found]]


def tables(document: Document) -> list[Table]:
    """Every table of shares of the document."""
    rows: Sequence[Found] = document["rows"]
    if document["suite"] == "watermark":
        shares = [row for row in rows if row["metric"] == "payload exact"]
        return [_table("Payload exact", shares, _size)] if shares else []
    made = []
    for title, metric in (
        ("Detected", "detected"),
        ("Payload exact", "payload exact"),
        ("Bits read right", "bit accuracy"),
    ):
        groups: dict[str, list[Found]] = {}
        for row in rows:
            if row["metric"] == metric and "attack" in row["conditions"]:
                groups.setdefault(_heading(title, row), []).append(row)
        made += [_table(heading, group, _scheme) for heading, group in groups.items()]
    return made


def _heading(title: str, row: Found) -> str:
    held = row["conditions"]
    at = f" at a false-positive rate of {held['false positives']:g}" if "false positives" in held else ""
    return f"{title}{at}, {held['size']}, {held['material']} clips"


def _size(row: Found) -> str:
    held = row["conditions"]
    return f"{held['size']}, {held['material']}" + (", shorter" if held.get("length") == "shorter" else "")


def _scheme(row: Found) -> str:
    held = row["conditions"]
    return f"{held['scheme']} (proved)" if held.get("from") == "proved bound" else str(held["scheme"])


def _table(title: str, rows: Sequence[Found], column: Any) -> Table:
    cells: dict[str, dict[str, Found]] = {}
    for row in rows:
        cells.setdefault(row["conditions"]["attack"], {})[column(row)] = row
    columns = tuple(dict.fromkeys(column(row) for row in rows))
    return Table(title=title, columns=columns, cells=cells)


def markdown(document: Document) -> str:
    """All tables; of a comparison also what the marks cost."""
    parts = [_markdown(table) for table in tables(document)]
    if document["suite"] == "peers":
        parts += [_ahead(document["rows"]), _prices(document["rows"])]
    return "\n\n".join(part for part in parts if part)


def _markdown(table: Table) -> str:
    lines = [f"**{table.title}**", "", "| attack | " + " | ".join(table.columns) + " |"]
    lines.append("|---" * (len(table.columns) + 1) + "|")
    for attack, by in table.cells.items():
        lines.append(
            f"| `{attack}` | " + " | ".join(_cell(by.get(column)) for column in table.columns) + " |"
        )
    return "\n".join(lines)


def _cell(row: Found | None) -> str:
    if row is None:
        return NONE
    low, high = row["interval"]
    reached = row["conditions"].get("reached")
    judged = f", {reached}" if reached else ""
    return f"{row['value']:.3g} ({low:.2f}–{high:.2f}, n={row['n']}{judged})"


def _ahead(rows: Sequence[Found]) -> str:
    lines = [
        f"{_heading(row['metric'], row)}: {row['value'] * row['n']:.0f} of {row['n']}"
        for row in rows
        if row["metric"] == "rows on which no peer is ahead"
    ]
    return "\n".join(lines)


def _prices(rows: Sequence[Found]) -> str:
    names = ("vmaf loss, mean", "bitrate, mean", "psnr, mean", "psnr chroma, mean", "price, mean")
    groups: dict[tuple[str, str, str], dict[str, Found]] = {}
    for row in rows:
        if row["metric"] in names:
            held = row["conditions"]
            groups.setdefault((held["scheme"], held["size"], held["material"]), {})[row["metric"]] = row
    lines = ["**What the marks cost, mean over clips (smallest to largest)**", ""]
    lines += ["| scheme | size | material | " + " | ".join(names) + " |", "|---" * (len(names) + 3) + "|"]
    for key, by in groups.items():
        lines.append("| " + " | ".join([*key, *(_figure(by.get(name)) for name in names)]) + " |")
    return "\n".join(lines) if groups else ""


def _figure(row: Found | None) -> str:
    if row is None or row["value"] is None:
        return NONE
    low, high = row["interval"]
    return f"{row['value']:.3g} ({_short(low)} … {_short(high)})"


def _short(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"


def published(document: Document) -> str:
    """Figures that others published, beside our row of VideoSeal's own protocol where there is one.

    `document`: of `bench watermark` with the size ``native`` (the first 72 frames at the clip's own size).
    """
    ours = {
        row["conditions"]["attack"]: row
        for row in document["rows"]
        if row["metric"] == "payload exact"
        and row["conditions"].get("size") == "native"
        and row["conditions"].get("material") == "real"
    }
    lines = ["**Published by others, not measured here**", ""]
    lines += ["| scheme | attack | figure | published | under | ours: payload exact, native size | source |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for one in json.loads(PUBLISHED.read_text(encoding="utf-8")):
        attack = f"`{one['attack']}`" if one["attack"] else NONE
        cells = (one["scheme"], attack, one["metric"], f"{one['value']:g} {one['unit']}", one["under"],
                 _cell(ours.get(one["attack"])), one["source"])  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def svg(table: Table) -> str:
    """The table as a picture: for each attack a dot with its interval for each column, from 0 to 1."""
    tall = len(table.columns) * LINE + GAP
    height = TOP + tall * len(table.cells) + 24 + 16 * len(table.columns)
    width = LABELS + SPAN + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="18" font-size="13" font-weight="bold">{escape(table.title)}</text>',
    ]
    bottom = TOP + tall * len(table.cells)
    for tenth in range(0, 11, 2):
        x = _across(tenth / 10)
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{TOP - 6}" text-anchor="middle" fill="#555">{tenth / 10:g}</text>')
    for number, (attack, by) in enumerate(table.cells.items()):
        y = TOP + number * tall
        middle = y + tall / 2 + 4
        parts.append(f'<text x="{LABELS - 10}" y="{middle:g}" text-anchor="end">{escape(attack)}</text>')
        parts += [
            _dot(by[column], y + GAP / 2 + LINE * (place + 0.5), _colour(place))
            for place, column in enumerate(table.columns)
            if column in by
        ]
    for place, column in enumerate(table.columns):
        y = bottom + 20 + 16 * place
        parts.append(f'<circle cx="{LABELS}" cy="{y}" r="4" fill="{_colour(place)}"/>')
        parts.append(f'<text x="{LABELS + 10}" y="{y + 4}">{escape(column)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _dot(row: Found, y: float, colour: str) -> str:
    low, high = (_across(end) for end in row["interval"])
    line = f'<line x1="{low:g}" y1="{y:g}" x2="{high:g}" y2="{y:g}" stroke="{colour}" stroke-opacity="0.5"/>'
    return line + f'<circle cx="{_across(row["value"]):g}" cy="{y:g}" r="3.5" fill="{colour}"/>'


def _across(share: float) -> float:
    return round(LABELS + SPAN * share, 1)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "file", type=Path, help="a result of `bench watermark --json` or `bench peers --json`"
    )
    parser.add_argument("--svg", type=Path, metavar="OUT", help="also draw a table into this file")
    parser.add_argument("--table", type=int, default=1, help="which table is drawn, from 1 (default)")
    parser.add_argument("--published", action="store_true", help="what others published beside our own rows")
    asked = parser.parse_args()
    document = json.loads(asked.file.read_text(encoding="utf-8"))
    if document.get("suite") not in ("watermark", "peers"):
        parser.error(f"{asked.file} holds no result of `bench watermark` or `bench peers`")
    found = tables(document)
    print(published(document) if asked.published else markdown(document))
    if asked.svg:
        if not 1 <= asked.table <= len(found):
            parser.error(f"there are {len(found)} tables in {asked.file}")
        asked.svg.write_text(svg(found[asked.table - 1]), encoding="utf-8")


if __name__ == "__main__":
    main()
