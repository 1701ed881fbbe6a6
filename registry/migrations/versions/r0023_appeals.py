"""Appeals against decisions, and keys that are suspended."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0023_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0023"
down_revision = "r0021"
branch_labels = None
depends_on = None

_text, _time, _id = r0001._text, r0001._time, r0001._id


def upgrade() -> None:
    """Make the tables. Whose a job is becomes a column: no index on an expression, which readers that do not
    trust the schema refuse.
    """
    r0001._column("job", sa.Column("account", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE job SET account = coalesce(json_extract(inputs, '$.account'), '')")
    op.create_index("job_account", "job", ["account", "id"])
    op.execute("INSERT INTO log_kind VALUES ('suspension', 0)")
    r0001._table(
        "appeal",
        _id("id"), _text("decision"), _text("account"), _id("job_id"),
        _text("release_id", "length({0}) = 36", nullable=True), r0001._hex("order_sha256", 64),
        _text("words"), _text("state", "{0} IN ('open', 'granted', 'upheld')"), _time("opened_at"),
        r0002._seq("log_seq"), _time("closed_at", nullable=True), r0002._seq("closed_seq", nullable=True),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("decision"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"]),
    )  # fmt: skip
    op.create_index("appeal_order", "appeal", ["order_sha256"])
    op.create_index("appeal_account", "appeal", ["account", "id"])
    op.create_index("appeal_open", "appeal", ["id"], **r0001.where("state = 'open'"))
    r0001._table(
        "appeal_vote",
        _id("id"), _id("appeal_id"), _text("vote", "{0} IN ('grant', 'uphold')"), _text("voter"),
        r0002._any("why"), r0002._list("cleared"), r0001._int("needed", "{0} IN (1, 2)"), _time("voted_at"),
        r0002._seq("log_seq"), r0002._any("key_id"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("appeal_id", "voter"),
        sa.ForeignKeyConstraint(["appeal_id"], ["appeal.id"]),
    )  # fmt: skip
    r0001._table(
        "key_suspension",
        _id("id"), _id("key_id"), r0001._int("addresses", "{0} > 0"), _time("since"),
        r0002._seq("log_seq"), _time("lifted_at", nullable=True), r0002._seq("lifted_seq", nullable=True),
        sa.PrimaryKeyConstraint("id"), sa.ForeignKeyConstraint(["key_id"], ["api_key.id"]),
    )  # fmt: skip
    op.create_index("key_suspension_open", "key_suspension", ["key_id"], **r0001.where("lifted_seq IS NULL"))
    apply(triggers.ALL)
