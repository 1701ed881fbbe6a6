"""More kinds of log entries: claims, parties, decisions, permissions, cases, imports, training, erasures.

Only what happens to a claim can change a verdict; the rest is there to be proven.
"""

from alembic import op

from registry.migrations import r0003_triggers as triggers
from registry.migrations.r0001_triggers import apply

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None

KINDS = {
    "claim": 1, "party": 0, "decision": 0, "permission": 0, "case": 0, "import": 0, "training": 0,
    "erasure": 0,
}  # fmt: skip


def upgrade() -> None:
    """Add the kinds."""
    for kind, changes in KINDS.items():
        op.execute(f"INSERT INTO log_kind VALUES ('{kind}', {changes})")  # noqa: S608 - constants above
    apply(triggers.ALL)
