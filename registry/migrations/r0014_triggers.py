"""Triggers of migration r0014: a calibration is recorded once for every change, by the entry that says so."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import HEAD_OF_LOG

_ENTRY: Final = (
    f"NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = NEW.log_seq AND e.seq = {HEAD_OF_LOG} "  # noqa: S608
    "AND e.kind = 'calibration' AND json_extract(e.entry, '$.public.space') = NEW.space "
    "AND json_extract(e.entry, '$.public.sha256') = NEW.sha256)"
)

ALL: Final = [
    *_fixed("space_calibration"),
    _new("space_calibration", "t.log_seq = NEW.log_seq"),
    _refuse(
        "space_calibration_logged", "INSERT", "space_calibration", _ENTRY,
        "the entry at the head must say so",
    ),
]  # fmt: skip
