"""An erasure reaches statements, signatures, notes of evidence, works, estates and quarantined names."""

from registry.migrations import r0013_triggers as triggers
from registry.migrations.r0001_triggers import apply

revision = "r0013"
down_revision = "r0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Exchange the triggers."""
    apply(triggers.ALL)
