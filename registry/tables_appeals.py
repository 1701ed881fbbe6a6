"""The tables of appeals, and of keys that are suspended, as queries see them; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, JsonText, metadata

appeal = Table(
    "appeal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("release_id", Text),
    Column("order_sha256", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("closed_at", Text),
    Column("closed_seq", Integer),
)

appeal_vote = Table(
    "appeal_vote",
    metadata,
    Column("id", Text, primary_key=True),
    Column("appeal_id", Text, nullable=False),
    Column("vote", Text, nullable=False),
    Column("voter", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("cleared", JsonText, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("voted_at", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("key_id", Text, nullable=False),
)

key_suspension = Table(
    "key_suspension",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("addresses", Integer, nullable=False),
    Column("since", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("lifted_at", Text),
    Column("lifted_seq", Integer),
)
