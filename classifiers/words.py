"""Words that stand in frames, against registered names.

1. What stands in one frame is one *passage*: its lines in reading order. One that is the same, letter for
   letter, as the one before adds nothing, and is kept once, with the first time.
2. Passages are asked for names as the turns of a prompt are, by the same matcher: disguises, misread letters,
   names over two lines or two frames, names that need another word near them.
3. A finding is never sure: a sign or credits may name somebody whom the clip does not show. It holds.
4. A frame with more words than the limits say is not read in part: the check is not completed.

Codes: ``words_match``, and ``words_near`` for a name with one letter changed, or an accident of words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np

from classifiers.base import (
    Box,
    CheckReport,
    CheckState,
    Finding,
    Kind,
    Line,
    References,
    Seen,
    Sight,
    doubted,
)
from classifiers.errors import TooManyWords
from classifiers.matcher import MATCH, Hit, NameMatcher
from classifiers.names import THRESHOLD, hits_in
from classifiers.run import skipped

CHECK: Final = "words"
WORDS_MATCH: Final = "words_match"
WORDS_NEAR: Final = "words_near"
SPACE: Final = "text/1"
"""Words are compared as text: the same space whatever read them."""
MAX_MOMENTS: Final = 16
MAX_LETTERS: Final = 50_000
"""Characters of a clip's words, as many as two hours of a film's credits."""
BETWEEN: Final = " "  # two lines: a name may go on in the next


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """A line that was read, and where it stands."""

    line: Line
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What stands in one frame. ``starts``: of each line in ``text``, and behind the last one."""

    text: str
    time: float
    starts: tuple[int, ...]
    boxes: tuple[Box, ...]

    def box(self, start: int, end: int) -> Box:
        """Around the lines of which characters ``start`` to ``end`` are a part."""
        within = [
            box
            for box, first, following in zip(self.boxes, self.starts, self.starts[1:], strict=False)
            if first < end and start < following
        ]
        left, top, right, bottom = zip(*within, strict=True)
        return min(left), min(top), max(right), max(bottom)


def seen_words(looks: Sequence[tuple[float, Sequence[ReadLine]]]) -> Seen:
    """What was read, from the lines of each time; without any it says that there are none.

    Raises: TooManyWords.
    """
    before: list[str] = []
    kept: list[tuple[float, ReadLine]] = []
    letters = 0
    for time, lines in looks:
        passage = [one.line.text for one in lines]
        if not passage or passage == before:
            continue
        before = passage
        kept += [(time, one) for one in lines]
        letters += sum(map(len, passage))
        if letters > MAX_LETTERS:
            raise TooManyWords(
                f"the clip shows more than {MAX_LETTERS} characters; cut out what is text only"
            )
    return Seen(
        kind=Kind.WORDS, space=SPACE, vectors=np.zeros((len(kept), 0), np.float32),
        times=tuple(time for time, _ in kept), boxes=tuple(one.box for _, one in kept),
        lines=tuple(one.line for _, one in kept),
    )  # fmt: skip


def passages(seen: Seen) -> tuple[Passage, ...]:
    """What stands in each frame, in order of time."""
    rows: dict[float, list[int]] = {}
    for row, time in enumerate(seen.times):
        rows.setdefault(time, []).append(row)
    return tuple(_passage(seen, time, rows[time]) for time in sorted(rows))


def _passage(seen: Seen, time: float, rows: Sequence[int]) -> Passage:
    texts = [seen.lines[row].text for row in rows]
    lengths = [len(text) + len(BETWEEN) for text in texts]
    return Passage(
        text=BETWEEN.join(texts), time=time, starts=tuple(accumulate(lengths, initial=0)),
        boxes=tuple(seen.boxes[row] for row in rows),
    )  # fmt: skip


def texts_in(seen: Sequence[Seen]) -> tuple[str, ...]:
    """The texts of all passages, as the check asks them for names."""
    return tuple(passage.text for one in seen for passage in passages(one))


def check_words(sight: Sight, references: References, matcher: NameMatcher | None = None) -> CheckReport:
    """Find the registered names in the words of a clip; `matcher`: of ``references.names``, if at hand.

    A clip without words is completed, one of which they were not read is skipped.
    """
    read = sight.of(Kind.WORDS)
    if not read:
        return skipped(CHECK, "the words in the clip were not read")
    shown = [passage for seen in read for passage in passages(seen)]
    found = hits_in([passage.text for passage in shown], references, matcher)
    findings = sorted(_findings(shown, found), key=lambda finding: -finding.score)
    score = max((finding.score for finding in findings), default=0.0)
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=tuple(findings), scores={CHECK: score}
    )


def _findings(shown: Sequence[Passage], found: Sequence[Sequence[Hit]]) -> Iterator[Finding]:
    """One for each subject, of its best hits; what is in quarantine only where nothing else is there."""
    by_subject: dict[str, list[tuple[Passage, Hit]]] = {}
    for passage, hits in zip(shown, found, strict=True):
        for hit in hits:
            by_subject.setdefault(hit.entry.subject, []).append((passage, hit))
    for subject, places in by_subject.items():
        sound = [place for place in places if not doubted(place[1].entry)]
        yield _finding(subject, sound or places, quarantined=not sound)


def _finding(subject: str, places: Sequence[tuple[Passage, Hit]], *, quarantined: bool) -> Finding:
    code = MATCH if any(hit.code == MATCH for _, hit in places) else ""
    alike = [(passage, hit) for passage, hit in places if not code or hit.code == code][:MAX_MOMENTS]
    passage, best = max(alike, key=lambda place: place[1].score)
    return Finding(
        check=CHECK, subject=subject, score=best.score, threshold=THRESHOLD,
        code=WORDS_MATCH if code else WORDS_NEAR, sure=False, reference=best.entry.text,
        quote=passage.text[best.start : best.end], times=tuple(shown.time for shown, _ in alike),
        boxes=tuple(shown.box(hit.start, hit.end) for shown, hit in alike), quarantined=quarantined,
    )  # fmt: skip
