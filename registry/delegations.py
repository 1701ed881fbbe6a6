"""Delegations: a party lets another act for it, within a scope, and takes that back.

The right to act for a party is a path of delegations that are in force, at most three long, of which every
one covers the act; each but the last must allow to pass it on. So whatever is passed on can only be less.
Revoking ends what the path allowed from then on; opt-outs that were made under it stay.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, or_, select

from registry import log, parties
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.drafts import SUBJECT_KINDS
from registry.errors import ActRefused, NotFound, PartyInvalid
from registry.ids import new_id, parse_time
from registry.party_types import ACTS, Delegation, Scope, Target
from registry.tables import subject
from registry.tables_parties import delegation

ENTRY_VERSION: Final = 1
DEPTH_MAX: Final = 3
SCOPE_ITEMS_MAX: Final = 1_000

Path = tuple[str, ...]
"""Ids of delegations, from the one in whose name something is done to the one who does it."""


def right(
    edges: Iterable[Delegation], owner: str, actor: str, act: str, target: Target, now: str
) -> Path | None:
    """The shortest path by which ``actor`` may do ``act`` for ``owner``; () for the owner itself. Pure."""
    if owner == actor:
        return ()
    covering: Mapping[str, list[Delegation]] = defaultdict(list)
    for edge in sorted(edges, key=lambda edge: edge.id):
        if act in edge.acts and edge.scope.covers(target) and in_force(edge, now):
            covering[edge.from_party].append(edge)
    paths: list[tuple[str, Path]] = [(owner, ())]
    for _ in range(DEPTH_MAX):
        further = []
        for at, path in paths:
            for edge in covering[at]:
                if edge.to_party == actor:
                    return (*path, edge.id)
                if edge.may_subdelegate:
                    further.append((edge.to_party, (*path, edge.id)))
        paths = _first(further)
    return None


def in_force(edge: Delegation, now: str) -> bool:
    """Whether a delegation counts at this time."""
    at = parse_time(now)
    begun = edge.valid_from is None or parse_time(edge.valid_from) <= at
    ended = edge.valid_until is not None and parse_time(edge.valid_until) <= at
    return begun and not ended and not edge.revoked


class Rights:
    """Who may act for whom, as one transaction sees it; each owner's delegations are read once."""

    def __init__(self, conn: Connection, now: str) -> None:
        self._conn, self._now = conn, now
        self._edges: dict[str, list[Delegation]] = {}

    def demand(self, actor: str, owner: str, act: str, target: Target) -> Path:
        """The path by which ``actor`` may. Raises `ActRefused`."""
        if owner == actor:
            return ()
        if owner not in self._edges:
            self._edges[owner] = reaching(self._conn, owner)
        path = right(self._edges[owner], owner, actor, act, target, self._now)
        if path is None:
            who, whom = parties.one(self._conn, actor).name, parties.one(self._conn, owner).name
            raise ActRefused(
                f"{who} may not {act} for {whom} here: no delegation in force covers it; "
                "see: countermark delegation list."
            )
        return path


def demand_for_subject(conn: Connection, actor: str | None, subject_id: str, act: str, now: str) -> Path:
    """The path by which ``actor`` may act on a subject; the operator (None) may. Raises `ActRefused`.

    Raises `NotFound` for a subject that is not there. Call it inside the transaction of the act.
    """
    row = conn.execute(select(subject).where(subject.c.id == subject_id)).first()
    if row is None:
        raise NotFound(f"There is no opt-out {subject_id[:40]!r}.")
    if actor is None:
        return ()
    target = Target(kind=row.kind, work=row.work_id, subject=row.id)
    return Rights(conn, now).demand(actor, row.party_id, act, target)


def hold(conn: Connection, path: Sequence[str], now: str) -> bool:
    """Whether every delegation of a path that something was said by is in force still."""
    if not path:
        return True
    rows = conn.execute(select(delegation).where(delegation.c.id.in_(path))).all()
    return len(rows) == len(path) and all(in_force(_loaded(row), now) for row in rows)


def reaching(conn: Connection, owner: str) -> list[Delegation]:
    """Every delegation that a path from ``owner`` can have, revoked ones left out."""
    found: dict[str, Delegation] = {}
    at = {owner}
    for _ in range(DEPTH_MAX):
        query = select(delegation).where(delegation.c.from_party.in_(sorted(at)))
        edges = [_loaded(row) for row in conn.execute(query.where(delegation.c.revoked_seq.is_(None)))]
        at = {edge.to_party for edge in edges if edge.id not in found}
        found |= {edge.id: edge for edge in edges}
        if not at:
            break
    return list(found.values())


