"""Claims as rows and log entries: filing one, moving one to another state. Inside the caller's transaction.

A claim of the kinds that stand behind a subject (``STANDING``) is the subject's ``claim_id``; whatever
happens to it moves the subject's position in the log, so that everybody who follows the log reads it anew.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, or_, select

from registry import log
from registry.canonical import Json, JsonValue, canonical, stored
from registry.errors import ClaimInvalid, NotFound
from registry.ids import new_id
from registry.party_types import Claim, Filing
from registry.tables import subject
from registry.tables_parties import claim

ENTRY_VERSION: Final = 1
STANDING: Final = ("opt_out", "likeness")
"""Kinds that stand behind a subject."""
DRAFT, PROVISIONAL, ACTIVE, DISPUTED = "draft", "provisional", "active", "disputed"
REJECTED, WITHDRAWN, EXPIRED = "rejected", "withdrawn", "expired"
ENDED: Final = frozenset({REJECTED, WITHDRAWN, EXPIRED})
OPEN: Final = (DRAFT, PROVISIONAL, ACTIVE, DISPUTED)
"""States from which a claim can go on."""
TRANSITIONS: Final = {
    DRAFT: (PROVISIONAL, ACTIVE, REJECTED, WITHDRAWN, EXPIRED),
    PROVISIONAL: (ACTIVE, REJECTED, DISPUTED, WITHDRAWN, EXPIRED),
    ACTIVE: (DISPUTED, WITHDRAWN),
    DISPUTED: (ACTIVE, REJECTED, WITHDRAWN),
}
"""The database holds the same list (a test compares)."""
_COLUMNS: Final = tuple(column for column in claim.c if column.name != "draft")


def file(
    conn: Connection, filing: Filing, party_id: str, path: Sequence[str], state: str, *,
    subject_id: str | None = None, release_id: str | None = None, due_at: str | None = None,
    draft: Json | None = None, now: str,
) -> Claim:  # fmt: skip
    """Write a claim with its log entry, and stand it behind its subject where it is of such a kind."""
    claim_id = new_id(now)
    statements: JsonValue = {**filing.statements}
    told: Json = {
        "party": party_id, "by": filing.by, "path": [*path], "release": release_id, "due_at": due_at,
        "statements_sha256": hashlib.sha256(canonical(statements)).hexdigest(), "signature": filing.signature,
        "draft_sha256": None if draft is None else _digest(draft),
    }  # fmt: skip
    seq = log.append(
        conn, "claim", _public(claim_id, subject_id, filing.kind, "file", state), told, now
    ).seq  # fmt: skip
    values = {
        "id": claim_id, "kind": filing.kind, "party_id": party_id, "by_party": filing.by or None,
        "path": list(path), "subject_id": subject_id, "release_id": release_id,
        "statements": dict(filing.statements), "signature": filing.signature, "state": state,
        "due_at": due_at, "draft": draft, "created_at": now, "log_seq": seq, "changed_seq": seq,
    }  # fmt: skip
    conn.execute(claim.insert().values(**values))
    if subject_id is not None and filing.kind in STANDING:
        _stand(conn, subject_id, claim_id, seq)
    return get(conn, claim_id)


def move(
    conn: Connection, before: Claim, state: str, action: str, why: Json, now: str, *,
    subject_id: str | None = None, stands: bool = False, disputed_by: str | None = None,
) -> int:  # fmt: skip
    """Bring a claim into another state, with its log entry, and return the position.

    ``subject_id``: of a draft that comes into force; ``stands``: it is the one behind its subject by that.
    Its subject must be out of force before a claim ends. Raises `ClaimInvalid`.
    """
    if state not in TRANSITIONS.get(before.state, ()):
        raise ClaimInvalid(f"The claim {before.id} is {before.state}; it cannot become {state}.")
    of = before.subject or subject_id
    public = _public(before.id, of, before.kind, action, state)
    seq = log.append(conn, "claim", public, {"why": why, "disputed_by": disputed_by}, now).seq
    values: dict[str, Any] = {"state": state, "subject_id": of, "changed_seq": seq, "draft": None}
    if disputed_by is not None:
        values["disputed_by"] = disputed_by
    conn.execute(claim.update().where(claim.c.id == before.id).values(**values))
    if of is not None and before.kind in STANDING:
        if stands:
            _stand(conn, of, before.id, seq)
        else:
            moved = subject.update().where(subject.c.id == of, subject.c.claim_id == before.id)
            conn.execute(moved.values(changed_seq=seq))
    return seq


def get(conn: Connection, claim_id: str) -> Claim:
    """A claim by its id. Raises `NotFound`."""
    row = conn.execute(select(*_COLUMNS).where(claim.c.id == claim_id)).first()
    if row is None:
        raise NotFound(f"There is no claim {claim_id[:40]!r}; see: countermark claim list.")
    return loaded(row)


def behind(conn: Connection, subject_row: Any) -> Claim | None:
    """The claim that stands behind a subject; None where the operator registered it."""
    return None if subject_row.claim_id is None else get(conn, subject_row.claim_id)


def standing_of(behind: Claim | None) -> str:
    """How something stands that is in force, or waits: an ended claim was followed by the operator's word."""
    told = None if behind is None else behind.state
    return told if told in (DRAFT, PROVISIONAL, DISPUTED) else ACTIVE


