"""Processes that run jobs: a job may belong to one by a lease, which another machine can see end."""

import sqlalchemy as sa

from registry.migrations import r0021_triggers as triggers
from registry.migrations.r0001_triggers import apply, on_postgres
from registry.migrations.versions import r0001_release_store as r0001

revision = "r0021"
down_revision = "r0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; jobs that are there belong to none of these processes."""
    r0001._table(
        "worker",
        r0001._id("id"), r0001._text("host"), r0001._int("pid"),
        sa.Column("lease", sa.REAL, nullable=False), sa.Column("started_at", sa.REAL, nullable=False),
        sa.Column("seen_at", sa.REAL, nullable=False), sa.Column("ended_at", sa.REAL),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("lease > 0", "lease_form"),
    )  # fmt: skip
    r0001._column("job", sa.Column("worker", sa.Text))
    # Accepted for whoever takes it, and not for the process that accepted it.
    r0001._column("job", sa.Column("queued", sa.Integer, nullable=False, server_default="0"))
    apply(triggers.ALL)
    apply(triggers.ON_POSTGRES if on_postgres() else triggers.ON_SQLITE)
