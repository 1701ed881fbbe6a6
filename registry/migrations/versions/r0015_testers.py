"""Keys of testers: they have an end, and nothing that they ask for is released."""

from registry.migrations import r0015_triggers as triggers
from registry.migrations.r0001_triggers import apply

revision = "r0015"
down_revision = "r0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the triggers."""
    apply(triggers.ALL)
