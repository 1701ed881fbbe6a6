"""People sign in to the pages by a link that works once; a session is as good as the API key behind it.

1. A link is made for a key, for whoever the key is named after. It works once, within `LINK_MINUTES`.
2. Using it begins a session of `SESSION_HOURS`. Of both secrets only the SHA-256 is kept.
3. At every request the session is looked up, and its key as if it had come itself: a key that was revoked or
   is at its end ends its sessions with it.
"""

import hashlib
import re
import secrets
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, select

from registry import apikeys
from registry.apikeys import ApiKey
from registry.db import read, write
from registry.errors import KeyRefused, RefusedBecause
from registry.ids import later, new_id, parse_time
from registry.tables import api_key
from registry.tables_sessions import sign_in_link, web_session

LINK_MINUTES: Final = 15
SESSION_HOURS: Final = 12
KEPT_DAYS: Final = 7  # after their end, for whoever asks what happened
SECRET_BYTES: Final = 32
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_OVER: Final = "This link was used, or is too old; ask for a new one."


def make_link(engine: Engine, key_id: str, now: str) -> str:
    """A secret with which the person of this key signs in once. Raises `KeyRefused`, `NotFound`."""
    with write(engine) as conn:
        row = conn.execute(apikeys.select_key().where(api_key.c.id == key_id)).first()
        apikeys.demand_good(apikeys.loaded(row) if row is not None else None, now)
        _forget_old(conn, now)
        return _insert(conn, sign_in_link, key_id, now, timedelta(minutes=LINK_MINUTES))


def whose_link(engine: Engine, secret: str, now: str) -> ApiKey:
    """The key of a link that still works, which this leaves as it is. Raises `KeyRefused`."""
    with read(engine) as conn:
        return _link(conn, secret, now)[1]


def sign_in(engine: Engine, secret: str, now: str) -> str:
    """Use a link; the secret of the session that begins. Raises `KeyRefused`.

    What is no link is refused before anything waits for the lock of all writers: anybody may try.
    """
    whose_link(engine, secret, now)
    with write(engine) as conn:
        link, key = _link(conn, secret, now)
        conn.execute(sign_in_link.update().where(sign_in_link.c.id == link).values(used_at=now))
        return _insert(conn, web_session, key.id, now, timedelta(hours=SESSION_HOURS))


def key_of(engine: Engine, secret: str, now: str) -> ApiKey:
    """The key behind a session (3). Raises `KeyRefused`."""
    with read(engine) as conn:
        row = _row(conn, web_session, secret, now)
        if row is None or row.ended_at is not None:
            raise KeyRefused("You are not signed in any more; ask for a new link.", RefusedBecause.UNKNOWN)
        return _key(conn, row.key_id, now)


def sign_out(engine: Engine, secret: str, now: str) -> None:
    """End a session; nothing happens where there is none."""
    digest = _digest(secret)
    with write(engine) as conn:
        open_one = web_session.c.secret_sha256 == digest, web_session.c.ended_at.is_(None)
        conn.execute(web_session.update().where(*open_one).values(ended_at=now))


def _link(conn: Connection, secret: str, now: str) -> tuple[str, ApiKey]:
    row = _row(conn, sign_in_link, secret, now)
    if row is None or row.used_at is not None:
        raise KeyRefused(_OVER, RefusedBecause.UNKNOWN)
    return str(row.id), _key(conn, row.key_id, now)


def _key(conn: Connection, key_id: str, now: str) -> ApiKey:
    key = apikeys.loaded(conn.execute(apikeys.select_key().where(api_key.c.id == key_id)).one())
    apikeys.demand_good(key, now)
    return key


def _row(conn: Connection, table: Table, secret: str, now: str) -> Any:
    if not _FORM.fullmatch(secret):
        return None
    row = conn.execute(select(table).where(table.c.secret_sha256 == _digest(secret))).first()
    return row if row is not None and parse_time(row.until) > parse_time(now) else None


def _insert(conn: Connection, table: Table, key_id: str, now: str, lasts: timedelta) -> str:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    row = {"id": new_id(now), "key_id": key_id, "secret_sha256": _digest(secret), "made_at": now}
    conn.execute(table.insert().values(**row, until=later(now, lasts)))
    return secret


def _forget_old(conn: Connection, now: str) -> None:
    for table in (sign_in_link, web_session):
        conn.execute(table.delete().where(table.c.until < later(now, -timedelta(days=KEPT_DAYS))))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
