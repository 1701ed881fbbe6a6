"""Decisions: each is a row and a leaf of the log, once.

Public is what was decided, by which policy, at which position of the registry, and the codes of the
reasons. Which job, and the sentences, which may name somebody, go into the private part; the account and the
prompt are in neither. Row and leaf are one transaction, and the database refuses the one without the other.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from registry import holds, log
from registry.canonical import Json, JsonValue, canonical
from registry.tables import decision
from registry.types import DecisionLike, ReasonLike

ENTRY_VERSION: Final = 1
CODES_MAX: Final = 100
"""How many different codes an entry lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A decision as it lies in the registry: the digest of its content, and its place in the log.

    ``seq``: None only for one that was made before decisions were logged.
    """

    id: str
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A decision that the registry itself makes, upon one that was made before."""

    verdict: str
    policy: str
    policy_version: int
    checks: Mapping[str, str]
    reasons: Sequence[ReasonLike]
    registry_seq: int
    decided_at: str


def latest(conn: Connection, job_id: str) -> Made | None:
    """The last decision about a job, without its reasons; None where there is none."""
    query = select(decision).where(decision.c.job_id == job_id)
    row = conn.execute(query.order_by(func.coalesce(decision.c.log_seq, 0).desc()).limit(1)).first()
    if row is None:
        return None
    return Made(
        verdict=row.verdict, policy=row.policy, policy_version=row.policy_version, checks=row.checks,
        reasons=(), registry_seq=row.registry_seq, decided_at=row.decided_at,
    )  # fmt: skip


def record(conn: Connection, job_id: str, made: DecisionLike, at: str) -> Recorded:
    """Record and log a decision about a job; the same one again changes nothing.

    Evidence is kept beside the reasons, outside of the digest: scores have no canonical form.
    """
    content: Json = {
        "job_id": job_id,
        "verdict": str(made.verdict),
        "policy": made.policy,
        "policy_version": made.policy_version,
        "checks": {name: str(state) for name, state in made.checks.items()},
        "reasons": [{"code": r.code, "check": r.check, "detail": r.detail} for r in made.reasons],
        "registry_seq": made.registry_seq,
        "decided_at": made.decided_at,
    }
    decision_id = hashlib.sha256(canonical(content)).hexdigest()
    known = conn.execute(select(decision.c.log_seq).where(decision.c.id == decision_id)).first()
    if known is not None:
        return Recorded(id=decision_id, seq=known.log_seq)
    entry = log.append(conn, "decision", _public(made), _private(decision_id, job_id, made), at)
    told: dict[str, Any] = {"reasons": [holds.reason_json(reason) for reason in made.reasons]}
    conn.execute(decision.insert().values(id=decision_id, **content | told, log_seq=entry.seq))
    return Recorded(id=decision_id, seq=entry.seq)


def _public(made: DecisionLike) -> Json:
    """What everybody may read. The digest stays away: it would let a guess at the sentences be confirmed."""
    codes: list[JsonValue] = [*sorted({reason.code for reason in made.reasons})[:CODES_MAX]]
    return {
        "v": ENTRY_VERSION, "verdict": str(made.verdict), "policy": made.policy,
        "policy_version": made.policy_version, "registry_seq": made.registry_seq,
        "checks": {name: str(state) for name, state in made.checks.items()}, "reasons": codes,
        "decided_at": made.decided_at,
    }  # fmt: skip


def _private(decision_id: str, job_id: str, made: DecisionLike) -> Json:
    return {"decision": decision_id, "job": job_id, "reasons": [_told(reason) for reason in made.reasons]}


def _told(reason: ReasonLike) -> JsonValue:
    subject = reason.evidence.get("subject")
    told: Json = {"code": reason.code, "check": reason.check, "detail": reason.detail}
    return told | {"subject": subject if isinstance(subject, str) else None}
