"""Findings as the console draws them: marked words, a strip of stills with boxes, a time line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline import policy as policies
from pipeline.stills import Stills
from pipeline.texts import PICTURE, PREVIEW

NEAR: Final = 0.06  # seconds between a finding and the still that shows it
PATTERNS: Final = {
    policies.FRAMES: "a", policies.LIKENESS: "b", policies.WORDS: "c", policies.UNSAFE_FRAMES: "d",
}  # fmt: skip
"""How the marks of each check look on the time line, by shape and not by colour alone."""
_CHECKS: Final = {
    policies.NAMES: "Name in the prompt", policies.DESCRIPTIONS: "Description in the prompt",
    policies.UNREGISTERED: "Name that nobody registered", policies.UNSAFE: "Unsafe words",
    policies.FRAMES: "Looks like", policies.UNSAFE_FRAMES: "Unsafe picture", policies.LIKENESS: "Face",
    policies.WORDS: "Words in the picture", policies.AUDIO: "Sound",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A reason for a person: whose, how sure, what could be done."""

    number: int
    check: str
    pattern: str
    detail: str
    code: str
    score: float | None
    threshold: float | None
    right: float | None
    asks: bool
    times: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a text, and the number of the finding that it was found by (0: none)."""

    text: str
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where something was found, in per cent of the picture."""

    number: int
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A still with the boxes of what was found in it."""

    time: float
    address: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A finding on the time line, in per cent of the clip's length."""

    number: int
    time: float
    at: float
    pattern: str
    check: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What a clip shows, and when what was found in it is to be seen."""

    duration: float
    width: int
    height: int
    pictures: tuple[Picture, ...]
    marks: tuple[Mark, ...]

    def showing(self, number: int) -> Picture | None:
        """The first still with a box of this finding, without the boxes of others; else the one nearest to
        where it was found. None where it was not found in the clip.
        """
        for one in self.pictures:
            mine = tuple(box for box in one.boxes if box.number == number)
            if mine:
                return replace(one, boxes=mine)
        times = [mark.time for mark in self.marks if mark.number == number]
        if not times or not self.pictures:
            return None
        return replace(min(self.pictures, key=lambda one: abs(one.time - times[0])), boxes=())


Reasons = Sequence[Mapping[str, Any]]


def told(reasons: Reasons) -> list[Told]:
    """The reasons, numbered from 1."""
    return [_told(number, reason) for number, reason in enumerate(reasons, start=1)]


def marked(texts: Sequence[str], reasons: Reasons) -> list[list[Part]]:
    """Each text in pieces, the words that were found apart from the rest; of two that overlap, the first."""
    found: dict[int, list[tuple[int, int, int]]] = {}
    for number, reason in enumerate(reasons, start=1):
        evidence = evidence_of(reason)
        turn, span = evidence.get("turn"), evidence.get("span")
        if isinstance(turn, int) and isinstance(span, Sequence) and len(span) == 2:
            found.setdefault(turn, []).append((int(span[0]), int(span[1]), number))
    return [_pieces(text, found.get(turn, ())) for turn, text in enumerate(texts)]


def strip(stills: Stills, reasons: Reasons, address: Callable[[bytes], str]) -> Strip:
    """The stills with boxes, and the time line."""
    pictures = tuple(
        Picture(time=still.time, address=address(still.picture), boxes=_boxes(still.time, reasons))
        for still in stills.stills
    )
    marks = tuple(
        Mark(
            number=one.number, time=time, at=round(100 * min(1.0, time / stills.duration), 2),
            pattern=one.pattern, check=one.check,
        )
        for one, reason in zip(told(reasons), reasons, strict=True) for time in _in_clip(reason)
        if stills.duration > 0
    )  # fmt: skip
    return Strip(
        duration=stills.duration, width=stills.width, height=stills.height, pictures=pictures, marks=marks
    )


def _told(number: int, reason: Mapping[str, Any]) -> Told:
    evidence, check = evidence_of(reason), str(reason.get("check", ""))
    return Told(
        number=number, check=_CHECKS.get(check, check.replace("_", " ").capitalize()),
        pattern=PATTERNS.get(check, "e"), detail=str(reason.get("detail", "")),
        code=str(reason.get("code", "")), score=_number(evidence.get("score")),
        threshold=_number(evidence.get("threshold")), right=_number(evidence.get("probability")),
        asks=evidence.get("asks") is True, times=_times(evidence),
    )  # fmt: skip


def _pieces(text: str, found: Sequence[tuple[int, int, int]]) -> list[Part]:
    pieces, at = [], 0
    for start, end, number in sorted(found):
        if at <= start < end <= len(text):
            pieces += [Part(text=text[at:start]), Part(text=text[start:end], number=number)]
            at = end
    return [part for part in (*pieces, Part(text=text[at:])) if part.text]


def _boxes(time: float, reasons: Reasons) -> tuple[Box, ...]:
    return tuple(
        Box(number=number, left=100 * left, top=100 * top, width=100 * (right - left),
            height=100 * (bottom - top))
        for number, reason in enumerate(reasons, start=1)
        for at, (left, top, right, bottom) in zip(
            _in_clip(reason), evidence_of(reason).get("boxes") or (), strict=False
        )
        if abs(at - time) <= NEAR
    )  # fmt: skip


def evidence_of(reason: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where and how a reason was found; nothing where it does not say."""
    found = reason.get("evidence")
    return found if isinstance(found, Mapping) else {}


def worth_seeing(reasons: Reasons) -> list[float]:
    """When what was found is seen in the clip: the first time of each finding before the second of any."""
    listed = [_in_clip(reason) for reason in reasons]
    return [
        times[turn]
        for turn in range(max(map(len, listed), default=0))
        for times in listed
        if turn < len(times)
    ]


def _in_clip(reason: Mapping[str, Any]) -> tuple[float, ...]:
    """When a finding is seen in the clip itself, and not in what it is made from; of a preview there is one
    frame.
    """
    evidence = evidence_of(reason)
    if evidence.get("origin") == PREVIEW:
        return (0.0,) * len(evidence.get("boxes") or ())
    return () if evidence.get("origin") == PICTURE else _times(evidence)


def _times(evidence: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(float(time) for time in evidence.get("times") or ())


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
