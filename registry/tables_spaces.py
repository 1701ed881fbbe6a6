"""The tables of retired spaces and of calibrations, as queries see them."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, metadata

space_retired = Table(
    "space_retired",
    metadata,
    Column("space", Text, primary_key=True),
    Column("into_space", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
)

space_calibration = Table(
    "space_calibration",
    metadata,
    Column("log_seq", Integer, primary_key=True, autoincrement=False),
    Column("space", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("version", Integer, nullable=False),
)
