"""Who calls: API keys with scopes, asked of the database at each request: a revocation holds at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from registry import apikeys
from registry.errors import KeyRefused, RefusedBecause

CREATE: Final = "create"
GUARD: Final = "guard"
MODERATE: Final = "moderate"
VERIFY: Final = "verify"
OPTOUT: Final = "optout"
HOLDER: Final = "holder"
REVIEW: Final = "review"
METRICS: Final = "metrics"
ADMIN: Final = "admin"
FETCH_MANIFESTS: Final = "fetch:manifests"
STORE_MANIFESTS: Final = "store:manifests"
STORE_BINDINGS: Final = "store:bindings"
MAX_HEADER: Final = 300
SCHEME: Final = "bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose request it is, the id of the key that it came with, and the tags that this key gives it.

    ``name``: of the key. Whoever decides about others' clips has a key with a name of their own.
    """

    account: str
    key: str
    tags: tuple[str, ...] = ()
    name: str = ""

    @property
    def person(self) -> str:
        """Who decides, for the log and for telling two people from one."""
        return f"{self.name} ({self.account})"


def admit(engine: Engine, headers: Sequence[str], scopes: Sequence[str], now: str) -> Caller:
    """The caller behind the ``Authorization`` headers of a request, whose key has one of the scopes.

    Raises: KeyRefused, which says why.
    """
    return admit_key(engine, _bearer(headers), scopes, now)


def admit_key(engine: Engine, secret: str, scopes: Sequence[str], now: str) -> Caller:
    """The caller behind a key, however it came. Raises: KeyRefused."""
    key = apikeys.authenticate(engine, secret, now)
    if not set(scopes) & set(key.scopes):
        text = f"This API key is not for {' or '.join(scopes)}; ask for one with that scope."
        raise KeyRefused(text, RefusedBecause.SCOPE)
    return Caller(account=key.account, key=key.id, tags=key.tags, name=key.name)


def _bearer(headers: Sequence[str]) -> str:
    if not headers:
        text = "This needs an API key; send it as the header Authorization: Bearer KEY."
        raise KeyRefused(text, RefusedBecause.MISSING)
    scheme, _, secret = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != SCHEME or not secret.strip() or len(headers[0]) > MAX_HEADER:
        text = "The header Authorization is malformed; send it once, as Authorization: Bearer KEY."
        raise KeyRefused(text, RefusedBecause.MALFORMED)
    return secret.strip()
