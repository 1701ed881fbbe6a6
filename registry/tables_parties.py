"""The tables of parties, delegations and claims as queries see them; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, JsonText, metadata

estate = Table(
    "estate",
    metadata,
    Column("party_id", Text, primary_key=True),
    Column("deceased", Text, nullable=False),
    Column("normal", Text, nullable=False),
    Column("died_on", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
)

work = Table(
    "work",
    metadata,
    Column("id", Text, primary_key=True),
    Column("party_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("normal", Text, nullable=False),
    Column("created_at", Text, nullable=False),
)

delegation = Table(
    "delegation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("from_party", Text, nullable=False),
    Column("to_party", Text, nullable=False),
    Column("scope", JsonText, nullable=False),
    Column("acts", JsonText, nullable=False),
    Column("may_subdelegate", Integer, nullable=False),
    Column("valid_from", Text),
    Column("valid_until", Text),
    Column("log_seq", Integer, nullable=False),
    Column("revoked_seq", Integer),
)

claim = Table(
    "claim",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("party_id", Text, nullable=False),
    Column("by_party", Text),
    Column("path", JsonText, nullable=False),
    Column("subject_id", Text),
    Column("release_id", Text),
    Column("statements", JsonText, nullable=False),
    Column("signature", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Text),
    Column("disputed_by", Text),
    Column("draft", JsonText),
    Column("created_at", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("changed_seq", Integer, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Text, primary_key=True),
    Column("claim_id", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("added_at", Text, nullable=False),
    Column("purge_at", Text, nullable=False),
    Column("purged_at", Text),
    Column("log_seq", Integer, nullable=False),
    Column("purged_seq", Integer),
)

evidence_access = Table(
    "evidence_access",
    metadata,
    Column("id", Text, primary_key=True),
    Column("evidence_id", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Text, nullable=False),
)
