"""Why a release is not served, and how it comes back.

A release is withdrawn as long as one or more *stops* stand against it, and released when the last is lifted:
1. manual: somebody withdrew it by hand;
2. wish: an owner forbids it (``about``: the subject);
3. case: a person has to look, or has found that it may not be served (``about``: the case);
4. claim: a notice about this very clip counts (``about``: the claim).
What was made from a release that is withdrawn becomes a case, at every depth, and stops being served
meanwhile if ``hold`` says so. Lifting the last stop of a release undoes that.
Nothing comes back before it was compared with what owners wish now: see `reinstate`. What falls by itself,
since nobody asks for it any more, is `registry.grounds`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, select

from registry import cases, changes, holds, log, parents
from registry.canonical import Json
from registry.cases import DERIVATIVE, DISMISSED, OPEN, RETRO_MATCH, UPHELD, Case
from registry.checkpoint import NoteSigner
from registry.claim_log import ENDED
from registry.db import read, write
from registry.errors import CaseClosed, StillForbidden
from registry.ids import new_id
from registry.release_rows import demand
from registry.tables import release
from registry.tables_parties import claim
from registry.tables_recalls import release_stop
from registry.types import Change, ReasonLike, RecheckResult, Release, ReleaseState

ENTRY_VERSION: Final = 1
MANUAL, WISH, CASE, CLAIM = "manual", "wish", "case", "claim"
ALLOW, BLOCK = "allow", "block"
NOT_BY_HAND: Final = "registry"
"""Who closed a case that nobody decided: its ground fell away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Something that stands against a release since a log position; the fields are those of the rules."""

    id: str
    release_id: str
    cause: str
    about: str
    since_seq: int


Also = Callable[[Connection], None]


def _nothing_more(_conn: Connection) -> None:
    """Where nothing else belongs to a reinstatement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upon:
    """What else belongs to a reinstatement, in its transaction: ``first``, before anything is asked, and
    ``last``, when it is done; ``clear``: as the judge's ``cleared``, of the release itself.
    """

    clear: Mapping[str, int] = field(default_factory=dict)
    first: Also = _nothing_more
    last: Also = _nothing_more


class Judge(Protocol):
    """Compares a release with wishes, as it would be compared if it were published now.

    ``changes``: with these, None: with everything in force at log position ``seq``; ``cleared``: subjects
    that a person found not to be in it, with the position up to which that counts; ``by_itself``: whether it
    would come back without a person who asked for that.
    """

    @property
    def seq(self) -> int: ...  # noqa: D102

    def __call__(  # noqa: D102
        self, released: Release, changes: Sequence[Change] | None, cleared: dict[str, int], *, by_itself: bool
    ) -> RecheckResult: ...


def stop(
    conn: Connection, release_id: str, cause: str, about: str, *, why: Json, now: str, hold: bool = True,
    derive: bool = True,
) -> bool:  # fmt: skip
    """Stand against a release, and say whether that is new. Raises `NotFound`.

    ``derive``: what was made from it becomes cases, with the first stop that is not there for what it was
    itself made from; with ``hold`` it stops being served, too.
    """
    row, before = demand(conn, release_id), standing(conn, release_id)
    if any((one.cause, one.about) == (cause, about) for one in before):
        return False
    public: Json = {"v": ENTRY_VERSION, "release": release_id, "urn": row.urn}
    entry = log.append(conn, "withdrawal", public, why, now)
    if row.state is ReleaseState.RELEASED:
        _set_state(conn, release_id, ReleaseState.WITHDRAWN, entry.seq)
    values = {"release_id": release_id, "cause": cause, "about": about, "since_seq": entry.seq}
    conn.execute(release_stop.insert().values(id=new_id(now), **values))
    if derive and all(_derived(conn, one) for one in before):
        _derive(conn, release_id, now=now, hold=hold)
    return True


