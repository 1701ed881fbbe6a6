"""Triggers and views of migration r0001, in SQLite's dialect; frozen with it.

A trigger is written once, for both databases. Make it with `_refuse`, `_fixed` and `_new`, and have the
migration carry it out with `apply`; on PostgreSQL `registry.migrations.plpgsql` rewrites it. A condition
may hold:

1. NEW and OLD, comparisons, AND, OR, NOT, CASE, EXISTS and other subqueries, coalesce, length, substr,
   trim(text, characters), ``||``, CAST(x AS INTEGER), max and min (of a column, or of two numbers);
2. ``a IS b`` and ``a IS NOT b``, which take NULL for a value, also with NULL itself;
3. json_valid, json_type, json_array_length, and json_extract(x, '$.a.b'): its result is text on
   PostgreSQL, so compare it with text, or CAST(json_extract(...) AS INTEGER) with a number; a truth value
   or a list that it finds is not the same on both.

A condition is a truth value and not a number: ``NEW.sealed = 1``, not ``NEW.sealed``; ``1`` alone is always.
LIKE is case-sensitive on PostgreSQL only. Text in quotes holds no quote. "DROP TRIGGER name" ends a trigger.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from alembic import op

from registry.migrations import plpgsql


def apply(statements: Iterable[str]) -> None:
    """Carry out statements inside a migration, on the database that it is about."""
    for statement in statements:
        here = plpgsql.translated(statement) if on_postgres() else [statement]
        for text in here:
            op.execute(sa.text(text.replace(":", r"\:")))


def on_postgres() -> bool:
    """Whether the migration is about PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"


def _refuse(name: str, when: str, table: str, condition: str, message: str) -> str:
    """Return a trigger that aborts the statement when the condition holds; messages carry no quotes."""
    return (
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{table}: {message}'); END"
    )


def _fixed(table: str, *, columns: str = "", deletable: bool = False) -> list[str]:
    """Return triggers against UPDATE (of the columns, or of all) and against DELETE."""
    of = f"UPDATE OF {columns}" if columns else "UPDATE"
    result = [_refuse(f"{table}_fixed", of, table, "1", "these columns never change")]
    if not deletable:
        result.append(_refuse(f"{table}_kept", "DELETE", table, "1", "rows are never deleted"))
    return result


def _new(table: str, *keys: str) -> str:
    """Return a trigger against INSERT OR REPLACE, which would delete without a DELETE trigger."""
    same = " OR ".join(f"({key})" for key in keys)
    condition = f"EXISTS (SELECT 1 FROM {table} AS t WHERE {same})"  # noqa: S608 - constants of this file
    return _refuse(f"{table}_new", "INSERT", table, condition, "the row is there already")


LAST_VERDICT_CHANGE: Final = (
    "(SELECT coalesce(max((SELECT max(e.seq) FROM log_entry e WHERE e.kind = k.kind)), 0) "
    "FROM log_kind k WHERE k.changes_verdict = 1)"
)

LOG: Final = [
    _refuse(
        "log_entry_gap_free", "INSERT", "log_entry",
        "NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM log_entry)",
        "seq must be the next number",
    ),
    _refuse(
        "log_entry_kind_known", "INSERT", "log_entry",
        "NOT EXISTS (SELECT 1 FROM log_kind k WHERE k.kind = NEW.kind)", "kind is unknown",
    ),
    _refuse(
        "log_private_committed", "INSERT", "log_private",
        "NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = NEW.seq AND e.commitment IS NOT NULL)",
        "the entry commits to nothing private",
    ),
    *_fixed("log_entry"), *_fixed("log_node"), *_fixed("checkpoint"), *_fixed("log_kind"),
    *_fixed("log_private", deletable=True),
    _new("log_node", "t.level = NEW.level AND t.idx = NEW.idx"),
    _new("log_private", "t.seq = NEW.seq"),
    _new("checkpoint", "t.tree_size = NEW.tree_size"),
]  # fmt: skip

JOBS: Final = [
    _new("job", "t.id = NEW.id", "t.key = NEW.key"),
    _new("job_step", "t.job_id = NEW.job_id AND t.name = NEW.name"),
    _new("held", "t.id = NEW.id", "t.job_id = NEW.job_id AND t.lifted_at IS NULL"),
    _new("decision", "t.id = NEW.id"),
    *_fixed("job", columns="id, kind, key, inputs, created_at"),
    *_fixed("job_step"), *_fixed("decision"),
    *_fixed("held", columns="id, job_id, reasons, registry_seq, held_at"),
    _refuse("job_starts_open", "INSERT", "job", "NEW.state IS NOT 'open'", "a job starts open"),
    _refuse(
        "job_final", "UPDATE OF state", "job",
        "OLD.state IS NOT NEW.state AND OLD.state <> 'open' "
        "AND NOT (OLD.state = 'held' AND NEW.state = 'open')",
        "a finished job stays finished",
    ),
    _refuse(
        "job_reopened", "UPDATE OF state", "job",
        "NEW.state = 'open' AND EXISTS "
        "(SELECT 1 FROM held h WHERE h.job_id = NEW.id AND h.lifted_at IS NULL)",
        "the hold must be lifted first",
    ),
    _refuse(
        "job_held", "UPDATE OF state", "job",
        "NEW.state = 'held' AND NOT EXISTS "
        "(SELECT 1 FROM held h WHERE h.job_id = NEW.id AND h.lifted_at IS NULL)",
        "held needs an open hold",
    ),
    _refuse(
        "job_outcome", "UPDATE OF state", "job",
        "NEW.state <> 'open' AND "
        "(NEW.state = 'released') <> EXISTS (SELECT 1 FROM release r WHERE r.job_id = NEW.id)",
        "released means that a release exists",
    ),
    _refuse(
        "held_lifted_once", "UPDATE OF lifted_at, lifted_because", "held",
        "OLD.lifted_at IS NOT NULL", "a lifted hold stays lifted",
    ),
    _refuse(
        "held_not_released", "INSERT", "held",
        "EXISTS (SELECT 1 FROM release r WHERE r.job_id = NEW.job_id)",
        "the job is released; withdraw the release instead",
    ),
]  # fmt: skip

