"""Parties and their works: who says something, and how far it was verified who that is.

A party that the operator names as an owner is made by that, and trusted, as the operator answers for it. One
that was added as unverified (`claimed`) may say what it likes: its claims block at once, under a clock and a
cap (`registry.claims`), until it is verified. What a party is called is nobody's business but the operator's:
the log's public part has its id.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select

from registry import log
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.drafts import NAME_CHARS_MAX, normal, phrases
from registry.errors import ActRefused, NotFound, OptOutInvalid, PartyInvalid
from registry.ids import new_id, parse_time
from registry.party_types import LEVELS, PARTY_KINDS, UNVERIFIED, Estate, Party
from registry.subject_types import OptOutDraft
from registry.tables import party
from registry.tables_parties import estate, work

ENTRY_VERSION: Final = 1
TRUSTED: Final = LEVELS[-1]
OF_THE_DEAD: Final = ("estate", "person")
"""Kinds of parties that may speak for a dead person: the estate itself, or an heir."""


def add(
    engine: Engine, name: str, kind: str, *, level: str = UNVERIFIED, of: Estate | None = None,
    now: str, sign_checkpoint: NoteSigner,
) -> Party:  # fmt: skip
    """Record a party. One that is there without a kind is told it; its level stays. Raises `PartyInvalid`."""
    _check(name, kind, level, of)
    with write(engine) as conn:
        row = conn.execute(select(party).where(party.c.normal == normal(name))).first()
        if row is not None and row.kind is not None:
            raise PartyInvalid(f"There is a party called {name[:80]!r} already; see: countermark party list.")
        party_id = new_id(now) if row is None else str(row.id)
        told: Json = {"name": name, "estate": None if of is None else [of.deceased, of.died_on]}
        public: Json = {"v": ENTRY_VERSION, "party": party_id, "action": "add", "kind": kind}
        seq = log.append(conn, "party", public, told, now).seq
        if row is None:
            values = {"id": party_id, "name": name, "normal": normal(name), "created_at": now, "kind": kind}
            conn.execute(party.insert().values(**values, verified_level=level))
        else:
            conn.execute(party.update().where(party.c.id == party_id).values(kind=kind))
        if of is not None:
            dead = {"deceased": of.deceased, "normal": normal(of.deceased), "died_on": of.died_on}
            conn.execute(estate.insert().values(party_id=party_id, **dead, log_seq=seq))
        log.add_checkpoint(conn, sign_checkpoint, now)
        return one(conn, party_id)


def set_level(conn: Connection, party_id: str, level: str, why: Json, now: str) -> None:
    """Change how far a party is verified, with the log entry that says so; see `registry.claims.verify`."""
    if level not in LEVELS:
        raise PartyInvalid(f"{level[:40]!r} is no level; choose one of: {', '.join(LEVELS)}.")
    public: Json = {"v": ENTRY_VERSION, "party": party_id, "action": "verify", "level": level}
    log.append(conn, "party", public, why, now)
    conn.execute(party.update().where(party.c.id == party_id).values(verified_level=level))


def of_owner(conn: Connection, owner: str, now: str) -> str:
    """The id of the party that the operator calls so; one that is not there is made, and trusted."""
    known = conn.execute(select(party.c.id).where(party.c.normal == normal(owner))).scalar()
    if known is not None:
        return str(known)
    made = new_id(now)
    values = {
        "id": made,
        "name": owner,
        "normal": normal(owner),
        "created_at": now,
        "verified_level": TRUSTED,
    }
    conn.execute(party.insert().values(**values))
    return made


def work_of(conn: Connection, party_id: str, title: str, now: str) -> str:
    """The id of a party's work of this title, made where it is not there."""
    phrases("work", [title], 1)
    known = find_work(conn, party_id, title)
    if known is not None:
        return known
    made = new_id(now)
    values = {"id": made, "party_id": party_id, "title": title, "normal": normal(title), "created_at": now}
    conn.execute(work.insert().values(**values))
    return made


def find_work(conn: Connection, party_id: str, title: str) -> str | None:
    """The id of a party's work of this title."""
    same = (work.c.party_id == party_id, work.c.normal == normal(title))
    known = conn.execute(select(work.c.id).where(*same)).scalar()
    return None if known is None else str(known)


