"""The tables of recalls as queries see them; constraints and triggers are in `registry.migrations`."""

from sqlalchemy import Column, Table, Text

from registry.tables import REAL, Integer, JsonText, metadata

release_stop = Table(
    "release_stop",
    metadata,
    Column("id", Text, primary_key=True),
    Column("release_id", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("since_seq", Integer, nullable=False),
    Column("lifted_seq", Integer),
)

review_case = Table(
    "review_case",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("release_id", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("reasons", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("closed_at", Text),
    Column("closed_seq", Integer),
    Column("decided_by", Text, nullable=False),
    Column("decision", Text, nullable=False),
)

release_parent = Table(
    "release_parent",
    metadata,
    Column("release_id", Text, primary_key=True),
    Column("parent_id", Text, primary_key=True),
    Column("relation", Text, nullable=False),
    Column("evidence", Text, nullable=False),
)

retro_scan = Table(
    "retro_scan",
    metadata,
    Column("id", Text, primary_key=True),
    Column("after_seq", Integer, nullable=False),
    Column("upto_seq", Integer, nullable=False),
    Column("since", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("position", Text, nullable=False),
    Column("compared", Integer, nullable=False),
    Column("unclear", Integer, nullable=False),
    Column("begun_at", Text, nullable=False),
    Column("ended_at", Text),
)

retro_subject = Table(
    "retro_subject",
    metadata,
    Column("scan_id", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("unclear", Integer, nullable=False),
)

retro_late = Table(
    "retro_late",
    metadata,
    Column("scan_id", Text, primary_key=True),
    Column("release_id", Text, primary_key=True),
)

retro_match = Table(
    "retro_match",
    metadata,
    Column("scan_id", Text, primary_key=True),
    Column("release_id", Text, primary_key=True),
    Column("about", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("score", REAL, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("at", Text, nullable=False),
)
