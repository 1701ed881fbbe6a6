"""Triggers of migration r0024: holders whom people ask about a hold; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _refuse

ALL: Final = [
    _refuse("permission_asker_fixed", "UPDATE OF asked_by", "permission", "1", "these columns never change"),
    # A yes to what a person asked is for that person to weigh: other findings are theirs to judge.
    _refuse(
        "hold_not_lifted_by_a_yes", "UPDATE OF lifted_at", "held",
        "EXISTS (SELECT 1 FROM permission p WHERE p.held_id = NEW.id AND p.asked_by <> '' "
        "AND NEW.lifted_because = 'permission ' || p.id)",
        "what people asked a holder about comes back to people",
    ),
]  # fmt: skip
