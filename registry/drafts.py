"""What may be registered: vocabularies, limits, and the checks of a draft. Pure, no database.

Limits protect the registry from one holder's mistake; each is of one subject.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from registry.errors import OptOutInvalid
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft

SUBJECT_KINDS: Final = ("character", "person", "logo", "artwork", "portfolio")
MODES: Final = ("block", "ask", "allow")
TIERS: Final = ("block", "context")
NAME_KINDS: Final = ("official", "alias", "nickname", "native")
PICTURE_KINDS: Final = ("picture", "portrait")
TEXT_KINDS: Final = ("description", "attribute")
POLARITIES: Final = (1, -1)

NAMES_MAX: Final = 500
NAME_CHARS_MAX: Final = 200
CONTEXT_MAX: Final = 100
REFERENCES_MAX: Final = 1_000
VECTORS_MAX: Final = 20_000
DIMENSION_MAX: Final = 4_096
DESCRIPTION_CHARS_MAX: Final = 4_000
ATTRIBUTES_MAX: Final = 100
PIXELS_A_SIDE_MAX: Final = 1 << 16
VECTOR_DTYPE: Final = "<f2"

_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UNPRINTED: Final = {"Cc", "Cs"}  # control characters, halves of surrogate pairs


def normal(text: str) -> str:
    """The form in which owners and names are the same: NFKC, case folded, one space between words."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def validate(draft: OptOutDraft) -> None:
    """Raise `OptOutInvalid` unless the draft can be registered.

    1. It says whose and what, in words that can be printed. 2. Something in it can match.
    3. Names, 4. pictures and 5. vectors are well-formed, within limits, and belong together.
    """
    _one_of("kind", draft.kind, SUBJECT_KINDS)  # 1
    _one_of("mode", draft.mode, MODES)
    _phrase("name", draft.name)
    _phrase("owner", draft.owner)
    _text("description", draft.description, DESCRIPTION_CHARS_MAX)
    for field in ("attributes", "exclusions", "context"):
        phrases(field, getattr(draft, field), ATTRIBUTES_MAX)
    if not draft.names and not any(vector.polarity > 0 for vector in draft.vectors):  # 2
        raise OptOutInvalid(f"{draft.name} could never match; give names, pictures or a description.")
    validate_parts(with_context(draft.names, draft.context), draft.references, draft.vectors, ())


def validate_parts(
    names: Sequence[NameDraft],
    references: Sequence[ReferenceDraft],
    vectors: Sequence[VectorDraft],
    known: Iterable[tuple[str, int]],
) -> None:
    """Rules 3 to 5 of `validate`; ``known``: digest and polarity of the pictures registered before."""
    at_most("names", len(names), NAMES_MAX)  # 3
    at_most("pictures", len(references), REFERENCES_MAX)
    at_most("vectors", len(vectors), VECTORS_MAX)
    for name in names:
        _name(name)
    polarities = dict(known)
    for reference in references:  # 4
        _reference(reference, polarities)
    digests = [reference.sha256 for reference in references]
    if len(set(digests)) != len(digests):
        raise OptOutInvalid("The same picture is given twice; remove one.")
    polarities |= {reference.sha256: reference.polarity for reference in references}
    dimensions: dict[str, int] = {}
    for vector in vectors:  # 5
        _vector(vector, polarities)
        if dimensions.setdefault(vector.space, vector.dimension) != vector.dimension:
            raise OptOutInvalid(f"Vectors of {vector.space} have different sizes; embed them again.")


def with_context(names: Sequence[NameDraft], context: tuple[str, ...]) -> list[NameDraft]:
    """Give names that need context and bring none the subject's own; drop what says the same twice."""
    kept: dict[object, NameDraft] = {}
    for name in names:
        words = (name.context or context) if name.tier == "context" else name.context
        made = NameDraft(
            text=name.text, tier=name.tier, context=tuple(words), kind=name.kind, language=name.language
        )
        kept.setdefault(name_key(made), made)
    return list(kept.values())


def name_key(name: NameDraft) -> tuple[str, str, tuple[str, ...]]:
    """What makes two names of a subject the same."""
    return normal(name.text), name.tier, name.context


def phrases(field: str, values: Sequence[str], most: int) -> None:
    """Raise unless these are short texts, at most ``most`` of them."""
    at_most(field, len(values), most)
    for value in values:
        _phrase(field, value)


def at_most(field: str, count: int, most: int) -> None:
    """Raise when there are too many of something."""
    if count > most:
        raise OptOutInvalid(f"A subject has at most {most} {field}; this one has {count}. Split it.")


def _name(name: NameDraft) -> None:
    _phrase("name", name.text)
    _one_of("tier", name.tier, TIERS)
    _one_of("kind of name", name.kind, NAME_KINDS)
    _text("language", name.language, NAME_CHARS_MAX)
    phrases("context words", name.context, CONTEXT_MAX)
    if name.tier == "context" and not name.context:
        raise OptOutInvalid(f"The name {name.text!r} needs context words; name some that stand near it.")


def _reference(reference: ReferenceDraft, known: dict[str, int]) -> None:
    if not _DIGEST.fullmatch(reference.sha256):
        raise OptOutInvalid("A picture is named by its SHA-256 in lower-case hex.")
    if reference.polarity not in POLARITIES or known.get(reference.sha256) == -reference.polarity:
        raise OptOutInvalid("A picture either shows the subject (+1) or does not (-1); not both.")
    if not all(0 < side <= PIXELS_A_SIDE_MAX for side in (reference.width, reference.height)):
        raise OptOutInvalid(f"A picture has 1 to {PIXELS_A_SIDE_MAX} pixels a side.")
    _text("name of a picture", reference.name, NAME_CHARS_MAX)


def _vector(vector: VectorDraft, polarities: dict[str, int]) -> None:
    _one_of("kind of vector", vector.kind, PICTURE_KINDS + TEXT_KINDS)
    _phrase("space", vector.space)
    if not 0 < vector.dimension <= DIMENSION_MAX or len(vector.vector) != 2 * vector.dimension:
        raise OptOutInvalid(f"A vector of {vector.space} does not have the size it claims; embed it again.")
    values = np.frombuffer(vector.vector, VECTOR_DTYPE)
    if not np.isfinite(values).all() or not values.any():
        raise OptOutInvalid(f"A vector of {vector.space} is not a direction; embed it again.")
    if vector.kind in TEXT_KINDS:
        fits = vector.reference == "" and vector.polarity in POLARITIES
    else:
        fits = polarities.get(vector.reference) == vector.polarity
    if not fits:
        raise OptOutInvalid(f"A vector of the kind {vector.kind} belongs to no registered picture.")


def _phrase(field: str, value: str) -> None:
    _text(field, value, NAME_CHARS_MAX)
    if not normal(value) or all(unicodedata.category(c) in ("Cf", "Zs", "Mn") for c in value):
        raise OptOutInvalid(f"The {field} is empty; write one.")


def _text(field: str, value: str, most: int) -> None:
    if len(value) > most:
        raise OptOutInvalid(f"The {field} has {len(value)} characters, more than {most}; shorten it.")
    if any(unicodedata.category(character) in _UNPRINTED and character != "\n" for character in value):
        raise OptOutInvalid(f"The {field} holds characters that cannot be printed; remove them.")


def _one_of(field: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise OptOutInvalid(f"{value[:40]!r} is no {field}; choose one of: {', '.join(choices)}.")
