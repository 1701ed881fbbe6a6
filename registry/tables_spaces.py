"""The table of retired spaces, as queries see it."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, metadata

space_retired = Table(
    "space_retired",
    metadata,
    Column("space", Text, primary_key=True),
    Column("into_space", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
)
