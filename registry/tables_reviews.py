"""The tables of what people decide about holds, leases, and decisions that wait; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import REAL, Integer, JsonText, metadata

hold_vote = Table(
    "hold_vote",
    metadata,
    Column("id", Text, primary_key=True),
    Column("held_id", Text, nullable=False),
    Column("vote", Text, nullable=False),
    Column("voter", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("cleared", JsonText, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("voted_at", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("key_id", Text, nullable=False),
)

case_lease = Table(
    "case_lease",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Text, nullable=False),
)

pending_decision = Table(
    "pending_decision",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("voter", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("subjects", JsonText, nullable=False),
    # Seconds since 1970 by the database's own clock.
    Column("due", REAL, nullable=False),
    Column("begun", REAL),
    Column("trouble", Text, nullable=False),
)
