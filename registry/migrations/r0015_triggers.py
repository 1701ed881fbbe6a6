"""Triggers of migration r0015: nothing that a tester asks for is ever released; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _refuse

_IS_TESTER: Final = "replace({0}.scopes, '\"tester\"', '') IS NOT {0}.scopes"

ALL: Final = [
    _refuse(
        "api_key_tester_ends", "INSERT", "api_key",
        f"{_IS_TESTER.format('NEW')} AND (NEW.expires_at IS NULL "
        "OR replace(replace(NEW.scopes, '\"optout\"', ''), '\"admin\"', '') IS NOT NEW.scopes)",
        "the key of a tester has an end, and does nothing that lasts",
    ),
    _refuse(
        "release_no_tester", "INSERT", "release",
        # Facts that are no JSON are refused by a trigger of their own.
        "CASE WHEN json_valid(NEW.facts) THEN "  # noqa: S608
        "EXISTS (SELECT 1 FROM api_key k JOIN job j ON j.id = NEW.job_id "
        f"WHERE {_IS_TESTER.format('k')} "
        "AND (k.id = json_extract(j.inputs, '$.key') OR k.id = json_extract(NEW.facts, '$.key'))) END",
        "a tester asked for it",
    ),
]  # fmt: skip
