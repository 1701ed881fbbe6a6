"""Scans of what is out for changed wishes: how far each has come, and what it found.

1. A scan covers the log positions in (``after``, ``upto``] and the clock in (``since``, ``until``]; the next
   begins where it ends, so that every change is covered once. One is open at a time. Of several that lead to
   the head of the log the last covers the clock: what left meanwhile is before it, too.
2. It goes from the newest release to the oldest. What it found, what became of it and how far it is are
   written in one transaction: a scan that was killed goes on where it was, and counts nothing twice.
3. Two processes that scan at once do not clash: whoever comes second to write finds that the position has
   moved (`Moved`), writes nothing, and reads again.
4. Releases of which a comparison ran out of time are kept apart, and only those are compared again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from registry import cursors, log
from registry.ids import new_id, parse_time
from registry.subjects import PORTFOLIO, members
from registry.tables import log_entry, release, rule, subject
from registry.tables_recalls import (
    release_stop,
    retro_late,
    retro_match,
    retro_scan,
    retro_subject,
    review_case,
)
from registry.types import ReleaseState

CURSOR: Final = "retroscan"
"""Where scans stood before each was kept as a row."""
ROUND: Final = 2000
"""Log entries that can change a verdict, in one scan."""
OPEN, LATE, DONE = "open", "late", "done"
WITHDRAWN, HELD, CASE = "withdrawn", "held", "case"
BEGINNING: Final = ""
NEVER: Final = "1970-01-01T00:00:00Z"
"""Up to where a scan covers the clock that covers none of it, and is the first."""


class Moved(Exception):
    """Another process wrote this scan's position meanwhile; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A scan; see the module. ``position``: the last release that was compared, empty at first."""

    id: str
    after_seq: int
    upto_seq: int
    since: str
    until: str
    state: str
    position: str
    compared: int
    unclear: int
    begun_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a scan found in a release about a subject (or an API key), and what became of the release.

    ``outcome``: withdrawn | held (until a case is decided) | case (it is served meanwhile).
    """

    release: str
    about: str
    code: str
    score: float
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What came of looking for a subject: releases that match, of those withdrawn now, with an open case
    now; and how many could not be compared in full. ``searched``: whether any scan has looked for it.
    """

    matched: int
    withdrawn: int
    in_review: int
    unclear: int
    searched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far releases were compared with a change: ``compared`` of ``releases``."""

    releases: int
    compared: int
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A release in which a subject was found; ``served``: whether it is out now; ``at``: since when it is."""

    release: str
    served: bool
    at: str


def covered(conn: Connection) -> tuple[int, str]:
    """The log position and the time up to which scans were begun."""
    last = conn.execute(select(func.max(retro_scan.c.upto_seq), func.max(retro_scan.c.until))).one()
    return max(int(last[0] or 0), cursors.get(conn, CURSOR)), str(last[1] or BEGINNING)


def unfinished(conn: Connection) -> Scan | None:
    """The open scan, if there is one."""
    row = conn.execute(select(retro_scan).where(retro_scan.c.state == OPEN)).first()
    return None if row is None else _loaded(row)


def get(conn: Connection, scan_id: str) -> Scan:
    """A scan by its id."""
    return _loaded(conn.execute(select(retro_scan).where(retro_scan.c.id == scan_id)).one())


def late(conn: Connection) -> list[Scan]:
    """Ended scans some of whose releases are to be compared again, oldest first."""
    query = select(retro_scan).where(retro_scan.c.state == LATE).order_by(retro_scan.c.after_seq)
    return [_loaded(row) for row in conn.execute(query)]


def round_end(conn: Connection, after: int) -> int:
    """Where a scan that begins after a position ends: at the head, or after `ROUND` changes."""
    query = select(log_entry.c.seq).where(
        log_entry.c.seq > after, log_entry.c.kind.in_(sorted(log.VERDICT_CHANGING_KINDS))
    )
    last = conn.execute(query.order_by(log_entry.c.seq).offset(ROUND - 1).limit(1)).scalar()
    return log.head(conn) if last is None else int(last)


