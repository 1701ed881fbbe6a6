"""What people decide on pages is carried out some seconds later, and until then they can undo it.

Nothing is done in between: what is held stays held, what is withdrawn stays withdrawn (`registry.pending`).
1. What can be known at once is said at once: that a case is decided, somebody else's, or one's own.
2. When its time is over, any process of the service carries it out, as if it had been decided then.
3. A key that is no good any more by then decides nothing.
"""

import logging
from typing import Final

from pipeline.auth import Caller
from pipeline.errors import describe
from pipeline.review import Reviews
from pipeline.workbench import OURS, Workbench, carrying_on
from registry import apikeys, pending
from registry.errors import CaseClosed, KeyRefused
from registry.pending import ASK, Pending, Wanted

_VOID: Final = "Nobody was there to carry it out in time. Decide again."
_KEY: Final = "The key that it was decided with does not count any more. Somebody else decides."

log = logging.getLogger("countermark.service")


class Undoing:
    """The decisions of one home that wait."""

    def __init__(self, bench: Workbench, reviews: Reviews) -> None:
        self._bench, self._reviews = bench, reviews

    def decide(self, wanted: Wanted, caller: Caller) -> None:
        """Have it carried out in `undo_seconds`, or at once where that is 0. Raises: as `Reviews.decide`."""
        self._reviews.check(wanted, caller)  # 1
        seconds = self._bench.settings.undo_seconds
        if seconds > 0:
            pending.put(self._bench.engine, wanted, seconds, self._bench.clock())
        else:
            self._reviews.decide(wanted, caller)

    def undo(self, case_id: str, by: str) -> None:
        """Nothing is carried out, and the case is theirs as before. Raises: CaseClosed: it is too late."""
        pending.undo(self._bench.engine, case_id, by)
        log.info("case %s: what was decided is undone", case_id)

    def carry_out(self) -> int:
        """Carry out what is due (2); how many there were."""
        found = pending.begin_due(self._bench.engine)
        for one in found:
            with carrying_on(f"case {one.case_id}"):  # else those after it would wait, taken for tried
                self._carry_out(one)
        return len(found)

    def _carry_out(self, one: Pending) -> None:
        caller = self._caller(one)
        if caller is None or (one.void and not one.begun):
            pending.fail(self._bench.engine, one, _KEY if caller is None else _VOID)
            return
        try:
            if not (one.begun and one.decision == ASK and self._reviews.was_asked(one)):  # by who died then
                self._reviews.decide(one, caller)
        except CaseClosed as error:
            if not one.begun:  # else it was carried out by who died then
                self._failed(one, error)
                return
        except OURS as error:
            self._failed(one, error)
            return
        pending.done(self._bench.engine, one.case_id)

    def _failed(self, one: Pending, error: Exception) -> None:
        log.warning("case %s: what was decided is not carried out: %s", one.case_id, error)
        pending.fail(self._bench.engine, one, describe(error).message)

    def _caller(self, one: Pending) -> Caller | None:
        """Who decided, if their key is still good (3)."""
        key = apikeys.get(self._bench.engine, one.key)
        try:
            apikeys.demand_good(key, self._bench.clock())
        except KeyRefused:
            return None
        if key is None:
            return None
        return Caller(account=key.account, key=key.id, tags=key.tags, name=key.name)
