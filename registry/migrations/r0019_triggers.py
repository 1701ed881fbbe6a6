"""Triggers of migration r0019; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse

ALL: Final = [
    _new("webhook", "t.id = NEW.id"),
    *_fixed("webhook", columns="id, url, kinds, opened, made_at"),
    _refuse(
        "webhook_removed_for_good", "UPDATE", "webhook", "OLD.state = 'removed'",
        "it was removed; add another one",
    ),
    _refuse(
        "webhook_not_ahead", "UPDATE OF cursor", "webhook",
        "NEW.cursor > (SELECT coalesce(max(seq), 0) FROM log_entry)",
        "nobody is told what is not in the log yet",
    ),
]  # fmt: skip
