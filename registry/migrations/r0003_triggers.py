"""Triggers of migration r0003: what happens to a claim moves its subject, too; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _refuse
from registry.migrations.r0002_triggers import _SUBJECT_KINDS, _about

ALL: Final = [
    "DROP TRIGGER subject_changed_logged",
    _refuse(
        "subject_changed_logged", "UPDATE", "subject",
        "NEW.changed_seq <= OLD.changed_seq OR "
        + _about(f"{_SUBJECT_KINDS}, 'claim'", "subject", "changed_seq"),
        "a change needs the log entry at the head that says so",
    ),
]  # fmt: skip
