"""How far readers of the log have come; each has a name. Inside the caller's transaction."""

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from registry.tables import log_cursor


def get(conn: Connection, name: str) -> int:
    """Return the log position that this reader has done, 0 at first."""
    found = conn.execute(select(log_cursor.c.seq).where(log_cursor.c.name == name)).scalar()
    return int(found or 0)


def advance(conn: Connection, name: str, seq: int) -> None:
    """Record that this reader has done everything up to ``seq``; a cursor never goes back."""
    made = insert(log_cursor).values(name=name, seq=seq)
    later = made.excluded.seq > log_cursor.c.seq
    update = made.on_conflict_do_update(index_elements=["name"], set_={"seq": seq}, where=later)
    conn.execute(update)
