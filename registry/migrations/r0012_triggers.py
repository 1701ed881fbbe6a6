"""Triggers of migration r0012: no release without what a scan reads of it; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse

_SAME: Final = (
    "CASE WHEN json_valid(NEW.facts) THEN NOT EXISTS "
    "(SELECT 1 FROM release_look l WHERE l.release_id = NEW.id "
    "AND l.policy = coalesce(json_extract(NEW.facts, '$.policy'), '') "
    "AND l.api_key = coalesce(json_extract(NEW.facts, '$.key'), '') "
    "AND (l.asked = 1) = (json_extract(NEW.facts, '$.prompt') IS NOT NULL)) END"
)

ALL: Final = [
    *_fixed("release_look"),
    _new("release_look", "t.release_id = NEW.release_id"),
    _refuse("release_looked", "INSERT", "release", _SAME, "what a scan reads of it is stored first"),
]
