"""Tables of imports and of wishes about training, as queries see them; see `registry.tables`."""

from sqlalchemy import Column, Table, Text

from registry.tables import Integer, JsonText, metadata

import_run = Table(
    "import_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("source", JsonText, nullable=False),
    Column("by_party", Text),
    Column("lines", Integer, nullable=False),
    Column("next_line", Integer, nullable=False),
    Column("made", Integer, nullable=False),
    Column("extended", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text),
    Column("started_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("finished_at", Text),
    Column("log_seq", Integer, nullable=False),
    Column("end_seq", Integer),
)

import_line = Table(
    "import_line",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("outcome", Text, nullable=False),
    Column("subject_id", Text),
    Column("seq", Integer),
    Column("code", Text),
)

import_request = Table(
    "import_request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("named", Text, nullable=False),
    Column("wanted", JsonText, nullable=False),
    Column("folder", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("run_id", Text),
    Column("progress", JsonText),
    Column("counts", JsonText),
    Column("error", JsonText),
    Column("created_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("finished_at", Text),
)

import_told = Table(
    "import_told",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("message", Text),
    Column("notes", JsonText, nullable=False),
)

training_wish = Table(
    "training_wish",
    metadata,
    Column("id", Text, primary_key=True),
    Column("claimant", Text, nullable=False),
    Column("claimant_normal", Text, nullable=False),
    Column("work", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("uses", JsonText, nullable=False),
    Column("source", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("removed_seq", Integer),
)
