"""A prompt in passages: runs of neighbouring sentences that are each compared as if they stood alone.

1. A text is cut into sentences, a long one also at its points (who writes commas for full stops shall hide
   nothing), and one without any by force. A list of keywords is one sentence, however long.
2. Up to `MAX_PASSAGE` neighbouring sentences are a passage, and of longer texts windows of neighbours, too;
   so whatever is said around a description, the passage that is the description is compared by itself.
3. A stretch of short parts within a sentence, which would be a list if it stood alone, is a passage, too.
4. The vector of a passage is the mean of those of its sentences, each counting by how many pieces the model
   makes of it. That is what a mean over words would be if the sentences told the model nothing of each
   other; the passages of a text cost no more than its sentences.
5. All that was said, in windows where it is long, is also embedded as it stands. It is the usual case, and
   one try; the others are many, and count a little less (`classifiers.weighing.PART_LESS`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import Final

import numpy as np

from classifiers.base import Passage, Vectors
from classifiers.wording import SENTENCE_WINDOW, clauses, is_list, items, sentences, word_spans, words

MAX_PASSAGE: Final = 8  # sentences
MAX_SENTENCES: Final = 400
"""Of a prompt with its turns; one of more is not compared at all."""
SHORT: Final = 4  # words of a part of a list within a sentence, ...
STRETCH: Final = 5
"""... which has at least so many; of three or four each second sentence has one."""
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """The passages of a prompt. ``sentences``: what is embedded; ``spans``: the first of them that a passage
    is made of, and the one after its last; ``told``: what else is known of each passage.
    """

    sentences: tuple[str, ...]
    clauses: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    told: tuple[Passage, ...]

    def vectors(self, seen: Vectors, weights: Sequence[int]) -> Vectors:
        """Unit vectors ``float32[passages, d]`` from those of the sentences, ``seen[sentences, d]``."""
        whole = np.zeros((len(seen) + 1, seen.shape[1]), np.float64)
        np.cumsum(seen * np.array(weights, np.float64)[:, None], axis=0, out=whole[1:])
        first, end = np.array(self.spans, np.intp).reshape(-1, 2).T
        sums = whole[end] - whole[first]
        return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _TINY), np.float32)


def passages_of(
    turns: Sequence[Sequence[str]], within: Callable[[Sequence[str]], Sequence[str]] = tuple
) -> Passages:
    """The passages of sentences by turn; the last turn is the prompt itself, and one of them is all of it.

    `within`: cuts clauses to what the model sees.
    """
    single = [one for turn in turns for one in turn]
    last = len(single) - len(turns[-1]) if turns else 0
    said = [within(clauses(one)) for one in single]
    ends = [0, *accumulate(map(len, said))]
    parts = [items(one) for one in single]
    counts = [words([one]) for one in single]
    wholes = _wholes(counts, last)
    several = {(first, end) for first, end in wholes if end > first + 1}
    spans = sorted(wholes.union(_runs(len(single))))
    told = [
        Passage(
            first=ends[first], end=ends[end], part=(first, end) not in wholes - several,
            listed=is_list(list(chain.from_iterable(parts[first:end]))),
        )
        for first, end in spans
    ]  # fmt: skip
    of_several = [place for place, span in enumerate(spans) if span in several]
    joined = [" ".join(single[slice(*spans[place])]) for place in of_several]
    told += [replace(told[place], part=False) for place in of_several]
    spans += [(place, place + 1) for place in range(len(single), len(single) + len(joined))]
    stretches = [one for mine in parts for one in _stretches(mine)]
    at = ends[-1]
    for place, stretch in enumerate(stretches, len(single) + len(joined)):
        said.append(within(clauses(stretch)))
        told.append(Passage(first=at, end=at + len(said[-1]), listed=True, part=True))
        spans.append((place, place + 1))
        at += len(said[-1])
    return Passages(
        sentences=(*single, *joined, *stretches), clauses=tuple(chain.from_iterable(said)),
        spans=tuple(spans), told=tuple(told),
    )  # fmt: skip


def sentences_of(texts: Iterable[str]) -> list[list[str]]:
    """The sentences of each turn."""
    return [sentences(text) for text in texts]


def _runs(count: int) -> Iterator[tuple[int, int]]:
    """The runs of up to `MAX_PASSAGE` of so many sentences."""
    for first in range(count):
        for end in range(first + 1, min(first + MAX_PASSAGE, count) + 1):
            yield first, end


def _wholes(counts: Sequence[int], last: int) -> set[tuple[int, int]]:
    """All that was said, in windows where it is long, and the prompt itself: the sentences, of so many words
    each, from `last` on.
    """
    count = len(counts)
    ends = list(accumulate(counts))
    found: set[tuple[int, int]] = set()
    first = end = 0
    while end < count:
        before = ends[first - 1] if first else 0
        end = first + 1
        while end < count and ends[end] - before <= SENTENCE_WINDOW:
            end += 1
        found.add((first, end))
        first = next((at for at in range(first + 1, end) if ends[at] - before > SENTENCE_WINDOW // 2), end)
    if last < count and ends[-1] - (ends[last - 1] if last else 0) <= SENTENCE_WINDOW:
        found.add((last, count))
    return found


def _stretches(parts: Sequence[str]) -> list[str]:
    """Rule 3: the longest runs of neighbouring short parts that are lists; not all of the parts."""
    found: list[str] = []
    run: list[str] = []
    for part in (*parts, ""):
        if part and len(word_spans(part)) <= SHORT:
            run.append(part)
            continue
        if STRETCH <= len(run) < len(parts) and is_list(run):
            found.append(", ".join(run))
        run = []
    return found
