"""What a scan reads of every release: little, and by the range, so that a million take seconds.

1. Each release has a row of `release_look`, stored before it: its policy, whether a prompt came with it, the
   API key, and the prompt's *reading*, in which names are looked for. The database refuses a release without.
2. A scan goes through *stretches* of what is out, the newest first. What may be found in one is asked of
   indexes; whole releases are loaded only where something may be found.
3. How many of a stretch cannot be compared is counted by the database.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, and_, case, func, literal, or_, select

from registry import sights
from registry.canonical import Json
from registry.release_rows import loaded
from registry.tables import release, release_sight
from registry.tables_looks import release_look
from registry.types import Release, ReleaseState, SightRow

READING: Final = "reading"
"""The fact of a candidate that is its prompt's reading (``v``, ``letters``, ``runs``); kept here alone."""
UNREAD: Final = "?"
"""The version of a reading that is too long to be kept: of no version, so that it is always read again."""
IDS: Final = 400
"""Releases named in one query."""
SIGHTS: Final = 1000
"""Releases of which vectors are in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What is out, was published up to log position ``upto``, and could not know of a change at ``seq``.

    ``last`` <= id < ``before``, where empty means no bound; or, instead, the ``ids`` that are named.
    """

    before: str = ""
    last: str = ""
    seq: int
    upto: int
    ids: tuple[str, ...] | None = None

    def holds(self) -> ColumnElement[bool]:
        """The condition on `release`."""
        told = [
            release.c.state == ReleaseState.RELEASED, release.c.registry_seq < self.seq,
            release.c.log_seq <= self.upto,
        ]  # fmt: skip
        return and_(*told, *self.between(release.c.id))

    def between(self, column: Column[str]) -> list[ColumnElement[bool]]:
        """The bounds of a column of ids; named ids are all that a database should go by."""
        if self.ids is not None:
            return [column.in_(self.ids)]
        told = [column < self.before] if self.before else []
        return told + ([column >= self.last] if self.last else [])

    def covers(self, release_id: str) -> bool:
        """Whether an id lies between the bounds, or is named."""
        if self.ids is not None:
            return release_id in self.ids
        return release_id >= self.last and (not self.before or release_id < self.before)


class Reading(NamedTuple):
    """A prompt's reading; ``version`` is empty where there is none."""

    release: str
    version: str
    letters: str
    runs: str


class Asked(NamedTuple):
    """Under which policy a release left, and whether a prompt came with it."""

    release: str
    policy: str
    prompt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """When a check could not see a release: it asks under these policies (with ``asked``: where a prompt
    came with it), and nothing was kept in any of these (kind, space).
    """

    policies: tuple[str, ...]
    asked: bool
    pairs: tuple[tuple[str, str], ...]

    def holds(self) -> ColumnElement[bool]:
        """The condition on `release` and `release_look`."""
        told: list[ColumnElement[bool]] = [release_look.c.policy.in_(self.policies)]
        told += [release_look.c.asked == 1] if self.asked else []
        return and_(*told, *(~_kept(kind, space) for kind, space in self.pairs))


class Tally(NamedTuple):
    """Of a stretch: how many releases, how many of them each `Blind` holds of, and of how many any does."""

    releases: int
    blind: tuple[int, ...]
    any: int


def store(conn: Connection, release_id: str, facts: Json) -> None:
    """Keep what a scan reads of a release that is about to be stored."""
    told: Any = facts.get(READING) or {}
    unread = UNREAD if told else ""
    letters, runs = str(told.get("letters", "")), str(told.get("runs", ""))
    usable = "letters" in told and _plain(letters) and _plain(runs)
    conn.execute(
        release_look.insert().values(
            release_id=release_id, policy=str(facts.get("policy") or ""),
            asked=int(facts.get("prompt") is not None), api_key=str(facts.get("key") or ""),
            version=str(told.get("v", "")) if usable else unread, letters=letters if usable else "",
            runs=runs if usable else "",
        )
    )  # fmt: skip


def following(conn: Connection, before: str, seq: int, upto: int, size: int) -> Stretch | None:
    """The next so many releases that are out, before an id (empty: the newest); None for none."""
    whole = Stretch(before=before, seq=seq, upto=upto)
    ids = select(release.c.id).where(whole.holds()).order_by(release.c.id.desc()).limit(size).subquery()
    last = conn.execute(select(func.min(ids.c.id))).scalar()
    return None if last is None else replace(whole, last=str(last))


