"""Imports that were asked for over HTTP, and what is told of their lines."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0025_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001

revision = "r0025"
down_revision = "r0024"
branch_labels = None
depends_on = None

_text, _time, _json, _id, _int = r0001._text, r0001._time, r0001._json, r0001._id, r0001._int


def upgrade() -> None:
    """Make the tables. What is told of lines is no record: it is deleted after weeks."""
    r0001._table(
        "import_request",
        _id("id"), _text("account"), _id("key_id"), r0001._hex("named", 64), _json("wanted"),
        _text("folder"), _text("state", "{0} IN ('waiting', 'running', 'done', 'refused', 'failed')"),
        _int("tries"), _text("run_id", "length({0}) = 36", nullable=True), _json("progress", nullable=True),
        _json("counts", nullable=True), _json("error", nullable=True), _time("created_at"),
        _time("changed_at"), _time("finished_at", nullable=True),
        sa.CheckConstraint("(state IN ('waiting', 'running')) = (finished_at IS NULL)", "finished"),
        sa.CheckConstraint("(state IN ('refused', 'failed')) = (error IS NOT NULL)", "failed"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("named"),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"]),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"]),
    )  # fmt: skip
    op.create_index("import_request_account", "import_request", ["account", "id"])
    op.create_index("import_request_open", "import_request", ["id"], **r0001.where("finished_at IS NULL"))
    r0001._table(
        "import_told",
        _id("request_id"), _int("line", "{0} > 0"),
        _text("outcome", "{0} IN ('new', 'extends', 'unchanged', 'waits', 'problem')"),
        _text("code", nullable=True), _text("message", nullable=True), _json("notes"),
        sa.CheckConstraint(
            "(outcome = 'problem') = (code IS NOT NULL) AND (code IS NULL) = (message IS NULL)", "of_outcome"
        ),
        sa.PrimaryKeyConstraint("request_id", "line"),
        sa.ForeignKeyConstraint(["request_id"], ["import_request.id"]),
    )  # fmt: skip
    apply(triggers.ALL)
