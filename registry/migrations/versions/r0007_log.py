"""Decisions are leaves of the log, and what is personal can be erased with an entry that says so."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0007_triggers as triggers
from registry.migrations.r0001_triggers import apply

revision = "r0007"
down_revision = "r0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the place of a decision in the log, and the triggers. Older decisions keep none."""
    op.add_column("decision", sa.Column("log_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.create_index("decision_log_seq", "decision", ["log_seq"], unique=True)
    apply(triggers.ALL)
