"""The tables of quarantine and of hits as queries see them; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, JsonText, metadata

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("figures", JsonText, nullable=False),
    Column("since", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("removed_seq", Integer),
)

reference_hit = Table(
    "reference_hit",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("day", Text, nullable=False),
)