def open_case(
    conn: Connection, kind: str, release_id: str, about: str, reasons: Sequence[Json], *, now: str, hold: bool
) -> Case | None:
    """Open a case (None: there is one), and stand against the release meanwhile if ``hold``."""
    made = cases.add(conn, kind, release_id, about, reasons, now)
    if made is not None and hold:
        stop(conn, release_id, CASE, made.id, why={"case": made.id, "kind": kind}, now=now, hold=hold,
             derive=kind != DERIVATIVE)  # fmt: skip
    return made


def _derive(conn: Connection, release_id: str, *, now: str, hold: bool) -> None:
    told: Json = {
        "code": "parent_withdrawn", "check": "release_parent",
        "detail": f"It was made from the release {release_id}, which was withdrawn.",
        "evidence": {"releases": [release_id]},
    }  # fmt: skip
    for child in sorted(parents.descendants(conn, release_id)):
        open_case(conn, DERIVATIVE, child, release_id, [told], now=now, hold=hold)


def _derived(conn: Connection, one: Stop) -> bool:
    """Whether a stop is there only for what the release was made from, and may go with that."""
    if one.cause != CASE:
        return False
    case = cases.get(conn, one.about)
    return case.kind == DERIVATIVE and case.state == OPEN


def standing(conn: Connection, release_id: str) -> list[Stop]:
    """What stands against a release now, oldest first."""
    query = select(release_stop).where(
        release_stop.c.release_id == release_id, release_stop.c.lifted_seq.is_(None)
    )
    return [
        Stop(id=row.id, release_id=release_id, cause=row.cause, about=row.about, since_seq=row.since_seq)
        for row in conn.execute(query.order_by(release_stop.c.since_seq, release_stop.c.id))
    ]


def uphold(
    engine: Engine, case_id: str, *, by: str, decision: str, now: str, sign_checkpoint: NoteSigner,
    hold: bool = True,
) -> Case:  # fmt: skip
    """Decide that the release of a case may not be served. Raises `NotFound`, `CaseClosed`."""
    with write(engine) as conn:
        case = demand_open(conn, case_id)
        derived = all(_derived(conn, one) for one in standing(conn, case.release_id))
        done = cases.close(conn, case, UPHELD, by, decision, now)
        fresh = stop(conn, case.release_id, CASE, case.id, why={"case": case.id}, now=now, hold=hold)
        if derived and not fresh:  # from now on it stays away, whatever becomes of what it was made from
            _derive(conn, case.release_id, now=now, hold=hold)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return done


def dismiss(
    engine: Engine, case_id: str, judge: Judge, *, by: str, decision: str, now: str,
    sign_checkpoint: NoteSigner,
) -> tuple[Case, Release]:  # fmt: skip
    """Decide that a case is none. The release is served again if nothing else stands against it.

    A case that kept nothing from being served needs no comparison. Raises `NotFound`, `CaseClosed`,
    `StillForbidden`: then nothing was changed.
    """
    with read(engine) as conn:
        case = demand_open(conn, case_id)
    asked = Asked(judge)
    asked.ahead(engine, case.release_id, lambda one: one.about == case_id, closing=case)
    with write(engine) as conn:
        done = cases.close(conn, demand_open(conn, case_id), DISMISSED, by, decision, now)
        mine = [one for one in standing(conn, case.release_id) if one.about == case_id]
        if mine:
            _lift(conn, demand(conn, case.release_id), mine, asked, {"case": case_id, "by": by}, now)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return done, demand(conn, case.release_id)


