"""What becomes of claims: notices, disputes, decisions, verification, the clock.

1. Whatever happens is a log entry; a subject that stands on it moves with it (`registry.claim_log`).
2. A claim that is rejected, or whose clock ends, takes its subject out of force in the same transaction.
3. A party that was verified stands behind all that it claimed: what is provisional becomes active, what waits
   as a draft comes into force, unless either was filed by a path of delegations that is not in force any
   more: then it waits on, for the operator or for its clock. So does a draft that cannot come into force.
4. A dispute softens, it does not lift: until it is decided, what is found is held. A party that nobody
   verified has as many disputes open at a time as claims.
5. A notice is about a clip that is out. A clip of a takedown notice stops being served at once, of another
   when it is accepted; where the notice ends without that, the clip comes back (`grounds.settle`).
6. A takedown notice, or one of a verified party, that nobody decided on in time is accepted: silence does not
   help the one who was told.
"""

import logging
from typing import Final

from sqlalchemy import Connection, Engine, func, or_, select

from registry import claim_log, delegations, log, optouts, parties, recalls, statements
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.claim_log import ACTIVE, DISPUTED, DRAFT, EXPIRED, PROVISIONAL, REJECTED
from registry.db import read, translated, write
from registry.delegations import Rights
from registry.errors import (
    ActRefused,
    ClaimInvalid,
    ConstraintBroken,
    EntryInvalid,
    NotFound,
    OptOutInvalid,
)
from registry.ids import parse_time
from registry.party_types import TAKEDOWN_HOURS, TERMS, UNVERIFIED, Claim, Filing, Target, Terms
from registry.tables import release, subject
from registry.tables_parties import claim
from registry.voices import Voice, draft_of, due_after

NOTICES: Final = ("notice_512", "dsa16", "takedown48")
"""Kinds that tell the platform about a clip."""
CLOCK: Final[Json] = {"by": "clock"}
TAKEDOWN: Final = "takedown48"
ROUND: Final = 100  # claims in one transaction of the sweeper
NOT_TAKEN: Final = (ActRefused, ClaimInvalid, ConstraintBroken, EntryInvalid, NotFound, OptOutInvalid)
"""What is wrong with one draft, and not with the registry."""

logger = logging.getLogger("countermark.registry")


def notify(
    engine: Engine, filing: Filing, *, release_id: str, owner: str | None = None, terms: Terms = TERMS,
    now: str, sign_checkpoint: NoteSigner,
) -> Claim:  # fmt: skip
    """File a notice about a clip that is out, by its release: provisional until it is decided (5).

    ``owner``: the party in whose name, else the one that files. Beyond the cap of an unverified party the
    notice waits as a draft. Raises `ClaimInvalid`, `ActRefused`, `NotFound`.
    """
    if filing.kind not in NOTICES:
        raise ClaimInvalid(f"A notice is one of: {', '.join(NOTICES)}; opt-outs are made with optout add.")
    statements.check(filing.kind, filing.statements, filing.signature)
    with write(engine) as conn:
        party_id = filing.by if owner is None else owner
        who = [parties.one(conn, filing.by), parties.one(conn, party_id)]
        if conn.execute(select(release.c.id).where(release.c.id == release_id)).first() is None:
            raise NotFound(f"There is no release {release_id[:40]!r}.")
        path = Rights(conn, now).demand(filing.by, party_id, "dispute", Target(kind=""))
        known = any(one.verified for one in who)
        state = PROVISIONAL if known or _pending(conn, filing.by, party_id) < terms.cap else DRAFT
        due = due_after(now, TAKEDOWN_HOURS / 24 if filing.kind == TAKEDOWN else terms.days)
        made = claim_log.file(
            conn, filing, party_id, path, state, release_id=release_id, due_at=due, now=now
        )  # fmt: skip
        if filing.kind == TAKEDOWN and state == PROVISIONAL:
            _take_down(conn, made, now)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return made


def dispute(
    engine: Engine, told: str, *, by: str | None, owner: str | None = None, terms: Terms = TERMS, why: Json,
    now: str, sign_checkpoint: NoteSigner,
) -> Claim:  # fmt: skip
    """Object to a claim, by its id or its subject's; what stands on it is held instead of blocked (4).

    ``by``: the party that objects, None for trust and safety; ``owner``: in whose name, else its own. Of a
    party that nobody verified as many disputes as the cap says are open at a time: each makes a block
    milder. Raises `ClaimInvalid`, `ActRefused`, `NotFound`.
    """
    with write(engine) as conn:
        found = _open_to_acts(_claimed(conn, told, now))
        if by is not None:
            parties.one(conn, by)
            if ({by, owner} & {found.party, found.by}) - {None}:  # nobody is the operator, on either side
                raise ActRefused("Nobody disputes what they claimed themselves; withdraw it instead.")
            Rights(conn, now).demand(by, owner or by, "dispute", _target(conn, found))
            _demand_room(conn, {by, owner or by}, terms)
        claim_log.move(conn, found, DISPUTED, "dispute", why, now, disputed_by=owner or by)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return claim_log.get(conn, found.id)


