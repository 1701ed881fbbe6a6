"""Appeals: an account says that a decision against it is wrong, and people who did not take it decide again.

1. What can be appealed against is a job that was refused, or a release that was withdrawn: what holds waits
   for a person anyhow.
2. One appeal for each decision (`registry.restrictions`); the same again, with the same words, is the same.
3. Nobody decides who took part in the first decision, and nobody twice; the database holds to both. Where
   two people are needed to let something go on, two are needed to grant.
4. *Granted*: of a job, the findings that people were shown are cleared for the same order of the account,
   also those that block, and an order that needs nothing from outside is put before the checks again in the
   same transaction. Of a release: it is served again, by the same path as ever (`registry.recalls`).
5. *Upheld*: the decision stays; one person is enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select

from registry import log
from registry.canonical import Json
from registry.caseload import demand_free, drop
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.errors import ActRefused, AppealRefused, CaseClosed, NotFound
from registry.ids import new_id
from registry.reviews import Clearance, of_good_keys
from registry.tables import held
from registry.tables_appeals import appeal, appeal_vote
from registry.tables_recalls import review_case
from registry.tables_reviews import hold_vote

ENTRY_VERSION: Final = 1
KIND: Final = "appeal"
"""What an appeal is called among the cases."""
OPEN, GRANTED, UPHELD = "open", "granted", "upheld"
GRANT, UPHOLD = "grant", "uphold"

Also = Callable[[Connection], None]
"""Told inside the transaction in which an appeal is granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """An appeal of an account against a decision, a restriction's id; ``release``: None about a job;
    ``order_sha256``: which order of the account it is about; ``words``: why it is wrong, by who appeals.
    """

    id: str
    decision: str
    account: str
    job_id: str
    release_id: str | None
    order_sha256: str
    words: str
    state: str
    opened_at: str
    log_seq: int
    closed_at: str | None
    closed_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What an appeal is about, and by whom, before it is one."""

    decision: str
    account: str
    job_id: str
    release_id: str | None
    order_sha256: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What a person said of an appeal; as `registry.reviews.Vote`."""

    id: str
    appeal_id: str
    vote: str
    voter: str
    why: str
    needed: int
    voted_at: str
    log_seq: int
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """Who decides: ``by``: the person; ``key``: the API key that they came with, empty on the machine."""

    by: str
    why: str
    key: str = ""


def add(engine: Engine, made: Against, *, now: str, sign_checkpoint: NoteSigner) -> Appeal:
    """Open an appeal. Raises `AppealRefused` where there was another one about the decision (2)."""
    with write(engine) as conn:
        known = about(conn, made.decision)
        if known is not None and (known.account, known.words) == (made.account, made.words):
            return known
        if known is not None:
            raise AppealRefused(f"There was an appeal about this decision, {known.id}; it is made once.")
        ident = new_id(now)
        public: Json = {"v": ENTRY_VERSION, "case": ident, "action": OPEN, "kind": KIND}
        private: Json = {
            "account": made.account, "decision": made.decision, "job": made.job_id,
            "release": made.release_id, "words": made.words,
        }  # fmt: skip
        entry = log.append(conn, "case", public, private, now)
        row: dict[str, Any] = {"id": ident, "state": OPEN, "opened_at": now, "log_seq": entry.seq}
        conn.execute(appeal.insert().values(**row, **asdict(made)))
        log.add_checkpoint(conn, sign_checkpoint, now)
        return get(conn, ident)


def grant(
    engine: Engine, appeal_id: str, voter: Voter, cleared: Sequence[Clearance], needed: int, also: Also, *,
    now: str, sign_checkpoint: NoteSigner,
) -> Appeal:  # fmt: skip
    """Rules 3 and 4; ``also``: what being granted does, where this vote makes it so.

    Raises `NotFound`, `CaseClosed`, `CaseTaken`, `ActRefused`.
    """
    with write(engine) as conn:
        granted = vote_grant(conn, appeal_id, voter, cleared, needed, now)
        if granted:
            also(conn)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return get(conn, appeal_id)


def vote_grant(
    conn: Connection, appeal_id: str, voter: Voter, cleared: Sequence[Clearance], needed: int, now: str
) -> bool:
    """The vote inside the caller's transaction; whether the appeal is granted by it."""
    found = demand_open(conn, appeal_id, voter.by, now)
    seq = _vote(conn, found, GRANT, voter, cleared, needed, now)
    said = [one for one in votes(conn, appeal_id) if one.vote == GRANT]
    granted = len(of_good_keys(conn, said)) >= max(one.needed for one in said)
    if granted:
        _close(conn, appeal_id, GRANTED, seq, now)
    drop(conn, appeal_id)
    return granted


def uphold(engine: Engine, appeal_id: str, voter: Voter, *, now: str, sign_checkpoint: NoteSigner) -> Appeal:
    """Rule 5. Raises `NotFound`, `CaseClosed`, `CaseTaken`, `ActRefused`."""
    with write(engine) as conn:
        found = demand_open(conn, appeal_id, voter.by, now)
        seq = _vote(conn, found, UPHOLD, voter, (), 1, now)
        _close(conn, appeal_id, UPHELD, seq, now)
        drop(conn, appeal_id)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return get(conn, appeal_id)


