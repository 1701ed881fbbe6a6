"""What the log holds about a subject, a claim or a release, with proofs, for whoever it belongs to.

A rights holder gets its own acts opened. Decisions about other people's clips stay closed: their sentences
quote prompts, and may name other subjects; their codes, times and places in the log are told.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from registry import log, receipts
from registry.canonical import Json, JsonValue
from registry.errors import NotFound
from registry.tables import decision, log_entry, log_private, release
from registry.types import LogEntry

OWN: Final = frozenset(
    {"opt-out", "name", "reference", "rule", "licence", "delegation", "claim", "permission", "erasure"}
)
"""Kinds of entries that are the holder's own acts, or were done to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Receipts by the name of their file, what they are about, and the releases that are concerned."""

    proofs: dict[str, Json]
    acts: list[JsonValue]
    decisions: list[JsonValue]
    releases: tuple[str, ...]


def of_subject(conn: Connection, subject_id: str) -> Found:
    """Return everything about a subject: acts opened, decisions that it led to, releases withdrawn for it."""
    found = _naming(conn, "subject", subject_id)
    own = [entry for entry in found if entry.kind in OWN]
    led = _led_to(conn, subject_id)
    releases = _of_jobs(conn, led) | {
        str(entry.public["release"]) for entry in led if entry.kind in ("withdrawal", "reinstatement")
    }
    proofs = {_file(entry): receipts.receipt(conn, entry.seq, opened=entry in own) for entry in [*own, *led]}
    return Found(
        proofs=proofs, acts=[_told(entry) for entry in own], releases=tuple(sorted(releases)),
        decisions=[_told(entry) | {"reasons": _reasons(entry, subject_id)} for entry in led],
    )  # fmt: skip


def of_release(conn: Connection, release_id: str) -> Found:
    """Return everything about a release: its decision, itself, what became of it."""
    row = conn.execute(select(release.c.log_seq).where(release.c.id == release_id)).first()
    if row is None:
        raise NotFound(f"There is no release {release_id[:40]!r}.")
    found = _naming(conn, "release", release_id)
    published = next(entry for entry in found if entry.seq == row.log_seq)
    decided = published.public.get("decision_seq")
    before = log.entries(conn, decided - 1, decided) if isinstance(decided, int) else []
    entries = [*before, *(entry for entry in found if entry.seq != row.log_seq)]
    return Found(
        proofs={_file(entry): receipts.receipt(conn, entry.seq, opened=False) for entry in entries},
        acts=[_told(published)], decisions=[_told(entry) for entry in entries], releases=(release_id,),
    )  # fmt: skip


def subject_of_claim(conn: Connection, claim_id: str) -> str:
    """Return the subject that a claim is about. Raises: NotFound."""
    for entry in _naming(conn, "claim", claim_id):
        if isinstance(subject := entry.public.get("subject"), str):
            return subject
    raise NotFound(f"There is no claim {claim_id[:40]!r}.")


def release_rows(conn: Connection, ids: tuple[str, ...]) -> list[Any]:
    """Return what is needed to prove releases: id, place in the log, digests, state."""
    columns = (release.c.id, release.c.log_seq, release.c.manifest_sha256, release.c.file_sha256)
    query = select(*columns, release.c.state, release.c.published_at, release.c.payload)
    return list(conn.execute(query.where(release.c.id.in_(ids)).order_by(release.c.log_seq)))


def _naming(conn: Connection, what: str, wanted: str) -> list[LogEntry]:
    """Entries whose public part names this subject, claim or release."""
    query = select(log_entry.c.seq).where(log_entry.c.entry.contains(f'"{what}":"{wanted}"', autoescape=True))
    return _entries(conn, query.order_by(log_entry.c.seq))


def _led_to(conn: Connection, subject_id: str) -> list[LogEntry]:
    """Decisions and withdrawals whose private reasons are about the subject."""
    joined = log_entry.join(log_private, log_entry.c.seq == log_private.c.seq)
    query = select(log_entry.c.seq).select_from(joined)
    query = query.where(log_entry.c.kind.in_(["decision", "withdrawal", "reinstatement"]))
    about = log_private.c.private.contains(f'"subject":"{subject_id}"', autoescape=True)
    return _entries(conn, query.where(about).order_by(log_entry.c.seq))


def _entries(conn: Connection, query: Any) -> list[LogEntry]:
    return [log.entries(conn, seq - 1, seq)[0] for seq in conn.execute(query).scalars().all()]


def _of_jobs(conn: Connection, led: list[LogEntry]) -> set[str]:
    """Releases whose own decision is among these: a licence, say, let them through."""
    seqs = [entry.seq for entry in led if entry.kind == "decision"]
    joined = release.join(decision, release.c.decision_id == decision.c.id)
    query = select(release.c.id).select_from(joined).where(decision.c.log_seq.in_(seqs))
    return {str(found) for found in conn.execute(query).scalars()}


def _told(entry: LogEntry) -> Json:
    return {"sequence": entry.seq, "kind": entry.kind, "at": entry.at, "public": entry.public}


def _reasons(entry: LogEntry, subject_id: str) -> list[JsonValue]:
    """The codes of those reasons that are about the subject; the sentences quote other people."""
    listed = (entry.private or {}).get("reasons")
    reasons = listed if isinstance(listed, list) else []
    about = [one for one in reasons if isinstance(one, dict) and one.get("subject") == subject_id]
    return [{"code": one.get("code"), "check": one.get("check")} for one in about]


def _file(entry: LogEntry) -> str:
    return f"proofs/entry-{entry.seq:012d}.json"
