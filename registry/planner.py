"""A dry run of registering: says of drafts, one after the other, what each would do, and writes nothing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, select

from registry import claim_log, parties
from registry.drafts import normal, with_context
from registry.errors import ActRefused, ClaimInvalid, NotFound, OptOutInvalid, RegistryError
from registry.inforce import InForce, in_force, missing
from registry.party_types import TERMS, Claim, Filing, Terms
from registry.planning import Known, Outcome, SubjectKey, find_subjects, rewritten, subject_key, wishes_of
from registry.subject_types import OptOutDraft
from registry.tables import party
from registry.voices import Voice

NOBODY: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a draft would do; ``subject``: of one that is registered; ``error``: why it cannot be."""

    subject: str | None
    outcome: Outcome | None
    error: RegistryError | None = None


class Planner:
    """``repeated``: keys of subjects that come more than once, of which is remembered what earlier drafts
    add; ``filing``: the party that says it all, None for the operator.
    """

    def __init__(
        self, repeated: Iterable[SubjectKey] = (), *, filing: Filing | None = None, terms: Terms = TERMS
    ) -> None:
        self._repeated, self._filing, self._terms = frozenset(repeated), filing, terms
        self._known: dict[SubjectKey, Known] = {}
        self._held: dict[str, InForce] = {}
        self._planned: set[SubjectKey] = set()  # would be registered, and are not
        self._provisional = 0

    def plan(self, conn: Connection, drafts: Sequence[OptOutDraft], now: str) -> list[Planned]:
        """The outcome of each draft, in order, or the error that it would meet."""
        known = find_subjects(conn, drafts) | self._known
        held = in_force(conn, [row.id for row in known.values()])
        held.update(self._held)
        voice = Voice(conn, self._filing, self._terms, now)
        return [self._told(conn, draft, voice, known, held) for draft in drafts]

    def _told(
        self, conn: Connection, draft: OptOutDraft, voice: Voice, known: dict[SubjectKey, Known],
        held: defaultdict[str, InForce],
    ) -> Planned:  # fmt: skip
        key = subject_key(draft)
        row = known.get(key)
        registered = None if row is None or key in self._planned else row.id
        try:
            outcome = self._outcome(conn, draft, voice, known, held)
        except (OptOutInvalid, ActRefused, ClaimInvalid, NotFound) as error:
            return Planned(subject=registered, outcome=None, error=error)
        return Planned(subject=registered, outcome=outcome)

    def _outcome(
        self, conn: Connection, draft: OptOutDraft, voice: Voice, known: dict[SubjectKey, Known],
        held: defaultdict[str, InForce],
    ) -> Outcome:  # fmt: skip
        """As `registry.optouts.add_in` decides it."""
        key = subject_key(draft)
        row = known.get(key)
        party_id = self._party(conn, draft.owner)
        subject_id = "|".join(key) if row is None else row.id
        new = row is None or row.state != "active"
        current = None if row is None or new else self._claim(conn, key, row, party_id)
        wishes = wishes_of(draft, row) | _belongings(conn, party_id, draft, row)
        there = None if key in self._planned else row
        path = voice.demand_to_register(party_id, draft.kind, _work(conn, party_id, draft, row), there)
        names = with_context(draft.names, draft.context)
        parts = missing(held[subject_id], names, draft.references, draft.vectors, rewritten(wishes))
        if not (new or parts or wishes or voice.promotes(party_id, current)):
            return Outcome.UNCHANGED
        stand = voice.stand(draft, party_id, current, path, new, planned=self._provisional)
        if stand.state == claim_log.DRAFT:
            return Outcome.WAITS
        if new and stand.state == claim_log.PROVISIONAL:
            self._provisional += 1
        if key in self._repeated:
            if row is None:
                self._planned.add(key)
            held[subject_id].take(parts)
            self._held[subject_id] = held[subject_id]
            known[key] = self._known[key] = _changed(subject_id, party_id, row, wishes)
        return Outcome.NEW if new else Outcome.EXTENDS

    def _party(self, conn: Connection, owner: str) -> str:
        """The owner's id; nobody's for one that the operator's word would make."""
        if self._filing is not None:
            return parties.named(conn, owner).id
        known = conn.execute(select(party.c.id).where(party.c.normal == normal(owner))).scalar()
        return NOBODY if known is None else str(known)

    def _claim(self, conn: Connection, key: SubjectKey, row: Known, party_id: str) -> Claim | None:
        """The claim behind a subject, also one that an earlier draft would file."""
        if key not in self._planned:
            return None if row.claim_id is None else claim_log.get(conn, row.claim_id)
        if self._filing is None:
            return None
        return Claim(
            id=NOBODY, kind=self._filing.kind, party=party_id, by=self._filing.by, path=(), subject=None,
            release=None, statements={}, signature="", state=claim_log.PROVISIONAL, due_at=None,
            disputed_by=None, created_at="", seq=0,
        )  # fmt: skip


def _belongings(
    conn: Connection, party_id: str, draft: OptOutDraft, row: Known | None
) -> dict[str, Any]:  # fmt: skip
    """Whether the work or the day of death would change."""
    changed: dict[str, Any] = {}
    died_on = parties.died_on(conn, party_id, draft)
    if died_on != (None if row is None else row.died_on):
        changed["died_on"] = died_on
    if draft.work and normal(draft.work) != (None if row is None else row.work):
        changed["work"] = normal(draft.work)
    return changed


def _work(conn: Connection, party_id: str, draft: OptOutDraft, row: Known | None) -> str | None:
    """The work that a draft belongs to, where it is there."""
    if not draft.work:
        return None if row is None else row.work_id
    return parties.find_work(conn, party_id, draft.work)


def _changed(subject_id: str, party_id: str, row: Known | None, wishes: dict[str, Any]) -> Known:
    if row is None:
        row = Known(
            id=subject_id, party_id=party_id, state="active", changed_seq=0, mode="", description="",
            attributes=(), exclusions=(), died_on=None, work_id=None, work=None, claim_id=None,
        )  # fmt: skip
    told: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in wishes.items()
    }
    return replace(row, state="active", **told)
