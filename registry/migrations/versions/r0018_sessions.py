"""Signing in to the pages: links that work once, and what a browser holds afterwards."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0018_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001

revision = "r0018"
down_revision = "r0017"
branch_labels = None
depends_on = None

_id, _hex, _time = r0001._id, r0001._hex, r0001._time


def upgrade() -> None:
    """Make the tables. Of every secret only the digest is kept; rows are deleted a while after their end."""
    for table, done in {"sign_in_link": "used_at", "web_session": "ended_at"}.items():
        r0001._table(
            table,
            _id("id"), _id("key_id"), _hex("secret_sha256", 64), _time("made_at"), _time("until"),
            _time(done, nullable=True),
            sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("secret_sha256"),
            sa.ForeignKeyConstraint(["key_id"], ["api_key.id"]),
            sa.CheckConstraint("until > made_at", "ends_later"),
        )  # fmt: skip
        op.create_index(f"{table}_until", table, ["until"])
    apply(triggers.ALL)
