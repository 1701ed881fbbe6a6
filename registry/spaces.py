"""Spaces of vectors, and the way from one model to the next without a gap.

A space is what one model makes of pictures, faces or texts; vectors of two spaces cannot be compared. A new
model is a new space, which serves beside the old one: whoever compares with one of them finds who is in it,
and is told who is not (`Snapshot.strangers`), so that nothing passes unseen. Once the new space has all that
the old one has, the old one is retired:
1. nothing is registered in it any more, and what it has is no longer compared with;
2. the database refuses that as long as anything in force has vectors there that the other space lacks; nor
   is it done as long as the draft of a claim that waits has any there: it could not come into force any more;
3. it is a log entry that can change a verdict: every view follows before it answers again. What was seen by
   the old model and not yet published is held as soon as a subject changes: it cannot be compared.
The rows stay, as the record of what was registered.

What a score means in a space is said by its calibration. Whenever a space is used with another one than
before, the digest of that file becomes a log entry, so that every later entry of a decision was made with it.
It changes no verdict of what was compared before: nothing that is out is compared again for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Text, and_, distinct, exists, func, select, type_coerce

from registry import log
from registry.canonical import Json, stored
from registry.checkpoint import NoteSigner
from registry.claim_log import DRAFT
from registry.db import read, write
from registry.errors import NotFound, SpaceInUse
from registry.tables import embedding, space
from registry.tables_parties import claim
from registry.tables_spaces import space_calibration, space_retired

ENTRY_VERSION: Final = 1
PAGE: Final = 100

_here, _there = embedding.alias("here"), embedding.alias("there")
_retired = select(space_retired.c.space)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceState:
    """A space: ``kinds`` of vectors in it; ``subjects``: how many in force have some; ``lacking``: how many
    have vectors of these kinds elsewhere that it lacks; ``into``: the space it was retired for, or empty;
    ``calibration``: SHA-256 of the file that it was used with last, ``calibration_version``: its version, 0
    where it was not used yet.
    """

    id: str
    dimension: int
    created_at: str
    kinds: tuple[str, ...]
    subjects: int
    lacking: int
    into: str
    calibration: str = ""
    calibration_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationUsed:
    """The calibration that a space is used with: SHA-256 (hex) of its file, and its version."""

    space: str
    sha256: str
    version: int


def list_spaces(engine: Engine) -> list[SpaceState]:
    """All spaces, oldest first, with how far each has come."""
    with read(engine) as conn:
        into = {row.space: row.into_space for row in conn.execute(select(space_retired))}
        rows = conn.execute(select(space).order_by(space.c.created_at, space.c.id)).all()
        return [_state(conn, row, into.get(row.id, ""), _latest(conn, row.id)) for row in rows]


def calibrated(engine: Engine, space_id: str) -> CalibrationUsed | None:
    """The calibration that a space was used with last; None for one that was not used yet."""
    with read(engine) as conn:
        return _latest(conn, space_id)


def note_calibrations(
    engine: Engine, used: Sequence[CalibrationUsed], *, now: str, sign_checkpoint: NoteSigner
) -> list[int]:
    """Log each calibration that is not the last one its space was used with; return the log positions.

    Nothing is written where all are known.
    """
    with read(engine) as conn:
        if all(_latest(conn, one.space) == one for one in used):
            return []
    with write(engine) as conn:
        made = [_note(conn, one, now) for one in used if _latest(conn, one.space) != one]
        if made:
            log.add_checkpoint(conn, sign_checkpoint, now)
    return made


def lacking(engine: Engine, space_id: str, *, after: str = "", limit: int = PAGE) -> list[str]:
    """Ids of subjects in force with vectors elsewhere that this space lacks; ``after``: the last id before.

    Raises `NotFound`.
    """
    with read(engine) as conn:
        _demand(conn, space_id)
        query = _lacking(space_id, _kinds(conn, space_id)).where(_here.c.subject_id > after)
        return [str(row[0]) for row in conn.execute(query.order_by(_here.c.subject_id).limit(limit))]


def retire(engine: Engine, space_id: str, *, into: str, now: str, sign_checkpoint: NoteSigner) -> int:
    """Retire a space for another that has all of it, and return the log position. A second time does nothing.

    Raises `NotFound`, and `SpaceInUse` while the other one lacks something, or a draft has vectors in it.
    """
    with write(engine) as conn:
        _demand(conn, space_id)
        _demand(conn, into)
        query = select(space_retired).where(space_retired.c.space == space_id)
        known = conn.execute(query).first()
        if known is not None and known.into_space == into:
            return int(known.log_seq)
        if known is not None or into == space_id or conn.execute(_is_retired(into)).scalar():
            raise SpaceInUse(f"{space_id[:80]} cannot be retired for {into[:80]}; name a space that serves.")
        missing = int(conn.execute(_only_there(space_id, into)).scalar_one())
        if missing:
            who = "1 subject has" if missing == 1 else f"{missing} subjects have"
            raise SpaceInUse(
                f"{who} vectors in {space_id[:80]} that {into[:80]} lacks; embed them again first."
            )
        waiting = int(conn.execute(_waiting_in(space_id)).scalar_one())
        if waiting:
            who = "1 claim that waits has" if waiting == 1 else f"{waiting} claims that wait have"
            raise SpaceInUse(
                f"{who} vectors in {space_id[:80]} (countermark claim list --state draft); decide it first, "
                "or have it withdrawn and sent again."
            )
        public: Json = {"v": ENTRY_VERSION, "action": "retire", "space": space_id, "into": into}
        entry = log.append(conn, "space", public, None, now)
        conn.execute(space_retired.insert().values(space=space_id, into_space=into, log_seq=entry.seq))
        log.add_checkpoint(conn, sign_checkpoint, now)
    return entry.seq


def retired(conn: Connection) -> frozenset[str]:
    """The spaces that are not compared with any more."""
    return frozenset(str(row[0]) for row in conn.execute(_retired))


def _latest(conn: Connection, space_id: str) -> CalibrationUsed | None:
    query = select(space_calibration).where(space_calibration.c.space == space_id)
    row = conn.execute(query.order_by(space_calibration.c.log_seq.desc()).limit(1)).first()
    return CalibrationUsed(space=row.space, sha256=row.sha256, version=row.version) if row else None


def _note(conn: Connection, used: CalibrationUsed, now: str) -> int:
    public: Json = {
        "v": ENTRY_VERSION, "space": used.space, "sha256": used.sha256, "version": used.version
    }  # fmt: skip
    entry = log.append(conn, "calibration", public, None, now)
    conn.execute(
        space_calibration.insert().values(
            space=used.space, sha256=used.sha256, version=used.version, log_seq=entry.seq
        )
    )
    return entry.seq


def _state(conn: Connection, row: Any, into: str, used: CalibrationUsed | None) -> SpaceState:
    kinds = _kinds(conn, row.id)
    query = select(func.count(distinct(embedding.c.subject_id)))
    subjects = conn.execute(query.where(embedding.c.space == row.id, embedding.c.removed_seq.is_(None)))
    missing = select(func.count()).select_from(_lacking(row.id, kinds).subquery())
    return SpaceState(
        id=row.id, dimension=row.dimension, created_at=row.created_at, kinds=kinds,
        subjects=int(subjects.scalar_one()),
        lacking=0 if into else int(conn.execute(missing).scalar_one()), into=into,
        calibration=used.sha256 if used else "", calibration_version=used.version if used else 0,
    )  # fmt: skip


def _kinds(conn: Connection, space_id: str) -> tuple[str, ...]:
    query = select(embedding.c.kind).distinct()
    query = query.where(embedding.c.space == space_id, embedding.c.removed_seq.is_(None))
    return tuple(sorted(str(row[0]) for row in conn.execute(query)))


def _lacking(space_id: str, kinds: tuple[str, ...]) -> Any:
    """Subjects with rows of these kinds in another space that serves, and without the same in this one."""
    return (
        select(_here.c.subject_id)
        .distinct()
        .where(
            _here.c.removed_seq.is_(None), _here.c.kind.in_(kinds), _here.c.space != space_id,
            _here.c.space.not_in(_retired), ~_counterpart(space_id),
        )
    )  # fmt: skip


def _only_there(space_id: str, into: str) -> Any:
    return select(func.count(distinct(_here.c.subject_id))).where(
        _here.c.space == space_id, _here.c.removed_seq.is_(None), ~_counterpart(into)
    )


def _waiting_in(space_id: str) -> Any:
    """How many drafts have vectors there, by their text, in which quotes inside of a value are escaped."""
    told, member = type_coerce(claim.c.draft, Text), stored({"space": space_id})[1:-1]
    there = func.replace(told, member, "") != told
    return select(func.count()).where(claim.c.state == DRAFT, there)


def _counterpart(space_id: str) -> Any:
    """Whether this space has vectors of the same picture or text, and kind."""
    same = ("subject_id", "kind", "reference_sha256")
    return exists().where(
        and_(*(_there.c[column] == _here.c[column] for column in same)),
        _there.c.space == space_id, _there.c.removed_seq.is_(None),
    )  # fmt: skip


def _is_retired(space_id: str) -> Any:
    return select(exists().where(space_retired.c.space == space_id))


def _demand(conn: Connection, space_id: str) -> None:
    if conn.execute(select(space.c.id).where(space.c.id == space_id)).first() is None:
        raise NotFound(f"There is no space {space_id[:80]!r}; see countermark spaces list.")
