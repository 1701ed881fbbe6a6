"""Triggers of migration r0017: what people decide about holds; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import _about

_CASE: Final = "'case'"
_VOTES: Final = (
    "(SELECT count(*) FROM hold_vote v WHERE v.held_id = NEW.id AND v.vote = 'release') "
    "< (SELECT coalesce(max(v.needed), 1) FROM hold_vote v WHERE v.held_id = NEW.id)"
)

_TESTER: Final = "replace(NEW.scopes, '\"tester\"', '') IS NOT NEW.scopes"

ALL: Final = [
    _refuse(
        "api_key_tester_decides_nothing", "INSERT", "api_key",
        f"{_TESTER} AND replace(NEW.scopes, '\"review\"', '') IS NOT NEW.scopes",
        "the key of a tester decides nothing",
    ),
    _new("hold_vote", "t.id = NEW.id", "t.held_id = NEW.held_id AND t.voter = NEW.voter"),
    *_fixed("hold_vote"),
    _refuse(
        "hold_vote_open", "INSERT", "hold_vote",
        "NOT EXISTS (SELECT 1 FROM held h WHERE h.id = NEW.held_id AND h.lifted_at IS NULL) "  # noqa: S608
        f"OR {_about(_CASE, 'vote', 'log_seq')}",
        "only what is still held is voted on, with the entry at the head of the log",
    ),
    _refuse(
        "hold_lifted_by_people", "UPDATE OF lifted_at", "held",
        f"NEW.lifted_because = 'review' AND {_VOTES}",
        "as many people as are needed have to agree",
    ),
]  # fmt: skip
