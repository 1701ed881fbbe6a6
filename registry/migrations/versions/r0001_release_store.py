"""The release store: log, jobs, decisions, holds, releases.

What must never be true is refused here, by constraints and triggers, and not by the good will of
Python code. Triggers repeat the foreign keys of ``release`` because SQLite checks foreign keys only
on connections that ask for it.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from registry.migrations import plpgsql
from registry.migrations import r0001_triggers as triggers
from registry.migrations.r0001_triggers import apply, on_postgres

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None

APPLICATION_ID = 0x434D524B  # "CMRK"
KINDS = {
    "opt-out": 1, "name": 1, "reference": 1, "rule": 1, "licence": 1, "delegation": 1, "key": 1,
    "withdrawal": 1, "reinstatement": 1, "release": 0,
}  # fmt: skip


def _text(name: str, check: str = "length({0}) > 0", *, nullable: bool = False) -> list[sa.schema.SchemaItem]:
    rule = check.format(name)
    rule = f"{name} IS NULL OR {rule}" if nullable else rule
    return [sa.Column(name, sa.Text, nullable=nullable), sa.CheckConstraint(rule, f"{name}_form")]


def _hex(name: str, digits: int, *, nullable: bool = False) -> list[sa.schema.SchemaItem]:
    rule = f"length({{0}}) = {digits} AND trim({{0}}, '0123456789abcdef') = ''"
    return _text(name, rule, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> list[sa.schema.SchemaItem]:
    return _text(name, "{0} LIKE '____-__-__T__:__:__%Z'", nullable=nullable)


def _hash(name: str) -> list[sa.schema.SchemaItem]:
    rule = sa.CheckConstraint(f"length({name}) = 32", f"{name}_form")
    return [sa.Column(name, sa.LargeBinary, nullable=False), rule]


def _int(name: str, check: str = "{0} >= 0") -> list[sa.schema.SchemaItem]:
    rule = sa.CheckConstraint(check.format(name), f"{name}_form")
    return [sa.Column(name, sa.Integer, nullable=False, autoincrement=False), rule]


def _json(name: str, *, nullable: bool = False) -> list[sa.schema.SchemaItem]:
    return _text(name, "json_valid({0})", nullable=nullable)


def _id(name: str) -> list[sa.schema.SchemaItem]:
    return _text(name, "length({0}) = 36")


def _job_key() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["job_id"], ["job.id"])


def _table(name: str, *parts: list[sa.schema.SchemaItem] | sa.schema.SchemaItem) -> None:
    items = [item for part in parts for item in (part if isinstance(part, list) else [part])]
    if on_postgres():
        items = plpgsql.ported(items)
    op.create_table(name, *items, sqlite_strict=True)
    if on_postgres():
        apply([plpgsql.never_truncated(name)])


def where(condition: str) -> dict[str, Any]:
    """Options of an index that holds only the rows of which the condition is true."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Make everything."""
    apply(plpgsql.PRELUDE if on_postgres() else [f"PRAGMA application_id = {APPLICATION_ID}"])
    _log()
    _jobs()
    _releases()
    apply(triggers.ALL)


def _log() -> None:
    flag = _int("changes_verdict", "{0} IN (0, 1)")
    _table("log_kind", _text("kind"), flag, sa.PrimaryKeyConstraint("kind"))
    for kind, changes in KINDS.items():
        op.execute(f"INSERT INTO log_kind VALUES ('{kind}', {changes})")  # noqa: S608 - constants above
    _table(
        "log_entry",
        _int("seq", "{0} > 0"), _text("kind"), _time("at"), _json("entry"),
        _hex("commitment", 64, nullable=True), _hash("leaf_hash"),
        sa.PrimaryKeyConstraint("seq"), sa.ForeignKeyConstraint(["kind"], ["log_kind.kind"]),
    )  # fmt: skip
    op.create_index("log_entry_kind", "log_entry", ["kind", "seq"])
    _table(
        "log_private",
        _int("seq", "{0} > 0"), _hash("salt"), _json("private"),
        sa.PrimaryKeyConstraint("seq"), sa.ForeignKeyConstraint(["seq"], ["log_entry.seq"]),
    )  # fmt: skip
    _table(
        "log_node",
        _int("level", "{0} BETWEEN 1 AND 62"), _int("idx"), _hash("hash"),
        sa.PrimaryKeyConstraint("level", "idx"),
    )  # fmt: skip
    _table(
        "checkpoint",
        _int("tree_size", "{0} > 0"), _hash("root"), _text("note"), _time("at"),
        sa.PrimaryKeyConstraint("tree_size"), sa.ForeignKeyConstraint(["tree_size"], ["log_entry.seq"]),
    )  # fmt: skip


