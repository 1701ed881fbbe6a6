"""Evidence: files that support a claim. They are looked at by whoever decides, and never served.

1. The bytes lie in the store's own area, under their digest, until their purge date; then they are deleted,
   and the row keeps the digest and the day.
2. Adding and purging are in the log, which names the evidence by its id only.
3. Whoever reads one is noted, with the reason.
"""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, func, select

from registry import claim_log, log
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.drafts import DESCRIPTION_CHARS_MAX
from registry.errors import ClaimInvalid, NotFound
from registry.ids import new_id, parse_time
from registry.party_types import Evidence
from registry.store import Area, FileStore
from registry.tables_parties import evidence, evidence_access

ENTRY_VERSION: Final = 1
EVIDENCE_DAYS: Final = 180
FILE_BYTES_MAX: Final = 64 << 20
FILES_MAX: Final = 50
"""Evidence of one claim."""
TYPE_CHARS_MAX: Final = 100


def add(
    engine: Engine, store: FileStore, claim_id: str, data: bytes, *, media_type: str, note: str = "",
    days: int = EVIDENCE_DAYS, now: str, sign_checkpoint: NoteSigner,
) -> Evidence:  # fmt: skip
    """Keep a file with a claim for ``days``. Raises `ClaimInvalid`, `NotFound`, `StorageFull`."""
    _check(data, media_type, note)
    made = new_id(now)
    purge_at = (parse_time(now) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with write(engine) as conn:
        claim = claim_log.get(conn, claim_id)
        here = select(func.count()).where(evidence.c.claim_id == claim_id)
        if int(conn.execute(here).scalar_one()) >= FILES_MAX:
            raise ClaimInvalid(f"A claim has at most {FILES_MAX} files of evidence; send the best of them.")
        digest, _ = store.put_bytes(Area.EVIDENCE, data, made)  # inside, so that no sweeper takes it away
        store.clean(made)
        public: Json = {"v": ENTRY_VERSION, "evidence": made, "claim": claim.id, "action": "evidence"}
        told: Json = {"sha256": digest, "media_type": media_type, "note": note, "purge_at": purge_at}
        seq = log.append(conn, "party", public, told, now).seq
        values = {"id": made, "claim_id": claim_id, "sha256": digest, "media_type": media_type,
                  "size": len(data), "note": note, "added_at": now, "purge_at": purge_at}  # fmt: skip
        conn.execute(evidence.insert().values(**values, log_seq=seq))
        log.add_checkpoint(conn, sign_checkpoint, now)
        return _one(conn, made)


def open_file(
    engine: Engine, store: FileStore, evidence_id: str, *, who: str, why: str, now: str
) -> tuple[Evidence, Path]:
    """The place of a file for one who decides; that they looked is noted first. Raises `NotFound`."""
    with write(engine) as conn:
        found = _one(conn, evidence_id)
        if found.purged_at is not None:
            raise NotFound(f"The evidence {evidence_id} was purged on {found.purged_at[:10]}.")
        values = {"id": new_id(now), "evidence_id": evidence_id, "who": who, "why": why, "at": now}
        conn.execute(evidence_access.insert().values(**values))
    return found, store.check(Area.EVIDENCE, found.sha256)


def of_claim(engine: Engine, claim_id: str) -> list[Evidence]:
    """What is kept with a claim, or was."""
    query = select(evidence).where(evidence.c.claim_id == claim_id).order_by(evidence.c.log_seq)
    with read(engine) as conn:
        claim_log.get(conn, claim_id)
        return [_loaded(row) for row in conn.execute(query)]


def accesses(engine: Engine, evidence_id: str) -> list[tuple[str, str, str]]:
    """Who looked at it, why, and when."""
    query = select(evidence_access).where(evidence_access.c.evidence_id == evidence_id)
    with read(engine) as conn:
        return sorted(((row.who, row.why, row.at) for row in conn.execute(query)), key=lambda told: told[2])


def purge_due(engine: Engine, store: FileStore, now: str, sign_checkpoint: NoteSigner) -> list[str]:
    """Delete the files whose date has come, and return the ids of the evidence.

    The rows are written first: one whose file is missing would look like damage. A file that no row needs,
    since adding or purging it was cut off, is deleted too.
    """
    done: list[str] = []
    with read(engine) as conn:
        due = _due(conn, now)
    if due:
        with write(engine) as conn:
            for found in _due(conn, now):
                _purge(conn, found.id, now)
                done.append(found.id)
            log.add_checkpoint(conn, sign_checkpoint, now)
    if store.digests(Area.EVIDENCE):
        with write(engine) as conn:  # nobody adds meanwhile
            kept = select(evidence.c.sha256).where(evidence.c.purged_at.is_(None))
            needed = set(conn.execute(kept).scalars())
            for digest in store.digests(Area.EVIDENCE):
                if digest not in needed:
                    store.remove(Area.EVIDENCE, digest)
    return done


def forget(conn: Connection, claim_ids: Collection[str], now: str) -> list[str]:
    """Purge all evidence of some claims before its time, with what was noted; return its ids.

    Inside the caller's transaction; the files go with the next `purge_due`.
    """
    found: list[str] = []
    for claim_id in sorted(claim_ids):
        rows = conn.execute(select(evidence).where(evidence.c.claim_id == claim_id)).all()
        for row in rows:
            if row.purged_seq is None:
                _purge(conn, row.id, now)
            conn.execute(evidence.update().where(evidence.c.id == row.id).values(note=""))
            found.append(str(row.id))
    return found


def _purge(conn: Connection, evidence_id: str, now: str) -> None:
    public: Json = {"v": ENTRY_VERSION, "evidence": evidence_id, "action": "purge"}
    seq = log.append(conn, "erasure", public, None, now).seq
    gone = evidence.update().where(evidence.c.id == evidence_id)
    conn.execute(gone.values(purged_at=now, purged_seq=seq))


def _due(conn: Connection, now: str) -> list[Evidence]:
    at = parse_time(now)
    query = select(evidence).where(evidence.c.purged_at.is_(None), evidence.c.purge_at <= f"{now[:19]}Z")
    rows = [_loaded(row) for row in conn.execute(query.order_by(evidence.c.log_seq)).all()]
    return [one for one in rows if parse_time(one.purge_at) <= at]


def _one(conn: Connection, evidence_id: str) -> Evidence:
    row = conn.execute(select(evidence).where(evidence.c.id == evidence_id)).first()
    if row is None:
        raise NotFound(f"There is no evidence {evidence_id[:40]!r}; see: countermark claim show.")
    return _loaded(row)


def _loaded(row: Row[Any]) -> Evidence:
    return Evidence(
        id=row.id, claim=row.claim_id, sha256=row.sha256, media_type=row.media_type, size=row.size,
        note=row.note, added_at=row.added_at, purge_at=row.purge_at, purged_at=row.purged_at,
    )  # fmt: skip


def _check(data: bytes, media_type: str, note: str) -> None:
    if not 0 < len(data) <= FILE_BYTES_MAX:
        raise ClaimInvalid(f"A file of evidence has 1 to {FILE_BYTES_MAX >> 20} MiB.")
    if not (media_type.isascii() and media_type.isprintable() and 0 < len(media_type) <= TYPE_CHARS_MAX):
        raise ClaimInvalid("Name the kind of file by its media type, such as application/pdf.")
    if len(note) > DESCRIPTION_CHARS_MAX or not note.replace("\n", " ").isprintable():
        raise ClaimInvalid(f"A note is printable and has at most {DESCRIPTION_CHARS_MAX} characters.")
