"""Keys that are suspended: they open nothing until an operator resumes them. Each act is a log entry.

A suspension is no revocation: what a key asked for before goes on, and nothing about its releases changes.
"""

from sqlalchemy import Engine, select

from registry import log
from registry.apikeys import ApiKey, get
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import write
from registry.errors import NotFound
from registry.ids import new_id
from registry.tables import api_key
from registry.tables_appeals import key_suspension

ENTRY_VERSION = 1


def suspend(engine: Engine, key_id: str, addresses: int, *, now: str, sign_checkpoint: NoteSigner) -> ApiKey:
    """Suspend a key that was used from so many addresses; a second time does nothing. Raises `NotFound`."""
    with write(engine) as conn:
        account = conn.execute(select(api_key.c.account).where(api_key.c.id == key_id)).scalar()
        if account is None:
            raise NotFound(f"There is no API key {key_id[:40]!r}.")
        known = select(key_suspension.c.id).where(
            key_suspension.c.key_id == key_id, key_suspension.c.lifted_seq.is_(None)
        )
        if conn.execute(known).first() is None:
            made = new_id(now)
            public: Json = {"v": ENTRY_VERSION, "key": key_id, "action": "suspend", "suspension": made}
            entry = log.append(conn, "suspension", public, {"account": account, "addresses": addresses}, now)
            row = {"id": made, "key_id": key_id, "addresses": addresses, "since": now, "log_seq": entry.seq}
            conn.execute(key_suspension.insert().values(**row))
            log.add_checkpoint(conn, sign_checkpoint, now)
    return _found(engine, key_id)


def resume(engine: Engine, key_id: str, *, why: Json, now: str, sign_checkpoint: NoteSigner) -> ApiKey:
    """Let a suspended key in again. Raises `NotFound` where it is not suspended."""
    with write(engine) as conn:
        query = select(key_suspension.c.id).where(
            key_suspension.c.key_id == key_id, key_suspension.c.lifted_seq.is_(None)
        )
        made = conn.execute(query).scalar()
        if made is None:
            raise NotFound(f"No API key {key_id[:40]!r} is suspended; see countermark apikeys list.")
        public: Json = {"v": ENTRY_VERSION, "key": key_id, "action": "resume", "suspension": made}
        entry = log.append(conn, "suspension", public, {"why": why}, now)
        values = {"lifted_at": now, "lifted_seq": entry.seq}
        conn.execute(key_suspension.update().where(key_suspension.c.id == made).values(**values))
        log.add_checkpoint(conn, sign_checkpoint, now)
    return _found(engine, key_id)


def _found(engine: Engine, key_id: str) -> ApiKey:
    key = get(engine, key_id)
    assert key is not None  # noqa: S101 - keys are never deleted
    return key
