"""What everybody may know of the registry in numbers: no name, no account, no clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from registry import log
from registry.appeals import GRANTED
from registry.appeals import UPHELD as STAYS
from registry.cases import DISMISSED, UPHELD
from registry.reviews import BY_PEOPLE, REFUSE, RELEASE
from registry.tables import decision, held, release, subject
from registry.tables_appeals import appeal
from registry.tables_recalls import review_case
from registry.tables_reviews import hold_vote
from registry.tables_rules import permission

MONTH: Final = 7  # characters of a time that name its month


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts at a position of the log.

    ``opt_outs``: in force, by kind; ``decisions``: by month (YYYY-MM, the oldest first) and verdict;
    ``releases``: by state; ``held``: what people made of held clips (release | refuse); ``cases``: of
    releases, by state; ``permissions``: what holders were asked, by state; ``appeals``: by state.
    """

    log_seq: int
    opt_outs: Mapping[str, int]
    decisions: Mapping[str, Mapping[str, int]]
    releases: Mapping[str, int]
    held: Mapping[str, int]
    cases: Mapping[str, int]
    permissions: Mapping[str, int]
    appeals: Mapping[str, int]

    @property
    def held_in_vain(self) -> tuple[int, int]:
        """Of how many holds that people decided they released how many: what checks held by mistake."""
        released = self.held.get(RELEASE, 0)
        return released, released + self.held.get(REFUSE, 0)

    @property
    def overturned(self) -> tuple[int, int]:
        """Of how many cases about releases that people decided they dismissed how many."""
        dismissed = self.cases.get(DISMISSED, 0)
        return dismissed, dismissed + self.cases.get(UPHELD, 0)

    @property
    def appeals_granted(self) -> tuple[int, int]:
        """Of how many appeals that people decided they granted how many."""
        granted = self.appeals.get(GRANTED, 0)
        return granted, granted + self.appeals.get(STAYS, 0)


def statistics(conn: Connection) -> Statistics:
    """Count, in one read transaction."""
    in_force = subject.c.state == "active"
    return Statistics(
        log_seq=log.head(conn), opt_outs=_counts(conn, subject.c.kind, in_force),
        decisions=_by_month(conn), releases=_counts(conn, release.c.state),
        held=_held(conn), cases=_counts(conn, review_case.c.state),
        permissions=_counts(conn, permission.c.state), appeals=_counts(conn, appeal.c.state),
    )  # fmt: skip


def _counts(conn: Connection, column: Any, *conditions: Any) -> dict[str, int]:
    query = select(column, func.count()).where(*conditions).group_by(column).order_by(column)
    return {str(value): int(count) for value, count in conn.execute(query)}


def _held(conn: Connection) -> dict[str, int]:
    """Holds that people ended, each once, however many had to agree."""
    released = select(func.count()).where(held.c.lifted_because == BY_PEOPLE)
    refused = select(func.count()).where(hold_vote.c.vote == REFUSE)
    found = {RELEASE: conn.execute(released).scalar_one(), REFUSE: conn.execute(refused).scalar_one()}
    return {word: int(count) for word, count in found.items() if count}


def _by_month(conn: Connection) -> dict[str, dict[str, int]]:
    month = func.substr(decision.c.decided_at, 1, MONTH).label("month")
    query = select(month, decision.c.verdict, func.count()).group_by(month, decision.c.verdict)
    found: dict[str, dict[str, int]] = {}
    for at, verdict, count in conn.execute(query.order_by(month, decision.c.verdict)):
        found.setdefault(str(at), {})[str(verdict)] = int(count)
    return found