def decide(
    engine: Engine, claim_id: str, *, accept: bool, why: Json, terms: Terms = TERMS, now: str,
    sign_checkpoint: NoteSigner,
) -> Claim:  # fmt: skip
    """The operator decides: the claim stands, or it is rejected and its subject out of force (2).

    A draft that is accepted comes into force. Raises `ClaimInvalid`, `NotFound`.
    """
    with write(engine) as conn:
        found = _open_to_acts(claim_log.get(conn, claim_id))
        if not accept:
            _end(conn, found, REJECTED, why, now)
        elif found.state == DRAFT and found.kind in claim_log.STANDING:
            _activate(conn, found, terms, now, accepted=True)
        else:
            _accept(conn, found, "accept", why, now)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return claim_log.get(conn, claim_id)


def withdraw(
    engine: Engine, claim_id: str, *, by: str | None, why: Json, now: str, sign_checkpoint: NoteSigner
) -> Claim:  # fmt: skip
    """Take a claim back; what stands on it is out of force. Raises `ActRefused`, `ClaimInvalid`."""
    with write(engine) as conn:
        found = _open_to_acts(claim_log.get(conn, claim_id))
        if by is not None:
            Rights(conn, now).demand(by, found.party, "withdraw", _target(conn, found))
        _end(conn, found, claim_log.WITHDRAWN, why, now)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return claim_log.get(conn, claim_id)


def verify(
    engine: Engine, party_id: str, level: str, *, why: Json, terms: Terms = TERMS, now: str,
    sign_checkpoint: NoteSigner,
) -> list[str]:  # fmt: skip
    """Record how far a party is verified, and return the claims that are active by that now (3).

    Its drafts that still wait then were filed by a path that ended, or cannot come into force.
    """
    with write(engine) as conn:
        parties.one(conn, party_id)
        parties.set_level(conn, party_id, level, why, now)
        done = []
        if level != UNVERIFIED:
            for found in _open(conn, party_id):
                if not delegations.hold(conn, found.path, now):
                    continue  # it goes on waiting, for the operator or for its clock
                if found.state != DRAFT:
                    claim_log.move(conn, found, ACTIVE, "verify", why, now)
                elif not _activated(conn, found, terms, now):
                    continue
                done.append(found.id)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return done


def expire_due(engine: Engine, now: str, sign_checkpoint: NoteSigner) -> list[str]:
    """End every claim whose clock has ended, and return their ids; doing it twice does nothing."""
    done: list[str] = []
    while True:
        with read(engine) as conn:  # mostly there is nothing, and nobody needs the write lock to learn that
            if not _due(conn, now):
                return done
        with write(engine) as conn:
            for found in _due(conn, now):
                if found.kind == TAKEDOWN or (found.kind in NOTICES and _known(conn, found)):  # 6
                    _accept(conn, found, "expire", CLOCK, now)
                else:
                    _end(conn, found, EXPIRED, CLOCK, now)
                done.append(found.id)
            log.add_checkpoint(conn, sign_checkpoint, now)


def get(engine: Engine, claim_id: str) -> Claim:
    """A claim. Raises `NotFound`."""
    with read(engine) as conn:
        return claim_log.get(conn, claim_id)


def list_claims(
    engine: Engine,
    *,
    party_id: str | None = None,
    state: str | None = None,
    after: str = "",
    limit: int = 100,
) -> list[Claim]:
    """Claims by id, oldest first: of a party (in whose name, or who files), in a state."""
    query = select(claim).where(claim.c.id > after).order_by(claim.c.id).limit(limit)
    if party_id is not None:
        query = query.where(or_(claim.c.party_id == party_id, claim.c.by_party == party_id))
    if state is not None:
        query = query.where(claim.c.state == state)
    with read(engine) as conn:
        return [claim_log.loaded(row) for row in conn.execute(query)]


def notices(engine: Engine, *, skip: int = 0, limit: int = 50) -> tuple[list[Claim], int]:
    """Notices that nobody decided on, those of which silence is an acceptance first, then by the end of their
    clock; and how many there are in all.
    """
    waiting = (claim.c.kind.in_(NOTICES), claim.c.state.in_([DRAFT, PROVISIONAL, DISPUTED]))
    by_clock = (claim.c.kind != TAKEDOWN, claim.c.due_at.is_(None), claim.c.due_at, claim.c.id)
    with read(engine) as conn:
        count = conn.execute(select(func.count()).where(*waiting)).scalar_one()
        rows = conn.execute(select(claim).where(*waiting).order_by(*by_clock).offset(skip).limit(limit))
        return [claim_log.loaded(row) for row in rows], int(count)


def _claimed(conn: Connection, told: str, now: str) -> Claim:
    """The claim of this id, or behind the subject of this id; the operator's word becomes one."""
    row = conn.execute(select(subject).where(subject.c.id == told)).first()
    if row is None:
        return claim_log.get(conn, told)
    if row.state != "active":
        raise ClaimInvalid("The opt-out is not in force; there is nothing to dispute.")
    behind = claim_log.behind(conn, row)
    if behind is not None and behind.state in claim_log.OPEN:
        return behind
    return claim_log.file(
        conn, Filing(by=""), row.party_id, (), ACTIVE, subject_id=row.id, now=now
    )  # fmt: skip


