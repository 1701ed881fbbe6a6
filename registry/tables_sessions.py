"""The tables of links and sessions; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import metadata

sign_in_link = Table(
    "sign_in_link",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("used_at", Text),
)

web_session = Table(
    "web_session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("ended_at", Text),
)