def _jobs() -> None:
    _table(
        "job",
        _id("id"), _text("kind"), _text("key"), _json("inputs"), _time("created_at"),
        _text("state", "{0} IN ('open', 'released', 'held', 'refused', 'failed')"),
        _json("result", nullable=True), _time("finished_at", nullable=True),
        sa.Column("owner", sa.Text), sa.Column("current_step", sa.Text, nullable=False), _int("deaths"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("key"),
        sa.CheckConstraint("(state = 'open') = (finished_at IS NULL)", "finished"),
    )  # fmt: skip
    op.create_index("job_state", "job", ["state", "id"])
    _table(
        "job_step",
        _id("job_id"), _text("name"), _json("result"), _time("recorded_at"),
        sa.PrimaryKeyConstraint("job_id", "name"), _job_key(),
    )  # fmt: skip
    _table(
        "held",
        _id("id"), _id("job_id"), _json("reasons"), _int("registry_seq"), _time("held_at"),
        _time("lifted_at", nullable=True), _text("lifted_because", nullable=True),
        sa.PrimaryKeyConstraint("id"), _job_key(),
        sa.CheckConstraint("json_array_length(reasons) > 0", "a_hold_has_a_reason"),
        sa.CheckConstraint("(lifted_at IS NULL) = (lifted_because IS NULL)", "lifted"),
    )  # fmt: skip
    op.create_index("held_open", "held", ["job_id"], unique=True, **where("lifted_at IS NULL"))
    _table(
        "decision",
        _hex("id", 64), _id("job_id"), _text("verdict", "{0} IN ('allow', 'review', 'block')"),
        _text("policy"), _int("policy_version", "{0} > 0"), _json("checks"), _json("reasons"),
        _int("registry_seq"), _time("decided_at"),
        sa.PrimaryKeyConstraint("id"), _job_key(),
        sa.UniqueConstraint("id", "verdict", "job_id", "registry_seq"),
    )  # fmt: skip
    op.create_index("decision_job", "decision", ["job_id"])


def _releases() -> None:
    _table("payload_counter", _int("id", "{0} = 1"), _int("value"), sa.PrimaryKeyConstraint("id"))
    op.execute("INSERT INTO payload_counter VALUES (1, 0)")
    _table(
        "release",
        _id("id"), _id("job_id"),
        # marked: the hidden mark reads back from the encoded file, and the visible one was drawn
        _hex("payload", 16), _text("detected_payload", "{0} = payload"),
        sa.Column("mark_log10_chance", sa.REAL, nullable=False),
        sa.CheckConstraint("mark_log10_chance BETWEEN -100000 AND -9", "mark_is_certain"),
        _int("visible_variant", "{0} BETWEEN 0 AND 15"),
        # signed: by whom, when, and a fresh reader found it intact
        _text("urn", "{0} LIKE 'urn:_%'"), _hex("file_sha256", 64), _hex("manifest_sha256", 64),
        _hex("signer_sha256", 64), _time("timestamped_at"), _text("reread_verdict", "{0} = 'intact'"),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("length(fingerprint) BETWEEN 1 AND 1048576", "fingerprint_form"),
        # allowed: by a decision about this very job, made at checked_seq
        _hex("decision_id", 64), _text("decision_verdict", "{0} = 'allow'"),
        _int("checked_seq"), _int("registry_seq"), _int("log_seq"), _time("published_at"),
        _json("facts"), _text("state", "{0} IN ('released', 'withdrawn')"), _int("state_seq"),
        sa.CheckConstraint("checked_seq <= registry_seq AND registry_seq < log_seq", "fence_order"),
        sa.CheckConstraint("state_seq >= log_seq", "state_after_release"),
        sa.PrimaryKeyConstraint("id"),
        *(sa.UniqueConstraint(c) for c in ("job_id", "payload", "urn", "file_sha256", "log_seq")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.ForeignKeyConstraint(["log_seq"], ["log_entry.seq"]),
        sa.ForeignKeyConstraint(["state_seq"], ["log_entry.seq"]),
        sa.ForeignKeyConstraint(
            ["decision_id", "decision_verdict", "job_id", "checked_seq"],
            ["decision.id", "decision.verdict", "decision.job_id", "decision.registry_seq"],
        ),
    )  # fmt: skip
