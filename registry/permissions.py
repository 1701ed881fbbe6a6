"""Ask me: a held job asks the holders whose wish holds it, and goes on, or is refused, by their answers.

1. A hold whose every reason is a holder's wish to be asked makes one request for each subject, in the
   transaction of the hold. The request says who asks, what for, and the prompt.
2. A holder approves this job alone, or the account (a licence, with conditions); or refuses. An approval is
   an allow rule that names the request, so that the release can say by whose leave it is out. It is for what
   was asked, to depict or a style, unless the holder says for which of them.
3. When all requests of a hold are approved the hold is lifted in the same transaction; the job is open
   again, and is judged anew from the gate to the fence.
4. A refusal, or the end of the clock, ends the job as refused, and the other requests of that hold with it.
   It is a decision, recorded and logged like others, so that who asked is told why and may appeal.
5. An answer is given once. The same answer a second time changes nothing.
6. Who answers for a holder has the right to by delegations; the log's private part says who did.
7. People who decide about a hold may ask a holder, too, whatever the subject's mode (`registry.reviews`).
   Then a yes and silence give the case back to people, and lift nothing: what else was found is theirs to
   judge. A no is a no (4).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, func, select

from registry import decisions, delegations, holds, log, rules
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.errors import NotFound, PermissionAnswered
from registry.ids import later, new_id, parse_time
from registry.naming import about, whom
from registry.subject_types import RuleRow
from registry.tables import held, job, subject
from registry.tables_rules import permission
from registry.types import Held, JobState, Reason, ReasonLike
from registry.vocabulary import NO_CONDITIONS, Conditions, to_json

ENTRY_VERSION: Final = 1
ASKED: Final = "asked"
APPROVED: Final = "approved"
REFUSED: Final = "refused"
EXPIRED: Final = "expired"
STATES: Final = (ASKED, APPROVED, REFUSED, EXPIRED)
ONCE: Final = "once"
ACCOUNT: Final = "account"
_VERBS: Final = {APPROVED: "approve", REFUSED: "refuse", EXPIRED: "expire"}
_TOLD: Final = {
    REFUSED: "The rights holder of {whom} was asked, and refused.",
    EXPIRED: "The rights holder of {whom} was asked, and did not answer in time.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a holder is shown: who asks, for which purpose, with which prompt; ``preview``: a staged file.

    ``days``: until the answer is taken for a refusal.
    """

    account: str
    purpose: str
    prompt: str
    preview: str
    days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A request and its answer. ``answer``: what was said; ``rule``: what an approval made; ``asked_by``: the
    person who asked (7), empty where the hold itself does.
    """

    id: str
    job_id: str
    subject_id: str
    party_id: str
    account: str
    purpose: str
    intent: str
    prompt: str
    preview: str
    asked_at: str
    due_at: str
    log_seq: int
    state: str
    answered_at: str | None
    answer: Json | None
    rule_id: str | None
    answer_seq: int | None
    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a holder grants: this job alone (``scope`` once), or the account, within conditions and a time."""

    scope: str = ONCE
    conditions: Conditions = NO_CONDITIONS
    valid_until: str | None = None


def wanted(reasons: Iterable[ReasonLike]) -> list[tuple[str, str]]:
    """Subject and intent of each request that these reasons ask for; none where anything else holds."""
    told = [reason.evidence for reason in reasons]
    if not all(evidence.get("asks") is True for evidence in told):
        return []
    return list(dict.fromkeys((str(e.get("subject", "")), str(e.get("intent", ""))) for e in told))


def ask(conn: Connection, hold: Held, request: Request, *, now: str, signer: NoteSigner) -> list[Permission]:
    """Rule 1, inside the transaction of a new hold; nothing where something else holds the job, too."""
    return ask_about(conn, hold, request, wanted(hold.reasons), now=now, signer=signer)


def ask_about(
    conn: Connection, hold: Held, request: Request, whom: Iterable[tuple[str, str]], *, by: str = "",
    now: str, signer: NoteSigner,
) -> list[Permission]:  # fmt: skip
    """Ask about each subject and intent; ``by``: the person who asks, empty where the hold does (7)."""
    due_at = later(now, timedelta(days=request.days))
    made = [_ask(conn, hold, request, who, by, now, due_at) for who in whom]
    if made:
        log.add_checkpoint(conn, signer, now)
    return made


def of_hold(conn: Connection, held_id: str) -> list[Permission]:
    """What holders were asked about a hold, the oldest first."""
    query = select(permission).where(permission.c.held_id == held_id).order_by(permission.c.id)
    return [_loaded(row) for row in conn.execute(query)]


