"""What registering drafts would do: the same comparison for a dry run and for writing.

A draft's subject is told by its owner, kind and name in their normal forms. What is known of the subjects of
many drafts is read in a few queries; whoever goes through the drafts keeps it up to date, so that a subject
that comes twice is new once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any, Final, Protocol

from sqlalchemy import Connection, select

from registry.drafts import TEXT_KINDS, normal, with_context
from registry.errors import OptOutInvalid
from registry.inforce import InForce, Parts, in_force, missing
from registry.subject_types import OptOutDraft
from registry.tables import party, subject

BATCH: Final = 200  # names per query
_TEXT_FIELDS: Final = ("description", "attributes")

SubjectKey = tuple[str, str, str]
"""Owner and name in normal form, with the kind between them."""


class Outcome(StrEnum):
    """What a draft does to the registry; `new` also where a withdrawn subject begins anew."""

    NEW = "new"
    EXTENDS = "extends"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A draft that was registered; ``seq``: the last log entry about its subject."""

    subject: str
    seq: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A subject's row, as far as drafts are compared with it."""

    id: str
    state: str
    changed_seq: int
    mode: str
    description: str
    attributes: tuple[str, ...]
    exclusions: tuple[str, ...]


class Titled(Protocol):
    """Whose it is, what it is, and its name: a draft, or the line of a file."""

    @property
    def owner(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102


def subject_key(draft: Titled) -> SubjectKey:
    """What makes two drafts speak of the same subject."""
    return normal(draft.owner), draft.kind, normal(draft.name)


def find_subjects(conn: Connection, drafts: Iterable[Titled]) -> dict[SubjectKey, Known]:
    """The registered subjects of these drafts, also withdrawn ones."""
    wanted = {subject_key(draft) for draft in drafts}
    names = iter(sorted({key[2] for key in wanted}))
    joined = select(subject, party.c.normal.label("owner")).join(party, party.c.id == subject.c.party_id)
    found: dict[SubjectKey, Known] = {}
    while batch := list(islice(names, BATCH)):
        for row in conn.execute(joined.where(subject.c.normal.in_(batch))):
            key = (str(row.owner), str(row.kind), str(row.normal))
            if key in wanted:
                found[key] = Known(
                    id=row.id, state=row.state, changed_seq=int(row.changed_seq), mode=row.mode,
                    description=row.description, attributes=tuple(row.attributes),
                    exclusions=tuple(row.exclusions),
                )  # fmt: skip
    return found


def wishes_of(draft: OptOutDraft, row: Known | None) -> dict[str, Any]:
    """The columns of the subject that the draft changes; what it leaves empty stays as it was."""
    told = {
        "mode": draft.mode, "description": draft.description,
        "attributes": list(draft.attributes), "exclusions": list(draft.exclusions),
    }  # fmt: skip
    if row is None or row.state == "withdrawn":
        return told
    had = {
        "mode": row.mode, "description": row.description,
        "attributes": list(row.attributes), "exclusions": list(row.exclusions),
    }  # fmt: skip
    return {column: value for column, value in told.items() if value and value != had[column]}


def rewritten(wishes: Mapping[str, Any]) -> set[str]:
    """The kinds of texts that these wishes write anew."""
    return {kind for kind, column in zip(TEXT_KINDS, _TEXT_FIELDS, strict=True) if column in wishes}


def outcome_of(row: Known | None, parts: Parts, wishes: Mapping[str, Any]) -> Outcome:
    """What it does to add these parts and wishes to a subject."""
    if row is None or row.state != "active":
        return Outcome.NEW
    return Outcome.EXTENDS if parts or wishes else Outcome.UNCHANGED


def changed(subject_id: str, row: Known | None, wishes: Mapping[str, Any], seq: int) -> Known:
    """The subject's row after the wishes were written at log position ``seq``."""
    if row is None:
        row = Known(
            id=subject_id, state="active", changed_seq=seq, mode="", description="", attributes=(),
            exclusions=(),
        )  # fmt: skip
    told: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in wishes.items()
    }
    return replace(row, state="active", changed_seq=seq, **told)


class Planner:
    """Says of drafts, one after the other, what registering them would do; nothing is written.

    ``repeated``: keys of subjects that come more than once, of which is remembered what the earlier ones add.
    """

    def __init__(self, repeated: Iterable[SubjectKey] = ()) -> None:
        self._repeated = frozenset(repeated)
        self._known: dict[SubjectKey, Known] = {}
        self._held: dict[str, InForce] = {}

    def plan(self, conn: Connection, drafts: Sequence[OptOutDraft]) -> list["Planned"]:
        """The outcome of each draft, in order, or the error that it would meet."""
        known = find_subjects(conn, drafts) | self._known
        held = in_force(conn, [row.id for row in known.values()])
        held.update(self._held)
        return [self._one(draft, known, held) for draft in drafts]

    def _one(
        self, draft: OptOutDraft, known: dict[SubjectKey, Known], held: defaultdict[str, InForce]
    ) -> "Planned":
        key = subject_key(draft)
        row = known.get(key)
        subject_id = "|".join(key) if row is None else row.id
        wishes, names = wishes_of(draft, row), with_context(draft.names, draft.context)
        try:
            parts = missing(held[subject_id], names, draft.references, draft.vectors, rewritten(wishes))
        except OptOutInvalid as error:
            return Planned(subject=None if row is None else row.id, outcome=None, error=error)
        if key in self._repeated:
            held[subject_id].take(parts)
            known[key] = self._known[key] = changed(
                subject_id, row, wishes, 0 if row is None else row.changed_seq
            )
            self._held[subject_id] = held[subject_id]
        seen = row is not None and row.changed_seq > 0
        return Planned(
            subject=row.id if row is not None and seen else None, outcome=outcome_of(row, parts, wishes)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a draft would do; ``subject``: of one that is registered; ``error``: why it cannot be."""

    subject: str | None
    outcome: Outcome | None
    error: OptOutInvalid | None = None
