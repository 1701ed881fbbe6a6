"""What was seen of millions of releases, as small codes in files, so that a scan need not read it all.

1. A segment holds the codes (`registry.codes`) of all vectors of one kind in one space, of the releases in a
   range of the log. It is never changed. The newest releases have small ones, which are replaced by a whole
   one when there are enough of them; a last few have none yet, and are compared with the vectors themselves.
2. A search says which releases *may* hold a vector that scores enough; what it leaves out does not, but for
   the error of the codes. Which releases match, the checks say.
3. A file is written beside its place and renamed; a second one holds its digest. What is missing, damaged, of
   another history of the log or of another calibration is made again from the database.
4. Sealed vectors (faces) are not indexed: their codes would be biometric data in the clear.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, and_, or_, select

from registry.codes import Part, Segment
from registry.db import read
from registry.errors import RegistryUnusable
from registry.placing import put
from registry.tables import log_entry, release, release_sight
from registry.vectors import Vectors, unpacked

FORMAT: Final = "countermark-past/1"
SEGMENT_VECTORS: Final = 1 << 18
"""Vectors of a segment."""
SMALL_VECTORS: Final = 1 << 14
"""Vectors of the small segments that the newest releases have until they make a whole one."""
THREADS: Final = 2  # segments searched at a time
READ_ROWS: Final = 400  # in one query
NO_MORE: Final = 1 << 31


class Source(Protocol):
    """Where the vectors of one kind in one space come from, by the log position of their release."""

    def counts(self, after: int) -> list[tuple[int, int]]:
        """(position, number of vectors) of each release after a position, in order."""
        ...

    def parts(self, after: int, upto: int) -> Iterator[Part]:
        """Its vectors with ``after < seq <= upto``, in order."""
        ...

    def leaf(self, seq: int) -> str:
        """The hash of the log entry at a position; empty for none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is taken off the scores of each stored vector; ``basis``: a digest of what that depends on."""

    basis: str
    of: Callable[[Vectors], Vectors]


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """The releases that may match, and the log position after which releases were not searched."""

    releases: frozenset[str]
    upto: int


class StoredSights:
    """The vectors of one kind in one space as the database has them."""

    def __init__(self, engine: Engine, space: str, kind: str) -> None:
        self._engine, self._space, self._kind = engine, space, kind

    def counts(self, after: int) -> list[tuple[int, int]]:
        """Number of vectors of each release, in the order of the log."""
        joined = release.join(release_sight, release_sight.c.release_id == release.c.id)
        query = select(release.c.log_seq, release_sight.c.count).select_from(joined)
        query = query.where(*self._mine(), release.c.log_seq > after).order_by(release.c.log_seq)
        found: dict[int, int] = {}
        with read(self._engine) as conn:
            for seq, count in conn.execute(query):
                found[seq] = found.get(seq, 0) + count
        return list(found.items())

    def parts(self, after: int, upto: int) -> Iterator[Part]:
        """The vectors of each release, in the order of the log; damaged rows count as nothing seen."""
        joined = release.join(release_sight, release_sight.c.release_id == release.c.id)
        wanted = (release_sight.c.count.label("held"), release_sight.c.dimension, release_sight.c.vectors)
        number = release_sight.c.number
        query = select(release.c.id, release.c.log_seq, number, *wanted).select_from(joined)
        last = NO_MORE  # of what was seen of the release at `after`, this was read
        while after <= upto:
            rest = or_(release.c.log_seq > after, and_(release.c.log_seq == after, number > last))
            # The bounds are what an index is read by; `rest` alone would read everything each time.
            here = query.where(*self._mine(), release.c.log_seq.between(after, upto), rest)
            with read(self._engine) as conn:
                rows = conn.execute(here.order_by(release.c.log_seq, number).limit(READ_ROWS)).all()
            for row in rows:
                if len(row.vectors) == 2 * row.held * row.dimension:
                    yield Part(row.id, row.log_seq, unpacked(row.vectors, row.dimension))
            if len(rows) < READ_ROWS:
                return
            after, last = rows[-1].log_seq, rows[-1].number

    def leaf(self, seq: int) -> str:
        """The hash of a log entry, hexadecimal."""
        with read(self._engine) as conn:
            found = conn.execute(select(log_entry.c.leaf_hash).where(log_entry.c.seq == seq)).scalar()
        return "" if found is None else bytes(found).hex()

    def _mine(self) -> tuple[Any, ...]:
        """Joined to "" so that a database does not begin with the index of all releases by kind."""
        kind, space = release_sight.c.kind, release_sight.c.space
        return kind.concat("") == self._kind, space.concat("") == self._space, release_sight.c.sealed == 0


class Past:
    """The segments of one home. Safe to use by several processes: files appear whole."""

    def __init__(self, folder: Path, *, segment_vectors: int = 0, small_vectors: int = 0) -> None:
        self._folder, self._size = folder, segment_vectors or SEGMENT_VECTORS
        self._small = min(small_vectors or SMALL_VECTORS, self._size)

    def search(
        self, source: Source, space: str, kind: str, queries: Vectors, least: float, taken: Taken,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> Near:  # fmt: skip
        """Which releases may hold a vector of which some query's score, less what is taken off, is `least`.

        Segments that are missing are made first. Scores are inner products.
        """
        ranges = self._ranges(source, space, kind, taken, progress)
        found: set[str] = set()
        with ThreadPoolExecutor(THREADS) as pool:
            look = partial(self._near, source, space, kind, queries=queries, least=least, taken=taken)
            work = [pool.submit(look, one) for one in ranges]
            for done, future in enumerate(work, 1):
                found |= future.result()
                progress(done / len(work))
        return Near(releases=frozenset(found), upto=ranges[-1][1] if ranges else 0)

    def _ranges(
        self, source: Source, space: str, kind: str, taken: Taken, progress: Callable[[float], None]
    ) -> list[tuple[int, int]]:
        """The ranges of the log that have segments, of which those that are missing are made."""
        known = self._chain(space, kind)
        ranges = self._planned(source, space, kind, known)
        fresh = [one for one in ranges if one not in known]
        with ThreadPoolExecutor(THREADS) as pool:
            make = partial(self._build, source, space, kind, taken=taken)
            for done, _ in enumerate(pool.map(make, fresh), 1):
                progress(done / len(fresh))
        for after, upto in known:
            if any(first <= after and upto <= last for first, last in fresh):
                path = self._path(space, kind, (after, upto))
                path.with_suffix(".json").unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        return ranges

    def _planned(
        self, source: Source, space: str, kind: str, known: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """The known ranges and those to be made; small ones make a whole one as soon as they can."""
        at = known[-1][1] if known else 0
        sizes = [(one, self._vectors(space, kind, one)) for one in known]
        vectors, begun = 0, at
        for seq, count in source.counts(at):
            vectors += count
            if vectors >= self._small:
                sizes.append(((begun, seq), vectors))
                begun, vectors = seq, 0
        ranges: list[tuple[int, int]] = []
        waiting: list[tuple[int, int]] = []
        held = 0
        for one, vectors in sizes:
            waiting.append(one)
            held += vectors
            if held >= self._size:
                ranges.append((waiting[0][0], one[1]))
                waiting, held = [], 0
        return ranges + waiting

    def _chain(self, space: str, kind: str) -> list[tuple[int, int]]:
        """The ranges that have files and follow each other from the beginning."""
        chain: list[tuple[int, int]] = []
        at = 0
        for after, upto in self._known(space, kind):
            if after == at:
                chain.append((after, upto))
                at = upto
        return chain

    def _vectors(self, space: str, kind: str, where: tuple[int, int]) -> int:
        """How many vectors a segment has; one of which that cannot be read is made again as it is."""
        try:
            told = json.loads(self._path(space, kind, where).with_suffix(".json").read_bytes())
            return int(told["vectors"])
        except (OSError, ValueError, KeyError, TypeError):
            return self._size

    def _known(self, space: str, kind: str) -> list[tuple[int, int]]:
        stem = _stem(space, kind)
        found = []
        for path in self._folder.glob(f"{stem}-*.json"):
            first, _, last = path.stem.removeprefix(f"{stem}-").partition("-")
            if first.isdecimal() and last.isdecimal():
                found.append((int(first), int(last)))
        return sorted(found, key=lambda one: (one[0], -one[1]))

    def _near(
        self, source: Source, space: str, kind: str, where: tuple[int, int], *, queries: Vectors,
        least: float, taken: Taken,
    ) -> set[str]:  # fmt: skip
        path = self._path(space, kind, where)
        wanted = {"space": space, "kind": kind, "leaf": source.leaf(where[1]), "basis": taken.basis}
        segment = _read(path, wanted) or self._build(source, space, kind, where, taken=taken)
        return segment.near(queries, least)

    def _build(
        self, source: Source, space: str, kind: str, where: tuple[int, int], *, taken: Taken
    ) -> Segment:
        parts = [part for part in source.parts(*where) if len(part.vectors)]
        segment = Segment.of(parts, taken.of)
        about = {
            "format": FORMAT, "space": space, "kind": kind, "leaf": source.leaf(where[1]),
            "basis": taken.basis, "after": where[0], "upto": where[1], "vectors": segment.size,
        }  # fmt: skip
        _write(self._path(space, kind, where), segment.arrays(), about)
        return segment

    def _path(self, space: str, kind: str, where: tuple[int, int]) -> Path:
        return self._folder / f"{_stem(space, kind)}-{where[0]}-{where[1]}.npz"


def _stem(space: str, kind: str) -> str:
    return f"past-{kind}-{hashlib.sha256(space.encode()).hexdigest()[:12]}"


def _write(path: Path, arrays: dict[str, NDArray[Any]], about: dict[str, Any]) -> None:
    """Put the arrays, and then what is said about them with their digest, in their places."""
    held = io.BytesIO()
    np.savez(held, **arrays)  # type: ignore[arg-type]
    content = held.getvalue()
    told = json.dumps(about | {"sha256": hashlib.sha256(content).hexdigest()}, sort_keys=True).encode()
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        for target, what in ((path, content), (path.with_suffix(".json"), told)):
            put(target, what)
    except OSError as error:
        raise RegistryUnusable(f"Cannot write {path.name}: {error.strerror}; free space for it.") from error


def _read(path: Path, wanted: dict[str, str]) -> Segment | None:
    """The segment, if it is whole and is what is wanted."""
    try:
        about = json.loads(path.with_suffix(".json").read_bytes())
        content = path.read_bytes()
        whole = hashlib.sha256(content).hexdigest() == about["sha256"] and about["format"] == FORMAT
        if not whole or any(about[name] != value for name, value in wanted.items()):
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        return Segment(**arrays | {"spread": float(arrays["spread"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
