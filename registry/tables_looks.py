"""The table of what a scan reads of every release; constraints and triggers are in `registry.migrations`."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, metadata

release_look = Table(
    "release_look",
    metadata,
    Column("release_id", Text, primary_key=True),
    Column("policy", Text, nullable=False),
    Column("asked", Integer, nullable=False),
    Column("api_key", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("letters", Text, nullable=False),
    Column("runs", Text, nullable=False),
)
