"""The registry for a verifier, in PostgreSQL: psycopg alone, without a database toolkit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from registry.errors import RegistryUnusable
from registry.postgres_url import MISSING, WRONG, libpq, primary

if TYPE_CHECKING:
    from psycopg import Connection

WAIT_SECONDS: Final = 5
BATCH: Final = 500
_READ_ONLY: Final = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
_FOUND: Final = (
    "SELECT to_regclass('verify_release_v1') IS NOT NULL, EXISTS (SELECT 1 FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() "
    "AND c.relkind IN ('r', 'p', 'v'))"
)


def open_server(where: str) -> "Server | None":
    """Open a registry for reading, or return None for an empty database.

    Raises `RegistryUnusable` for a server that cannot be reached and for another program's database.
    """
    url = libpq(where)
    try:
        import psycopg
    except ImportError as error:
        raise RegistryUnusable(MISSING) from error
    with _translated():
        try:
            given: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise RegistryUnusable(WRONG) from None  # the exception before may hold the text
        wanted: dict[str, Any] = {"connect_timeout": WAIT_SECONDS, "application_name": "countermark"} | given
        connection = psycopg.connect(**wanted, autocommit=True)
        try:
            connection.execute(_READ_ONLY)
            ours, anything = connection.execute(_FOUND).fetchone() or (False, False)
            if anything and not ours:
                raise RegistryUnusable("The database is no registry that this version can read; update it.")
        except BaseException:
            connection.close()
            raise
    if ours:
        return Server(connection)
    connection.close()
    return None


class Server:
    """One read-only connection; each query is a snapshot of its own."""

    def __init__(self, connection: "Connection[tuple[Any, ...]]") -> None:
        """Take over a connection that only reads."""
        self._connection = connection

    def one(self, query: str, *values: str | int) -> Any:
        """Return the first row as a tuple, or None."""
        with _translated():
            return self._connection.execute(_marked(query), values).fetchone()

    def some(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Return the rows of a query that says how many there may be."""
        with _translated():
            return self._connection.execute(_marked(query), values).fetchall()

    def each(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield every row of one snapshot, without holding all of them."""
        here = self._connection
        with _translated(), here.transaction(), here.cursor(name="each") as cursor:
            cursor.itersize = BATCH
            yield from cursor.execute(_marked(query))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _marked(query: str) -> bytes:
    return query.replace("%", "%%").replace("?", "%s").encode()


@contextmanager
def _translated() -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise RegistryUnusable(f"The registry cannot be read: {primary(error)}; see database_url.") from error
