"""What a PostgreSQL URL is, and what may be said of an error. Standard library only: verifiers load it."""

import re
from typing import Any, Final

from registry.errors import RegistryUnusable

SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
MISSING: Final = "A PostgreSQL registry needs the package psycopg; install countermark[postgres]."
WRONG: Final = (
    "database_url is no URL of the form postgresql://user:password@host/database; percent-encode what is "
    "special in the password."
)


def is_url(where: str) -> bool:
    """Whether this names a PostgreSQL database."""
    scheme, found, _ = where.partition("://")
    return bool(found) and scheme in SCHEMES


def libpq(where: str) -> str:
    """Return the URL as PostgreSQL's own client library reads it.

    A password in which ``@``, ``/`` or ``?`` is not percent-encoded is refused here: pieces of it would be
    taken for the host, and stand in the error. Raises `RegistryUnusable`.
    """
    rest = where.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if not is_url(where) or rest.count("@") > 1 or rest.count("@") != authority.count("@"):
        raise RegistryUnusable(WRONG)
    return f"postgresql://{rest}"


def primary(error: Any) -> str:
    """Return the first line of what the server says, which holds no row and no password."""
    told = error.diag.message_primary or str(error)
    lines = [line.strip() for line in str(told).splitlines() if line.strip()]
    return re.sub(r"\s+", " ", lines[0] if lines else type(error).__name__).rstrip(".")
