"""What changed: log entries with the subjects they are about, for the publish fence and the retro-scan."""

from typing import Final

from sqlalchemy import Connection

from registry import log
from registry.errors import RegistryDamaged
from registry.subject_types import SubjectRecord
from registry.subjects import records
from registry.types import Change, LogEntry

OF_SUBJECTS: Final = frozenset({"opt-out", "name", "reference", "rule", "licence", "delegation", "claim"})
"""Kinds of entries that are about a subject."""


def load(conn: Connection, after: int, upto: int) -> list[Change]:
    """Return every change with ``after < seq <= upto``, its subject as it is in this transaction.

    Raises `RegistryDamaged` for an entry whose subject or key is not to be found: what cannot be compared
    must not pass.
    """
    entries = log.changes(conn, after, upto)
    wanted = {_named(entry, "subject") for entry in entries if entry.kind in OF_SUBJECTS}
    subjects = {subject.id: subject for subject in records(conn, wanted)} if wanted else {}
    return [_change(entry, subjects) for entry in entries]


def _change(entry: LogEntry, subjects: dict[str, SubjectRecord]) -> Change:
    subject = None
    if entry.kind in OF_SUBJECTS:
        subject = subjects.get(_named(entry, "subject"))
        if subject is None:
            raise RegistryDamaged(f"Log entry {entry.seq} is about no known subject; restore a backup.")
    revoked = _named(entry, "key") if entry.kind == "key" else None
    return Change(entry=entry, subject=subject, revoked_key=revoked)


def _named(entry: LogEntry, what: str) -> str:
    named = entry.public.get(what)
    if not isinstance(named, str):
        raise RegistryDamaged(f"Log entry {entry.seq} names no {what}; restore a backup.")
    return named