def clocked(conn: Connection, since: str, until: str) -> frozenset[str]:
    """Subjects of which a rule or licence in force began or ended by its date in (since, until]: its own, or
    one of a portfolio of its owner.
    """
    columns = (rule.c.subject_id, rule.c.valid_from, rule.c.valid_until, subject.c.kind, subject.c.party_id)
    query = select(*columns).join(subject, subject.c.id == rule.c.subject_id)
    query = query.where(
        rule.c.removed_seq.is_(None), (rule.c.valid_from.is_not(None)) | (rule.c.valid_until.is_not(None))
    )
    rows = [
        row for row in conn.execute(query)
        if any(_within(at, since, until) for at in (row.valid_from, row.valid_until))
    ]  # fmt: skip
    covered_by = {row.party_id for row in rows if row.kind == PORTFOLIO}
    return frozenset({row.subject_id for row in rows} | members(conn, covered_by))


def begin(
    conn: Connection, after: int, upto: int, since: str, until: str, subjects: Collection[str], now: str
) -> Scan:
    """Open a scan about these subjects; the database refuses one that does not follow the last."""
    made = new_id(now)
    row = {
        "id": made, "after_seq": after, "upto_seq": upto, "since": since, "until": until, "state": OPEN,
        "position": "", "compared": 0, "unclear": 0, "begun_at": now,
    }  # fmt: skip
    conn.execute(retro_scan.insert().values(**row))
    rows = [{"scan_id": made, "subject_id": subject, "unclear": 0} for subject in sorted(subjects)]
    if rows:
        conn.execute(retro_subject.insert(), rows)
    return get(conn, made)


def subjects_of(conn: Connection, scan: Scan) -> frozenset[str]:
    """The subjects that a scan looks for."""
    query = select(retro_subject.c.subject_id).where(retro_subject.c.scan_id == scan.id)
    return frozenset(str(row[0]) for row in conn.execute(query))


def advance(
    conn: Connection, scan: Scan, position: str, *, compared: int, unclear: Mapping[str, int],
    unclear_releases: int, found: Sequence[Found], too_late: Collection[str], now: str,
) -> Scan:  # fmt: skip
    """Write what was found up to ``position``; ``unclear``: releases by subject. Raises `Moved`."""
    same = (retro_scan.c.id == scan.id, retro_scan.c.position == scan.position, retro_scan.c.state == OPEN)
    values = {
        "position": position or scan.position, "compared": scan.compared + compared,
        "unclear": scan.unclear + unclear_releases,
    }  # fmt: skip
    if conn.execute(retro_scan.update().where(*same).values(**values)).rowcount != 1:
        raise Moved
    add_found(conn, scan, found, now)
    _add_unclear(conn, scan, unclear)
    rows = [{"scan_id": scan.id, "release_id": one} for one in too_late]
    if rows:
        conn.execute(retro_late.insert(), rows)
    return get(conn, scan.id)


def add_found(conn: Connection, scan: Scan, found: Sequence[Found], now: str) -> None:
    """Record what was found; what a release of this scan is found by again is recorded once."""
    query = select(retro_match.c.release_id, retro_match.c.about).where(
        retro_match.c.scan_id == scan.id, retro_match.c.release_id.in_({one.release for one in found})
    )
    known = {(str(row.release_id), str(row.about)) for row in conn.execute(query)} if found else set()
    rows = [
        {"scan_id": scan.id, "release_id": one.release, "about": one.about, "code": one.code,
         "score": one.score, "outcome": one.outcome, "at": now}
        for one in found if (one.release, one.about) not in known
    ]  # fmt: skip
    if rows:
        conn.execute(retro_match.insert(), rows)


def end(conn: Connection, scan: Scan, now: str) -> Scan:
    """End the open scan: late while some of its releases are to be compared again. Raises `Moved`."""
    same = (retro_scan.c.id == scan.id, retro_scan.c.position == scan.position, retro_scan.c.state == OPEN)
    state = LATE if late_releases(conn, scan, 1) else DONE
    if conn.execute(retro_scan.update().where(*same).values(state=state, ended_at=now)).rowcount != 1:
        raise Moved
    return get(conn, scan.id)


def late_releases(conn: Connection, scan: Scan, limit: int) -> list[str]:
    """Releases of a scan that are to be compared again."""
    query = select(retro_late.c.release_id).where(retro_late.c.scan_id == scan.id)
    return [str(row[0]) for row in conn.execute(query.order_by(retro_late.c.release_id.desc()).limit(limit))]


