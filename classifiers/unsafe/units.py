"""Cuts a prompt and the turns before it into the parts that are judged alone.

A long prompt hides one unsafe sentence from a model that reads it whole, so each turn is judged whole (in
windows) and sentence by sentence, and all turns are judged together. The same texts always give the same
parts, so that what was seen of them can be kept without them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from classifiers.wording import MAX_WORDS, SENTENCE_WINDOW, word_spans, words

LONGEST: Final = 40
"""Words of a part that counts as a sentence; a longer one is cut."""
_SENTENCE: Final = re.compile(r"[^.!?\n。！？;।؟۔]+[.!?\n。！？;।؟۔]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A part of the texts: ``turn`` and the characters of it; ``turn`` -1: of all turns together.

    ``whole``: a window of a whole text, and no sentence of one.
    """

    text: str
    turn: int
    start: int
    end: int
    whole: bool


def units(texts: Sequence[str]) -> list[Unit] | None:
    """The parts of `texts`, each once; None where they have more than `MAX_WORDS` words."""
    if words(texts) > MAX_WORDS:
        return None
    found: list[Unit] = []
    for turn, text in enumerate(texts):
        whole = _windows(text, turn, 0, len(text), SENTENCE_WINDOW)
        found += whole
        sentences = [piece.span() for piece in _SENTENCE.finditer(text) if piece.group().strip(" .!?;\n")]
        if len(whole) > 1 or len(sentences) > 1:
            for start, end in sentences:
                found += _windows(text, turn, start, end, LONGEST, whole=False)
    if len(texts) > 1:
        joined = "\n".join(texts)
        found += [replace(one, start=0, end=0)
                  for one in _windows(joined, -1, 0, len(joined), SENTENCE_WINDOW)]  # fmt: skip
    first: dict[tuple[int, str], Unit] = {}
    for one in found:
        first.setdefault((one.turn, one.text), one)
    return list(first.values())


def _windows(text: str, turn: int, start: int, end: int, size: int, *, whole: bool = True) -> list[Unit]:
    """The words between two places in parts of at most `size`, which overlap by half."""
    spans = word_spans(text, start, end)
    step = max(1, size // 2)
    starts = range(0, len(spans) - size + step, step) if len(spans) > size else range(bool(spans))
    return [
        Unit(text=text[first:last], turn=turn, start=first, end=last, whole=whole)
        for at in starts
        for first, last in [(spans[at][0], spans[min(at + size, len(spans)) - 1][1])]
    ]
