"""Opt-outs: parties, subjects, names, references, vectors, rules; API keys; what was seen of releases."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0002_triggers as triggers
from registry.migrations.r0001_triggers import apply, on_postgres
from registry.migrations.versions import r0001_release_store as r0001

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

_text, _hex, _time, _json, _id = r0001._text, r0001._hex, r0001._time, r0001._json, r0001._id
_int, _table = r0001._int, r0001._table


def upgrade() -> None:
    """Make everything."""
    _subjects()
    _rows_of_subjects()
    _rules()
    _keys()
    _sights()
    _cursors()
    apply(triggers.ALL)


def _any(name: str) -> sa.Column[str]:
    """A text that may be empty."""
    return sa.Column(name, sa.Text, nullable=False)


def _list(name: str) -> list[sa.schema.SchemaItem]:
    return _text(name, "json_valid({0}) AND json_type({0}) = 'array'")


def _seq(name: str, *, nullable: bool = False) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column(name, sa.Integer, nullable=nullable, autoincrement=False),
        sa.ForeignKeyConstraint([name], ["log_entry.seq"]),
    ]


def _blob(name: str, check: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column(name, sa.LargeBinary, nullable=False),
        sa.CheckConstraint(check.format(name), f"{name}_form"),
    ]


def _of_subject() -> list[sa.schema.SchemaItem]:
    return [*_id("subject_id"), sa.ForeignKeyConstraint(["subject_id"], ["subject.id"])]


def _rowid() -> list[sa.schema.SchemaItem]:
    return [sa.Column("id", sa.Integer, nullable=False), sa.PrimaryKeyConstraint("id")]


def _in_force(name: str, table: str, columns: list[Any], *, unique: bool) -> None:
    op.create_index(name, table, columns, unique=unique, **r0001.where("removed_seq IS NULL"))


def _subjects() -> None:
    _table(
        "party",
        _id("id"), _text("name"), _text("normal"), _time("created_at"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("normal"),
    )  # fmt: skip
    _table(
        "subject",
        _id("id"), _id("party_id"),
        _text("kind", "{0} IN ('character', 'person', 'logo', 'artwork', 'portfolio')"),
        _text("name"), _text("normal"), _text("mode", "{0} IN ('block', 'ask', 'allow')"),
        _any("description"), _list("attributes"), _list("exclusions"),
        _text("state", "{0} IN ('active', 'withdrawn')"), _seq("log_seq"), _seq("changed_seq"),
        sa.CheckConstraint("changed_seq >= log_seq", "changed_after_made"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("party_id", "kind", "normal"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
    )  # fmt: skip
    op.create_index("subject_changed", "subject", ["changed_seq"])


def _rows_of_subjects() -> None:
    _table(
        "name",
        _rowid(), _of_subject(), _text("text"), _text("normal"), _text("tier", "{0} IN ('block', 'context')"),
        _list("context"), _text("kind", "{0} IN ('official', 'alias', 'nickname', 'native')"),
        _any("language"), _seq("log_seq"), _seq("removed_seq", nullable=True),
        sa.CheckConstraint("tier = 'block' OR json_array_length(context) > 0", "context_named"),
    )  # fmt: skip
    # PostgreSQL's indexes hold no long text
    context = sa.text("md5(context)") if on_postgres() else "context"
    _in_force("name_in_force", "name", ["subject_id", "normal", "tier", context], unique=True)
    _table(
        "reference",
        _rowid(), _of_subject(), _hex("sha256", 64), _int("polarity", "{0} IN (1, -1)"),
        _int("width", "{0} > 0"), _int("height", "{0} > 0"), _any("name"),
        _seq("log_seq"), _seq("removed_seq", nullable=True),
    )  # fmt: skip
    _in_force("reference_in_force", "reference", ["subject_id", "sha256"], unique=True)
    _table(
        "space",
        _text("id"), _int("dimension", "{0} > 0"), _time("created_at"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("id", "dimension"),
    )  # fmt: skip
    _table(
        "embedding",
        _rowid(), _of_subject(),
        _text("reference_sha256", "({0} <> '') = (kind IN ('picture', 'portrait'))"), _text("space"),
        _text("kind", "{0} IN ('picture', 'portrait', 'description', 'attribute')"),
        _int("polarity", "{0} IN (1, -1)"), _int("dimension", "{0} > 0"),
        _blob("vector", "length({0}) = 2 * dimension"),
        sa.ForeignKeyConstraint(["space", "dimension"], ["space.id", "space.dimension"]),
        _seq("log_seq"), _seq("removed_seq", nullable=True),
    )  # fmt: skip
    _in_force("embedding_in_force", "embedding", ["subject_id"], unique=False)


def _rules() -> None:
    _table(
        "rule",
        _id("id"), _of_subject(), _text("effect", "{0} IN ('allow', 'review', 'block')"),
        _text("account", nullable=True), _time("valid_from", nullable=True),
        _time("valid_until", nullable=True), _int("priority", "{0} BETWEEN -1000 AND 1000"),
        _int("licence", "{0} IN (0, 1)"), _seq("log_seq"), _seq("removed_seq", nullable=True),
        sa.CheckConstraint("licence = 0 OR (effect = 'allow' AND account IS NOT NULL)", "licence_form"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    _in_force("rule_in_force", "rule", ["subject_id"], unique=False)


def _keys() -> None:
    _table(
        "api_key",
        _id("id"), _text("account"), _text("name"), _hex("secret_sha256", 64),
        _text("scopes", "json_valid({0}) AND json_array_length({0}) > 0"), _time("created_at"),
        _time("expires_at", nullable=True), _time("revoked_at", nullable=True),
        _seq("revoked_seq", nullable=True),
        sa.CheckConstraint("(revoked_at IS NULL) = (revoked_seq IS NULL)", "revoked"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("secret_sha256"),
    )  # fmt: skip
    op.create_index("api_key_account", "api_key", ["account", "id"])


def _sights() -> None:
    _table(
        "release_sight",
        _id("release_id"), _int("number"), _text("kind"), _text("space"), _int("dimension", "{0} > 0"),
        _int("count"), _int("sealed", "{0} IN (0, 1)"),
        _blob("vectors", "sealed = 1 OR length({0}) = 2 * dimension * count"),
        _blob("times", "length({0}) IN (0, 4 * count)"), _blob("boxes", "length({0}) IN (0, 16 * count)"),
        sa.PrimaryKeyConstraint("release_id", "number"),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"]),
    )  # fmt: skip


def _cursors() -> None:
    """How far a reader of the log has come."""
    _table("log_cursor", _text("name"), _int("seq"), sa.PrimaryKeyConstraint("name"))
