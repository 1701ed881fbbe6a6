"""Who is told of the log's entries, and how far they have been told."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0019_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0019"
down_revision = "r0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    r0001._table(
        "webhook",
        r0001._id("id"), r0001._text("url"), r0002._list("kinds"), r0001._int("opened", "{0} IN (0, 1)"),
        r0001._time("made_at"), r0001._text("state", "{0} IN ('active', 'paused', 'removed')"),
        r0001._int("cursor", "{0} >= 0"), r0001._int("failures", "{0} >= 0"), r0002._any("trouble"),
        r0001._time("failing_since", nullable=True), r0001._time("next_at", nullable=True),
        sa.CheckConstraint("(failures = 0) = (failing_since IS NULL)", "failing_since_when"),
        sa.CheckConstraint("(failures = 0) = (next_at IS NULL)", "tried_again_when"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    op.create_index("webhook_state", "webhook", ["state"])
    apply(triggers.ALL)
