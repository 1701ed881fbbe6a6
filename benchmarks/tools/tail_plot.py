"""The tail of z without a mark beside its bounds, drawn: `python -m benchmarks.tools.tail_plot FILE OUT`.

FILE is what `countermark bench false_positives --json` printed; OUT an SVG. Shares are on a logarithmic
scale, each with its 95 % interval; where no z reached t, a ring stands at the upper end of the interval.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

METRIC: Final = "tail of z at one fixed place"
WIDTH, HEIGHT = 640, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
LOWEST: Final = -7  # power of ten
HIGHEST_T: Final = 5.0
MEASURED, BOUND, HOEFFDING = "#0b6e4f", "#c8553d", "#4a6fa5"
LEVELS: Final = (-2, -3, -4, -5)  # powers of ten at which the bound is told

Found = Mapping[str, Any]


def svg(rows: Sequence[Found]) -> str:
    """The picture of rows of one result. Raises: ValueError where it has no tail."""
    tail = sorted((row for row in rows if row["metric"] == METRIC), key=lambda row: row["conditions"]["t"])
    if not tail:
        raise ValueError(f"the result has no row {METRIC!r}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="14" font-weight="bold">z of {tail[0]["n"]:,} keys on unmarked '
        "clips, at one fixed place</text>",
        *_axes(),
        _curve([(row["conditions"]["t"], row["conditions"]["Hoeffding"]) for row in tail], HOEFFDING),
        _curve([(row["conditions"]["t"], row["conditions"]["bound"]) for row in tail], BOUND),
        *(_dot(row) for row in tail),
        *_legend(),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _axes() -> list[str]:
    made = []
    for power in range(LOWEST, 1):
        y = _down(10.0**power)
        strong = "#999" if power in LEVELS else "#ddd"
        made.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="{strong}"/>')
        label = "1" if power == 0 else f'10<tspan dy="-5" font-size="9">−{-power}</tspan>'
        made.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#555">{label}</text>')
    for whole in range(int(HIGHEST_T) + 1):
        x = _across(whole)
        made.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        y = HEIGHT - BOTTOM + 18
        made.append(f'<text x="{x}" y="{y}" text-anchor="middle" fill="#555">{whole}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    made.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">t</text>')
    return made


def _legend() -> list[str]:
    told = (
        (MEASURED, "share of z ≥ t, 95 % interval"),
        (BOUND, "bound 3.18·Q(t)"),
        (HOEFFDING, "Hoeffding's exp(−t²/2)"),
    )
    made = []
    for number, (colour, text) in enumerate(told):
        y = HEIGHT - BOTTOM - 60 + 20 * number
        made.append(f'<circle cx="{LEFT + 16}" cy="{y}" r="4" fill="{colour}"/>')
        made.append(f'<text x="{LEFT + 28}" y="{y + 4}">{text}</text>')
    return made


def _curve(points: Sequence[tuple[float, float]], colour: str) -> str:
    told = " ".join(f"{_across(t)},{_down(share)}" for t, share in points)
    return f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _dot(row: Found) -> str:
    x, (low, high) = _across(row["conditions"]["t"]), row["interval"]
    line = f'<line x1="{x}" y1="{_down(low)}" x2="{x}" y2="{_down(high)}" stroke="{MEASURED}"/>'
    share = row["value"]
    shape = "fill" if share else 'fill="none" stroke'
    return line + f'<circle cx="{x}" cy="{_down(share or high)}" r="3.5" {shape}="{MEASURED}"/>'


def _across(t: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * t / HIGHEST_T, 1)


def _down(share: float) -> float:
    power = max(math.log10(share), LOWEST) if share > 0 else LOWEST
    return round(TOP + (HEIGHT - TOP - BOTTOM) * power / LOWEST, 1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="a result of `bench false_positives --json`")
    parser.add_argument("out", type=Path, help="the SVG file")
    asked = parser.parse_args()
    try:
        drawn = svg(json.loads(asked.file.read_text(encoding="utf-8"))["rows"])
    except ValueError as error:
        parser.error(f"{asked.file}: {error}")
    asked.out.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
