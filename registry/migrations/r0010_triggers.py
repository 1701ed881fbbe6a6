"""Triggers of migration r0010: quarantine; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import _of_subject

_ACTION: Final = "(SELECT json_extract(e.entry, '$.public.action') FROM log_entry e WHERE e.seq = NEW.{seq})"
_HERE: Final = "t.subject_id = NEW.subject_id AND t.removed_seq IS NULL"
_NOT_THERE: Final = (
    f"(NEW.kind = 'picture' AND NOT EXISTS "  # noqa: S608
    f"(SELECT 1 FROM reference t WHERE {_HERE} AND t.sha256 = NEW.item)) "
    f"OR (NEW.kind = 'name' AND NOT EXISTS (SELECT 1 FROM name t WHERE {_HERE} AND t.normal = NEW.item)) "
    f"OR (NEW.kind = 'words' AND NOT EXISTS "
    f"(SELECT 1 FROM embedding t WHERE {_HERE} AND t.reference_sha256 = ''))"
)
_PORTRAIT: Final = (
    f"NEW.cause <> 'operator' AND NEW.kind = 'picture' AND EXISTS (SELECT 1 FROM embedding t "  # noqa: S608
    f"WHERE {_HERE} AND t.reference_sha256 = NEW.item AND t.kind = 'portrait')"
)

ALL: Final = [
    *_of_subject("quarantine", "kind, item, cause, why, figures, since"),
    _refuse(
        "quarantine_named", "INSERT", "quarantine",
        f"{_ACTION.format(seq='log_seq')} IS NOT 'quarantine'", "the log entry must say quarantine",
    ),
    _refuse(
        "quarantine_released", "UPDATE OF removed_seq", "quarantine",
        f"{_ACTION.format(seq='removed_seq')} IS NOT 'release'", "the log entry must say release",
    ),
    _refuse("quarantine_registered", "INSERT", "quarantine", _NOT_THERE, "nothing like that is in force"),
    _refuse(
        "quarantine_portrait", "INSERT", "quarantine", _PORTRAIT,
        "only an operator quarantines the portrait of a person",
    ),
    *_fixed("reference_hit", deletable=True),
    _new(
        "reference_hit",
        "t.job_id = NEW.job_id AND t.subject_id = NEW.subject_id AND t.kind = NEW.kind AND t.item = NEW.item",
    ),
]  # fmt: skip