RELEASES: Final = [
    _new(
        "release", "t.id = NEW.id", "t.job_id = NEW.job_id", "t.payload = NEW.payload", "t.urn = NEW.urn",
        "t.file_sha256 = NEW.file_sha256", "t.log_seq = NEW.log_seq",
    ),
    _refuse(
        "release_job_open", "INSERT", "release",
        "NOT EXISTS (SELECT 1 FROM job j WHERE j.id = NEW.job_id AND j.state = 'open')",
        "the job must be open",
    ),
    _refuse(
        "release_not_held", "INSERT", "release",
        "EXISTS (SELECT 1 FROM held h WHERE h.job_id = NEW.job_id AND h.lifted_at IS NULL)",
        "the job is held",
    ),
    _refuse(
        "release_allowed", "INSERT", "release",
        "NOT EXISTS (SELECT 1 FROM decision d WHERE d.id = NEW.decision_id AND d.verdict = 'allow' "
        "AND d.job_id = NEW.job_id AND d.registry_seq = NEW.checked_seq)",
        "no allow decision about this job at checked_seq",
    ),
    _refuse(
        "release_logged", "INSERT", "release",
        "NEW.log_seq IS NOT (SELECT max(seq) FROM log_entry WHERE kind = 'release') "
        "OR NEW.log_seq IS NOT (SELECT max(seq) FROM log_entry)",
        "log_seq must be the release entry at the head of the log",
    ),
    _refuse(
        "release_fenced", "INSERT", "release", f"NEW.registry_seq IS NOT {LAST_VERDICT_CHANGE}",
        "registry_seq must be the last change that can alter a verdict",
    ),
    _refuse(
        "release_starts_released", "INSERT", "release",
        "NEW.state IS NOT 'released' OR NEW.state_seq IS NOT NEW.log_seq", "a release starts released",
    ),
    *_fixed(
        "release",
        columns="id, job_id, payload, detected_payload, mark_log10_chance, visible_variant, urn, "
        "file_sha256, manifest_sha256, signer_sha256, timestamped_at, reread_verdict, fingerprint, "
        "decision_id, decision_verdict, checked_seq, registry_seq, log_seq, published_at, facts",
    ),
    _refuse(
        "release_state_logged", "UPDATE OF state, state_seq", "release",
        "OLD.state = NEW.state OR NEW.state_seq <= OLD.state_seq OR NOT EXISTS ("
        "SELECT 1 FROM log_entry e WHERE e.seq = NEW.state_seq AND e.kind = "
        "CASE NEW.state WHEN 'withdrawn' THEN 'withdrawal' ELSE 'reinstatement' END "
        "AND json_extract(e.entry, '$.public.release') = NEW.id)",
        "a change of state needs its own log entry",
    ),
    _refuse(
        "payload_counter_rises", "UPDATE", "payload_counter",
        "NEW.id <> OLD.id OR NEW.value <= OLD.value", "the counter only rises",
    ),
    _refuse("payload_counter_kept", "DELETE", "payload_counter", "1", "rows are never deleted"),
    _new("payload_counter", "t.id = NEW.id"),
]  # fmt: skip

# The light reader (`registry.lookup`) sees the database only through these; their columns are a contract.
VIEWS: Final = [
    "CREATE VIEW verify_release_v1 AS SELECT r.id AS release_id, r.payload, r.urn, r.file_sha256, "
    "r.manifest_sha256, r.fingerprint, r.visible_variant, r.mark_log10_chance, r.signer_sha256, "
    "r.timestamped_at, r.state, r.state_seq, r.checked_seq, r.registry_seq, r.log_seq, r.published_at, "
    "d.policy, d.policy_version, d.decided_at FROM release r JOIN decision d ON d.id = r.decision_id",
    "CREATE VIEW verify_log_v1 AS SELECT seq, entry, leaf_hash FROM log_entry",
    "CREATE VIEW verify_node_v1 AS SELECT level, idx, hash FROM log_node "
    "UNION ALL SELECT 0, seq - 1, leaf_hash FROM log_entry",
    "CREATE VIEW verify_checkpoint_v1 AS SELECT tree_size, root, note FROM checkpoint",
    "CREATE VIEW verify_open_job_v1 AS SELECT id AS job_id FROM job WHERE state = 'open'",
]

ALL: Final = [*LOG, *JOBS, *RELEASES, *VIEWS]