def settle(conn: Connection, scan: Scan, release_ids: Collection[str], unclear_releases: int) -> int:
    """These late releases are compared now; return how many were still waiting. Ends the scan after the last.

    Raises `Moved` where another process did it meanwhile.
    """
    gone = retro_late.delete().where(
        retro_late.c.scan_id == scan.id, retro_late.c.release_id.in_(release_ids)
    )
    count = conn.execute(gone).rowcount
    if count != len(release_ids):
        raise Moved
    here = retro_scan.update().where(retro_scan.c.id == scan.id, retro_scan.c.state == LATE)
    conn.execute(here.values(unclear=retro_scan.c.unclear + unclear_releases))
    if not late_releases(conn, scan, 1):
        conn.execute(here.values(state=DONE))
    return count


def counts(conn: Connection, subject_id: str) -> Counts:
    """What came of looking for a subject, over all scans."""
    mine = select(retro_match.c.release_id).where(retro_match.c.about == subject_id).distinct().subquery()
    joined = mine.join(release, release.c.id == mine.c.release_id)
    total = conn.execute(select(func.count()).select_from(mine)).scalar_one()
    gone = conn.execute(
        select(func.count()).select_from(joined).where(release.c.state == ReleaseState.WITHDRAWN)
    ).scalar_one()
    waiting = conn.execute(
        select(func.count(review_case.c.release_id.distinct())).where(
            review_case.c.about == subject_id, review_case.c.state == "open"
        )
    ).scalar_one()
    told = conn.execute(
        select(func.count(), func.sum(retro_subject.c.unclear)).where(
            retro_subject.c.subject_id == subject_id
        )
    ).one()
    return Counts(
        matched=int(total), withdrawn=int(gone), in_review=int(waiting), unclear=int(told[1] or 0),
        searched=bool(told[0]),
    )  # fmt: skip


def progress(conn: Connection, seq: int) -> Progress:
    """How far looking for the change at a position has come."""
    total = int(conn.execute(select(func.count()).select_from(release)).scalar_one())
    if not total:
        return Progress(releases=0, compared=0, done=True)
    scan = unfinished(conn)
    if scan is not None and scan.after_seq < seq <= scan.upto_seq:
        return Progress(releases=total, compared=scan.compared, done=False)
    done = covered(conn)[0] >= seq
    return Progress(releases=total, compared=total if done else 0, done=done)


def matches(conn: Connection, subject_id: str, limit: int) -> list[Match]:
    """Releases in which a subject was found, the newest first, each with its state now."""
    mine = select(retro_match.c.release_id).where(retro_match.c.about == subject_id).distinct()
    query = select(release.c.id, release.c.state, release.c.published_at).where(release.c.id.in_(mine))
    rows = conn.execute(query.order_by(release.c.id.desc()).limit(limit))
    return [
        Match(release=row.id, served=row.state == ReleaseState.RELEASED, at=row.published_at) for row in rows
    ]


def latest(conn: Connection, limit: int = 10) -> list[tuple[Scan, dict[str, int]]]:
    """The last scans, newest first, each with its matches by outcome and its late releases."""
    query = select(retro_scan).order_by(retro_scan.c.id.desc()).limit(limit)
    return [(scan, outcomes(conn, scan)) for scan in map(_loaded, conn.execute(query))]


def outcomes(conn: Connection, scan: Scan) -> dict[str, int]:
    """Releases of a scan by outcome, and how many are late."""
    query = select(retro_match.c.outcome, func.count(retro_match.c.release_id.distinct()))
    rows = conn.execute(query.where(retro_match.c.scan_id == scan.id).group_by(retro_match.c.outcome))
    waiting = select(func.count()).select_from(retro_late).where(retro_late.c.scan_id == scan.id)
    found = {WITHDRAWN: 0, HELD: 0, CASE: 0} | {str(row[0]): int(row[1]) for row in rows}
    return found | {LATE: int(conn.execute(waiting).scalar_one())}


def stopped(conn: Connection, release_id: str) -> bool:
    """Whether anything stands against a release."""
    here = (release_stop.c.release_id == release_id, release_stop.c.lifted_seq.is_(None))
    return conn.execute(select(release_stop.c.id).where(*here)).first() is not None


def _add_unclear(conn: Connection, scan: Scan, unclear: Mapping[str, int]) -> None:
    for one, count in unclear.items():
        here = (retro_subject.c.scan_id == scan.id, retro_subject.c.subject_id == one)
        conn.execute(retro_subject.update().where(*here).values(unclear=retro_subject.c.unclear + count))


def _within(at: str | None, since: str, until: str) -> bool:
    if at is None or parse_time(at) > parse_time(until):
        return False
    return not since or parse_time(at) > parse_time(since)


def _loaded(row: Row[Any]) -> Scan:
    return Scan(**row._asdict())