def grant(
    engine: Engine, from_party: str, to_party: str, *, scope: Scope | None = None, acts: Iterable[str] = ACTS,
    may_subdelegate: bool = False, valid_from: str | None = None, valid_until: str | None = None,
    now: str, sign_checkpoint: NoteSigner,
) -> Delegation:  # fmt: skip
    """Let a party act for another; both by their ids. Raises `PartyInvalid`, `NotFound`."""
    made = Delegation(
        id=new_id(now), from_party=from_party, to_party=to_party, scope=scope or Scope(),
        acts=frozenset(acts), may_subdelegate=may_subdelegate, valid_from=valid_from,
        valid_until=valid_until, revoked=False,
    )  # fmt: skip
    _check(made)
    values: Json = {
        "id": made.id, "from_party": from_party, "to_party": to_party, "scope": made.scope.to_json(),
        "acts": [*sorted(made.acts)], "may_subdelegate": int(may_subdelegate), "valid_from": valid_from,
        "valid_until": valid_until,
    }  # fmt: skip
    with write(engine) as conn:
        for party_id in (from_party, to_party):
            parties.one(conn, party_id)
        entry = log.append(conn, "delegation", _public(made.id, "grant"), {**values}, now)
        conn.execute(delegation.insert().values(**values, log_seq=entry.seq))
        log.add_checkpoint(conn, sign_checkpoint, now)
    return made


def revoke(
    engine: Engine, delegation_id: str, *, by: str | None = None, now: str, sign_checkpoint: NoteSigner
) -> int:
    """Take a delegation back and return the log position; a second time does nothing.

    ``by``: the party that takes it back, which must be the one that gave it. Raises `ActRefused`, `NotFound`.
    """
    with write(engine) as conn:
        row = conn.execute(select(delegation).where(delegation.c.id == delegation_id)).first()
        if row is None:
            raise NotFound(
                f"There is no delegation {delegation_id[:40]!r}; see: countermark delegation list."
            )
        if by not in (None, row.from_party):
            raise ActRefused("Only the party that gave a delegation takes it back.")
        if row.revoked_seq is not None:
            return int(row.revoked_seq)
        seq = end(conn, delegation_id, by, now)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return seq


def end(conn: Connection, delegation_id: str, by: str | None, now: str) -> int:
    """Take a delegation in force back inside the caller's transaction; return the log position."""
    entry = log.append(conn, "delegation", _public(delegation_id, "revoke"), {"by": by}, now)
    gone = delegation.update().where(delegation.c.id == delegation_id)
    conn.execute(gone.values(revoked_seq=entry.seq))
    return entry.seq


def list_delegations(
    engine: Engine, party_id: str | None = None, *, after: str = "", limit: int = 1_000
) -> list[Delegation]:
    """Delegations from or to a party (or all), oldest first, revoked ones too."""
    query = select(delegation).where(delegation.c.id > after).order_by(delegation.c.id).limit(limit)
    if party_id is not None:
        query = query.where(or_(delegation.c.from_party == party_id, delegation.c.to_party == party_id))
    with read(engine) as conn:
        return [_loaded(row) for row in conn.execute(query)]


def _first(paths: Sequence[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """One path to each party: all of a length are as good, and cycles end here."""
    kept: dict[str, Path] = {}
    for at, path in paths:
        kept.setdefault(at, path)
    return list(kept.items())


def _public(delegation_id: str, action: str) -> Json:
    """Which party represents which is nobody's business."""
    return {"v": ENTRY_VERSION, "delegation": delegation_id, "action": action}


def _check(made: Delegation) -> None:
    if made.from_party == made.to_party:
        raise PartyInvalid("A party needs no delegation to act for itself.")
    wrong = sorted(made.acts - set(ACTS))
    if wrong or not made.acts:
        raise PartyInvalid(f"{str(wrong[:1])[:60]} is no act; choose from: {', '.join(ACTS)}.")
    if made.scope.of != "all" and not 0 < len(made.scope.items) <= SCOPE_ITEMS_MAX:
        raise PartyInvalid(f"Name 1 to {SCOPE_ITEMS_MAX} {made.scope.of}, or delegate all.")
    strange = sorted(made.scope.items - set(SUBJECT_KINDS)) if made.scope.of == "kinds" else []
    if strange:
        raise PartyInvalid(f"{strange[0][:40]!r} is no kind; choose from: {', '.join(SUBJECT_KINDS)}.")
    times = [parse_time(time) for time in (made.valid_from, made.valid_until) if time is not None]
    if len(times) == 2 and times[0] >= times[1]:
        raise PartyInvalid("The delegation would end before it begins; exchange the two times.")


def _loaded(row: Row[Any]) -> Delegation:
    return Delegation(
        id=row.id, from_party=row.from_party, to_party=row.to_party, scope=Scope.from_json(row.scope),
        acts=frozenset(row.acts), may_subdelegate=bool(row.may_subdelegate), valid_from=row.valid_from,
        valid_until=row.valid_until, revoked=row.revoked_seq is not None,
    )  # fmt: skip
