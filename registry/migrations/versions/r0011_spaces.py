"""Retiring a space of vectors, once another has all of it."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0011_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0011"
down_revision = "r0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the index makes it quick to see whether a space has all of another."""
    op.execute("INSERT INTO log_kind VALUES ('space', 1)")
    r0001._table(
        "space_retired",
        r0001._text("space"), r0001._text("into_space"), r0002._seq("log_seq"),
        sa.PrimaryKeyConstraint("space"),
        sa.ForeignKeyConstraint(["space"], ["space.id"]),
        sa.ForeignKeyConstraint(["into_space"], ["space.id"]),
    )  # fmt: skip
    op.drop_index("embedding_in_force", "embedding")
    r0002._in_force(
        "embedding_in_force", "embedding", ["subject_id", "space", "kind", "reference_sha256"], unique=False
    )
    apply(triggers.ALL)
