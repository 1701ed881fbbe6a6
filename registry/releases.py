"""What left: decisions, the publish fence, withdrawal.

The log, the decision, the release and the checkpoint are one transaction: either all of them are
there after a crash, or none.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, select

from registry import changes, decisions, holds, log, looks, owners, parents, recalls, sights, uses
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.errors import CandidateStale, ConstraintBroken
from registry.ids import new_id
from registry.release_rows import demand, loaded, one
from registry.tables import release
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
REVIEW: Final = "review"
BLOCK: Final = "block"
RELEASE_ENTRY_VERSION: Final = 2  # from 2 on it names the decision's entry
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
       that is held stays held until the hold is lifted. Otherwise only its owner goes on (`JobNotOwned`).
    2. Read the registry's head and every change after the position the candidate was checked at, each
       with its whole subject as it is now.
    3. Ask ``recheck`` about those changes (also when there are none). Anything but allow rolls
       everything back, and the job is recorded as held with the reasons. An exception publishes nothing.
       So does a rule that it rests on (``shown``) and that is used up for the day of ``now``.
    4. Record the decision and append it to the log, then the release.
    5. Record what scans read of it, the release, what was seen of it, what it was made from, and the rules
       that it used, at the head that was read.
    6. Sign and store the checkpoint.
    A hold that the fence makes is recorded and logged as a decision of its own.

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
            owners.demand(conn, candidate.job_id, candidate.owner)
            return _publish(conn, candidate, asked, recheck, now, sign_checkpoint)
    except _NotAllowed as refusal:
        with write(engine) as conn:
            return _hold(conn, candidate, refusal, now, sign_checkpoint, also_held)


def withdraw(
    engine: Engine, release_id: str, *, why: Json, now: str, sign_checkpoint: NoteSigner, hold: bool = True
) -> Release:
    """Stop serving a release by hand, with a log entry whose private part says why.

    A second time does nothing. What was made from it becomes cases; ``hold``: and stops being served until
    they are decided.
    """
    with write(engine) as conn:
        if recalls.stop(conn, release_id, recalls.MANUAL, "", why=why, now=now, hold=hold):
            log.add_checkpoint(conn, sign_checkpoint, now)
        return demand(conn, release_id)


def record_decision(conn: Connection, job_id: str, made: DecisionLike) -> str:
    """Record and log a decision about a job once, and return its id."""
    return decisions.record(conn, job_id, made, made.decided_at).id


def get(engine: Engine, release_id: str) -> Release | None:
    """Return a release by its id."""
    with read(engine) as conn:
        return one(conn, release.c.id == release_id)


def find_by_payload(engine: Engine, payload: str) -> Release | None:
    """Return the release that carries a payload (16 hex digits)."""
    with read(engine) as conn:
        return one(conn, release.c.payload == payload)


def find_by_urn(engine: Engine, urn: str) -> Release | None:
    """Return the release whose manifest has this URN."""
    with read(engine) as conn:
        return one(conn, release.c.urn == urn)


def find_by_job(engine: Engine, job_id: str) -> Release | None:
    """Return the release of a job."""
    with read(engine) as conn:
        return one(conn, release.c.job_id == job_id)


def list_releases(engine: Engine, *, before: str | None = None, limit: int = 100) -> list[Release]:
    """Return releases, newest first; ``before`` is the last id of the page before."""
    query = select(release).order_by(release.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(release.c.id < before)
    with read(engine) as conn:
        return [loaded(row) for row in conn.execute(query)]


def _known(conn: Connection, job_id: str) -> Release | Held | None:
    return one(conn, release.c.job_id == job_id) or holds.open_hold(conn, job_id)


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


def _hold(
    conn: Connection, candidate: Candidate, refusal: _NotAllowed, now: str, signer: NoteSigner,
    also_held: holds.AlsoHeld,
) -> Held:  # fmt: skip
    """Hold a job whose clip the fence refused; one that is held already keeps its reasons."""
    known = holds.open_hold(conn, candidate.job_id)
    if known is not None:
        return known
    owners.demand(conn, candidate.job_id, candidate.owner)
    said = Reason(code="held", check="publish_fence", detail=f"The recheck said {refusal}.")
    reasons, checked = refusal.result.reasons or (said,), candidate.decision
    made = decisions.Made(
        verdict=BLOCK if str(refusal.result.verdict) == BLOCK else REVIEW, policy=checked.policy,
        policy_version=checked.policy_version, checks=checked.checks, reasons=reasons,
        registry_seq=refusal.seq, decided_at=now,
    )  # fmt: skip
    decisions.record(conn, candidate.job_id, made, now)
    held = holds.hold(conn, candidate.job_id, reasons, refusal.seq, now)
    also_held(conn, held)
    log.add_checkpoint(conn, signer, now)
    return held


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
    decided = decisions.record(conn, candidate.job_id, candidate.decision, now)  # 4
    entry = log.append(conn, "release", _public(release_id, candidate, seen, decided.seq), None, now)
    row = _row(candidate, decided.id)
    row |= {"id": release_id, "registry_seq": seen, "log_seq": entry.seq, "published_at": now}
    looks.store(conn, release_id, candidate.facts)  # 5
    conn.execute(release.insert().values(**row, state=ReleaseState.RELEASED, state_seq=entry.seq))
    sights.store(conn, release_id, candidate.sight)
    uses.record(conn, release_id, shown, account, now)
    parents.store(conn, release_id, candidate.parents)
    log.add_checkpoint(conn, signer, now)  # 6
    made = one(conn, release.c.id == release_id)
    if made is None:
        raise ConstraintBroken("The registry did not keep the release; nothing was published.")
    return made


def _public(release_id: str, candidate: Candidate, seen: int, decision_seq: int | None = None) -> Json:
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
        "decision_seq": decision_seq,
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
        "facts": {name: told for name, told in candidate.facts.items() if name != looks.READING},
    }
