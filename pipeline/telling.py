"""A reason as a line for a person: what was found, then by which check, and where."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.texts import ASKED, ENHANCED, PICTURE, PREVIEW, PROMPT, SPEECH, TURN

_TEXTS: Final = {
    TURN: "turn {number}", PICTURE: "what the clip is made from", SPEECH: "what is said in the clip",
    ASKED: "the prompt before it was rewritten", PROMPT: "the prompt", ENHANCED: "the enhanced prompt",
    PREVIEW: "a frame on the way",
}  # fmt: skip


def line(check: str, detail: str, evidence: Mapping[str, Any]) -> str:
    """The line for a reason; its parts are those of `pipeline.types.Reason`.

    Where it was found: characters count from 1, times are seconds of the clip, a box is told in per cent of
    the frame.
    """
    where = (check, _in_text(evidence), _in_clip(evidence))
    return f"{detail} [{', '.join(filter(None, where))}]"


def line_of(reason: Mapping[str, Any]) -> str:
    """The line for a reason as a job's result records it."""
    evidence = reason.get("evidence")
    return line(str(reason.get("check", "")), str(reason.get("detail", "")), evidence or {})


def _in_text(evidence: Mapping[str, Any]) -> str:
    span, turn = evidence.get("span"), evidence.get("turn")
    number = turn + 1 if isinstance(turn, int) else 0
    text = _TEXTS.get(str(evidence.get("origin")), "").format(number=number)
    if not isinstance(span, Sequence) or len(span) != 2:
        return text
    placed = f"characters {span[0] + 1} to {span[1]}"
    return f"{placed} of {text}" if text else placed


def _in_clip(evidence: Mapping[str, Any]) -> str:
    times, boxes = evidence.get("times") or (), evidence.get("boxes") or ()
    told = f"at {', '.join(f'{time:.1f}' for time in times[:3])} s" if times else ""
    if boxes:
        left, top, right, bottom = boxes[0]
        told += f" ({left:.0%} to {right:.0%} from the left, {top:.0%} to {bottom:.0%} from the top)"
    return told.strip()
