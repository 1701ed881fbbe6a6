"""Conditions of rules, permissions that holders are asked for, and what releases used; tags of API keys."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0006_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0006"
down_revision = "r0003"
branch_labels = None
depends_on = None

_text, _json, _time, _id, _int = r0001._text, r0001._json, r0001._time, r0001._id, r0001._int
_table, _seq, _any = r0001._table, r0002._seq, r0002._any


def upgrade() -> None:
    """Make everything."""
    op.add_column("rule", sa.Column("conditions", sa.Text, nullable=False, server_default="{}"))
    op.add_column("api_key", sa.Column("tags", sa.Text, nullable=False, server_default="[]"))
    _permissions()
    _uses()
    apply(triggers.ALL)


def _permissions() -> None:
    _table(
        "permission",
        _id("id"), _id("job_id"), _id("held_id"), _id("subject_id"), _id("party_id"), _text("account"),
        _any("purpose"), _text("intent", "{0} IN ('depict', 'style')"), _any("prompt"), _any("preview"),
        _time("asked_at"), _time("due_at"), _seq("log_seq"),
        _text("state", "{0} IN ('asked', 'approved', 'refused', 'expired')"),
        _time("answered_at", nullable=True), _json("answer", nullable=True), _text("rule_id", nullable=True),
        _seq("answer_seq", nullable=True),
        sa.CheckConstraint("(state = 'asked') = (answered_at IS NULL)", "answered_at"),
        sa.CheckConstraint("(state = 'asked') = (answer_seq IS NULL)", "answer_logged"),
        sa.CheckConstraint("rule_id IS NULL OR state = 'approved'", "rule_of_approval"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("held_id", "subject_id", "intent"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]), sa.ForeignKeyConstraint(["held_id"], ["held.id"]),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"]),
        sa.ForeignKeyConstraint(["rule_id"], ["rule.id"]),
    )  # fmt: skip
    op.create_index("permission_state", "permission", ["state", "due_at"])
    op.create_index("permission_job", "permission", ["job_id"])


def _uses() -> None:
    _table(
        "rule_use",
        _id("release_id"), _id("rule_id"), _text("account"), _text("day", "{0} LIKE '____-__-__'"),
        _int("number", "{0} > 0"), _int("account_number", "{0} > 0"),
        sa.PrimaryKeyConstraint("release_id", "rule_id"), sa.UniqueConstraint("rule_id", "day", "number"),
        sa.UniqueConstraint("rule_id", "day", "account", "account_number"),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"]),
        sa.ForeignKeyConstraint(["rule_id"], ["rule.id"]),
    )  # fmt: skip
    _table(
        "release_subject",
        _id("release_id"), _id("subject_id"), _text("intent", "{0} IN ('depict', 'style')"),
        sa.PrimaryKeyConstraint("release_id", "subject_id", "intent"),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"]),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"]),
    )  # fmt: skip
    op.create_index("release_subject_subject", "release_subject", ["subject_id", "release_id"])
