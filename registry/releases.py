"""What left: decisions, the publish fence, withdrawal.

The log, the decision, the release and the checkpoint are one transaction: either all of them are
there after a crash, or none.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select

from registry import changes, holds, log, sights, uses
from registry.canonical import Json, canonical
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.errors import CandidateStale, ConstraintBroken, NotFound
from registry.ids import new_id
from registry.tables import decision, release
from registry.types import (
    Candidate,
    Change,
    DecisionLike,
    Held,
    Reason,
    RecheckResult,
    Release,
    ReleaseState,
)

ALLOW: Final = "allow"
RELEASE_ENTRY_VERSION: Final = 1
LOOKS_AHEAD: Final = 3
"""How often the head is looked at, and what is new asked about, before the write transaction."""
ROUND: Final = 500
"""Log entries in one round of asking ahead."""

Recheck = Callable[[Sequence[Change]], RecheckResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class _UsedUp:
    """What a recheck would have said, had it known that a rule is used up."""

    verdict: str
    reasons: tuple[Reason, ...]


class _NotAllowed(Exception):
    """Carries a verdict through the rollback; never seen outside."""

    def __init__(self, result: RecheckResult, seq: int) -> None:
        super().__init__(result.verdict)
        self.result, self.seq = result, seq


def publish(
    engine: Engine, candidate: Candidate, recheck: Recheck, *, now: str, sign_checkpoint: NoteSigner,
    also_held: holds.AlsoHeld = holds.nothing_more,
) -> Release | Held:  # fmt: skip
    """Let a candidate leave, or hold it. In one write transaction, during which nothing else is written:

    1. A job that left before has left: its release is returned, whatever the candidate says now. A job
       that is held stays held until the hold is lifted.
    2. Read the registry's head and every change after the position the candidate was checked at, each
       with its whole subject as it is now.
    3. Ask ``recheck`` about those changes (also when there are none). Anything but allow rolls
       everything back, and the job is recorded as held with the reasons. An exception publishes nothing.
       So does a rule that it rests on (``shown``) and that is used up for the day of ``now``.
    4. Append the release to the log.
    5. Record the decision, the release, what was seen of it, and the rules that it used, at the head that
       was read.
    6. Sign and store the checkpoint.

    Most of the changes are read and asked about before that transaction, in rounds, so that a clip that
    took long keeps nobody waiting; inside it only those that came since are left.

    A candidate that is not marked, signed, re-read and allowed raises `ConstraintBroken`. The release
    returned is the one that counts: compare its ``file_sha256`` before serving a file.
    """
    try:
        asked = _ask_ahead(engine, candidate, recheck)
        with write(engine) as conn:
            known = _known(conn, candidate.job_id)
            if known is not None:  # 1
                return known
            return _publish(conn, candidate, asked, recheck, now, sign_checkpoint)
    except _NotAllowed as refusal:
        verdict = Reason(code="held", check="publish_fence", detail=f"The recheck said {refusal}.")
        with write(engine) as conn:
            reasons = refusal.result.reasons or (verdict,)
            new = holds.open_hold(conn, candidate.job_id) is None
            held = holds.hold(conn, candidate.job_id, reasons, refusal.seq, now)
            if new:
                also_held(conn, held)
            return held


def withdraw(engine: Engine, release_id: str, *, why: Json, now: str, sign_checkpoint: NoteSigner) -> Release:
    """Stop serving a release, with a log entry whose private part says why; a second time does nothing."""
    return _set_state(engine, release_id, ReleaseState.WITHDRAWN, why, now, sign_checkpoint)


def reinstate(
    engine: Engine, release_id: str, *, why: Json, now: str, sign_checkpoint: NoteSigner
) -> Release:
    """Undo a withdrawal, with a log entry; a second time does nothing."""
    return _set_state(engine, release_id, ReleaseState.RELEASED, why, now, sign_checkpoint)


def record_decision(conn: Connection, job_id: str, made: DecisionLike) -> str:
    """Record a decision about a job once and return its id, which is the digest of its content.

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
    if conn.execute(select(decision.c.id).where(decision.c.id == decision_id)).first() is None:
        told = [holds.reason_json(reason) for reason in made.reasons]
        conn.execute(decision.insert().values(id=decision_id, **content | {"reasons": [*told]}))
    return decision_id


def get(engine: Engine, release_id: str) -> Release | None:
    """Return a release by its id."""
    with read(engine) as conn:
        return _one(conn, release.c.id == release_id)


def find_by_payload(engine: Engine, payload: str) -> Release | None:
    """Return the release that carries a payload (16 hex digits)."""
    with read(engine) as conn:
        return _one(conn, release.c.payload == payload)


def find_by_job(engine: Engine, job_id: str) -> Release | None:
    """Return the release of a job."""
    with read(engine) as conn:
        return _one(conn, release.c.job_id == job_id)


