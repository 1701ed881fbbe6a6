"""The tables of permissions and of what releases used; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, JsonText, metadata

permission = Table(
    "permission",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("held_id", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("party_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("intent", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("preview", Text, nullable=False),
    Column("asked_at", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("answered_at", Text),
    Column("answer", JsonText),
    Column("rule_id", Text),
    Column("answer_seq", Integer),
    Column("asked_by", Text, nullable=False, server_default=""),
)

rule_use = Table(
    "rule_use",
    metadata,
    Column("release_id", Text, primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("account_number", Integer, nullable=False),
)

release_subject = Table(
    "release_subject",
    metadata,
    Column("release_id", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("intent", Text, primary_key=True),
)
