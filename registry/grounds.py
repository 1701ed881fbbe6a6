"""Grounds that are gone: what nobody asks for any more keeps no clip away.

1. A claim's stop falls when the claim ends.
2. A wish's stop falls when its subject is out of force: withdrawn, or since its claim ended. It also falls
   when a portfolio of the subject's owner went out of force after it: it may have been the portfolio's wish.
3. An open case about a subject that is out of force is dismissed by that. What a person upheld stays.
4. What would be free by that is compared with everything in force, as whatever comes back
   (`registry.recalls`): what somebody forbids now stays withdrawn, with a stop or a case of its own.
5. Whoever takes an opt-out back may want its clips to stay withdrawn (`keep`): then they are so by hand.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

from sqlalchemy import Connection, Engine, and_, or_, select

from registry import cases, log, recalls
from registry.canonical import Json
from registry.cases import Case
from registry.checkpoint import NoteSigner
from registry.claim_log import ENDED
from registry.db import read, write
from registry.recalls import Asked, Judge, Stop
from registry.release_rows import demand
from registry.subjects import PORTFOLIO
from registry.tables import subject
from registry.tables_parties import claim
from registry.tables_recalls import release_stop, review_case
from registry.types import ReleaseState

WORDS: Final = "The opt-out that it was about is out of force."
_STANDS: Final = release_stop.c.lifted_seq.is_(None)


def settle(engine: Engine, judge: Callable[[], Judge], *, now: str, sign_checkpoint: NoteSigner) -> list[str]:
    """Lift what has lost its ground, a transaction for each release; return those that are served again.

    ``judge`` is made only where there is something to lift. Done again, it does nothing.
    """
    with read(engine) as conn:
        waiting = sorted({*_stopped(conn), *(case.release_id for case in _idle(conn))})
    back: list[str] = []
    for release_id in waiting:
        with read(engine) as conn:
            gone = {one.id for one in _gone(conn, release_id)}
        asked = Asked(judge(), by_itself=True)
        asked.ahead(engine, release_id, lambda one, gone=gone: one.id in gone)  # type: ignore[misc]
        with write(engine) as conn:
            before = demand(conn, release_id).state
            mine = _gone(conn, release_id)
            for case in _idle(conn, release_id):
                cases.close(conn, case, cases.DISMISSED, recalls.NOT_BY_HAND, WORDS, now)
            if mine:
                told: Json = {"ended": [*sorted({one.about for one in mine})]}
                recalls.set_child_free(conn, release_id, mine, asked, told, now)
            log.add_checkpoint(conn, sign_checkpoint, now)
            after = demand(conn, release_id).state
        if after is ReleaseState.RELEASED and before is not after:
            back.append(release_id)
    return back


def keep(conn: Connection, subject_row: Any, now: str) -> int:
    """Withdraw by hand what the wishes and open cases of a subject keep away, and of all that a portfolio
    covers; return how many that are. Inside the caller's transaction (5).
    """
    of = {str(subject_row.id)}
    if subject_row.kind == PORTFOLIO:
        owned = select(subject.c.id).where(subject.c.party_id == subject_row.party_id)
        of |= set(conn.execute(owned).scalars())
    query = select(release_stop.c.release_id, release_stop.c.about).where(_STANDS, _wish())
    kept = {row.release_id for row in conn.execute(query) if row.about in of}
    held = select(release_stop.c.release_id, review_case.c.about).join(
        review_case, review_case.c.id == release_stop.c.about
    )
    held = held.where(_STANDS, release_stop.c.cause == recalls.CASE, review_case.c.state == cases.OPEN)
    kept |= {row.release_id for row in conn.execute(held) if row.about in of}
    why: Json = {"by": "holder", "kept": subject_row.id}
    for release_id in sorted(kept):
        recalls.stop(conn, release_id, recalls.MANUAL, "", why=why, now=now)
    return len(kept)


def _wish() -> Any:
    return release_stop.c.cause == recalls.WISH


def _stopped(conn: Connection) -> Collection[str]:
    """Releases against which something stands that has lost its ground (1, 2)."""
    claimed = select(release_stop.c.release_id).join(claim, claim.c.id == release_stop.c.about)
    claimed = claimed.where(_STANDS, release_stop.c.cause == recalls.CLAIM, claim.c.state.in_(sorted(ENDED)))
    wished = select(release_stop.c.release_id).join(subject, subject.c.id == release_stop.c.about)
    wished = wished.where(_STANDS, _wish(), _fallen())
    return {*conn.execute(claimed).scalars(), *conn.execute(wished).scalars()}


def _fallen() -> Any:
    """Of a stop and its subject: whether the wish is not in force any more, or may not be (2)."""
    whole = subject.alias("whole")
    ended = select(whole.c.id).where(
        whole.c.party_id == subject.c.party_id, whole.c.kind == PORTFOLIO, whole.c.state != "active",
        whole.c.changed_seq > release_stop.c.since_seq,
    )  # fmt: skip
    return or_(subject.c.state != "active", and_(subject.c.kind != PORTFOLIO, ended.exists()))


def _idle(conn: Connection, release_id: str | None = None) -> list[Case]:
    """Open cases about subjects that are out of force (3)."""
    query = select(review_case.c.id).join(subject, subject.c.id == review_case.c.about).where(
        review_case.c.kind == cases.RETRO_MATCH, review_case.c.state == cases.OPEN,
        subject.c.state != "active",
    )  # fmt: skip
    if release_id is not None:
        query = query.where(review_case.c.release_id == release_id)
    return [cases.get(conn, one) for one in conn.execute(query.order_by(review_case.c.id)).scalars().all()]


def _gone(conn: Connection, release_id: str) -> list[Stop]:
    """What stands against a release without a ground, the stops of its idle cases among them."""
    of = release_stop.c.release_id == release_id
    claimed = select(release_stop.c.id).join(claim, claim.c.id == release_stop.c.about)
    claimed = claimed.where(of, release_stop.c.cause == recalls.CLAIM, claim.c.state.in_(sorted(ENDED)))
    wished = select(release_stop.c.id).join(subject, subject.c.id == release_stop.c.about)
    wished = wished.where(of, _wish(), _fallen())
    found = {*conn.execute(claimed).scalars(), *conn.execute(wished).scalars()}
    idle = {case.id for case in _idle(conn, release_id)}
    return [
        one for one in recalls.standing(conn, release_id)
        if one.id in found or (one.cause == recalls.CASE and one.about in idle)
    ]  # fmt: skip