def approve(
    engine: Engine, permission_id: str, approval: Approval, *, by: str | None = None, now: str,
    sign_checkpoint: NoteSigner,
) -> Permission:  # fmt: skip
    """Rules 2 and 3; ``by``: the party that answers, None for the operator (6).

    Raises `NotFound`, `PermissionAnswered`, `OptOutInvalid`, `ActRefused`.
    """
    granted = replace(approval.conditions, job="", permission=permission_id)
    answer: Json = {
        "scope": approval.scope, "valid_until": approval.valid_until,
        "conditions": to_json(approval.conditions),
    }  # fmt: skip
    return _answer(engine, permission_id, APPROVED, answer, (approval, granted), by, now, sign_checkpoint)


def refuse(
    engine: Engine, permission_id: str, *, why: str, by: str | None = None, now: str,
    sign_checkpoint: NoteSigner,
) -> Permission:  # fmt: skip
    """Rule 4; ``by``: as `approve`. Raises `NotFound`, `PermissionAnswered`, `ActRefused`."""
    return _answer(engine, permission_id, REFUSED, {"why": why}, None, by, now, sign_checkpoint)


def expire_due(engine: Engine, *, now: str, sign_checkpoint: NoteSigner) -> list[Permission]:
    """Take every request whose time is over for refused; done again, it does nothing."""
    at = parse_time(now)
    with read(engine) as conn:
        rows = conn.execute(select(permission.c.id, permission.c.due_at).where(permission.c.state == ASKED))
        over = sorted(row.id for row in rows if parse_time(row.due_at) <= at)
    ended = []
    for permission_id in over:
        with write(engine) as conn:
            row = _row(conn, permission_id)
            if row.state == ASKED:
                _end(conn, row, EXPIRED, None, now)
                log.add_checkpoint(conn, sign_checkpoint, now)
                ended.append(_loaded(_row(conn, permission_id)))
    return ended


def get(engine: Engine, permission_id: str) -> Permission:
    """Return a request by its id. Raises `NotFound`."""
    with read(engine) as conn:
        return _loaded(_row(conn, permission_id))


def list_permissions(
    engine: Engine, *, state: str | None = None, party: str | None = None, job_id: str | None = None,
    after: str = "", limit: int = 100,
) -> list[Permission]:  # fmt: skip
    """Return requests, oldest first; ``after``: the last id of the page before."""
    query = select(permission).where(permission.c.id > after).order_by(permission.c.id).limit(limit)
    for column, value in (("state", state), ("party_id", party), ("job_id", job_id)):
        query = query if value is None else query.where(permission.c[column] == value)
    with read(engine) as conn:
        return [_loaded(row) for row in conn.execute(query)]


def counts(engine: Engine, party: str) -> dict[str, int]:
    """How many requests a party was made, by their state."""
    query = select(permission.c.state, func.count()).where(permission.c.party_id == party)
    with read(engine) as conn:
        return {str(row[0]): int(row[1]) for row in conn.execute(query.group_by(permission.c.state))}


def _ask(
    conn: Connection, hold: Held, request: Request, who: tuple[str, str], by: str, now: str, due_at: str
) -> Permission:
    subject_id, intent = who
    whose = conn.execute(select(subject.c.party_id).where(subject.c.id == subject_id)).first()
    if whose is None:
        raise NotFound(f"There is no opt-out {subject_id[:40]!r} to ask about.")
    row: dict[str, Any] = {
        "id": new_id(now), "job_id": hold.job_id, "subject_id": subject_id, "party_id": whose.party_id,
        "intent": intent, "asked_at": now, "due_at": due_at, "state": ASKED, "asked_by": by,
    }  # fmt: skip
    row |= {name: getattr(request, name) for name in ("account", "purpose", "prompt", "preview")}
    told: Json = {
        "job": hold.job_id, "account": request.account, "purpose": request.purpose,
        "prompt_sha256": hashlib.sha256(request.prompt.encode()).hexdigest(),
        **({"by": by} if by else {}),
    }  # fmt: skip
    row["log_seq"] = log.append(conn, "permission", _public(row, "ask"), told, now).seq
    conn.execute(permission.insert().values(**row, held_id=hold.id))
    return _loaded(_row(conn, row["id"]))