def readings(conn: Connection, stretch: Stretch, policies: Collection[str]) -> Iterator[Sequence[Reading]]:
    """The readings of what is said of the clips in a stretch that left under these policies, in batches.

    Words may be spoken or written in a clip that came without a prompt; one without any has no reading.
    """
    columns = (release.c.id, release_look.c.version, release_look.c.letters, release_look.c.runs)
    query = select(*columns).join(release_look, release_look.c.release_id == release.c.id)
    worded = or_(release_look.c.asked == 1, release_look.c.version != "")
    mine = (worded, release_look.c.policy.in_(sorted(policies)))
    found = conn.execute(query.where(stretch.holds(), *mine))
    while rows := found.fetchmany(SIGHTS):
        yield [Reading(*row) for row in rows]


def keyed(conn: Connection, stretch: Stretch, keys: Collection[str]) -> dict[str, str]:
    """The releases of a stretch that were asked for with one of these API keys, each with its key."""
    query = select(release.c.id, release_look.c.api_key)
    query = query.join(release_look, release_look.c.release_id == release.c.id)
    rows = conn.execute(query.where(stretch.holds(), release_look.c.api_key.in_(sorted(keys))))
    return {row.id: row.api_key for row in rows}


def tally(conn: Connection, stretch: Stretch, blind: Sequence[Blind]) -> Tally:
    """Count a stretch."""
    if not blind:
        whole = select(func.count()).select_from(release).where(stretch.holds())
        return Tally(int(conn.execute(whole).scalar_one()), (), 0)
    flags = [case((one.holds(), 1), else_=0).label(f"b{place}") for place, one in enumerate(blind)]
    joined = release.join(release_look, release_look.c.release_id == release.c.id)
    told = select(*flags).select_from(joined).where(stretch.holds()).subquery()
    if len(blind) == 1:  # without grouping it is asked once for each release, not twice
        found = conn.execute(select(func.count(), func.coalesce(func.sum(told.c.b0), 0))).one()
        return Tally(int(found[0]), (int(found[1]),), int(found[1]))
    rows = conn.execute(select(*told.c, func.count().label("releases")).group_by(*told.c)).all()
    return Tally(
        sum(row.releases for row in rows),
        tuple(sum(row.releases for row in rows if row[place]) for place in range(len(blind))),
        sum(row.releases for row in rows if any(row[: len(blind)])),
    )


def asked(conn: Connection, stretch: Stretch) -> list[Asked]:
    """What is known of the releases of a short stretch without loading them."""
    query = select(release.c.id, release_look.c.policy, release_look.c.asked)
    query = query.join(release_look, release_look.c.release_id == release.c.id).where(stretch.holds())
    return [Asked(row.id, row.policy, bool(row.asked)) for row in conn.execute(query)]


def whole(conn: Connection, stretch: Stretch) -> list[Release]:
    """The releases of a short stretch, newest first."""
    query = select(release).where(stretch.holds()).order_by(release.c.id.desc())
    return [loaded(row) for row in conn.execute(query)]


def begins(conn: Connection, after: int) -> str | None:
    """The least id among releases after a log position; None for none."""
    # joined to "" so that a database goes by the log, and not through all ids
    first = conn.execute(select(func.min(release.c.id.concat(""))).where(release.c.log_seq > after)).scalar()
    return None if first is None else str(first)


def seen(
    conn: Connection, stretch: Stretch, kind: str, space: str, after: int, *, held: bool = False
) -> Iterator[list[tuple[str, SightRow]]]:
    """What was seen of one kind in one space of a stretch, after a log position, in batches.

    In a stretch of named ids, of all of them; with `held` without what says that nothing was seen.
    """
    query = select(release_sight).join(release, release.c.id == release_sight.c.release_id)
    mine = [release_sight.c.kind == kind, release_sight.c.space == space]
    mine += stretch.between(release_sight.c.release_id)  # said again, for the index
    mine += [release_sight.c.count > 0] if held else []
    found = conn.execute(query.where(*mine, stretch.holds(), release.c.log_seq > after))
    while rows := found.fetchmany(SIGHTS):
        yield [(row.release_id, sights.loaded(row)) for row in rows]


def named(stretch: Stretch, ids: Iterable[str]) -> Iterator[Stretch]:
    """The stretch with only these ids, in parts that one query can name."""
    listed = sorted(ids, reverse=True)
    for first in range(0, len(listed), IDS):
        yield replace(stretch, ids=tuple(listed[first : first + IDS]))


def _kept(kind: str, space: str) -> ColumnElement[bool]:
    here = (release_sight.c.kind == kind, release_sight.c.space == space)
    return select(literal(1)).where(*here, release_sight.c.release_id == release.c.id).exists()


def _plain(text: str) -> bool:
    """Whether a database can keep it as text."""
    return "\0" not in text and text.encode(errors="replace").decode() == text