def provisional(conn: Connection, by: str, party_id: str) -> int:
    """How many subjects are in force on the word of one unverified party; likenesses do not count."""
    joined = claim.join(subject, subject.c.claim_id == claim.c.id)
    query = select(func.count()).select_from(joined).where(
        claim.c.state == PROVISIONAL, claim.c.kind != "likeness", subject.c.state == "active",
        or_(claim.c.by_party == by, claim.c.party_id == party_id),
    )  # fmt: skip
    return int(conn.execute(query).scalar_one())


def about(conn: Connection, subject_id: str) -> list[Claim]:
    """The claims of which a subject is the object and which can go on, the one behind it included."""
    query = select(*_COLUMNS).where(
        claim.c.subject_id == subject_id, claim.c.kind.in_(STANDING), claim.c.state.in_(OPEN)
    )  # fmt: skip
    return [loaded(row) for row in conn.execute(query.order_by(claim.c.log_seq)).all()]


def drafts(conn: Connection, party_id: str) -> int:
    """How many claims of a party wait beyond its cap."""
    query = select(func.count()).where(claim.c.party_id == party_id, claim.c.state == DRAFT)
    return int(conn.execute(query).scalar_one())


def draft_like(conn: Connection, party_id: str, told: Json) -> Claim | None:
    """The claim of a party that waits with just this draft. The database compares: a draft can be large."""
    same = (claim.c.party_id == party_id, claim.c.state == DRAFT, claim.c.draft == told)
    found = conn.execute(select(claim.c.id).where(*same).order_by(claim.c.id)).scalar()
    return None if found is None else get(conn, str(found))


def draft(conn: Connection, claim_id: str) -> Json:
    """What a claim that waits would register."""
    told: Json = conn.execute(select(claim.c.draft).where(claim.c.id == claim_id)).scalar_one()
    return told


def loaded(row: Row[Any]) -> Claim:
    """A claim of its row."""
    return Claim(
        id=row.id, kind=row.kind, party=row.party_id, by=row.by_party, path=tuple(row.path),
        subject=row.subject_id, release=row.release_id, statements=row.statements, signature=row.signature,
        state=row.state, due_at=row.due_at, disputed_by=row.disputed_by, created_at=row.created_at,
        seq=row.changed_seq,
    )  # fmt: skip


def _stand(conn: Connection, subject_id: str, claim_id: str, seq: int) -> None:
    values = {"claim_id": claim_id, "changed_seq": seq}
    conn.execute(subject.update().where(subject.c.id == subject_id).values(**values))


def _digest(told: Json) -> str:
    """Of a draft as it is stored: figures of what is in quarantine have no canonical form."""
    return hashlib.sha256(stored(told).encode()).hexdigest()


def _public(claim_id: str, subject_id: str | None, kind: str, action: str, state: str) -> Json:
    """What everybody may read: what became of a claim about a subject; nobody's name."""
    return {
        "v": ENTRY_VERSION, "claim": claim_id, "subject": subject_id, "kind": kind, "action": action,
        "state": state,
    }  # fmt: skip


def document(one: Claim) -> Json:
    """A claim, for a program."""
    return {
        "id": one.id, "kind": one.kind, "state": one.state, "party": one.party, "by": one.by,
        "path": list(one.path), "subject": one.subject, "release": one.release,
        "statements": dict(one.statements), "signature": one.signature, "due_at": one.due_at,
        "disputed_by": one.disputed_by, "created_at": one.created_at, "sequence": one.seq,
    }  # fmt: skip
