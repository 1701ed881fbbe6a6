"""Rules and licences as they are set, taken back and logged; which of them counts is `registry.ruling`.

A licence, and a person's consent, is an allow for one account.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select

from registry import claim_log, log
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.delegations import demand_for_subject
from registry.drafts import NAME_CHARS_MAX, phrases
from registry.errors import NotFound, OptOutInvalid
from registry.ids import new_id, parse_time
from registry.party_types import Filing
from registry.ruling import Ask, ruling
from registry.subject_types import RuleRow, SubjectRecord
from registry.tables import rule, subject
from registry.vocabulary import EFFECTS, NO_CONDITIONS, Conditions, check_conditions, from_json, to_json

ENTRY_VERSION: Final = 1
PRIORITY_MAX: Final = 1000
RULES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What counts for an account: allow | review | block, by which rule (None: the subject's mode)."""

    effect: str
    rule_id: str | None
    licence: bool


def effect(record: SubjectRecord, account: str | None, now: str) -> Effect:
    """What counts for an account that says nothing else (None: nobody in particular), at a time."""
    found = ruling(record, Ask(account=account), now)
    return Effect(effect=found.outcome, rule_id=found.rule, licence=found.licence)


def set_rule(
    engine: Engine, subject_id: str, effect: str, *, account: str | None = None,
    valid_from: str | None = None, valid_until: str | None = None, priority: int = 0,
    conditions: Conditions = NO_CONDITIONS, by: str | None = None, now: str, sign_checkpoint: NoteSigner,
) -> RuleRow:  # fmt: skip
    """Add a rule to a subject in force; ``by``: the party that does, None for the operator.

    Raises `OptOutInvalid`, `NotFound`, `ActRefused`.
    """
    made = RuleRow(
        id=new_id(now), subject=subject_id, effect=effect, account=account, valid_from=valid_from,
        valid_until=valid_until, priority=priority, licence=False, conditions=conditions,
    )  # fmt: skip
    return _set(engine, made, by, now, sign_checkpoint)


def grant_licence(
    engine: Engine, subject_id: str, account: str, *, valid_from: str | None = None,
    valid_until: str | None = None, conditions: Conditions = NO_CONDITIONS, by: str | None = None,
    now: str, sign_checkpoint: NoteSigner,
) -> RuleRow:  # fmt: skip
    """Allow one account to use a subject; ``by``: as `set_rule`. Raises as it does."""
    made = RuleRow(
        id=new_id(now), subject=subject_id, effect="allow", account=account, valid_from=valid_from,
        valid_until=valid_until, priority=0, licence=True, conditions=conditions,
    )  # fmt: skip
    return _set(engine, made, by, now, sign_checkpoint)


def unset_rule(
    engine: Engine, rule_id: str, *, by: str | None = None, now: str, sign_checkpoint: NoteSigner
) -> int:
    """Take a rule out of force and return the log position; a second time does nothing."""
    return _unset(engine, rule_id, False, by, now, sign_checkpoint)


def revoke_licence(
    engine: Engine, rule_id: str, *, by: str | None = None, now: str, sign_checkpoint: NoteSigner
) -> int:
    """Take a licence back and return the log position; a second time does nothing."""
    return _unset(engine, rule_id, True, by, now, sign_checkpoint)


def _set(engine: Engine, made: RuleRow, by: str | None, now: str, signer: NoteSigner) -> RuleRow:
    with write(engine) as conn:
        path = demand_for_subject(conn, by, made.subject, "rules", now)
        insert(conn, made, now, by=by)
        if by is not None and made.licence:
            said = Filing(by=by, kind="licence_grant")
            whose = conn.execute(select(subject.c.party_id).where(subject.c.id == made.subject)).scalar_one()
            claim_log.file(conn, said, whose, path, claim_log.ACTIVE, subject_id=made.subject, now=now)
        log.add_checkpoint(conn, signer, now)
    return made


def insert(conn: Connection, made: RuleRow, now: str, *, by: str | None = None) -> int:
    """Set a rule inside the caller's transaction, which signs the checkpoint; return its log position.

    ``by``: the party that does it, whose right the caller has seen to; None for the operator.

    Raises `OptOutInvalid`, `NotFound`.
    """
    _check(made)
    row = conn.execute(select(subject).where(subject.c.id == made.subject)).first()
    if row is None or row.state != "active":
        raise NotFound(f"There is no opt-out {made.subject[:40]!r} in force.")
    here = (rule.c.subject_id == made.subject, rule.c.removed_seq.is_(None))
    if len(conn.execute(select(rule.c.id).where(*here)).all()) >= RULES_MAX:
        raise OptOutInvalid(f"A subject has at most {RULES_MAX} rules; take some back first.")
    seq = _log(conn, made, "grant" if made.licence else "set", by, now)
    values: dict[str, Any] = {"id": made.id, "subject_id": made.subject, "account": made.account}
    values |= {"valid_from": made.valid_from, "valid_until": made.valid_until}
    values |= {"effect": made.effect, "priority": made.priority, "licence": int(made.licence), "log_seq": seq}
    conn.execute(rule.insert().values(**values, conditions=to_json(made.conditions)))
    return seq