def died_on(conn: Connection, party_id: str, draft: OptOutDraft) -> str | None:
    """The day on which the one whom a draft protects died, as the party that speaks for them told it.

    Raises `ActRefused` where it does not speak for them.
    """
    row = conn.execute(select(estate).where(estate.c.party_id == party_id)).first()
    if row is not None and draft.kind == "person" and row.normal == normal(draft.name):
        if draft.died_on in (None, row.died_on):
            return str(row.died_on)
        raise ActRefused(f"{draft.name[:80]} died on {row.died_on}, as the estate told; leave the day out.")
    if draft.died_on is not None:
        raise ActRefused(
            f"Only an estate or heir that speaks for {draft.name[:80]} registers them; record it with: "
            "countermark party add --estate-of NAME --died-on DAY."
        )
    return None


def ensure_works(engine: Engine, party_id: str, titles: Sequence[str], now: str) -> list[str]:
    """The ids of a party's works by their titles, or by their ids; what is not there is made."""
    known = dict(works(engine, party_id))
    with write(engine) as conn:
        return [told if told in known else work_of(conn, party_id, told, now) for told in titles]


def one(conn: Connection, party_id: str) -> Party:
    """A party by its id. Raises `NotFound`."""
    found = _found(conn, party.c.id == party_id)
    if not found:
        raise NotFound(f"There is no party {party_id[:40]!r}; see: countermark party list.")
    return found[0]


def named(conn: Connection, told: str) -> Party:
    """A party by its id or its name. Raises `NotFound`."""
    found = _found(conn, (party.c.id == told) | (party.c.normal == normal(told)))
    if not found:
        raise NotFound(f"There is no party {told[:80]!r}; make it with: countermark party add.")
    return found[0]


def find(engine: Engine, told: str) -> Party:
    """`named`, in a transaction of its own."""
    with read(engine) as conn:
        return named(conn, told)


def list_parties(engine: Engine, *, after: str = "", limit: int = 100) -> list[Party]:
    """Parties by id, oldest first; ``after``: the last id of the page before."""
    with read(engine) as conn:
        return _found(conn, party.c.id > after, limit)


def works(engine: Engine, party_id: str) -> list[tuple[str, str]]:
    """Id and title of a party's works, by title."""
    query = select(work.c.id, work.c.title).where(work.c.party_id == party_id)
    with read(engine) as conn:
        return sorted(((row.id, row.title) for row in conn.execute(query)), key=lambda told: told[::-1])


def _found(conn: Connection, condition: Any, limit: int = 1) -> list[Party]:
    joined = party.outerjoin(estate, estate.c.party_id == party.c.id)
    query = select(party, estate.c.deceased, estate.c.died_on).select_from(joined).where(condition)
    return _loaded(conn.execute(query.order_by(party.c.id).limit(limit)).all())


def _loaded(rows: Sequence[Row[Any]]) -> list[Party]:
    return [
        Party(
            id=row.id, name=row.name, kind=row.kind, level=row.verified_level, created_at=row.created_at,
            estate=None if row.deceased is None else Estate(deceased=row.deceased, died_on=row.died_on),
        )
        for row in rows
    ]  # fmt: skip


def _check(name: str, kind: str, level: str, of: Estate | None) -> None:
    if kind not in PARTY_KINDS:
        raise PartyInvalid(f"{kind[:40]!r} is no kind of party; choose one of: {', '.join(PARTY_KINDS)}.")
    if level not in LEVELS:
        raise PartyInvalid(f"{level[:40]!r} is no level; choose one of: {', '.join(LEVELS)}.")
    if kind == "estate" and of is None:
        raise PartyInvalid("Say whose estate it is, and when they died.")
    if of is not None and kind not in OF_THE_DEAD:
        raise PartyInvalid("Only an estate, or a person who is an heir, speaks for somebody who died.")
    try:
        phrases("name", [name, *([of.deceased] if of else [])], NAME_CHARS_MAX)
    except OptOutInvalid as error:
        raise PartyInvalid(str(error)) from None
    if of is not None:
        day(of.died_on)


def day(told: str) -> str:
    """A day such as 2020-01-31. Raises `EntryInvalid`."""
    parse_time(f"{told}T00:00:00Z")
    return told
