"""With which API key somebody voted: a vote is worth what its key is."""

import sqlalchemy as sa

from registry.migrations import r0020_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001

revision = "r0020"
down_revision = "r0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a vote that was given on the machine itself has no key."""
    r0001._column("hold_vote", sa.Column("key_id", sa.Text, nullable=False, server_default=""))
    apply(triggers.ALL)
