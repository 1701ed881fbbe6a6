"""Cuts texts into what the models can read: windows of words, and clauses."""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Final

MAX_WORDS: Final = 2000
"""Words of a prompt with all its turns that are compared by meaning; a longer one is not compared at all."""
SENTENCE_WINDOW: Final = 160
"""Words that a sentence model sees at once (256 word pieces)."""
CLIP_WINDOW: Final = 48
"""Words that a CLIP sees at once (77 pieces)."""
MAX_CLAUSE: Final = 14  # words; longer ones are cut at smaller joints
MIN_LETTERS: Final = 3
_WORD: Final = re.compile(r"\S+")
# What of a word is at least one piece to a model: of scripts that it hardly knows a letter or a few.
_PIECE: Final = re.compile(r"[A-Za-z]{1,16}|[0-9]{1,4}|[\u3040-\u9fff\uac00-\ud7af]|[^\W\d_]{1,8}|\S")
MAX_PIECES: Final = 4
"""Pieces of a word that is taken for one; what is glued together of more is counted by its pieces."""
_POINTS: Final = re.compile(r"[,;:.!?\n()\[\]{}\"“”、。！？，；]+|\s[-–—]+\s")
_JOINTS: Final = re.compile(
    r"\s(?:and|with|who|which|that|while|wearing|holding|carrying|featuring|whose|but|as|in|on)\s",
    re.IGNORECASE,
)


def words(texts: Sequence[str]) -> int:
    """How many words these texts have together."""
    return sum(len(_words(text)) for text in texts)


def _words(text: str) -> list[tuple[int, int]]:
    """First and last-plus-one character of each word; a run without spaces cannot pass for a single word."""
    found: list[tuple[int, int]] = []
    for word in _WORD.finditer(text):
        pieces = [piece.span() for piece in _PIECE.finditer(text, *word.span())]
        found += [word.span()] if len(pieces) <= MAX_PIECES else pieces
    return found


def windows(text: str, size: int) -> list[str]:
    """The text in parts of at most `size` words, which overlap by half; empty for an empty text."""
    found = _words(text)
    if len(found) <= size:
        return [text] if found else []
    step = max(1, size // 2)
    starts = range(0, len(found) - size + step, step)
    return [text[found[at][0] : found[min(at + size, len(found)) - 1][1]] for at in starts]


def clauses(text: str) -> list[str]:
    """The parts of a text that say one thing each, each once."""
    parts = chain.from_iterable(_cut(part) for part in _POINTS.split(text))
    kept = (" ".join(part.split()) for part in parts)
    return list(dict.fromkeys(part for part in kept if sum(map(str.isalnum, part)) >= MIN_LETTERS))


def without_names(text: str, names: Sequence[str]) -> str:
    """The text with every name replaced by a pronoun: what is described must be found without them."""
    for name in sorted(filter(str.strip, names), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name.strip())}(?!\w)", "it", text, flags=re.IGNORECASE)
    return text


def _cut(part: str) -> list[str]:
    """A part between points, at its joints if it is long, then by force."""
    if len(part.split()) <= MAX_CLAUSE:
        return [part]
    return list(chain.from_iterable(windows(piece, MAX_CLAUSE) for piece in _JOINTS.split(part)))
