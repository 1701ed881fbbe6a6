"""What registering drafts would do: the same comparison for a dry run and for writing.

A draft's subject is told by its owner, kind and name in their normal forms. What is known of the subjects of
many drafts is read in a few queries; whoever goes through the drafts keeps it up to date, so that a subject
that comes twice is new once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final, Protocol

from sqlalchemy import Connection, select

from registry.drafts import TEXT_KINDS, normal
from registry.party_types import Claim
from registry.subject_types import OptOutDraft
from registry.tables import party, subject
from registry.tables_parties import work

BATCH: Final = 200  # names per query
_TEXT_FIELDS: Final = ("description", "attributes")

SubjectKey = tuple[str, str, str]
"""Owner and name in normal form, with the kind between them."""


class Outcome(StrEnum):
    """What a draft does to the registry; `new` also where a withdrawn subject begins anew; `waits`: as a
    claim that is not in force before its party is verified.
    """

    NEW = "new"
    EXTENDS = "extends"
    UNCHANGED = "unchanged"
    WAITS = "waits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A draft that was registered; ``subject``: "" where it only waits; ``seq``: the last log entry about it;
    ``new``: whether anything was; ``fresh``: whether it was not in force before.
    """

    subject: str
    seq: int
    new: bool
    fresh: bool = False
    claim: Claim | None = None

    @property
    def outcome(self) -> Outcome:
        """What the draft did."""
        if not self.subject:
            return Outcome.WAITS
        if not self.new:
            return Outcome.UNCHANGED
        return Outcome.NEW if self.fresh else Outcome.EXTENDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A subject's row, as far as drafts are compared with it; ``work``: its title in normal form."""

    id: str
    party_id: str
    state: str
    changed_seq: int
    mode: str
    description: str
    attributes: tuple[str, ...]
    exclusions: tuple[str, ...]
    died_on: str | None
    work_id: str | None
    work: str | None
    claim_id: str | None


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
    joined = subject.join(party, party.c.id == subject.c.party_id)
    joined = joined.outerjoin(work, work.c.id == subject.c.work_id)
    query = select(subject, party.c.normal.label("owner"), work.c.normal.label("work")).select_from(joined)
    found: dict[SubjectKey, Known] = {}
    while batch := list(islice(names, BATCH)):
        for row in conn.execute(query.where(subject.c.normal.in_(batch))):
            key = (str(row.owner), str(row.kind), str(row.normal))
            if key in wanted:
                found[key] = Known(
                    id=row.id, party_id=row.party_id, state=row.state, changed_seq=int(row.changed_seq),
                    mode=row.mode, description=row.description, attributes=tuple(row.attributes),
                    exclusions=tuple(row.exclusions), died_on=row.died_on, work_id=row.work_id,
                    work=row.work, claim_id=row.claim_id,
                )  # fmt: skip
    return found


def wishes_of(draft: OptOutDraft, row: Any) -> dict[str, Any]:
    """The columns of the subject (a row, `Known` or None) that the draft changes; what it leaves empty stays
    as it was.
    """
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
