"""Triggers of migration r0011: a space of vectors is retired once, and only when another has all of it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import HEAD_OF_LOG

_ENTRY: Final = (
    f"NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = NEW.log_seq AND e.seq = {HEAD_OF_LOG} "  # noqa: S608
    "AND e.kind = 'space' AND json_extract(e.entry, '$.public.action') = 'retire' "
    "AND json_extract(e.entry, '$.public.space') = NEW.space "
    "AND json_extract(e.entry, '$.public.into') = NEW.into_space)"
)
_ONLY_THERE: Final = (
    "EXISTS (SELECT 1 FROM embedding e WHERE e.space = NEW.space AND e.removed_seq IS NULL AND NOT EXISTS "
    "(SELECT 1 FROM embedding f WHERE f.subject_id = e.subject_id AND f.space = NEW.into_space "
    "AND f.kind = e.kind AND f.reference_sha256 = e.reference_sha256 AND f.removed_seq IS NULL))"
)

ALL: Final = [
    *_fixed("space_retired"),
    _new("space_retired", "t.space = NEW.space"),
    _refuse("space_retired_logged", "INSERT", "space_retired", _ENTRY, "the entry at the head must say so"),
    _refuse(
        "space_retired_covered", "INSERT", "space_retired", _ONLY_THERE,
        "somebody in force has vectors that the other space lacks",
    ),
    _refuse(
        "space_retired_into", "INSERT", "space_retired",
        "NEW.space = NEW.into_space "
        "OR EXISTS (SELECT 1 FROM space_retired r WHERE r.space = NEW.into_space)",
        "the other space is itself retired",
    ),
    _refuse(
        "embedding_space_serves", "INSERT", "embedding",
        "EXISTS (SELECT 1 FROM space_retired r WHERE r.space = NEW.space)",
        "the space is retired",
    ),
]  # fmt: skip
