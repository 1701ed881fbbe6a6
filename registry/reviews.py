"""A person decides about what the checks held.

1. A hold is decided while it holds, by who has taken it or while nobody has (`registry.caseload`).
2. *Refuse*: the job ends as refused, in the same transaction as the decision's own row and log entry.
3. *Release*: the findings that the person was shown are *cleared*, and the hold is lifted: the job is judged
   anew, from the gate to the fence. A finding that was cleared does not count again, unless its owner
   registered more since the clip was held; everything else counts as ever.
4. Where two people are needed the first one's release only stands beside the hold. The second is somebody
   else; the database counts.
5. Nobody decides twice about the same hold. A vote whose API key was revoked since does not count.
6. While a rights holder is asked, nobody releases in their place.
7. *Ask*: the holder of a subject that was found, and once for each hold. A yes, or silence, gives the case
   back; a no ends the job as refused (`registry.permissions`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection, Engine, Row, select

from registry import decisions, holds, log, permissions
from registry.canonical import Json
from registry.caseload import demand_free, drop
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.errors import CaseClosed, CaseTaken, NotFound, PermissionAnswered
from registry.ids import new_id
from registry.permissions import ASKED, Permission, Request
from registry.tables import api_key, held, job
from registry.tables_reviews import hold_vote
from registry.tables_rules import permission
from registry.types import DecisionLike, Held, JobState

ENTRY_VERSION: Final = 1
KIND: Final = "held"
"""What a hold is called among the cases."""
RELEASE, REFUSE = "release", "refuse"
BY_PEOPLE: Final = "review"
"""Why a hold was lifted that people lifted; the database counts them by it."""


class KeyedLike(Protocol):
    """A vote, of whatever kind, that came with an API key or with none."""

    @property
    def key_id(self) -> str: ...  # noqa: D102


Keyed = TypeVar("Keyed", bound=KeyedLike)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """A finding that people did not count: what a check says of a subject, which may be empty.

    ``origin``: in which text, or in what the clip is made from; empty for the clip itself; ``quote``: the
    words that were found, where there are such; ``seq``: the registry's position when the clip was held;
    what is newer was not shown to them. ``appealed``: upon an appeal, so that it also lifts what blocks.
    """

    check: str
    code: str
    subject: str = ""
    intent: str = ""
    origin: str = ""
    quote: str = ""
    seq: int = 0
    appealed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What a person said of a hold; ``needed``: how many have to say ``release``; ``key_id``: the API key
    that they came with, empty for the command line.
    """

    id: str
    held_id: str
    vote: str
    voter: str
    why: str
    needed: int
    voted_at: str
    log_seq: int
    key_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How a job ends that a person refuses: the decision, and what the job's result says."""

    decided: DecisionLike
    result: Json


def vote_release(
    engine: Engine, held_id: str, cleared: Sequence[Clearance], needed: int, *, by: str, why: str,
    key: str = "", now: str, sign_checkpoint: NoteSigner,
) -> Vote:  # fmt: skip
    """Rules 3 and 4. Raises `NotFound`, `CaseClosed`, `CaseTaken`."""
    with write(engine) as conn:
        hold = demand_open(conn, held_id, by, now)
        demand_nobody_is_asked(conn, held_id)
        made = _vote(conn, hold, RELEASE, by, why, cleared, needed, now, key)
        said = [one for one in votes(conn, held_id) if one.vote == RELEASE]
        if len(of_good_keys(conn, said)) >= max(one.needed for one in said):
            holds.lift(conn, hold.job_id, BY_PEOPLE, now)
        drop(conn, held_id)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return made


def vote_refuse(
    engine: Engine, held_id: str, refusal: Refusal, *, by: str, why: str, key: str = "", now: str,
    sign_checkpoint: NoteSigner,
) -> Vote:  # fmt: skip
    """Rule 2. Raises `NotFound`, `CaseClosed`, `CaseTaken`."""
    with write(engine) as conn:
        hold = demand_open(conn, held_id, by, now)
        made = _vote(conn, hold, REFUSE, by, why, (), 1, now, key)
        decisions.record(conn, hold.job_id, refusal.decided, now)
        holds.lift(conn, hold.job_id, f"refused by a person, {made.id}", now)
        values = {"state": JobState.REFUSED, "finished_at": now, "result": refusal.result}
        conn.execute(job.update().where(job.c.id == hold.job_id).values(**values))
        drop(conn, held_id)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return made


def ask_holders(
    engine: Engine, held_id: str, whom: Sequence[tuple[str, str]], request: Request, *, by: str, now: str,
    sign_checkpoint: NoteSigner,
) -> list[Permission]:  # fmt: skip
    """Rule 7; ``whom``: subjects, each with the intent it was found with.

    Raises `NotFound`, `CaseClosed`, `CaseTaken`, `PermissionAnswered`.
    """
    with write(engine) as conn:
        hold = demand_open(conn, held_id, by, now)
        demand_unasked(conn, held_id, whom)
        made = permissions.ask_about(conn, hold, request, whom, by=by, now=now, signer=sign_checkpoint)
        drop(conn, held_id)
    return made


