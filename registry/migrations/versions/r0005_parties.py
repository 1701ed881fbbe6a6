"""Parties with kinds and levels, estates, works, delegations, claims, evidence.

Parties that are there already were made by the operator, and what they registered is in force: they keep
that standing as trusted ones. Their kind was never asked: it stays empty until somebody tells it.
"""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0005_triggers as triggers
from registry.migrations.r0001_triggers import apply, on_postgres
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0005"
down_revision = "r0003"
branch_labels = None
depends_on = None

_text, _hex, _time, _json, _id = r0001._text, r0001._hex, r0001._time, r0001._json, r0001._id
_int, _table, _any, _list, _seq = r0001._int, r0001._table, r0002._any, r0002._list, r0002._seq

PARTY_KINDS = "'person', 'company', 'association', 'estate', 'agency', 'platform'"
LEVELS = "'claimed', 'domain', 'document', 'trusted'"
CLAIM_KINDS = "'opt_out', 'notice_512', 'dsa16', 'likeness', 'takedown48', 'withdraw', 'licence_grant'"
STATES = "'draft', 'provisional', 'active', 'rejected', 'disputed', 'withdrawn', 'expired'"
DAY = "{0} LIKE '____-__-__'"


def upgrade() -> None:
    """Make everything."""
    _parties()
    _delegations()
    _claims()
    _subjects()
    apply(triggers.ALL)


def _key(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{table}.id"])


def _add_column(table: str, name: str, rest: str) -> None:
    # Compared bytewise on both, as all texts are: PostgreSQL joins no columns of different collations.
    collation = 'COLLATE "C" ' if on_postgres() else ""
    op.execute(f"ALTER TABLE {table} ADD COLUMN {name} TEXT {collation}{rest}")


def _parties() -> None:
    apply(triggers.BEFORE)
    _add_column("party", "kind", f"CHECK (kind IS NULL OR kind IN ({PARTY_KINDS}))")
    _add_column("party", "verified_level", f"NOT NULL DEFAULT 'claimed' CHECK (verified_level IN ({LEVELS}))")
    op.execute("UPDATE party SET verified_level = 'trusted'")
    _table(
        "estate",
        _id("party_id"), _text("deceased"), _text("normal"), _text("died_on", DAY), _seq("log_seq"),
        sa.PrimaryKeyConstraint("party_id"), _key("party_id", "party"),
    )  # fmt: skip
    _table(
        "work",
        _id("id"), _id("party_id"), _text("title"), _text("normal"), _time("created_at"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("party_id", "normal"), _key("party_id", "party"),
    )  # fmt: skip


def _delegations() -> None:
    _table(
        "delegation",
        _id("id"), _id("from_party"), _id("to_party"), _json("scope"),
        _text("acts", "json_valid({0}) AND json_array_length({0}) > 0"),
        _int("may_subdelegate", "{0} IN (0, 1)"), _time("valid_from", nullable=True),
        _time("valid_until", nullable=True), _seq("log_seq"), _seq("revoked_seq", nullable=True),
        sa.CheckConstraint("from_party <> to_party", "to_another"),
        sa.PrimaryKeyConstraint("id"), _key("from_party", "party"), _key("to_party", "party"),
    )  # fmt: skip
    op.create_index("delegation_from", "delegation", ["from_party"])
    op.create_index("delegation_to", "delegation", ["to_party"])


def _claims() -> None:
    _table(
        "claim",
        _id("id"), _text("kind", f"{{0}} IN ({CLAIM_KINDS})"), _id("party_id"),
        _text("by_party", "length({0}) = 36", nullable=True), _list("path"),
        _text("subject_id", "length({0}) = 36", nullable=True),
        _text("release_id", "length({0}) = 36", nullable=True),
        _json("statements"), _any("signature"), _text("state", f"{{0}} IN ({STATES})"),
        _time("due_at", nullable=True), _text("disputed_by", "length({0}) = 36", nullable=True),
        _json("draft", nullable=True), _time("created_at"), _seq("log_seq"), _seq("changed_seq"),
        sa.CheckConstraint("state = 'draft' OR draft IS NULL", "draft_only"),
        sa.CheckConstraint("state NOT IN ('draft', 'provisional') OR due_at IS NOT NULL", "clock_runs"),
        sa.CheckConstraint("changed_seq >= log_seq", "changed_after_made"),
        sa.PrimaryKeyConstraint("id"), _key("party_id", "party"), _key("by_party", "party"),
        _key("subject_id", "subject"), _key("release_id", "release"), _key("disputed_by", "party"),
    )  # fmt: skip
    op.create_index("claim_due", "claim", ["state", "due_at"])
    op.create_index("claim_party", "claim", ["party_id", "state"])
    op.create_index("claim_by", "claim", ["by_party", "state"])
    op.create_index("claim_subject", "claim", ["subject_id"])
    _table(
        "evidence",
        _id("id"), _id("claim_id"), _hex("sha256", 64), _text("media_type"), _int("size"), _any("note"),
        _time("added_at"), _time("purge_at"), _time("purged_at", nullable=True), _seq("log_seq"),
        _seq("purged_seq", nullable=True),
        sa.CheckConstraint("(purged_at IS NULL) = (purged_seq IS NULL)", "purged"),
        sa.PrimaryKeyConstraint("id"), _key("claim_id", "claim"),
    )  # fmt: skip
    op.create_index("evidence_claim", "evidence", ["claim_id"])
    _table(
        "evidence_access",
        _id("id"), _id("evidence_id"), _text("who"), _any("why"), _time("at"),
        sa.PrimaryKeyConstraint("id"), _key("evidence_id", "evidence"),
    )  # fmt: skip


def _subjects() -> None:
    _add_column("subject", "work_id", "REFERENCES work (id)")
    _add_column("subject", "died_on", "CHECK (died_on IS NULL OR died_on LIKE '____-__-__')")
    _add_column("subject", "claim_id", "REFERENCES claim (id)")
    op.create_index("subject_party", "subject", ["party_id", "kind"])
    op.create_index("subject_claim", "subject", ["claim_id"])
