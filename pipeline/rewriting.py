"""A prompt that is held for what it describes, rewritten so that it does not describe it any more.

1. Only where a service asks for it (setting `rewrite`), and only where every reason is that the prompt may
   describe a subject: no name, nothing that a check is sure of, nothing unfinished.
2. The prompt is cut at its joints. The part nearest to what is registered (attributes, description, or
   pictures where there are no words) gives way to a plain word for that kind of subject; then the next
   nearest is left out, one at a time, until the gate allows what is left.
3. What is left must still say something; else the prompt stays held.
4. A generator that takes a negative prompt is told the subjects' names and attributes in it.
The rewritten prompt goes through the whole gate again, as does the clip that is drawn; what was asked for
stays beside it, and is asked for names as before.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from classifiers.base import Kind, Vectors
from pipeline import policy as policies
from pipeline.gate import TextEyes
from pipeline.texts import Texts
from pipeline.types import Decision, Json, Reason, Verdict
from registry.subject_types import SubjectRecord
from registry.view import Snapshot

CODES: Final = frozenset({"description_match", "prompt_resembles_picture"})
MAX_TRIES: Final = 8
MIN_WORDS: Final = 3
"""Words that must be left of what was asked, beside the plain word."""
MAX_NEGATIVE: Final = 500  # characters
NEIGHBOURS: Final = 128
PLAIN: Final = {
    "character": "an original character", "person": "a person", "logo": "a plain sign",
    "artwork": "an ordinary picture", "portfolio": "an original character",
}  # fmt: skip
ANYTHING: Final = "something else"
# Where a sentence can be cut without leaving half a phrase; the joint goes with what follows it.
_CUT: Final = re.compile(
    r"(?<=[,;:.!?\n。！？，；])\s*|(?<!\s)\s+(?=(?:and|with|who|which|that|while|wearing|holding|carrying|featuring"
    r"|whose|but|in|on|at|under|over|through|beside|by|near|against|from|into|as)\s)",
    re.IGNORECASE,
)
_EDGE: Final = re.compile(r"^[\s,;:]+|[\s,;:]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A prompt instead of another. ``subjects``: their ids; ``left_out``: parts of the prompt."""

    prompt: str
    negative: str
    subjects: tuple[str, ...]
    left_out: tuple[str, ...]

    def to_json(self) -> Json:
        """As a job's step records it."""
        return {
            "prompt": self.prompt, "negative": self.negative, "subjects": list(self.subjects),
            "left_out": list(self.left_out),
        }  # fmt: skip


def rewrite(
    texts: Texts, decision: Decision, snapshot: Snapshot, eyes: TextEyes, passes: Callable[[Texts], bool]
) -> Json | None:
    """The document of what to draw instead of a prompt that this decision holds; None where there is nothing.

    `passes`: whether the gate allows texts.
    """
    prompt, subjects = texts.prompt, records(described(decision), snapshot.subjects)
    if prompt is None or not subjects:
        return None
    made = rewritten(
        prompt, subjects, Nearness(eyes, snapshot),
        lambda text: passes(replace(texts, asked=prompt, prompt=text)),
    )  # fmt: skip
    return None if made is None else made.to_json()


def described(decision: Decision) -> tuple[str, ...]:
    """Rule 1: the subjects because of which alone a prompt is held; empty where it is held for more."""
    if decision.verdict is not Verdict.REVIEW or not all(map(_only_described, decision.reasons)):
        return ()
    return tuple(dict.fromkeys(str(reason.evidence["subject"]) for reason in decision.reasons))


def _only_described(reason: Reason) -> bool:
    unsure = reason.evidence.get("sure") is False and bool(reason.evidence.get("subject"))
    return reason.check == policies.DESCRIPTIONS and reason.code in CODES and unsure


def rewritten(
    prompt: str, subjects: Sequence[SubjectRecord], nearest: "Nearness", allowed: Callable[[str], bool]
) -> Rewritten | None:
    """Rules 2 to 4; None where nothing is left. `allowed`: whether the gate lets a prompt pass."""
    parts = cut(prompt)
    order = np.argsort(-nearest(parts, subjects), kind="stable")[:MAX_TRIES]
    plain = PLAIN.get(subjects[0].kind, ANYTHING)
    for count in range(1, len(order) + 1):
        gone = {int(place) for place in order[:count]}
        text = _joined(parts, gone, int(order[0]), plain)
        kept = sum(len(part.split()) for place, part in enumerate(parts) if place not in gone)
        if kept < MIN_WORDS:
            return None
        if allowed(text):
            return Rewritten(
                prompt=text, negative=negative_of(subjects), subjects=tuple(one.id for one in subjects),
                left_out=tuple(parts[place] for place in sorted(gone)),
            )  # fmt: skip
    return None


def cut(prompt: str) -> list[str]:
    """The parts of a prompt, in order; together they are the prompt but for spaces."""
    places = [0, *(found.end() for found in _CUT.finditer(prompt)), len(prompt)]
    parts = (prompt[start:end].strip() for start, end in pairwise(places))
    return [part for part in parts if any(map(str.isalnum, part))]


def _joined(parts: Sequence[str], gone: set[int], place: int, plain: str) -> str:
    told = [plain if number == place else part for number, part in enumerate(parts)
            if number == place or number not in gone]  # fmt: skip
    return _EDGE.sub("", " ".join(told))


def negative_of(subjects: Sequence[SubjectRecord]) -> str:
    """The names and attributes of the subjects, as a negative prompt of at most `MAX_NEGATIVE` characters."""
    terms: dict[str, None] = {}
    for one in subjects:
        names = (one.name, *(name.text for name in one.names))
        terms |= dict.fromkeys(" ".join(term.split()) for term in (*names, *one.attributes) if term.strip())
    told, length = [], 0
    for term in terms:
        length += len(term) + 2
        if length > MAX_NEGATIVE:
            break
        told.append(term)
    return ", ".join(told)


class Nearness:
    """How near parts of a prompt are to what is registered of subjects: ``float32[parts]``, more is near."""

    def __init__(self, eyes: TextEyes, snapshot: Snapshot) -> None:
        self._eyes, self._snapshot = eyes, snapshot

    def __call__(self, parts: Sequence[str], subjects: Sequence[SubjectRecord]) -> Vectors:
        """The nearest of all subjects counts."""
        near = np.full(len(parts), -1.0, np.float32)
        told = [text for one in subjects for text in (*one.attributes, *cut(one.description))]
        if told:
            vectors = self._eyes.minilm.embed_texts([*parts, *told])
            near = np.maximum(near, (vectors[: len(parts)] @ vectors[len(parts) :].T).max(axis=1))
        if not all(one.attributes or one.description for one in subjects):
            near = np.maximum(near, self._to_pictures(parts, {one.id for one in subjects}))
        return near

    def _to_pictures(self, parts: Sequence[str], subjects: set[str]) -> Vectors:
        clip = self._eyes.clip
        found = self._snapshot.search(clip.space, (Kind.PICTURE,), clip.embed_texts(parts), NEIGHBOURS)
        scores = [max((match.score for match in row if match.subject in subjects), default=-1.0)
                  for row in found]  # fmt: skip
        return np.array(scores, np.float32)


def records(ids: Sequence[str], known: Mapping[str, SubjectRecord]) -> tuple[SubjectRecord, ...]:
    """Those of the subjects that are registered; empty where one is not, so that nothing is rewritten."""
    found = tuple(known[one] for one in ids if one in known)
    return found if len(found) == len(ids) else ()