def get(conn: Connection, appeal_id: str) -> Appeal:
    """Return an appeal. Raises `NotFound`."""
    row = conn.execute(select(appeal).where(appeal.c.id == appeal_id)).first()
    if row is None:
        raise NotFound(f"There is no appeal {appeal_id[:40]!r}.")
    return Appeal(**row._asdict())


def about(conn: Connection, decision: str) -> Appeal | None:
    """The appeal against a decision."""
    row = conn.execute(select(appeal).where(appeal.c.decision == decision)).first()
    return None if row is None else Appeal(**row._asdict())


def page(conn: Connection, account: str, *, after: str = "", limit: int = 100) -> list[Appeal]:
    """Appeals of an account, oldest first; ``after``: the last id of the page before."""
    query = select(appeal).where(appeal.c.account == account, appeal.c.id > after)
    return [Appeal(**row._asdict()) for row in conn.execute(query.order_by(appeal.c.id).limit(limit))]


def votes(conn: Connection, appeal_id: str) -> list[Vote]:
    """What was said of an appeal, the oldest first."""
    query = select(appeal_vote).where(appeal_vote.c.appeal_id == appeal_id).order_by(appeal_vote.c.log_seq)
    return [_loaded(row) for row in conn.execute(query)]


def clearances(engine: Engine, account: str, order_sha256: str) -> tuple[Clearance, ...]:
    """What granted appeals cleared for this order of the account (4)."""
    query = (
        select(appeal_vote.c.cleared, appeal.c.log_seq)
        .join(appeal, appeal.c.id == appeal_vote.c.appeal_id)
        .where(
            appeal.c.order_sha256 == order_sha256, appeal.c.account == account, appeal.c.state == GRANTED,
            appeal_vote.c.vote == GRANT,
        )
        .order_by(appeal_vote.c.log_seq)
    )  # fmt: skip
    with read(engine) as conn:
        rows = conn.execute(query).all()
    return tuple(Clearance(**one, appealed=True) for row in rows for one in row.cleared)


def took_part(conn: Connection, found: Appeal, person: str) -> bool:
    """Whether somebody decided what an appeal is against, as the database asks it, too (3)."""
    voted = (
        select(hold_vote.c.id)
        .join(held, held.c.id == hold_vote.c.held_id)
        .where(held.c.job_id == found.job_id, hold_vote.c.voter == person)
    )
    if conn.execute(voted).first() is not None:
        return True
    decided = select(review_case.c.id).where(
        review_case.c.release_id == found.release_id, review_case.c.decided_by == person
    )
    return found.release_id is not None and conn.execute(decided).first() is not None


def demand_open(conn: Connection, appeal_id: str, by: str, now: str) -> Appeal:
    """The appeal, if this person may still decide about it.

    Raises `NotFound`, `CaseClosed`, `CaseTaken`, `ActRefused`.
    """
    found = get(conn, appeal_id)
    if found.state != OPEN:
        raise CaseClosed(f"The appeal was {found.state} at {found.closed_at}; it is not decided twice.")
    if took_part(conn, found, by):
        raise ActRefused("Nobody decides about an appeal against their own decision; give the case back.")
    if any(one.voter == by for one in votes(conn, appeal_id)):
        raise CaseClosed(f"{by} has decided about this appeal already; it waits for another person.")
    demand_free(conn, appeal_id, by, now)
    return found


def _vote(
    conn: Connection, found: Appeal, vote: str, voter: Voter, cleared: Sequence[Clearance], needed: int,
    now: str,
) -> int:  # fmt: skip
    """Record a vote with its log entry; the entry's position."""
    made = new_id(now)
    listed = [{name: value for name, value in asdict(one).items() if name != "appealed"} for one in cleared]
    public: Json = {"v": ENTRY_VERSION, "case": found.id, "action": vote, "kind": KIND, "vote": made}
    private: Json = {
        "by": voter.by, "why": voter.why, "job": found.job_id, "key": voter.key, "cleared": [*listed],
    }  # fmt: skip
    entry = log.append(conn, "case", public, private, now)
    row: dict[str, Any] = {
        "id": made, "appeal_id": found.id, "vote": vote, "voter": voter.by, "why": voter.why,
        "needed": needed, "voted_at": now, "log_seq": entry.seq, "key_id": voter.key,
    }  # fmt: skip
    conn.execute(appeal_vote.insert().values(**row, cleared=listed))
    return entry.seq


def _close(conn: Connection, appeal_id: str, state: str, seq: int, now: str) -> None:
    values = {"state": state, "closed_at": now, "closed_seq": seq}
    conn.execute(appeal.update().where(appeal.c.id == appeal_id).values(**values))


def _loaded(row: Row[Any]) -> Vote:
    told = row._asdict()
    del told["cleared"]
    return Vote(**told)
