"""Which calibration each space of vectors was used with, and from when on."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0014_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0014"
down_revision = "r0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A space may be calibrated before anything is registered in it: no key to `space`."""
    op.execute("INSERT INTO log_kind VALUES ('calibration', 0)")
    r0001._table(
        "space_calibration",
        r0001._text("space"), r0001._hex("sha256", 64), r0001._int("version"), r0002._seq("log_seq"),
        sa.PrimaryKeyConstraint("log_seq"),
    )  # fmt: skip
    op.create_index("space_calibration_latest", "space_calibration", ["space", "log_seq"])
    apply(triggers.ALL)
