"""Decisions that can still be undone, and holders whom people ask about a hold."""

import sqlalchemy as sa

from registry.migrations import r0024_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0024"
down_revision = "r0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A decision that waits is no record, as a lease is none: nothing has happened yet."""
    r0001._column("permission", sa.Column("asked_by", sa.Text, nullable=False, server_default=""))
    r0001._table(
        "pending_decision",
        r0001._id("case_id"), r0001._text("decision", "{0} IN ('release', 'block', 'ask')"),
        r0001._text("voter"), r0002._any("key_id"), r0002._any("why"), r0002._list("subjects"),
        sa.Column("due", sa.REAL, nullable=False), sa.Column("begun", sa.REAL), r0002._any("trouble"),
        sa.PrimaryKeyConstraint("case_id"),
    )  # fmt: skip
    apply(triggers.ALL)
