"""What is out, newest first, with what a page has to know before it shows a clip to everybody."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, select

from registry.release_rows import loaded
from registry.tables import decision, held, job, release
from registry.types import Release, ReleaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A release that is served. ``kind``: of its job; ``policy`` and ``checks``: of the decision that let it
    leave; ``held_for``: codes of all that its job was ever held for, whoever lifted that; ``given``: whether
    it was made from files that somebody gave.
    """

    release: Release
    kind: str
    policy: str
    checks: dict[str, str]
    held_for: frozenset[str]
    given: bool = False


def newest(conn: Connection, *, before: str = "", limit: int) -> list[Entry]:
    """Releases that are served, newest first; ``before``: the last id of the page before."""
    query = select(release).where(release.c.state == ReleaseState.RELEASED).order_by(release.c.id.desc())
    if before:
        query = query.where(release.c.id < before)
    found = [loaded(row) for row in conn.execute(query.limit(limit))]
    jobs, decided = [one.job_id for one in found], [one.decision_id for one in found]
    kinds = {
        str(row.id): str(row.kind)
        for row in conn.execute(select(job.c.id, job.c.kind).where(job.c.id.in_(jobs)))
    }
    told = select(decision.c.id, decision.c.policy, decision.c.checks).where(decision.c.id.in_(decided))
    decisions = {str(row.id): row for row in conn.execute(told)}
    codes = defaultdict[str, set[str]](set)
    for row in conn.execute(select(held.c.job_id, held.c.reasons).where(held.c.job_id.in_(jobs))):
        codes[str(row.job_id)] |= {str(reason["code"]) for reason in row.reasons}
    return [
        Entry(
            release=one, kind=kinds[one.job_id], policy=str(decisions[one.decision_id].policy),
            checks=dict(decisions[one.decision_id].checks), held_for=frozenset(codes[one.job_id]),
            given=bool(one.facts.get("inbound")),
        )
        for one in found
    ]  # fmt: skip
