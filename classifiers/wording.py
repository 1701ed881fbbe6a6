"""Cuts texts into what the models can read: windows of words or of a model's own pieces, and clauses."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain
from typing import Final

from classifiers.ambiguity import KNOWN, frequency
from classifiers.normalise import by_look, fold

MAX_WORDS: Final = 2000
"""Words of a prompt with all its turns that are compared by meaning; a longer one is not compared at all."""
SENTENCE_WINDOW: Final = 160
"""Words that a sentence model sees at once (256 word pieces)."""
CLIP_WINDOW: Final = 48
"""Words that a CLIP sees at once (77 pieces)."""
MAX_CLAUSE: Final = 14  # words; longer ones are cut at smaller joints
MAX_SENTENCE: Final = 30  # words; longer ones are cut at their points, if they are no lists
LEAST_PART: Final = 6  # words of a part of those
LIST_PARTS: Final = 3
LIST_WORDS: Final = 3.0
"""A list has at least so many parts between points, of at most so many words on average."""
MIN_LETTERS: Final = 3
MIN_RUN: Final = 12
"""Known words of a run that a model can read among others that it cannot."""
LEAST_KNOWN: Final = 0.7
"""Share of a run's words that a model has to know."""
_WORD: Final = re.compile(r"\S+")
# What of a word is at least one piece to a model: of scripts that it hardly knows a letter or a few.
_PIECE: Final = re.compile(r"[A-Za-z]{1,16}|[0-9]{1,4}|[\u3040-\u9fff\uac00-\ud7af]|[^\W\d_]{1,8}|\S")
MAX_PIECES: Final = 4
"""Pieces of a word that is taken for one; what is glued together of more is counted by its pieces."""
_ESCAPED: Final = re.compile(r"[&%\\]")
_LETTERS: Final = re.compile(r"[^\W_]+")
_WITHOUT_SPACES: Final = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]{2}")
_GAP: Final = re.compile(r"\s{2,}")
_APART: Final = re.compile(r"(?<![^\W_])[^\W_]([ ._*·-])(?:[^\W_]\1){2,}[^\W_](?![^\W_])")
_SIGNED: Final = re.compile(r"(?=[0-9@$!]*[A-Za-z])(?=[A-Za-z]*[0-9@$!])[A-Za-z0-9@$!]+(?<![!@])")
_SIGNS: Final = {ord(sign): letter for sign, letter in zip("03457@$!", "oeastasi", strict=True)}
_NEW_LINE: Final = re.compile(r"[\n\r]")
_UNSEEN: Final = {ord("\u200b"): None}  # what `fold` puts for all that has no width
_POINTS: Final = re.compile(r"[,;:.!?\n()\[\]{}\"“”、。！？，；]+|\s[-–—]+\s")
_ENDS: Final = re.compile(
    r"(?<=[.!?;:…])\s+|(?<=[.!?;:…][\"”’)\]])\s+|[。！？；]+|\s*\n\s*|\s[-–—|/]+\s|(?<=[a-z][.!?;])(?=[A-Z])"
)
_JOINTS: Final = re.compile(
    r"\s(?:and|with|who|which|that|while|wearing|holding|carrying|featuring|whose|but|as|in|on)\s",
    re.IGNORECASE,
)


def undisguised(text: str) -> str:
    """The text as a person reads it: without escapes, styled letters, accents, what has no width, and letters
    of other scripts inside Latin words. To a model those would be words that it has never seen.
    """
    if text.isascii() and not _ESCAPED.search(text):
        return text
    plain = fold(text).text.translate(_UNSEEN)
    return latin_words(plain)


def as_read(text: str) -> str:
    """The text as a model is given it: undisguised, and with one space, or one new line, for each gap. A
    person does not see how wide a gap is; a model that is given so many letters would not see what is behind.
    """
    return _GAP.sub(_narrow, undisguised(text))


def readings(text: str) -> list[str]:
    """The ways in which a person may read a text, the plain one first: with digits and signs that stand for
    letters, and with words whose letters stand apart, as what they mean.
    """
    plain = undisguised(text)
    together = _APART.sub(lambda word: word.group().replace(word[1], ""), plain)
    meant = _SIGNED.sub(lambda word: _meant(word.group()), together)
    return list(dict.fromkeys(_GAP.sub(_narrow, told) for told in (plain, together, meant)))


def _meant(word: str) -> str:
    """The word that digits and signs were put into, if that is a usual one."""
    for one in "il":
        meant = word.lower().replace("1", one).translate(_SIGNS)
        if len(meant) >= MIN_LETTERS and frequency(meant) >= KNOWN:
            return meant
    return word


def _narrow(gap: re.Match[str]) -> str:
    return "\n" if _NEW_LINE.search(gap.group()) else " "


def latin_words(text: str) -> str:
    """Folded text; words of Latin letters among letters of other scripts by their looks.

    Where a script writes without spaces, Latin letters and digits stand beside words as they are.
    """
    return _LETTERS.sub(lambda word: _latin(word.group()), text)


def _latin(word: str) -> str:
    if word.isascii() or not any(letter.isascii() for letter in word) or _WITHOUT_SPACES.search(word):
        return word
    return by_look(fold(word)).text


def words(texts: Sequence[str]) -> int:
    """How many words these texts have together."""
    return sum(len(word_spans(text)) for text in texts)