def _answer(
    engine: Engine, permission_id: str, state: str, answer: Json,
    granted: tuple[Approval, Conditions] | None, by: str | None, now: str, signer: NoteSigner,
) -> Permission:  # fmt: skip
    with write(engine) as conn:
        row = _row(conn, permission_id)
        delegations.demand_for_subject(conn, by, row.subject_id, "answer", now)
        late = row.state == ASKED and parse_time(row.due_at) <= parse_time(now)
        if row.state == ASKED:
            rule_id = _grant(conn, row, *granted, by, now) if granted and not late else None
            _end(conn, row, EXPIRED if late else state, None if late else answer, now, rule_id, by)
            log.add_checkpoint(conn, signer, now)
        made = _loaded(_row(conn, permission_id))
    if made.state != state or made.answer != answer:
        raise PermissionAnswered(f"The request {permission_id} is {made.state} already; ask for a new one.")
    return made


def _grant(
    conn: Connection, row: Row[Any], approval: Approval, conditions: Conditions, by: str | None, now: str
) -> str | None:
    """The allow rule of an approval; None where nobody needs one, since the subject is out of force."""
    state = conn.execute(select(subject.c.state).where(subject.c.id == row.subject_id)).scalar()
    if state != "active":
        return None
    conditions = replace(conditions, intent=conditions.intent or row.intent)  # none would be both
    if approval.scope == ONCE:
        conditions = replace(conditions, job=row.job_id)
    made = RuleRow(
        id=new_id(now), subject=row.subject_id, effect="allow", account=row.account, valid_from=None,
        valid_until=approval.valid_until, priority=0, licence=True, conditions=conditions,
    )  # fmt: skip
    rules.insert(conn, made, now, by=by)
    return made.id


def _end(
    conn: Connection, row: Row[Any], state: str, answer: Json | None, now: str, rule_id: str | None = None,
    by: str | None = None,
) -> None:  # fmt: skip
    """Record an answer, and what follows for the job (rules 3 and 4), if that very hold still holds it."""
    told: Json = {"account": row.account, "answer": answer, "rule": rule_id, "by": by}
    entry = log.append(conn, "permission", _public(row._asdict(), _VERBS[state]), told, now)
    values = {"state": state, "answered_at": now, "answer": answer, "rule_id": rule_id}
    conn.execute(permission.update().where(permission.c.id == row.id).values(**values, answer_seq=entry.seq))
    still = conn.execute(select(held.c.lifted_at).where(held.c.id == row.held_id)).one()
    if still.lifted_at is not None or (row.asked_by and state != REFUSED):  # 7
        return
    others = conn.execute(select(permission).where(permission.c.held_id == row.held_id)).all()
    if state == APPROVED:
        if all(other.state == APPROVED for other in others):
            holds.lift(conn, row.job_id, f"permission {row.id}", now)
        return
    _refuse_job(conn, row, state, now)
    for other in others:
        if other.state == ASKED:
            _end(conn, other, EXPIRED, {"why": f"request {row.id} was {state}"}, now)


def _refuse_job(conn: Connection, row: Row[Any], state: str, now: str) -> None:
    before = conn.execute(select(job.c.result).where(job.c.id == row.job_id)).one().result or {}
    evidence = about(conn, row.subject_id)
    told = Reason(
        code=f"permission_{state}", check="permission", detail=_TOLD[state].format(whom=whom(evidence)),
        evidence={"permission": row.id, **evidence},
    )  # fmt: skip
    made, reason = decisions.latest(conn, row.job_id), holds.reason_json(told)
    if made is not None:
        made = replace(made, verdict="block", reasons=(told,), decided_at=now)
        decisions.record(conn, row.job_id, made, now)
    decided = before.get("decision")
    decision = decided | {"verdict": "block", "reasons": [reason]} if isinstance(decided, dict) else None
    holds.lift(conn, row.job_id, f"permission {row.id} {state}", now)
    values = {"state": JobState.REFUSED, "finished_at": now}
    result = {"decision": decision, "reasons": [reason]}
    conn.execute(job.update().where(job.c.id == row.job_id).values(**values, result=result))


def _public(row: dict[str, Any], action: str) -> Json:
    """What everybody may read: that somebody asked, and what came of it; neither who nor what for."""
    return {
        "v": ENTRY_VERSION, "permission": row["id"], "subject": row["subject_id"], "action": action,
    }  # fmt: skip


def _row(conn: Connection, permission_id: str) -> Row[Any]:
    row = conn.execute(select(permission).where(permission.c.id == permission_id)).first()
    if row is None:
        raise NotFound(f"There is no request for permission {permission_id[:40]!r}.")
    return row


def _loaded(row: Row[Any]) -> Permission:
    told = row._asdict()
    del told["held_id"]
    return Permission(**told)


def document(one: Permission) -> Json:
    """A request as a command or a route shows it."""
    told: Json = asdict(one)
    return told
