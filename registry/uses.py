"""What releases used: rules, counted by day, and the subjects that were found in them and allowed.

A use is counted in the transaction that publishes the release. All writers come one after another, so a
cap cannot be overtaken: the database refuses a use beyond it, and a use that skips a number.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Text, func, select, type_coerce

from registry import holds
from registry.db import read, write
from registry.ids import parse_time
from registry.naming import about, whom
from registry.ruling import Used
from registry.subject_types import RuleRow
from registry.tables import held, release, rule
from registry.tables_rules import release_subject, rule_use
from registry.types import Held, Reason
from registry.vocabulary import from_json

CAP_REACHED: Final = "cap_reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A subject that a release shows or names, by its owner's leave; ``rule``: which rule gave it, if any."""

    subject: str
    intent: str
    rule: str | None


def today(engine: Engine, rules: Collection[str], account: str | None, now: str) -> dict[str, Used]:
    """How often each of these rules was used on the day of ``now`` (UTC), by the account and by all."""
    if not rules:
        return {}
    with read(engine) as conn:
        return {rule_id: _used(conn, rule_id, account, day_of(now)) for rule_id in rules}


def day_of(now: str) -> str:
    """The day (UTC) in which a time lies."""
    return parse_time(now).date().isoformat()


def used_up(conn: Connection, shown: Sequence[Shown], account: str, now: str) -> Reason | None:
    """Why these uses cannot be had today, inside the transaction that would record them; None if they can."""
    for rule_id in _rules(shown):
        columns = rule.c.conditions, rule.c.subject_id
        row = conn.execute(select(*columns).where(rule.c.id == rule_id)).first()
        conditions = from_json(row.conditions if row else {})
        used = _used(conn, rule_id, account, day_of(now))
        caps = ((conditions.cap_account, used.account), (conditions.cap_all, used.everybody))
        if any(cap is not None and count >= cap for cap, count in caps):
            evidence = about(conn, row.subject_id) if row else {}
            told = f"The permission to show {whom(evidence)} is used up for today."
            return Reason(
                code=CAP_REACHED, check="publish_fence", detail=told, evidence={"rule": rule_id, **evidence}
            )
    return None


def record(conn: Connection, release_id: str, shown: Sequence[Shown], account: str, now: str) -> None:
    """Count the uses, and record who is in the release; in the transaction that publishes it."""
    for rule_id in _rules(shown):
        used = _used(conn, rule_id, account, day_of(now))
        row: dict[str, Any] = {"release_id": release_id, "rule_id": rule_id, "account": account}
        row |= {"day": day_of(now), "number": used.everybody + 1, "account_number": used.account + 1}
        conn.execute(rule_use.insert().values(**row))
    for subject_id, intent in dict.fromkeys((one.subject, one.intent) for one in shown):
        who = {"release_id": release_id, "subject_id": subject_id, "intent": intent}
        conn.execute(release_subject.insert().values(**who))


def lift_of_days_before(engine: Engine, now: str) -> list[str]:
    """Lift the holds of jobs that nothing but a cap held on an earlier day; they are judged anew."""
    named = type_coerce(held.c.reasons, Text).like(f'%"{CAP_REACHED}"%')
    with read(engine) as conn:
        ids = conn.execute(select(held.c.job_id).where(held.c.lifted_at.is_(None), named)).scalars().all()
        found = [holds.open_hold(conn, job_id) for job_id in sorted(ids)]
    waiting = [one for one in found if one is not None and _only_capped(one, now)]
    for one in waiting:
        with write(engine) as conn:
            still = holds.open_hold(conn, one.job_id)
            if still is not None and still.id == one.id:
                holds.lift(conn, one.job_id, "another day", now)
    return [one.job_id for one in waiting]


def _only_capped(one: Held, now: str) -> bool:
    return day_of(one.held_at) < day_of(now) and all(reason.code == CAP_REACHED for reason in one.reasons)


def releases_of(engine: Engine, subject_id: str, *, account: str | None = None) -> list[str]:
    """Ids of the releases in which a subject was found and allowed, newest first; of one account, if told."""
    query = select(release.c.id, release.c.facts).join(
        release_subject, release_subject.c.release_id == release.c.id
    )
    query = query.where(release_subject.c.subject_id == subject_id).order_by(release.c.id.desc())
    with read(engine) as conn:
        rows = conn.execute(query).all()
    asked = [row.id for row in rows if account is None or row.facts.get("account") == account]
    return list(dict.fromkeys(asked))


def rules_of(engine: Engine, release_id: str) -> list[str]:
    """The rules that a release used."""
    query = select(rule_use.c.rule_id).where(rule_use.c.release_id == release_id).order_by(rule_use.c.rule_id)
    with read(engine) as conn:
        return [row.rule_id for row in conn.execute(query)]


def capped(rows: Sequence[RuleRow]) -> list[str]:
    """The rules among these that can be used up."""
    return [row.id for row in rows if row.conditions.capped]


def _rules(shown: Sequence[Shown]) -> list[str]:
    return sorted({one.rule for one in shown if one.rule is not None})


def _used(conn: Connection, rule_id: str, account: str | None, day: str) -> Used:
    here = (rule_use.c.rule_id == rule_id, rule_use.c.day == day)
    everybody = _last(conn, rule_use.c.number, *here)
    own = (
        0 if account is None else _last(conn, rule_use.c.account_number, *here, rule_use.c.account == account)
    )
    return Used(account=own, everybody=everybody)


def _last(conn: Connection, column: Any, *conditions: Any) -> int:
    return int(conn.execute(select(func.coalesce(func.max(column), 0)).where(*conditions)).scalar_one())
