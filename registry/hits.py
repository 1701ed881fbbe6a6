"""How often what was registered is found in jobs that end held or refused: statistics, not evidence.

One row for each job and reference, with the day and a digest of the account: enough to see that a reference
matches suddenly, and for many accounts. Old rows are deleted.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, select

from registry.db import read, write
from registry.tables import job, log_entry
from registry.tables_quarantine import quarantine, reference_hit

FORGET_BATCH: Final = 5_000  # rows per write transaction


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """What was found: kind and item as in `registry.quarantine`."""

    subject: str
    kind: str
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Within some days: jobs that an item was found in, accounts whose they are, all jobs that ended."""

    hits: int
    accounts: int
    jobs: int

    @property
    def share(self) -> float:
        """The share of all jobs in which it was found."""
        return self.hits / self.jobs if self.jobs else 0.0


def record(engine: Engine, job_id: str, account: str, items: Iterable[Item], day: str) -> None:
    """Note that these were found in a job; a second time does nothing."""
    digest = hashlib.sha256(account.encode()).hexdigest()
    with write(engine) as conn:
        query = select(reference_hit.c.subject_id, reference_hit.c.kind, reference_hit.c.item)
        known = {Item(*row) for row in conn.execute(query.where(reference_hit.c.job_id == job_id))}
        rows = [
            {"job_id": job_id, "subject_id": one.subject, "kind": one.kind, "item": one.item,
             "account": digest, "day": day}
            for one in sorted(set(items) - known)
        ]  # fmt: skip
        if rows:
            conn.execute(reference_hit.insert(), rows)


def traffic(conn: Connection, item: Item, first: str, last: str) -> Traffic:
    """What is known of an item from one day to another, both included."""
    of = (
        reference_hit.c.subject_id == item.subject, reference_hit.c.kind == item.kind,
        reference_hit.c.item == item.item, reference_hit.c.day >= first, reference_hit.c.day <= last,
    )  # fmt: skip
    hits, accounts = conn.execute(
        select(func.count(), func.count(func.distinct(reference_hit.c.account))).where(*of)
    ).one()
    ended = select(func.count()).select_from(job)
    within = ended.where(job.c.finished_at >= first, job.c.finished_at < f"{last}U")  # after any time of it
    return Traffic(hits=hits, accounts=accounts, jobs=int(conn.execute(within).scalar_one()))


def jobs_of(conn: Connection, subject_id: str, days: int, now: str) -> int:
    """In how many jobs that were held or refused a subject was found in the last days."""
    first = (date.fromisoformat(now[:10]) - timedelta(days=days - 1)).isoformat()
    query = select(func.count(func.distinct(reference_hit.c.job_id)))
    query = query.where(reference_hit.c.subject_id == subject_id, reference_hit.c.day >= first)
    return int(conn.execute(query).scalar_one())


def loudest(engine: Engine, since: str, limit: int) -> list[tuple[Item, int, int]]:
    """What was found most often since a day: hits and accounts."""
    key = (reference_hit.c.subject_id, reference_hit.c.kind, reference_hit.c.item)
    hits = func.count().label("hits")
    query = select(*key, hits, func.count(func.distinct(reference_hit.c.account)))
    query = query.where(reference_hit.c.day >= since).group_by(*key).order_by(hits.desc(), *key)
    with read(engine) as conn:
        return [(Item(*row[:3]), row[3], row[4]) for row in conn.execute(query.limit(limit))]


def last_released(conn: Connection, item: Item) -> str | None:
    """When an operator last let an item out of quarantine."""
    joined = quarantine.join(log_entry, log_entry.c.seq == quarantine.c.removed_seq)
    query = select(func.max(log_entry.c.at)).select_from(joined)
    found = conn.execute(
        query.where(
            quarantine.c.subject_id == item.subject,
            quarantine.c.kind == item.kind,
            quarantine.c.item == item.item,
        )
    ).scalar()
    return None if found is None else str(found)


def forget(engine: Engine, before: str) -> int:
    """Delete what is older than a day; return how many rows."""
    jobs = select(reference_hit.c.job_id).where(reference_hit.c.day < before).limit(FORGET_BATCH)
    gone = 0
    while True:
        with write(engine) as conn:
            ids = sorted({row.job_id for row in conn.execute(jobs)})
            if not ids:
                return gone
            gone += conn.execute(delete(reference_hit).where(reference_hit.c.job_id.in_(ids))).rowcount
