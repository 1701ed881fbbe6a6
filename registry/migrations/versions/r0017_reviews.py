"""What people decide about held clips, and who has taken which case."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0017_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0017"
down_revision = "r0016"
branch_labels = None
depends_on = None

_text, _time, _id = r0001._text, r0001._time, r0001._id


def upgrade() -> None:
    """Make the tables. A lease is no record: it ends by its time, or with the decision."""
    r0001._table(
        "hold_vote",
        _id("id"), _id("held_id"), _text("vote", "{0} IN ('release', 'refuse')"), _text("voter"),
        r0002._any("why"), r0002._list("cleared"), r0001._int("needed", "{0} IN (1, 2)"), _time("voted_at"),
        r0002._seq("log_seq"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("held_id", "voter"),
        sa.ForeignKeyConstraint(["held_id"], ["held.id"]),
    )  # fmt: skip
    r0001._table(
        "case_lease",
        _id("case_id"), _text("holder"), _time("until"),
        sa.PrimaryKeyConstraint("case_id"),
    )  # fmt: skip
    op.create_index("case_lease_holder", "case_lease", ["holder"])
    apply(triggers.ALL)
