"""Frames and drawings: small JPEGs with the places of the visible mark outlined, and its path as SVG.

Overlays are SVG in shares of the picture, stretched over it, so the pictures' size need not be known.
Every line is drawn twice, broad and dark below, thin and light above: visible over any picture.
"""

import base64
import math
from collections.abc import Sequence
from typing import Final

from pipeline.types import Evidence, EvidenceState
from pipeline.verify.html_markup import NOTHING, Html, element, join, words
from pipeline.verify.html_values import clock, number
from pipeline.verify.types import VISIBLE_MARK, StripFrame, VerificationReport

JPEG_START: Final = b"\xff\xd8\xff"
UNITS: Final = 1000  # of the drawings' height
USUAL_ASPECT: Final = 16 / 9
ASPECTS: Final = (0.2, 5.0)
PLATES: Final = ("label", "handle")
MAX_POINTS: Final = 600

Point = tuple[float, float]


def pictures(report: VerificationReport) -> Html:
    """The frame strip and the drawing of the path; nothing when the report has neither."""
    frames = [frame for frame in report.strip if _showable(frame)]
    strip = _strip(frames) if frames else NOTHING
    drawing = _path(report, frames[len(frames) // 2] if frames else None)
    if not strip and not drawing:
        return NOTHING
    known = bool(drawing) or any(frame.boxes for frame in frames)
    title = "Where the visible mark must be" if known else "Frames of the clip"
    lead = _lead(report.evidence[VISIBLE_MARK]) if known else NOTHING
    return element("section", element("h3", words(title)), lead, strip, drawing)


def _showable(frame: StripFrame) -> bool:
    return frame.jpeg.startswith(JPEG_START) and number(frame.time) is not None


def _lead(evidence: Evidence) -> Html:
    partly = evidence.state is EvidenceState.ABSENT and evidence.found.get("present")
    found = {
        EvidenceState.FOUND: "The mark was found.",
        EvidenceState.ABSENT: "Part of the mark was found." if partly else "The mark was not found.",
        EvidenceState.NOT_CHECKED: "Whether the mark is there was not checked.",
        EvidenceState.FAILED: "The check for the mark failed.",
    }[evidence.state]
    return element("p", words(f"The outlines are calculated from the hidden mark. {found}"))


def _strip(frames: Sequence[StripFrame]) -> Html:
    # A strip that scrolls must be reachable by keyboard, so it takes the focus and has a name.
    return element("ol", *(element("li", _framed(frame)) for frame in frames), class_="strip", tabindex="0",
                   aria_label="Frames of the clip")  # fmt: skip


def _framed(frame: StripFrame) -> Html:
    time = clock(frame.time, tenths=True)
    boxes = [box for box in frame.boxes if all(number(edge) is not None for edge in box)]
    what = f"; {_count(len(boxes))} outlined where the visible mark must be" if boxes else ""
    overlay = _overlay(1.0, *(_box(box) for box in boxes)) if boxes else NOTHING
    image = _image(frame, f"Frame at {time}{what}.")
    return element(
        "figure", element("div", image, overlay, class_="frame"), element("figcaption", words(time))
    )


def _count(places: int) -> str:
    return "one place" if places == 1 else f"{places} places"


def _image(frame: StripFrame, alt: str) -> Html:
    return element("img", src=f"data:image/jpeg;base64,{base64.b64encode(frame.jpeg).decode()}", alt=alt)


def _overlay(aspect: float, *shapes: Html, title: str | None = None) -> Html:
    named = {"role": "img", "aria_label": title} if title else {"aria_hidden": "true"}
    return element("svg", *shapes, viewBox=f"0 0 {_place(aspect)} {UNITS}", preserveAspectRatio="none",
                   **named)  # fmt: skip


def _box(box: tuple[float, float, float, float]) -> Html:
    x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in box)
    where = {"x": _place(x0), "y": _place(y0),
             "width": _place(max(x1 - x0, 0.0)), "height": _place(max(y1 - y0, 0.0))}  # fmt: skip
    return join(element("rect", class_="under", **where), element("rect", class_="over", **where))


def _place(share: float) -> str:
    return f"{share * UNITS:.1f}"


def _path(report: VerificationReport, frame: StripFrame | None) -> Html:
    """One line per plate: from its round start to its square end."""
    ways = [way for way in map(_finite, report.path[: len(PLATES)]) if len(way) > 1]
    if not ways:
        return NOTHING
    aspect = _aspect(report)
    title = ("Path of the visible mark over the whole clip: " + " and ".join(
        f"the {plate} as a {look} line" for plate, look in zip(PLATES, ("solid", "dashed"), strict=True))
    )  # fmt: skip
    drawn = (_way(way, PLATES[plate], aspect) for plate, way in enumerate(ways))
    overlay = _overlay(aspect, *drawn, title=f"{title}.")
    under = _image(frame, "") if frame else element(
        "svg", viewBox=f"0 0 {_place(aspect)} {UNITS}", class_="blank", aria_hidden="true")  # fmt: skip
    caption = element("figcaption", words(
        "The mark’s path over the whole clip, from the round end to the square one. Solid: the label. "
        "Dashed: the second, smaller plate."))  # fmt: skip
    return element("figure", element("div", under, overlay, class_="frame path"), caption, class_="drawing")


def _finite(way: Sequence[Point]) -> list[Point]:
    kept = [point for point in way if all(number(value) is not None for value in point)]
    step = math.ceil(len(kept) / MAX_POINTS) or 1
    return [*kept[:-1:step], *kept[-1:]]


def _aspect(report: VerificationReport) -> float:
    width, height = number(report.media.get("width")), number(report.media.get("height"))
    if width is None or height is None or width <= 0 or height <= 0:
        return USUAL_ASPECT
    return min(max(width / height, ASPECTS[0]), ASPECTS[1])


def _way(way: Sequence[Point], plate: str, aspect: float) -> Html:
    points = [(min(max(x, 0.0), 1.0) * aspect, min(max(y, 0.0), 1.0)) for x, y in way]
    line = " ".join(f"{_place(x)},{_place(y)}" for x, y in points)
    (x0, y0), (x1, y1) = points[0], points[-1]
    half = 0.02
    return join(
        element("polyline", points=line, class_="under"),
        element("polyline", points=line, class_=f"over {plate}"),
        element("circle", cx=_place(x0), cy=_place(y0), r=_place(half), class_="end"),
        element("rect", x=_place(x1 - half), y=_place(y1 - half), width=_place(2 * half),
                height=_place(2 * half), class_="end"),
    )  # fmt: skip
