"""The table of processes that run jobs; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import REAL, Integer, metadata

worker = Table(
    "worker",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("lease", REAL, nullable=False),  # seconds without a sign of life that it may last
    # Seconds since 1970 by the database's own clock, so that the clocks of hosts do not matter.
    Column("started_at", REAL, nullable=False),
    Column("seen_at", REAL, nullable=False),
    Column("ended_at", REAL),
)
