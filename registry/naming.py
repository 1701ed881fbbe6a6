"""Who a reason of the registry is about, as a person reads it."""

from sqlalchemy import Connection, select

from registry.canonical import Json
from registry.tables import party, subject


def about(conn: Connection, subject_id: str) -> Json:
    """What a reason's evidence says of a subject: id, name and owner; the id alone of one that is unknown."""
    query = select(subject.c.name, party.c.name.label("owner")).where(
        subject.c.id == subject_id, party.c.id == subject.c.party_id
    )
    row = conn.execute(query).first()
    named: Json = {} if row is None else {"subject_name": row.name, "owner": row.owner}
    return {"subject": subject_id} | named


def whom(evidence: Json) -> str:
    """Name and owner in a sentence."""
    name, owner = evidence.get("subject_name"), evidence.get("owner")
    return f"{name} ({owner})" if name else "somebody who is registered"
