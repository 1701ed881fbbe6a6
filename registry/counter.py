"""Numbers for payloads."""

from sqlalchemy import Engine, select

from registry.db import read, write
from registry.tables import payload_counter


def reserve_payload_counter(engine: Engine) -> int:
    """Return a number that was never returned before, in a transaction of its own.

    It is spent even when the job fails later: a payload that may be in some file is never given to
    another one.
    """
    with write(engine) as conn:
        update = payload_counter.update().values(value=payload_counter.c.value + 1)
        return int(conn.execute(update.returning(payload_counter.c.value)).scalar_one())


def last_payload_counter(engine: Engine) -> int:
    """The number that was returned last; 0 before the first."""
    with read(engine) as conn:
        return int(conn.execute(select(payload_counter.c.value)).scalar_one())


def skip_payload_counters(engine: Engine, count: int) -> None:
    """Never return the next ``count`` numbers: an older copy of this database may have returned them."""
    with write(engine) as conn:
        conn.execute(payload_counter.update().values(value=payload_counter.c.value + count))
