"""How far readers of the log have come; each has a name. Inside the caller's transaction."""

from sqlalchemy import Connection, select

from registry.tables import log_cursor


def get(conn: Connection, name: str) -> int:
    """Return the log position that this reader has done, 0 at first."""
    found = conn.execute(select(log_cursor.c.seq).where(log_cursor.c.name == name)).scalar()
    return int(found or 0)


def advance(conn: Connection, name: str, seq: int) -> None:
    """Record that this reader has done everything up to ``seq``; a cursor never goes back."""
    known = conn.execute(select(log_cursor.c.seq).where(log_cursor.c.name == name)).scalar()
    if known is None:
        conn.execute(log_cursor.insert().values(name=name, seq=seq))
    elif known < seq:
        conn.execute(log_cursor.update().where(log_cursor.c.name == name).values(seq=seq))
