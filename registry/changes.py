"""What changed: log entries with the subjects they are about, for the publish fence and the retro-scan.

A portfolio that changes changes what is wished for all subjects of its owner. The fence does not read them
all: whom a clip shows and may show it asks about anyway, as they are wished now. The retro-scan does
(`concerned`).
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from registry import log
from registry.errors import RegistryDamaged
from registry.subject_types import SubjectRecord
from registry.subjects import PORTFOLIO, members, records
from registry.types import Change, LogEntry

OF_SUBJECTS: Final = frozenset({"opt-out", "name", "reference", "rule", "licence"})
"""Kinds of entries that are about a subject."""
CLAIM: Final = "claim"
"""May be about a subject; a draft and a notice about a clip say that they are about none."""
DELEGATION: Final = "delegation"
"""Is about parties: it changes who may act from then on, and no wish that was said before."""


def load(conn: Connection, after: int, upto: int) -> list[Change]:
    """Return every change with ``after < seq <= upto``, its subject as it is in this transaction.

    Raises `RegistryDamaged` for an entry whose subject or key is not to be found: what cannot be compared
    must not pass.
    """
    entries = log.changes(conn, after, upto)
    wanted = {named for entry in entries if (named := _about(entry)) is not None}
    subjects = {subject.id: subject for subject in records(conn, wanted)} if wanted else {}
    return [_change(entry, subjects) for entry in entries]


def concerned(conn: Connection, found: Sequence[Change]) -> set[str]:
    """The ids of all subjects in force of which these changes change what is wished."""
    told = {change.subject.id: change.subject for change in found if change.subject is not None}
    owners = {subject.party for subject in told.values() if subject.kind == PORTFOLIO}
    return {subject.id for subject in told.values() if subject.state == "active"} | members(conn, owners)


def _about(entry: LogEntry) -> str | None:
    """The subject that an entry names. Raises `RegistryDamaged` where it has to and does not."""
    if entry.kind in OF_SUBJECTS:
        return _named(entry, "subject")
    if entry.kind == CLAIM:
        _named(entry, "claim")
        return None if entry.public.get("subject", "") is None else _named(entry, "subject")
    if entry.kind == DELEGATION:
        _named(entry, "delegation")
    return None


def _change(entry: LogEntry, subjects: dict[str, SubjectRecord]) -> Change:
    subject, named = None, _about(entry)
    if named is not None:
        subject = subjects.get(named)
        if subject is None:
            raise RegistryDamaged(f"Log entry {entry.seq} is about no known subject; restore a backup.")
    revoked = _named(entry, "key") if entry.kind == "key" else None
    return Change(entry=entry, subject=subject, revoked_key=revoked)


def _named(entry: LogEntry, what: str) -> str:
    named = entry.public.get(what)
    if not isinstance(named, str):
        raise RegistryDamaged(f"Log entry {entry.seq} names no {what}; restore a backup.")
    return named