def _unset(engine: Engine, rule_id: str, licence: bool, by: str | None, now: str, signer: NoteSigner) -> int:
    with write(engine) as conn:
        row = conn.execute(select(rule).where(rule.c.id == rule_id, rule.c.licence == int(licence))).first()
        if row is None:
            raise NotFound(f"There is no {'licence' if licence else 'rule'} {rule_id[:40]!r}.")
        demand_for_subject(conn, by, row.subject_id, "rules", now)
        if row.removed_seq is not None:
            return int(row.removed_seq)
        seq = _log(conn, loaded(row), "revoke" if licence else "unset", by, now)
        conn.execute(rule.update().where(rule.c.id == rule_id).values(removed_seq=seq))
        log.add_checkpoint(conn, signer, now)
    return seq


def _log(conn: Connection, row: RuleRow, action: str, by: str | None, now: str) -> int:
    """Log what happens to a rule, and move its subject there. Whom it is for is nobody else's business."""
    public: Json = {
        "v": ENTRY_VERSION, "subject": row.subject, "action": action, "rule": row.id, "effect": row.effect,
    }  # fmt: skip
    private: Json = {
        "account": row.account, "valid_from": row.valid_from, "valid_until": row.valid_until,
        "priority": row.priority, "conditions": to_json(row.conditions), "by": by,
    }  # fmt: skip
    entry = log.append(conn, "licence" if row.licence else "rule", public, private, now)
    conn.execute(subject.update().where(subject.c.id == row.subject).values(changed_seq=entry.seq))
    return entry.seq


def _check(row: RuleRow) -> None:
    if row.effect not in EFFECTS:
        raise OptOutInvalid(f"{row.effect[:40]!r} is no effect; choose one of: {', '.join(EFFECTS)}.")
    if abs(row.priority) > PRIORITY_MAX:
        raise OptOutInvalid(f"A priority lies between -{PRIORITY_MAX} and {PRIORITY_MAX}.")
    if row.account is not None:
        phrases("account", [row.account], NAME_CHARS_MAX)
    times = [parse_time(time) for time in (row.valid_from, row.valid_until) if time is not None]
    if len(times) == 2 and times[0] >= times[1]:
        raise OptOutInvalid("The rule would end before it begins; exchange the two times.")
    check_conditions(row.conditions, effect=row.effect, account=row.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A rule or licence, since which log entry it is in force, and with which it ended, if it did."""

    rule: RuleRow
    seq: int
    ended_seq: int | None


def of_subject(
    engine: Engine, subject_id: str, *, ended: bool = False, after: str = "", limit: int = 100
) -> list[Listed]:
    """A subject's own rules and licences by id, oldest first; ``ended``: also those of the past."""
    query = select(rule).where(rule.c.subject_id == subject_id, rule.c.id > after)
    query = query if ended else query.where(rule.c.removed_seq.is_(None))
    with read(engine) as conn:
        rows = conn.execute(query.order_by(rule.c.id).limit(limit)).all()
    return [_listed(row) for row in rows]


def find(engine: Engine, rule_id: str) -> Listed | None:
    """A rule or licence of whatever time."""
    with read(engine) as conn:
        row = conn.execute(select(rule).where(rule.c.id == rule_id)).first()
    return None if row is None else _listed(row)


def _listed(row: Row[Any]) -> Listed:
    return Listed(rule=loaded(row), seq=row.log_seq, ended_seq=row.removed_seq)


def document(row: RuleRow) -> Json:
    """A rule, for a program."""
    return {
        "rule": row.id, "subject": row.subject, "effect": row.effect, "account": row.account,
        "from": row.valid_from, "until": row.valid_until, "priority": row.priority, "licence": row.licence,
        "conditions": to_json(row.conditions),
    }  # fmt: skip


def loaded(row: Row[Any]) -> RuleRow:
    """A rule as it is stored."""
    return RuleRow(
        id=row.id, subject=row.subject_id, effect=row.effect, account=row.account, valid_from=row.valid_from,
        valid_until=row.valid_until, priority=row.priority, licence=bool(row.licence),
        conditions=from_json(row.conditions),
    )  # fmt: skip
