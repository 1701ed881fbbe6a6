"""What strangers had verified lately, so that many near-duplicates of one clip are recognised."""

import sqlalchemy as sa
from alembic import op

from registry.migrations.versions import r0001_release_store as r0001

revision = "r0016"
down_revision = "r0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. Its rows are no record: they are deleted after hours."""
    r0001._table(
        "verify_query",
        r0001._id("id"), r0001._time("asked_at"), r0001._text("asker"), r0001._hex("file_sha256", 64),
        [
            sa.Column("signature", sa.LargeBinary, nullable=False),
            sa.CheckConstraint("length(signature) BETWEEN 1 AND 1024", "signature_form"),
        ],
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    op.create_index("verify_query_at", "verify_query", ["asked_at"])