def reinstate(
    engine: Engine, release_id: str, judge: Judge, *, why: Json, now: str, sign_checkpoint: NoteSigner,
    upon: Upon = Upon(),
) -> Release:  # fmt: skip
    """Serve a withdrawn release again, and undo what its withdrawal caused; a second time does nothing.

    1. An open case, and a notice that counts, is decided, not passed over: `StillForbidden` names it.
    2. The release is compared with everything in force, before the write lock is taken.
    3. Inside the transaction, in which nothing else is written, it is compared with what came meanwhile.
       Anything but allow raises `StillForbidden`, and nothing was changed. A subject whose case a person
       decided is not asked about again, unless its owner registered more since.
    4. All stops are lifted. What was made from it and was held back for that alone goes through the same
       comparison; what does not pass stays withdrawn, with a stop or a case of its own.
    """
    asked = Asked(judge, more={release_id: upon.clear})
    asked.ahead(engine, release_id, lambda _one: True)  # 2
    with write(engine) as conn:
        upon.first(conn)
        known = demand(conn, release_id)
        if known.state is ReleaseState.RELEASED:
            return known
        waiting = cases.page(conn, release_id=release_id)
        if waiting:  # 1
            raise StillForbidden(
                f"The release has an open case, {waiting[0].id}; decide it with countermark case first."
            )
        told = _counting(conn, release_id)
        if told is not None:
            raise StillForbidden(f"A notice about the clip counts, {told}; decide it with countermark claim.")
        _lift(conn, known, standing(conn, release_id), asked, why, now)  # 3, 4
        upon.last(conn)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return demand(conn, release_id)


class Asked:
    """Answers of a judge, most of them asked for before the transaction.

    ``by_itself``: whether nobody asked for the release itself; nobody ever does for what hangs on it;
    ``more``: by release, what counts as cleared beside its decided cases.
    """

    def __init__(
        self, judge: Judge, *, by_itself: bool = False, more: Mapping[str, Mapping[str, int]] | None = None
    ) -> None:
        self._judge, self._by_itself, self._more = judge, by_itself, more or {}
        self._known: dict[str, RecheckResult] = {}

    def ahead(
        self, engine: Engine, release_id: str, lifted: Callable[[Stop], bool], *, closing: Case | None = None
    ) -> None:
        """Ask about a release that would be free without what is `lifted`, and about what hangs on it."""
        with read(engine) as conn:
            if not all(map(lifted, standing(conn, release_id))):
                return
            hanging = [case.release_id for case in cases.derived_from(conn, release_id)]
            found = [(demand(conn, one), self._clear(conn, one)) for one in (release_id, *hanging)]
        for released, clear in found:
            if closing is not None and released.id == release_id and closing.kind == RETRO_MATCH:
                clear = clear | {closing.about: closing.log_seq}
            alone = self._by_itself or released.id != release_id
            self._known[released.id] = self._judge(released, None, clear, by_itself=alone)

    def about(self, conn: Connection, released: Release, *, by_itself: bool) -> RecheckResult:
        """The answer as of this write transaction."""
        clear = self._clear(conn, released.id)
        known = self._known.get(released.id)
        known = known or self._judge(released, None, clear, by_itself=by_itself)
        if known.verdict != ALLOW:
            return known
        fresh = changes.load(conn, self._judge.seq, log.registry_seq(conn))
        return self._judge(released, fresh, clear, by_itself=by_itself) if fresh else known

    def _clear(self, conn: Connection, release_id: str) -> dict[str, int]:
        return {**cases.decided(conn, release_id), **self._more.get(release_id, {})}


def _lift(
    conn: Connection, released: Release, gone: Collection[Stop], asked: Asked, why: Json, now: str
) -> None:
    """Lift these stops; if none is left, compare and release, else raise `StillForbidden`."""
    if len(standing(conn, released.id)) > len(gone):
        _lighten(conn, released, gone, why, now)
        return
    answer = asked.about(conn, released, by_itself=False)
    if answer.verdict != ALLOW:
        raise StillForbidden(
            "The release may not be served: " + " ".join(one.detail for one in answer.reasons)
        )
    _set_free(conn, released, gone, asked, why, now)


