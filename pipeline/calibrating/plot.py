"""The reliability diagram of a calibration as SVG: what the curve says against what was so, by layer."""

from html import escape
from typing import Final

from classifiers.thresholds import Calibration, Reliability

SIDE: Final = 240
MARGIN: Final = 44
GAP: Final = 26
HEAD: Final = 70
FOOT: Final = 56
MOST_RADIUS, LEAST_RADIUS = 9.0, 2.5
INK, GRID, BAR = "#1f2430", "#d5d9e2", "#2f6fde"
TICKS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


def reliability_svg(calibration: Calibration) -> str:
    """One square for each layer that was measured: a dot for each bin, its area by the weight of the bin."""
    measured = list(calibration.reliability.items())
    width = MARGIN + max(1, len(measured)) * (SIDE + GAP + MARGIN)
    height = HEAD + SIDE + FOOT
    title = f"{calibration.space}, calibration {calibration.version}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(MARGIN, 20, title, size=14),
        _text(MARGIN, 38, "across: probability that the curve gives; up: share that is of the subject"),
    ]
    for number, (layer, found) in enumerate(measured):
        parts += _square(MARGIN + number * (SIDE + GAP + MARGIN), layer, found)
    return "\n".join([*parts, "</svg>\n"])


def _square(left: int, layer: str, found: Reliability) -> list[str]:
    low = HEAD + SIDE
    parts = [_text(left, HEAD - 8, layer, size=12)]
    for tick in TICKS:
        x, y = left + tick * SIDE, low - tick * SIDE
        parts += [
            f'<path d="M{x:g} {HEAD}V{low}M{left} {y:g}H{left + SIDE}" stroke="{GRID}" fill="none"/>',
            _text(x, low + 15, f"{tick:g}", anchor="middle"),
            _text(left - 6, y + 4, f"{tick:g}", anchor="end"),
        ]
    parts.append(f'<path d="M{left} {low}L{left + SIDE} {HEAD}" stroke="{INK}" stroke-dasharray="4 4"/>')
    dots = [
        (left + one.probability * SIDE, low - one.share * SIDE, MOST_RADIUS * one.weight**0.5)
        for one in found.bins
    ]
    if len(dots) > 1:
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in dots)
        parts.append(f'<path d="M{way}" stroke="{BAR}" stroke-width="1.5" fill="none"/>')
    parts += [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{max(LEAST_RADIUS, r):.1f}" fill="{BAR}"/>' for x, y, r in dots
    ]
    told = f"ECE {found.ece:.3f}, Brier {found.brier:.3f}"
    shares = f"found {found.found} of {found.own}, strangers {found.passed} of {found.strangers}"
    return [*parts, _text(left, low + 34, told), _text(left, low + 48, shares)]


def _text(x: float, y: float, words: str, *, size: int = 11, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}">{escape(words)}</text>'
