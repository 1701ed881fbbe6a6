"""What of some subjects is in force, and what a draft adds to it: read for many subjects in a few queries."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sqlalchemy import Connection, func, select

from registry.drafts import NAMES_MAX, REFERENCES_MAX, VECTORS_MAX, at_most, name_key
from registry.errors import OptOutInvalid
from registry.subject_types import NameDraft, ReferenceDraft, VectorDraft
from registry.tables import embedding, name, reference

BATCH: Final = 200  # subjects per round of queries


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One subject's names, by what makes two the same; its pictures' polarity; counts of its vectors, by
    picture (or none, of texts), space and kind.
    """

    names: set[tuple[str, str, tuple[str, ...]]] = field(default_factory=set)
    pictures: dict[str, int] = field(default_factory=dict)
    embedded: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def take(self, parts: "Parts") -> None:
        """Count as in force what a draft adds."""
        self.names.update(map(name_key, parts.names))
        self.pictures.update((draft.sha256, draft.polarity) for draft in parts.references)
        for key in [key for key in self.embedded if key[1:] in parts.replaced]:
            del self.embedded[key]
        for vector in parts.vectors:
            key = (vector.reference, vector.space, vector.kind)
            self.embedded[key] = self.embedded.get(key, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an opt-out adds to a subject: only what is not in force yet.

    ``replaced``: space and kind of texts that were written anew.
    """

    names: list[NameDraft]
    references: list[ReferenceDraft]
    vectors: list[VectorDraft]
    replaced: set[tuple[str, str]]

    def __bool__(self) -> bool:
        return bool(self.names or self.references or self.vectors)


def in_force(conn: Connection, ids: Collection[str]) -> defaultdict[str, InForce]:
    """What is in force of each of these subjects; of one that nobody knows, nothing."""
    found: defaultdict[str, InForce] = defaultdict(InForce)
    wanted = iter(sorted(set(ids)))
    while batch := list(islice(wanted, BATCH)):
        _read(conn, batch, found)
    return found


def _read(conn: Connection, ids: Sequence[str], found: defaultdict[str, InForce]) -> None:
    named = select(name.c.subject_id, name.c.normal, name.c.tier, name.c.context)
    for row in conn.execute(named.where(name.c.subject_id.in_(ids), name.c.removed_seq.is_(None))):
        found[row.subject_id].names.add((row.normal, row.tier, tuple(row.context)))
    shown = select(reference.c.subject_id, reference.c.sha256, reference.c.polarity)
    shown = shown.where(reference.c.subject_id.in_(ids), reference.c.removed_seq.is_(None))
    for subject_id, sha256, polarity in conn.execute(shown):
        found[subject_id].pictures[sha256] = polarity
    groups = (embedding.c.subject_id, embedding.c.reference_sha256, embedding.c.space, embedding.c.kind)
    counted = select(*groups, func.count()).group_by(*groups)
    counted = counted.where(embedding.c.subject_id.in_(ids), embedding.c.removed_seq.is_(None))
    for subject_id, sha256, space, kind, count in conn.execute(counted):
        found[subject_id].embedded[sha256, space, kind] = int(count)


def missing(
    held: InForce, names: Sequence[NameDraft], pictures: Sequence[ReferenceDraft],
    vectors: Sequence[VectorDraft], rewritten: set[str],
) -> Parts:  # fmt: skip
    """What of these is not in force yet. Vectors of one picture (or text), space and kind go together.

    ``rewritten``: kinds of texts whose vectors the old ones give way to. Raises `OptOutInvalid` for what
    contradicts what is in force, or is too much together with it.
    """
    known = held.pictures
    replaced = {(v.space, v.kind) for v in vectors if v.kind in rewritten}
    parts = Parts(
        names=[draft for draft in names if name_key(draft) not in held.names],
        references=[draft for draft in pictures if known.get(draft.sha256) is None],
        vectors=[
            v for v in vectors
            if (v.space, v.kind) in replaced or (v.reference, v.space, v.kind) not in held.embedded
        ],
        replaced=replaced,
    )  # fmt: skip
    if any(known.get(draft.sha256) == -draft.polarity for draft in pictures):
        raise OptOutInvalid("A picture either shows the subject (+1) or does not (-1); not both.")
    at_most("names", len(held.names) + len(parts.names), NAMES_MAX)
    at_most("pictures", len(known) + len(parts.references), REFERENCES_MAX)
    at_most("vectors", sum(held.embedded.values()) + len(parts.vectors), VECTORS_MAX)
    return parts
