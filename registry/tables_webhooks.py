"""The table of webhooks; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, JsonText, metadata

webhook = Table(
    "webhook",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("kinds", JsonText, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("cursor", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("trouble", Text, nullable=False),
    Column("failing_since", Text),
    Column("next_at", Text),
)