def votes(conn: Connection, held_id: str) -> list[Vote]:
    """What was said of a hold, the oldest first."""
    query = select(hold_vote).where(hold_vote.c.held_id == held_id).order_by(hold_vote.c.log_seq)
    return [_loaded(row) for row in conn.execute(query)]


def clearances(engine: Engine, job_id: str) -> tuple[Clearance, ...]:
    """What people cleared so far for a job."""
    with read(engine) as conn:
        return tuple(_cleared(conn, job_id))


def get_hold(conn: Connection, held_id: str) -> tuple[Held, str | None]:
    """A hold, and when it was lifted if it was. Raises `NotFound`."""
    row = conn.execute(select(held).where(held.c.id == held_id)).first()
    if row is None:
        raise NotFound(f"There is no case {held_id[:40]!r}; see countermark case list.")
    return holds.loaded(row), row.lifted_at


def _cleared(conn: Connection, job_id: str) -> list[Clearance]:
    query = (
        select(hold_vote.c.cleared, held.c.registry_seq)
        .join(held, held.c.id == hold_vote.c.held_id)
        .where(held.c.job_id == job_id, held.c.lifted_because == BY_PEOPLE, hold_vote.c.vote == RELEASE)
        .order_by(hold_vote.c.log_seq)
    )
    return [Clearance(**one, seq=row.registry_seq) for row in conn.execute(query) for one in row.cleared]


def demand_open(conn: Connection, held_id: str, by: str, now: str) -> Held:
    """The hold, if this person may still decide about it (1, 5).

    Raises `NotFound`, `CaseClosed`, `CaseTaken`.
    """
    hold, lifted_at = get_hold(conn, held_id)
    if lifted_at is not None:
        raise CaseClosed(f"The case was decided at {lifted_at}; it is not decided twice.")
    if any(one.voter == by for one in votes(conn, held_id)):
        raise CaseClosed(f"{by} has decided about this case already; it waits for another person.")
    demand_free(conn, held_id, by, now)
    return hold


def demand_unasked(conn: Connection, held_id: str, whom: Sequence[tuple[str, str]]) -> None:
    """Rule 7. Raises `PermissionAnswered` if one of these was asked about this hold."""
    known = {(one.subject_id, one.intent): one for one in permissions.of_hold(conn, held_id)}
    for one in filter(None, map(known.get, whom)):
        raise PermissionAnswered(f"Its holder was asked about this clip before, and that is {one.state}.")


def demand_nobody_is_asked(conn: Connection, held_id: str) -> None:
    """Rule 6. Raises `CaseTaken`."""
    query = select(permission.c.due_at).where(permission.c.held_id == held_id, permission.c.state == ASKED)
    due = conn.execute(query.order_by(permission.c.due_at)).scalar()
    if due is not None:
        raise CaseTaken(f"A rights holder is asked, and may answer until {due}; wait for that, or refuse it.")


def of_good_keys(conn: Connection, said: Sequence[Keyed]) -> list[Keyed]:
    """Rule 5."""
    query = select(api_key.c.id).where(
        api_key.c.id.in_([one.key_id for one in said]), api_key.c.revoked_seq.is_not(None)
    )
    revoked = set(conn.execute(query).scalars())
    return [one for one in said if one.key_id not in revoked]


def _vote(
    conn: Connection, hold: Held, vote: str, by: str, why: str, cleared: Sequence[Clearance], needed: int,
    now: str, key: str,
) -> Vote:  # fmt: skip
    made = new_id(now)
    listed = [_listed(one) for one in cleared]
    public: Json = {"v": ENTRY_VERSION, "case": hold.id, "action": vote, "kind": KIND, "vote": made}
    private: Json = {
        "by": by, "why": why, "job": hold.job_id, "key": key, "cleared": [dict(one) for one in listed],
    }  # fmt: skip
    entry = log.append(conn, "case", public, private, now)
    row: dict[str, Any] = {
        "id": made, "held_id": hold.id, "vote": vote, "voter": by, "why": why, "needed": needed,
        "voted_at": now, "log_seq": entry.seq, "key_id": key,
    }  # fmt: skip
    conn.execute(hold_vote.insert().values(**row, cleared=listed))
    return Vote(**row)


def _listed(one: Clearance) -> dict[str, Any]:
    """A clearance as a vote keeps it; the position is that of the hold."""
    return {name: value for name, value in asdict(one).items() if name not in ("seq", "appealed")}


def _loaded(row: Row[Any]) -> Vote:
    told = row._asdict()
    del told["cleared"]
    return Vote(**told)
