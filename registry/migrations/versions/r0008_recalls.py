"""Recalls: why a release is not served, cases for a person, parents of releases, scans of what is out."""

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0008_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0008"
down_revision = "r0007"
branch_labels = None
depends_on = None

_text, _time, _json, _id = r0001._text, r0001._time, r0001._json, r0001._id
_int, _table, _seq, _any = r0001._int, r0001._table, r0002._seq, r0002._any


def upgrade() -> None:
    """Make everything."""
    _stops()
    _cases()
    _parents()
    _scans()
    apply(triggers.ALL)


def _of_release(name: str = "release_id") -> list[sa.schema.SchemaItem]:
    return [*_id(name), sa.ForeignKeyConstraint([name], ["release.id"])]


def _unique_where(name: str, table: str, columns: list[str], where: str) -> None:
    told = sa.text(where)
    op.create_index(name, table, columns, unique=True, sqlite_where=told, postgresql_where=told)


def _stops() -> None:
    """What was withdrawn before this was kept counts as withdrawn by hand."""
    _table(
        "release_stop",
        _id("id"), _of_release(), _text("cause", "{0} IN ('manual', 'wish', 'case', 'claim')"), _any("about"),
        _seq("since_seq"), _seq("lifted_seq", nullable=True),
        sa.CheckConstraint("(about = '') = (cause = 'manual')", "about_form"),
        sa.CheckConstraint("lifted_seq IS NULL OR lifted_seq > since_seq", "lifted_after"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    _unique_where("release_stop_standing", "release_stop", ["release_id", "cause", "about"],
                  "lifted_seq IS NULL")  # fmt: skip
    op.execute(
        "INSERT INTO release_stop (id, release_id, cause, about, since_seq) "
        "SELECT id, id, 'manual', '', state_seq FROM release WHERE state = 'withdrawn'"
    )


def _cases() -> None:
    _table(
        "review_case",
        _id("id"), _text("kind", "{0} IN ('retro_match', 'derivative', 'key_revoked')"), _of_release(),
        _text("about"), _json("reasons"), _text("state", "{0} IN ('open', 'upheld', 'dismissed')"),
        _time("opened_at"), _seq("log_seq"), _time("closed_at", nullable=True),
        _seq("closed_seq", nullable=True), _any("decided_by"), _any("decision"),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", "closed_time"),
        sa.CheckConstraint("(state = 'open') = (closed_seq IS NULL)", "closed_logged"),
        sa.CheckConstraint("(state = 'open') = (decided_by = '')", "closed_by_somebody"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    _unique_where("review_case_open", "review_case", ["release_id", "kind", "about"], "state = 'open'")
    op.create_index("review_case_state", "review_case", ["state", "id"])
    op.create_index("review_case_about", "review_case", ["about"])


def _parents() -> None:
    _table(
        "release_parent",
        _of_release(), _of_release("parent_id"), _text("relation", "{0} IN ('guard', 'extend', 'remix')"),
        _text("evidence", "{0} IN ('credential', 'hidden_mark')"),
        sa.CheckConstraint("release_id <> parent_id", "not_its_own"),
        sa.PrimaryKeyConstraint("release_id", "parent_id"),
    )  # fmt: skip
    op.create_index("release_parent_of", "release_parent", ["parent_id"])


def _scans() -> None:
    _table(
        "retro_scan",
        _id("id"), _int("after_seq"), _int("upto_seq"), _any("since"), _time("until"),
        _text("state", "{0} IN ('open', 'late', 'done')"), _any("position"), _int("compared"),
        _int("unclear"), _time("begun_at"), _time("ended_at", nullable=True),
        sa.CheckConstraint("upto_seq >= after_seq AND until >= since", "scan_forward"),
        sa.CheckConstraint("(state = 'open') = (ended_at IS NULL)", "scan_ended"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("after_seq", "since"),
    )  # fmt: skip
    _unique_where("retro_scan_open", "retro_scan", ["state"], "state = 'open'")
    of_scan = [*_id("scan_id"), sa.ForeignKeyConstraint(["scan_id"], ["retro_scan.id"])]
    _table(
        "retro_subject", of_scan, _id("subject_id"), _int("unclear"),
        sa.PrimaryKeyConstraint("scan_id", "subject_id"),
    )  # fmt: skip
    op.create_index("retro_subject_of", "retro_subject", ["subject_id"])
    of_scan = [*_id("scan_id"), sa.ForeignKeyConstraint(["scan_id"], ["retro_scan.id"])]
    _table("retro_late", of_scan, _of_release(), sa.PrimaryKeyConstraint("scan_id", "release_id"))
    of_scan = [*_id("scan_id"), sa.ForeignKeyConstraint(["scan_id"], ["retro_scan.id"])]
    _table(
        "retro_match", of_scan, _of_release(), _text("about"), _text("code"),
        sa.Column("score", sa.REAL, nullable=False),
        _text("outcome", "{0} IN ('withdrawn', 'held', 'case')"), _time("at"),
        sa.PrimaryKeyConstraint("scan_id", "release_id", "about"),
    )  # fmt: skip
    op.create_index("retro_match_about", "retro_match", ["about"])
