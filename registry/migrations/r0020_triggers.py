"""Triggers of migration r0020: the votes that lift a hold are those of keys that are good; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _refuse

_GOOD: Final = (
    "(SELECT count(*) FROM hold_vote v WHERE v.held_id = NEW.id AND v.vote = 'release' AND NOT EXISTS "
    "(SELECT 1 FROM api_key k WHERE k.id = v.key_id AND k.revoked_seq IS NOT NULL))"
)
_NEEDED: Final = "(SELECT coalesce(max(v.needed), 1) FROM hold_vote v WHERE v.held_id = NEW.id)"

ALL: Final = [
    "DROP TRIGGER hold_lifted_by_people",
    _refuse(
        "hold_lifted_by_people", "UPDATE OF lifted_at", "held",
        f"NEW.lifted_because = 'review' AND {_GOOD} < {_NEEDED}",
        "as many people as are needed have to agree",
    ),
]  # fmt: skip