def word_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """First and last-plus-one character of each word between two places; a run without spaces cannot pass for
    a single word.
    """
    found: list[tuple[int, int]] = []
    for word in _WORD.finditer(text, start, len(text) if end is None else end):
        pieces = [piece.span() for piece in _PIECE.finditer(text, *word.span())]
        found += [word.span()] if len(pieces) <= MAX_PIECES else pieces
    return found


def windows(text: str, size: int) -> list[str]:
    """The text in parts of at most `size` words, which overlap by half; empty for an empty text."""
    found = word_spans(text)
    if len(found) <= size:
        return [text] if found else []
    step = max(1, size // 2)
    starts = range(0, len(found) - size + step, step)
    return [text[found[at][0] : found[min(at + size, len(found)) - 1][1]] for at in starts]


Count = Callable[[Sequence[str]], Sequence[int]]
"""How many of its own pieces a model makes of each text."""


def within(text: str, most: int, count: Count) -> list[str]:
    """The text in parts that a model of `most` pieces sees whole, which overlap by half; empty for no words.

    Words are not all alike: a model reads a common one as one piece, and of a string of random letters nearly
    each letter. Parts that were cut by words alone would end where the model does not.
    """
    found = word_spans(text)
    if not found or count([text])[0] <= most:
        return [text] if found else []
    spans = _short(text, found, max(1, most // 2), count)
    ends = list(accumulate(count([text[start:end] for start, end in spans])))
    made: list[str] = []
    first = last = 0
    while last < len(spans):
        before = ends[first - 1] if first else 0
        last = max(first + 1, bisect_right(ends, before + most))
        made += _halved(text[spans[first][0] : spans[last - 1][1]], most, count)
        first = max(first + 1, bisect_right(ends, before + most // 2))
    return made


def _short(text: str, spans: list[tuple[int, int]], most: int, count: Count) -> list[tuple[int, int]]:
    """The spans, of which those of more than `most` pieces are cut into letters, a few at a time."""
    counts = count([text[start:end] for start, end in spans])
    cut: list[tuple[int, int]] = []
    for (start, end), pieces in zip(spans, counts, strict=True):
        step = end - start if pieces <= most else max(1, (end - start) * most // (2 * pieces))
        cut += [(at, min(at + step, end)) for at in range(start, end, step)]
    return cut


def _halved(text: str, most: int, count: Count) -> list[str]:
    """The text, in halves as long as together its words make more pieces than one by one."""
    if len(text) < 2 or count([text])[0] <= most:
        return [text]
    middle = text.rfind(" ", 1, len(text) // 2 + 1)
    middle = middle if middle > 0 else len(text) // 2
    return [*_halved(text[:middle], most, count), *_halved(text[middle:], most, count)]


def readable_run(text: str, known: Callable[[Sequence[str]], Sequence[bool]]) -> str:
    """The run of words of which a model knows most, if it knows `MIN_RUN`; empty where it is the text.

    A known word weighs as much as it may be outnumbered by: the best run is that of the largest sum. Of fewer
    known words nothing can be told: "a man in the" is near to everything.
    """
    spans = word_spans(text)
    told = known([text[start:end] for start, end in spans]) if len(spans) >= MIN_RUN else []
    best, run, first = (0.0, 0, 0), 0.0, 0
    for place, one in enumerate(told):
        if run <= 0:
            run, first = 0.0, place
        run += 1 - LEAST_KNOWN if one else -LEAST_KNOWN
        best = max(best, (run, first, place + 1), key=lambda found: found[0])
    _, first, last = best
    if sum(told[first:last]) < MIN_RUN or (first, last) == (0, len(spans)):
        return ""
    return text[spans[first][0] : spans[last - 1][1]]


def clauses(text: str) -> list[str]:
    """The parts of a text that say one thing each, each once."""
    return _saying(chain.from_iterable(_cut(part) for part in _POINTS.split(text)))


def items(text: str) -> list[str]:
    """The parts of a text between its points, however long, each once: those of a list are short."""
    return _saying(_POINTS.split(text))


def is_list(parts: Sequence[str]) -> bool:
    """Whether parts between points are those of a list of keywords."""
    return len(parts) >= LIST_PARTS and words(parts) <= LIST_WORDS * len(parts)


def listed(texts: Sequence[str]) -> bool:
    """Whether any turn of a prompt is a list of keywords."""
    return any(is_list(items(undisguised(text))) for text in texts)


def sentences(text: str) -> list[str]:
    """The sentences of a text; a long one in parts of `LEAST_PART` words or more, however often it comes."""
    found = (" ".join(part.split()) for part in _ENDS.split(text))
    return list(
        chain.from_iterable(_parted(part) for part in found if sum(map(str.isalnum, part)) >= MIN_LETTERS)
    )


def _parted(sentence: str) -> list[str]:
    """A sentence, at its points if it is long and no list, then by force."""
    if len(word_spans(sentence)) <= MAX_SENTENCE or is_list(items(sentence)):
        return [sentence]
    made, start = list[str](), 0
    ends = [*(point.end() for point in _POINTS.finditer(sentence)), len(sentence)]
    for end in ends:
        if len(word_spans(sentence, start, end)) >= LEAST_PART or end == len(sentence):
            made += windows(sentence[start:end].strip(), MAX_SENTENCE)
            start = end
    return made


def _saying(parts: Iterable[str]) -> list[str]:
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
