"""API keys: who asks, and what for. Of the secret only its SHA-256 is kept.

A secret is ``cmk_<key id>_<43 characters>``: 256 random bits need no slow hash. Revoking is a log entry,
so that the publish fence holds what a revoked key asked for and has not left yet.

A *tester's* key is for trying to get past the checks: it has an end, may do nothing that lasts, and nothing
that it asks for is ever published; the database refuses such a release.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Engine, Row, Select, bindparam, select

from registry import log
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import glance, read, write
from registry.drafts import phrases
from registry.errors import KeyRefused, NotFound, OptOutInvalid, RefusedBecause
from registry.ids import new_id, parse_time
from registry.tables import api_key
from registry.tables_appeals import key_suspension

ENTRY_VERSION: Final = 1
SCOPES: Final = (
    "create", "guard", "moderate", "verify", "optout", "holder", "review", "metrics", "admin", "tester",
    "fetch:manifests", "store:manifests", "store:bindings",
)  # fmt: skip
"""What a key may be for; the last three as the C2PA Soft Binding Resolution API calls them."""
TESTER: Final = "tester"
WITH_TESTER: Final = ("create", "guard", "moderate", "verify", TESTER)
"""Scopes that a tester's key may have."""
TESTER_DAYS: Final = 90
SECRET_BYTES: Final = 32
TAGS_MAX: Final = 50
_SECRET: Final = re.compile(r"cmk_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)
_NEW: Final = "ask for a new one"
_SUSPENDED: Final = (
    select(key_suspension.c.since)
    .where(key_suspension.c.key_id == api_key.c.id, key_suspension.c.lifted_seq.is_(None))
    .scalar_subquery()
    .label("suspended_at")
)
_BY_ID: Final = select(api_key, _SUSPENDED).where(api_key.c.id == bindparam("key"))
"""Made once: it is asked at every request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is shown: everything but its secret."""

    id: str
    account: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    revoked_seq: int | None
    tags: tuple[str, ...] = ()
    suspended_at: str | None = None

    @property
    def tester(self) -> bool:
        """Whether nothing that it asks for may leave."""
        return TESTER in self.scopes


def create(
    engine: Engine, account: str, name: str, scopes: Collection[str], *, expires_at: str | None = None,
    tags: Collection[str] = (), random: bytes | None = None, now: str,
) -> tuple[ApiKey, str]:  # fmt: skip
    """Make a key and return it with its secret, which nobody can read again. Raises `OptOutInvalid`.

    ``tags``: of the account, as rules name them; whoever uses the key cannot change them. ``random``: the
    `SECRET_BYTES` that the secret is made of, for who can make them again; fresh ones where None.
    """
    phrases("account and name of a key", [account, name], 2)
    phrases("tags of a key", [*tags], TAGS_MAX)
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise OptOutInvalid(f"A key has one or more of these scopes: {', '.join(SCOPES)}.")
    if expires_at is not None and parse_time(expires_at) <= parse_time(now):
        raise OptOutInvalid("The key would be at its end already; name a later time.")
    _check_tester(scopes, expires_at, now)
    made = new_id(now)
    secret = secret_of(made, random or secrets.token_bytes(SECRET_BYTES))
    row = {"id": made, "account": account, "name": name, "created_at": now, "expires_at": expires_at}
    listed = [scope for scope in SCOPES if scope in scopes]
    tagged = sorted(set(tags))
    with write(engine) as conn:
        secrets_row = {"scopes": listed, "tags": tagged, "secret_sha256": _digest(secret)}
        conn.execute(api_key.insert().values(**row, **secrets_row))
        made_row = conn.execute(select_key().where(api_key.c.id == made)).one()
    return loaded(made_row), secret


def secret_of(key_id: str, random: bytes) -> str:
    """The secret of a key that was made of these `SECRET_BYTES`. Raises `ValueError` for another number."""
    if len(random) != SECRET_BYTES:
        raise ValueError("a secret is made of 32 bytes")
    return f"cmk_{key_id}_{base64.urlsafe_b64encode(random).rstrip(b'=').decode()}"


def authenticate(engine: Engine, secret: str | None, now: str, *, scope: str | None = None) -> ApiKey:
    """Return the key behind a secret, or raise `KeyRefused`.

    1. There is a secret, in our form. 2. It is the secret of a key of this registry.
    3. The key is not revoked, 4. not at its end and not suspended, 5. and for this ``scope``, if one is
    asked for.
    """
    if not secret:  # 1
        raise KeyRefused("This needs an API key; send it as a bearer token.", RefusedBecause.MISSING)
    form = _SECRET.fullmatch(secret)
    if form is None:
        raise KeyRefused("This is not an API key of this service.", RefusedBecause.MALFORMED)
    with glance(engine) as conn:
        row = conn.execute(_BY_ID, {"key": form.group(1)}).first()
    known = "" if row is None else str(row.secret_sha256)
    if not hmac.compare_digest(known, _digest(secret)) or row is None:  # 2
        raise KeyRefused(f"This API key is not known here; {_NEW}.", RefusedBecause.UNKNOWN)
    key = loaded(row)
    demand_good(key, now)  # 3, 4
    if scope is not None and scope not in key.scopes:  # 5
        raise KeyRefused(f"This API key is not for {scope}; {_NEW} with that scope.", RefusedBecause.SCOPE)
    return key


def demand_good(key: ApiKey | None, now: str) -> None:
    """Raises `KeyRefused` for a key that is not known, was revoked, is at its end or suspended."""
    if key is None:
        raise KeyRefused(f"This API key is not known here; {_NEW}.", RefusedBecause.UNKNOWN)
    if key.revoked_seq is not None:
        raise KeyRefused(f"This API key was revoked; {_NEW}.", RefusedBecause.REVOKED)
    if key.expires_at is not None and parse_time(key.expires_at) <= parse_time(now):
        raise KeyRefused(f"This API key is at its end; {_NEW}.", RefusedBecause.EXPIRED)
    if key.suspended_at is not None:
        raise KeyRefused(
            "This API key is suspended, since it was used from many addresses; ask the operator.",
            RefusedBecause.SUSPENDED,
        )


def revoke(engine: Engine, key_id: str, *, why: Json, now: str, sign_checkpoint: NoteSigner) -> ApiKey:
    """Revoke a key; when this returns, nothing it asked for can leave. A second time does nothing."""
    with write(engine) as conn:
        row = conn.execute(select_key().where(api_key.c.id == key_id)).first()
        if row is None:
            raise NotFound(f"There is no API key {key_id[:40]!r}.")
        if row.revoked_seq is None:
            public: Json = {"v": ENTRY_VERSION, "key": key_id, "action": "revoke"}
            entry = log.append(conn, "key", public, {"account": row.account, "why": why}, now)
            gone = {"revoked_at": now, "revoked_seq": entry.seq}
            conn.execute(api_key.update().where(api_key.c.id == key_id).values(**gone))
            log.add_checkpoint(conn, sign_checkpoint, now)
            row = conn.execute(select_key().where(api_key.c.id == key_id)).one()
        return loaded(row)


def get(engine: Engine, key_id: str) -> ApiKey | None:
    """Return a key by its id."""
    with read(engine) as conn:
        row = conn.execute(select_key().where(api_key.c.id == key_id)).first()
    return None if row is None else loaded(row)


def list_keys(
    engine: Engine, *, account: str | None = None, after: str = "", limit: int = 100
) -> list[ApiKey]:
    """Return keys, oldest first; ``after``: the last id of the page before."""
    query = select_key().where(api_key.c.id > after).order_by(api_key.c.id).limit(limit)
    if account is not None:
        query = query.where(api_key.c.account == account)
    with read(engine) as conn:
        return [loaded(row) for row in conn.execute(query)]


def _check_tester(scopes: Collection[str], expires_at: str | None, now: str) -> None:
    if TESTER not in scopes:
        return
    if not set(scopes) <= set(WITH_TESTER) or len(set(scopes)) < 2:
        others = ", ".join(WITH_TESTER[:-1])
        raise OptOutInvalid(f"A tester's key has the scope tester and one or more of: {others}.")
    latest = parse_time(now) + timedelta(days=TESTER_DAYS)
    if expires_at is None or parse_time(expires_at) > latest:
        raise OptOutInvalid(f"A tester's key has an end, {TESTER_DAYS} days from now at the latest.")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def select_key() -> Select[Any]:
    """Rows of keys as `loaded` reads them: with the suspension that stands against each, if any."""
    return select(api_key, _SUSPENDED)


def loaded(row: Row[Any]) -> ApiKey:
    """A row of `select_key` as it is shown."""
    return ApiKey(
        id=row.id, account=row.account, name=row.name, scopes=tuple(row.scopes), created_at=row.created_at,
        expires_at=row.expires_at, revoked_at=row.revoked_at, revoked_seq=row.revoked_seq,
        tags=tuple(row.tags), suspended_at=row.suspended_at,
    )  # fmt: skip
