"""Triggers of migration r0013: what an erasure reaches besides names and texts; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _refuse
from registry.migrations.r0002_triggers import HEAD_OF_LOG

_ERASING: Final = (
    f"EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = {HEAD_OF_LOG} AND e.kind = 'erasure' "  # noqa: S608
    "AND json_extract(e.entry, '$.public.{0}') = OLD.{1})"
)
_OF_SUBJECT: Final = _ERASING.format("subject", "subject_id")
_OF_PARTY: Final = _ERASING.format("party", "party_id")
_OF_SPEAKER: Final = _ERASING.format("party", "by_party")
_COUNTS: Final = (
    "OLD.state IN ('draft', 'provisional', 'disputed') "
    "OR (OLD.state = 'active' AND OLD.kind NOT IN ('withdraw', 'licence_grant'))"
)
_FOR_GOOD: Final = "it goes only with the erasure of whom it is about"

CLAIMS: Final = [
    "DROP TRIGGER claim_forgotten",
    _refuse(
        "claim_forgotten", "UPDATE OF statements, signature", "claim",
        f"NEW.statements IS NOT '{{}}' OR NEW.signature IS NOT '' OR {_COUNTS} "
        f"OR NOT ({_OF_SUBJECT} OR {_OF_PARTY} OR {_OF_SPEAKER})",
        "what was stated is forgotten as a whole, when it does not count any more, with an erasure",
    ),
    "DROP TRIGGER evidence_fixed",
    _refuse(
        "evidence_fixed",
        "UPDATE OF id, claim_id, sha256, media_type, size, added_at, purge_at, log_seq", "evidence", "1",
        "these columns never change",
    ),
    _refuse(
        "evidence_note_fixed", "UPDATE OF note", "evidence", "NEW.note IS NOT '' OR NEW.purged_seq IS NULL",
        "a note goes with its file, or stays",
    ),
]  # fmt: skip

PARTIES: Final = [
    statement
    for table, fixed, told in (
        ("work", "id, party_id, created_at", "title, normal"),
        ("estate", "party_id, died_on, log_seq", "deceased, normal"),
    )
    for statement in (
        f"DROP TRIGGER {table}_fixed",
        _refuse(f"{table}_fixed", f"UPDATE OF {fixed}", table, "1", "these columns never change"),
        _refuse(f"{table}_told", f"UPDATE OF {told}", table, f"NOT {_OF_PARTY}", _FOR_GOOD),
    )
]

QUARANTINE: Final = [
    "DROP TRIGGER quarantine_kept",
    _refuse("quarantine_kept", "DELETE", "quarantine", f"NOT {_OF_SUBJECT}", _FOR_GOOD),
]

ALL: Final = [*CLAIMS, *PARTIES, *QUARANTINE]
