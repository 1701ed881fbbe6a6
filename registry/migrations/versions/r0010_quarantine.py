"""Quarantine of what matches too much, and how often each reference was found.

A row of ``quarantine`` is in force until ``removed_seq``; withdrawing an opt-out does not end it, so that
nobody gets out of it by registering the same again. ``reference_hit`` is statistics: rows may be deleted.
"""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0010_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0010"
down_revision = "r0009"
branch_labels = None
depends_on = None

_text, _time, _json, _id, _hex = r0001._text, r0001._time, r0001._json, r0001._id, r0001._hex
_table = r0001._table
_any, _seq, _of_subject, _rowid = r0002._any, r0002._seq, r0002._of_subject, r0002._rowid

_KINDS = "{0} IN ('picture', 'words', 'name')"


def upgrade() -> None:
    """Make both tables."""
    _table(
        "quarantine",
        _rowid(), _of_subject(), _text("kind", _KINDS), _any("item"),
        _text("cause", "{0} IN ('registration', 'matches', 'operator')"), _text("why"), _json("figures"),
        _time("since"), _seq("log_seq"), _seq("removed_seq", nullable=True),
        sa.CheckConstraint("(kind = 'words') = (item = '')", "item_form"),
        sa.CheckConstraint("kind <> 'picture' OR length(item) = 64", "picture_form"),
    )  # fmt: skip
    in_force = sa.text("removed_seq IS NULL")
    op.create_index(
        "quarantine_in_force", "quarantine", ["subject_id", "kind", "item"], unique=True,
        sqlite_where=in_force, postgresql_where=in_force,
    )  # fmt: skip
    _table(
        "reference_hit",
        _id("job_id"), _of_subject(), _text("kind", _KINDS), _any("item"), _hex("account", 64),
        _text("day", "length({0}) = 10"),
        sa.PrimaryKeyConstraint("job_id", "subject_id", "kind", "item"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
    )  # fmt: skip
    op.create_index("reference_hit_item", "reference_hit", ["subject_id", "kind", "item", "day"])
    op.create_index("reference_hit_day", "reference_hit", ["day"])
    op.create_index("job_finished", "job", ["finished_at"])
    apply(triggers.ALL)
