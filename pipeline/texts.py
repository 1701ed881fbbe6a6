"""The texts of a job or a release, in the order in which a sight holds them, and where each comes from.

1. the turns before the prompt, oldest first;
2. the words in pictures that the clip was made from;
3. the words that are spoken in the clip;
4. what was asked for, where the prompt is a rewritten one (`pipeline.rewriting`);
5. the prompt;
6. the same prompt after an enhancer rewrote it: then this is what is drawn.
Names are looked for in all of them and across neighbours. By meaning the prompt and its enhanced form are
compared, each alone and after the turns and words before it, and each of those alone, since many would thin
out what one says; all in passes of their own (`pipeline.passes`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline.reasons import PART
from pipeline.types import Decision, Json, Reason

TURN: Final = "turn"
PICTURE: Final = "input_picture"
SPEECH: Final = "speech"
ASKED: Final = "asked_prompt"
PROMPT: Final = "prompt"
ENHANCED: Final = "enhanced_prompt"
PREVIEW: Final = "preview"  # no text: a frame that was looked at while the clip was drawn

_TOLD: Final = {
    TURN: " It stands in an earlier turn.",
    PICTURE: " It is written in a picture that the clip is made from.",
    SPEECH: " It is spoken in the clip.",
    ASKED: " It stands in the prompt before it was rewritten.",
    ENHANCED: " It stands in the enhanced prompt.",
}
_TOGETHER: Final = " Taken together with what stands before it."
MAX_QUOTE: Final = 200  # characters of a text that is quoted as a whole
CAME_IN: Final = " It is not in your prompt: the enhancement of the prompt brought it in."


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What is said of one clip; ``prompt``: None for a clip that came without."""

    history: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    speech: str = ""
    asked: str | None = None
    prompt: str | None = None
    enhanced: str | None = None

    @property
    def placed(self) -> tuple[tuple[str, str], ...]:
        """(origin, text) of everything, in the order of the module; turns without a prompt say nothing."""
        found = [(TURN, text) for text in self.history if self.prompt is not None]
        found += [(PICTURE, text) for text in self.pictures]
        found += [(SPEECH, self.speech)] if self.speech else []
        told = ((ASKED, self.asked), (PROMPT, self.prompt), (ENHANCED, self.enhanced))
        return (*found, *((origin, text) for origin, text in told if text is not None))

    @property
    def all(self) -> tuple[str, ...]:
        """Everything, as a sight holds it."""
        return tuple(text for _, text in self.placed)

    @property
    def origins(self) -> tuple[str, ...]:
        """Where each of `all` comes from."""
        return tuple(origin for origin, _ in self.placed)

    @property
    def passes(self) -> tuple[tuple[str, ...], ...]:
        """What is compared by meaning: each turn and each picture's words alone, the prompt alone, and after
        what stands before it, if anything does; then its enhanced form in the same ways.
        """
        before = (*self.history, *self.pictures) if self.prompt is not None else ()
        starts = ((), before) if before else ((),)
        last = [text for text in (self.prompt, self.enhanced) if text is not None]
        return (*((text,) for text in before), *((*start, text) for text in last for start in starts))

    @property
    def told_in(self) -> tuple[tuple[int, bool], ...]:
        """For each of `passes` its last text, as a number in `all`, and whether that stands there alone."""
        origins = self.origins
        before = sum(origin in (TURN, PICTURE) for origin in origins) if PROMPT in origins else 0
        last = [origins.index(origin) for origin in (PROMPT, ENHANCED) if origin in origins]
        ways = (True, False) if before else (True,)
        return (*((number, True) for number in range(before)), *((one, way) for one in last for way in ways))

    @property
    def drawn(self) -> str | None:
        """What a generator is given."""
        return self.prompt if self.enhanced is None else self.enhanced

    def facts(self) -> Json:
        """What a job's or a release's document says of them; `texts_of` reads it."""
        told: Json = {"prompt": self.prompt, "history": [*self.history]}
        more: Json = {
            "picture_words": [*self.pictures], "speech": self.speech, "asked_prompt": self.asked,
            "enhanced_prompt": self.enhanced,
        }  # fmt: skip
        return told | {name: value for name, value in more.items() if value}


def texts_of(told: Mapping[str, Any]) -> Texts:
    """The texts in a job's inputs or a release's facts."""
    history, pictures = told.get("history"), told.get("picture_words")
    return Texts(
        history=tuple(map(str, history)) if isinstance(history, list | tuple) else (),
        pictures=tuple(map(str, pictures)) if isinstance(pictures, list | tuple) else (),
        speech=str(told.get("speech") or ""), asked=_text(told.get("asked_prompt")),
        prompt=_text(told.get("prompt")), enhanced=_text(told.get("enhanced_prompt")),
    )  # fmt: skip


def with_origins(decision: Decision, texts: Texts) -> Decision:
    """The decision, whose reasons say in which text a thing was found (``origin``), where it was in one.

    What is in the enhanced prompt and not in what was asked is told as brought in by the enhancement.
    """
    decision, origins = with_texts(decision, texts), texts.origins
    elsewhere = {_what(one) for one in decision.reasons if _origin(one, origins) not in (ENHANCED, None)}
    reasons = tuple(_placed(one, _origin(one, origins), elsewhere) for one in decision.reasons)
    return replace(decision, reasons=reasons)


def with_texts(decision: Decision, texts: Texts) -> Decision:
    """The decision, whose reasons quote the text in which a thing was found where they named a pass."""
    told = texts.told_in
    return replace(decision, reasons=tuple(_quoting(reason, texts, told) for reason in decision.reasons))


def _quoting(reason: Reason, texts: Texts, told: Sequence[tuple[int, bool]]) -> Reason:
    part = reason.evidence.get(PART)
    if not isinstance(part, int) or not told:
        return reason
    number, alone = told[part % len(told)]  # a look that was made again has the same passes again
    rest = {name: value for name, value in reason.evidence.items() if name != PART}
    detail = reason.detail if alone else reason.detail + _TOGETHER
    return replace(reason, detail=detail, evidence=rest | quoted(texts, number))


def quoted(texts: Texts, number: int) -> Json:
    """What evidence says of a text that was found as a whole."""
    text = texts.all[number]
    return {"turn": number, "span": [0, len(text)], "quote": text[:MAX_QUOTE]}


def _placed(reason: Reason, origin: str | None, elsewhere: set[tuple[str, str]]) -> Reason:
    if origin is None or "origin" in reason.evidence:
        return reason
    came_in = origin == ENHANCED and _what(reason) not in elsewhere
    told = CAME_IN if came_in else _TOLD.get(origin, "")
    return replace(reason, detail=reason.detail + told, evidence=reason.evidence | {"origin": origin})


def _origin(reason: Reason, origins: Sequence[str]) -> str | None:
    turn = reason.evidence.get("turn")
    return origins[turn] if isinstance(turn, int) and 0 <= turn < len(origins) else None


def _what(reason: Reason) -> tuple[str, str]:
    return reason.check, str(reason.evidence.get("subject"))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