def _set_free(
    conn: Connection, released: Release, gone: Collection[Stop], asked: Asked, why: Json, now: str
) -> None:
    """Release it, close the cases of what was made from it, and let that come back, too."""
    public: Json = {"v": ENTRY_VERSION, "release": released.id, "urn": released.urn}
    entry = log.append(conn, "reinstatement", public, why, now)
    _mark_lifted(conn, gone, entry.seq)
    if released.state is ReleaseState.WITHDRAWN:
        _set_state(conn, released.id, ReleaseState.RELEASED, entry.seq)
    for case in cases.derived_from(conn, released.id):
        cases.close(conn, case, DISMISSED, NOT_BY_HAND, f"The release {released.id} was reinstated.", now)
        mine = [one for one in standing(conn, case.release_id) if one.about == case.id]
        if mine:
            set_child_free(conn, case.release_id, mine, asked, {"reinstated": released.id}, now)


def set_child_free(
    conn: Connection, child_id: str, mine: Collection[Stop], asked: Asked, why: Json, now: str
) -> None:
    """Lift these stops; where none is left it is served again, or kept back by what forbids it now."""
    child = demand(conn, child_id)
    if len(standing(conn, child_id)) == len(mine):
        answer = asked.about(conn, child, by_itself=True)
        if answer.verdict == ALLOW:
            _set_free(conn, child, mine, asked, why, now)
            return
        _lighten(conn, child, mine, why, now)
        _keep_back(conn, child_id, answer, now)
        return
    _lighten(conn, child, mine, why, now)


def _keep_back(conn: Connection, release_id: str, answer: RecheckResult, now: str) -> None:
    """Found while it was away: a wish that forbids it stands against it, or a case that a person decides."""
    told = [holds.reason_json(one) for one in answer.reasons]
    named = [str(one.evidence.get("subject") or "") for one in answer.reasons]
    about = next(filter(None, named), release_id)
    if answer.verdict == BLOCK:
        stop(conn, release_id, WISH, about, why={"reasons": [*map(_short, answer.reasons)]}, now=now)
    else:
        made = open_case(conn, RETRO_MATCH, release_id, about, told, now=now, hold=True)
        known = cases.find_open(conn, RETRO_MATCH, release_id, about)
        if made is None and known is not None:  # it was open before, and kept nothing back so far
            stop(conn, release_id, CASE, known, why={"case": known}, now=now)


def _short(reason: ReasonLike) -> Json:
    """As the log keeps it, with whom it is about, so that evidence bundles and erasures find the entry."""
    told: Json = {"code": reason.code, "check": reason.check, "detail": reason.detail}
    return told | {"subject": reason.evidence.get("subject")}


def _lighten(conn: Connection, released: Release, gone: Collection[Stop], why: Json, now: str) -> None:
    """Less stands against a release that stays withdrawn."""
    public: Json = {"v": ENTRY_VERSION, "release": released.id, "action": "lifted"}
    _mark_lifted(conn, gone, log.append(conn, "case", public, why, now).seq)


def _mark_lifted(conn: Connection, gone: Collection[Stop], seq: int) -> None:
    for one in gone:
        conn.execute(release_stop.update().where(release_stop.c.id == one.id).values(lifted_seq=seq))


def _counting(conn: Connection, release_id: str) -> str | None:
    """The first claim that stands against a release and has not ended."""
    query = select(claim.c.id).join(release_stop, release_stop.c.about == claim.c.id).where(
        release_stop.c.release_id == release_id, release_stop.c.cause == CLAIM,
        release_stop.c.lifted_seq.is_(None), claim.c.state.not_in(sorted(ENDED)),
    )  # fmt: skip
    found: str | None = conn.execute(query.order_by(release_stop.c.since_seq)).scalar()
    return found


def demand_open(conn: Connection, case_id: str) -> Case:
    """The case, if it is not decided yet. Raises `NotFound`, `CaseClosed`."""
    case = cases.get(conn, case_id)
    if case.state != OPEN:
        raise CaseClosed(f"The case was {case.state} at {case.closed_at}; it is not decided twice.")
    return case


def _set_state(conn: Connection, release_id: str, state: ReleaseState, seq: int) -> None:
    values = {"state": state, "state_seq": seq}
    conn.execute(release.update().where(release.c.id == release_id).values(**values))