def list_releases(engine: Engine, *, before: str | None = None, limit: int = 100) -> list[Release]:
    """Return releases, newest first; ``before`` is the last id of the page before."""
    query = select(release).order_by(release.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(release.c.id < before)
    with read(engine) as conn:
        return [_loaded(row) for row in conn.execute(query)]


def _known(conn: Connection, job_id: str) -> Release | Held | None:
    return _one(conn, release.c.job_id == job_id) or holds.open_hold(conn, job_id)


def _ask_ahead(engine: Engine, candidate: Candidate, recheck: Recheck) -> int:
    """Ask about what changed until now, outside the write lock; return up to where that was."""
    asked = candidate.decision.registry_seq
    for _ in range(LOOKS_AHEAD):
        with read(engine) as conn:
            head = log.registry_seq(conn)
            if head <= asked or _known(conn, candidate.job_id) is not None:
                return asked
            while asked < head:
                upto = min(head, asked + ROUND)
                result = recheck(changes.load(conn, asked, upto))
                if result.verdict != ALLOW:
                    raise _NotAllowed(result, head)
                asked = upto
    return asked


def _publish(
    conn: Connection, candidate: Candidate, asked: int, recheck: Recheck, now: str, signer: NoteSigner
) -> Release:
    checked, seen = candidate.decision.registry_seq, log.registry_seq(conn)  # 2
    if checked > seen:
        raise CandidateStale(
            f"The clip was checked at position {checked}, but the registry is at {seen}: an older backup "
            "was restored; check the clip again."
        )
    result = recheck(changes.load(conn, asked, seen))  # 3
    if result.verdict != ALLOW:
        raise _NotAllowed(result, seen)
    shown: Sequence[uses.Shown] = getattr(result, "shown", ())
    account = str(candidate.facts.get("account") or "")
    spent = uses.used_up(conn, shown, account, now)
    if spent is not None:
        raise _NotAllowed(_UsedUp(verdict="review", reasons=(spent,)), seen)
    release_id = new_id(now)
    entry = log.append(conn, "release", _public(release_id, candidate, seen), None, now)  # 4
    row = _row(candidate, record_decision(conn, candidate.job_id, candidate.decision))
    row |= {"id": release_id, "registry_seq": seen, "log_seq": entry.seq, "published_at": now}
    conn.execute(release.insert().values(**row, state=ReleaseState.RELEASED, state_seq=entry.seq))  # 5
    sights.store(conn, release_id, candidate.sight)
    uses.record(conn, release_id, shown, account, now)
    log.add_checkpoint(conn, signer, now)  # 6
    made = _one(conn, release.c.id == release_id)
    if made is None:
        raise ConstraintBroken("The registry did not keep the release; nothing was published.")
    return made


def _public(release_id: str, candidate: Candidate, seen: int) -> Json:
    """Return what the log says about a release: digests and positions, nothing about persons."""
    return {
        "v": RELEASE_ENTRY_VERSION,
        "release": release_id,
        "urn": candidate.urn,
        "payload": candidate.payload,
        "file_sha256": candidate.file_sha256,
        "manifest_sha256": candidate.manifest_sha256,
        "fingerprint_sha256": hashlib.sha256(candidate.fingerprint).hexdigest(),
        "policy": candidate.decision.policy,
        "policy_version": candidate.decision.policy_version,
        "checked_seq": candidate.decision.registry_seq,
        "registry_seq": seen,
    }


def _row(candidate: Candidate, decision_id: str) -> dict[str, Any]:
    return {
        "job_id": candidate.job_id,
        "payload": candidate.payload,
        "detected_payload": candidate.detected_payload,
        "mark_log10_chance": candidate.mark_log10_chance,
        "visible_variant": candidate.visible_variant,
        "urn": candidate.urn,
        "file_sha256": candidate.file_sha256,
        "manifest_sha256": candidate.manifest_sha256,
        "signer_sha256": candidate.signer_sha256,
        "timestamped_at": candidate.timestamped_at,
        "reread_verdict": candidate.reread_verdict,
        "fingerprint": candidate.fingerprint,
        "decision_id": decision_id,
        "decision_verdict": str(candidate.decision.verdict),
        "checked_seq": candidate.decision.registry_seq,
        "facts": candidate.facts,
    }


def _set_state(
    engine: Engine, release_id: str, state: ReleaseState, why: Json, now: str, signer: NoteSigner
) -> Release:
    with write(engine) as conn:
        made = set_state(conn, release_id, state, why, now)
        log.add_checkpoint(conn, signer, now)
    return made


def set_state(conn: Connection, release_id: str, state: ReleaseState, why: Json, now: str) -> Release:
    """`withdraw` or `reinstate` inside the caller's transaction, which has to sign the checkpoint."""
    known = _one(conn, release.c.id == release_id)
    if known is None:
        raise NotFound(f"There is no release {release_id}.")
    if known.state is not state:
        kind = "withdrawal" if state is ReleaseState.WITHDRAWN else "reinstatement"
        public: Json = {"v": RELEASE_ENTRY_VERSION, "release": release_id, "urn": known.urn}
        entry = log.append(conn, kind, public, why, now)
        values = {"state": state, "state_seq": entry.seq}
        conn.execute(release.update().where(release.c.id == release_id).values(**values))
    return _one(conn, release.c.id == release_id) or known


def _one(conn: Connection, condition: Any) -> Release | None:
    row = conn.execute(select(release).where(condition)).first()
    return None if row is None else _loaded(row)


def _loaded(row: Row[Any]) -> Release:
    values = row._asdict()
    for told in ("detected_payload", "reread_verdict", "decision_verdict"):  # the database fixes these
        del values[told]
    return Release(**values | {"state": ReleaseState(row.state)})