def _open_to_acts(found: Claim) -> Claim:
    """A claim on which something stands. Raises `ClaimInvalid` for one that only records what was done."""
    if found.kind not in (*claim_log.STANDING, *NOTICES):
        raise ClaimInvalid(
            f"The claim {found.id} only records an act; a licence ends with: countermark licence revoke."
        )
    return found


def _end(conn: Connection, found: Claim, ending: str, why: Json, now: str) -> None:
    """End a claim, taking what stands on it out of force first (2)."""
    row = conn.execute(select(subject).where(subject.c.id == found.subject)).first()
    if row is not None and row.claim_id == found.id and row.state == "active":
        if ending not in claim_log.TRANSITIONS.get(found.state, ()):
            raise ClaimInvalid(f"The claim {found.id} is {found.state}; it cannot become {ending}.")
        optouts.take_out(conn, row, why, ending, now)
    else:
        claim_log.move(conn, found, ending, ending, why, now)


def _accept(conn: Connection, found: Claim, action: str, why: Json, now: str) -> None:
    claim_log.move(conn, found, ACTIVE, action, why, now)
    if found.release is not None:
        _take_down(conn, found, now)


def _take_down(conn: Connection, found: Claim, now: str) -> None:
    """Stop serving the clip that a notice is about (5)."""
    assert found.release is not None  # noqa: S101 - a notice names a release
    recalls.stop(conn, found.release, recalls.CLAIM, found.id, why={"claim": found.id}, now=now)


def _known(conn: Connection, found: Claim) -> bool:
    """Whether a verified party stands behind a claim."""
    return any(parties.one(conn, one).verified for one in (found.party, found.by or found.party))


def _pending(conn: Connection, by: str, party_id: str) -> int:
    """How many notices of one party wait for a decision."""
    query = select(func.count()).where(
        claim.c.state == PROVISIONAL, claim.c.kind.in_(NOTICES),
        or_(claim.c.by_party == by, claim.c.party_id == party_id),
    )  # fmt: skip
    return int(conn.execute(query).scalar_one())


def _demand_room(conn: Connection, who: set[str], terms: Terms) -> None:
    """Raises: ActRefused where parties that nobody verified dispute more than the cap says."""
    if any(parties.one(conn, one).verified for one in who):
        return
    query = select(func.count()).where(claim.c.state == DISPUTED, claim.c.disputed_by.in_(sorted(who)))
    count = int(conn.execute(query).scalar_one())
    if count >= terms.cap:
        raise ActRefused(
            f"{count} disputes of this party wait for a decision, and nobody verified it; have it verified, "
            "or wait for them."
        )


def _target(conn: Connection, found: Claim) -> Target:
    """What an act on a claim is about, for the scopes of delegations."""
    row = conn.execute(select(subject).where(subject.c.id == found.subject)).first()
    if row is None:
        return Target(kind="")
    return Target(kind=row.kind, work=row.work_id, subject=row.id)


def _activate(conn: Connection, found: Claim, terms: Terms, now: str, *, accepted: bool = False) -> None:
    """Bring what a draft says into force; ``accepted``: by the operator, whatever the party's level."""
    kept = claim_log.draft(conn, found.id)
    filing = Filing(
        by=found.by or found.party, kind=found.kind, statements=found.statements, signature=found.signature
    )
    voice = Voice(conn, filing, terms, now, waiting=found, accepted=accepted)
    optouts.add_in(conn, draft_of(kept), now, optouts.spaces_of(conn), voice)


def _activated(conn: Connection, found: Claim, terms: Terms, now: str) -> bool:
    """`_activate`, or nothing of it, if the registry does not take the draft: that keeps no other back."""
    try:
        with translated(), conn.begin_nested():
            _activate(conn, found, terms, now)
    except NOT_TAKEN as error:
        logger.warning("the claim %s cannot come into force: %s", found.id, error)
        return False
    return True


def _open(conn: Connection, party_id: str) -> list[Claim]:
    """What a party, or somebody in its name, claimed and what waits for its being verified."""
    query = select(claim).where(
        claim.c.state.in_((PROVISIONAL, DRAFT)), claim.c.kind.in_(claim_log.STANDING),
        or_(claim.c.party_id == party_id, claim.c.by_party == party_id),
    )  # fmt: skip
    return [claim_log.loaded(row) for row in conn.execute(query.order_by(claim.c.id)).all()]


def _due(conn: Connection, now: str) -> list[Claim]:
    at = parse_time(now)
    query = select(claim).where(
        claim.c.state.in_((PROVISIONAL, DRAFT)), claim.c.due_at <= _second(now),
    )  # fmt: skip
    rows = conn.execute(query.order_by(claim.c.due_at, claim.c.id).limit(ROUND)).all()
    return [one for one in map(claim_log.loaded, rows) if one.due_at and parse_time(one.due_at) <= at]


def _second(now: str) -> str:
    """``now`` as dues are written: whole seconds, so that texts compare like times."""
    return f"{now[:19]}Z"
