"""The table of what strangers had verified lately; constraints are in `registry.migrations`."""

from sqlalchemy import Column, LargeBinary, Table, Text

from registry.tables import metadata

verify_query = Table(
    "verify_query",
    metadata,
    Column("id", Text, primary_key=True),
    Column("asked_at", Text, nullable=False),
    Column("asker", Text, nullable=False),
    Column("file_sha256", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
