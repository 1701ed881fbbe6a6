"""Triggers of migration r0007: decisions are logged, and erasing is, too; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _refuse
from registry.migrations.r0002_triggers import _SUBJECT_KINDS, HEAD_OF_LOG, _about

# The head of the log says that something is erased (about whom the second and third say).
_ERASING: Final = f"EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = {HEAD_OF_LOG} AND e.kind = 'erasure'"  # noqa: S608
_ERASURE: Final = f"{_ERASING})"
_ERASURE_OF_ROW: Final = f"{_ERASING} AND json_extract(e.entry, '$.public.subject') = OLD.subject_id)"
_ERASURE_OF_SUBJECT: Final = f"{_ERASING} AND json_extract(e.entry, '$.public.subject') = OLD.id)"
_ERASURE_OF_PARTY: Final = f"{_ERASING} AND json_extract(e.entry, '$.public.party') = OLD.id)"

DECISIONS: Final = [
    _refuse(
        "decision_logged", "INSERT", "decision",
        "NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = NEW.log_seq "  # noqa: S608
        f"AND e.seq = {HEAD_OF_LOG} AND e.kind = 'decision' AND e.commitment IS NOT NULL "
        "AND json_extract(e.entry, '$.public.verdict') = NEW.verdict "
        "AND json_extract(e.entry, '$.public.policy') = NEW.policy "
        "AND json_extract(e.entry, '$.public.decided_at') = NEW.decided_at)",
        "a decision needs its own entry at the head of the log",
    ),
]  # fmt: skip

ERASURES: Final = [
    _refuse(
        "log_private_erased", "DELETE", "log_private", f"NOT {_ERASURE}",
        "what an entry commits to goes only with an erasure at the head of the log",
    ),
    *(
        statement
        for table in ("name", "reference", "rule")
        for statement in (
            f"DROP TRIGGER {table}_kept",
            _refuse(
                f"{table}_kept", "DELETE", table, f"OLD.removed_seq IS NULL OR NOT {_ERASURE_OF_ROW}",
                "rows go only with the erasure of their subject, after they were removed",
            ),
        )
    ),
    "DROP TRIGGER subject_fixed",
    _refuse(
        "subject_fixed", "UPDATE OF id, party_id, kind, log_seq", "subject", "1", "these columns never change"
    ),
    _refuse(
        "subject_name_fixed", "UPDATE OF name, normal", "subject",
        f"OLD.state <> 'withdrawn' OR NOT {_ERASURE_OF_SUBJECT}",
        "the name goes only with the erasure of a withdrawn subject",
    ),
    "DROP TRIGGER subject_changed_logged",
    _refuse(
        "subject_changed_logged", "UPDATE", "subject",
        "NEW.changed_seq <= OLD.changed_seq OR "
        + _about(f"{_SUBJECT_KINDS}, 'claim', 'erasure'", "subject", "changed_seq"),
        "a change needs the log entry at the head that says so",
    ),
    _refuse(
        "subject_erased_withdrawn", "UPDATE", "subject",
        f"OLD.state <> 'withdrawn' AND {_ERASURE_OF_SUBJECT}", "only a withdrawn subject can be erased",
    ),
    "DROP TRIGGER party_fixed",
    *_fixed("party", columns="id, created_at", deletable=True),
    _refuse(
        "party_name_fixed", "UPDATE OF name, normal", "party",
        f"NOT {_ERASURE_OF_PARTY} OR EXISTS (SELECT 1 FROM subject s "  # noqa: S608 - constants
        "WHERE s.party_id = OLD.id AND s.state <> 'withdrawn')",
        "the name goes only with the erasure of a party that has nothing in force",
    ),
]  # fmt: skip

ALL: Final = [*DECISIONS, *ERASURES]
