"""Imports, line by line; and what rights holders say about training."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0009_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0009"
down_revision = "r0008"
branch_labels = None
depends_on = None

_text, _hex, _time, _json, _id = r0001._text, r0001._hex, r0001._time, r0001._json, r0001._id
_int, _table, _any, _seq = r0001._int, r0001._table, r0002._any, r0002._seq


def upgrade() -> None:
    """Make the tables."""
    _runs()
    _lines()
    _training()
    apply(triggers.ALL)


def _runs() -> None:
    _table(
        "import_run",
        _id("id"), _hex("digest", 64), _json("source"), _text("by_party", nullable=True),
        _int("lines", "{0} > 0"), _int("next_line", "{0} > 0"), _int("made"), _int("extended"),
        _int("unchanged"), _int("waiting"), _int("skipped"),
        _text("state", "{0} IN ('running', 'done', 'failed')"), _text("error", nullable=True),
        _time("started_at"), _time("changed_at"),
        _time("finished_at", nullable=True), _seq("log_seq"), _seq("end_seq", nullable=True),
        sa.CheckConstraint("(state = 'done') = (end_seq IS NOT NULL)", "ended"),
        sa.CheckConstraint("(state = 'done') = (finished_at IS NOT NULL)", "finished"),
        sa.CheckConstraint("(state = 'failed') = (error IS NOT NULL)", "failed"),
        sa.CheckConstraint("made + extended + unchanged + waiting + skipped <= lines", "no_line_twice"),
        sa.PrimaryKeyConstraint("id"), sa.ForeignKeyConstraint(["by_party"], ["party.id"]),
    )  # fmt: skip
    open_runs = sa.text("state <> 'done'")
    op.create_index(
        "import_run_open", "import_run", ["digest"], unique=True, sqlite_where=open_runs,
        postgresql_where=open_runs,
    )  # fmt: skip


def _lines() -> None:
    _table(
        "import_line",
        _id("run_id"), _int("line", "{0} > 0"),
        _text("outcome", "{0} IN ('new', 'extends', 'unchanged', 'waits', 'skipped')"),
        _text("subject_id", nullable=True), _seq("seq", nullable=True), _text("code", nullable=True),
        sa.CheckConstraint(
            "(outcome IN ('skipped', 'waits')) = (subject_id IS NULL) "
            "AND (outcome = 'skipped') = (seq IS NULL) AND (outcome = 'skipped') = (code IS NOT NULL)",
            "of_outcome",
        ),
        sa.PrimaryKeyConstraint("run_id", "line"), sa.ForeignKeyConstraint(["run_id"], ["import_run.id"]),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"]),
    )  # fmt: skip


def _training() -> None:
    _table(
        "training_wish",
        _id("id"), _text("claimant"), _text("claimant_normal"), _any("work"), _any("url"),
        _text("sha256", "{0} = '' OR (length({0}) = 64 AND trim({0}, '0123456789abcdef') = '')"),
        _json("uses"), _text("source", "{0} IN ('file', 'manifest')"), _seq("log_seq"),
        _seq("removed_seq", nullable=True),
        sa.CheckConstraint("url <> '' OR sha256 <> ''", "of_something"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    in_force = sa.text("removed_seq IS NULL")
    op.create_index(
        "training_wish_in_force", "training_wish", ["claimant_normal", "url", "sha256"], unique=True,
        sqlite_where=in_force, postgresql_where=in_force,
    )  # fmt: skip
    for column in ("url", "sha256"):
        op.create_index(f"training_wish_{column}", "training_wish", [column])
