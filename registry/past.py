"""What was seen of millions of releases, as small codes in files, so that a scan need not read it all.

1. A segment holds the codes of all vectors of one kind in one space, of the releases in a range of the log:
   RaBitQ, one bit a number, and where it lies to their centre. It is never changed. A range has to be large
   to get one: the newest releases have none yet, and a small home has none at all; those are compared with
   the vectors themselves.
2. A search says which releases *may* hold a vector that scores enough; what it leaves out does not. The codes
   miss the true score by an error whose size is known for each pair but for a factor, which is measured when
   a segment is made; a search allows for `CERTAINTY` times as much. Which releases match, the checks say.
3. A file is written beside its place and renamed; a second one holds its digest. What is missing, damaged, of
   another history of the log or of another calibration is made again from the database.
4. Sealed vectors (faces) are not indexed: their codes would be biometric data in the clear.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from registry.db import read
from registry.errors import RegistryUnusable
from registry.tables import log_entry, release, release_sight
from registry.vectors import Vectors, unpacked

FORMAT: Final = "countermark-past/1"
SEGMENT_VECTORS: Final = 1 << 18
"""Vectors of a segment; fewer are compared as they are."""
CERTAINTY: Final = 4.0
"""Standard deviations of the codes' error that a search allows for: three in 100,000 are larger."""
ALIKE: Final = 0.98
"""Pairs that are more alike are given the error of such."""
MEASURED: Final = 512  # vectors of a segment on which that factor is measured, with an eighth as many queries
THREADS: Final = 2  # segments searched at a time
READ_RELEASES: Final = 400  # in one query
QUERY_BITS: Final = 8
ID_BYTES: Final = 36


class Part(NamedTuple):
    """One release's vectors in a range of the log."""

    release: str
    seq: int
    vectors: Vectors


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
        query = select(release.c.id, release.c.log_seq, *wanted).select_from(joined)
        while after < upto:
            here = query.where(*self._mine(), release.c.log_seq > after, release.c.log_seq <= upto)
            with read(self._engine) as conn:
                rows = conn.execute(here.order_by(release.c.log_seq).limit(READ_RELEASES)).all()
            for row in rows:
                if len(row.vectors) == 2 * row.held * row.dimension:
                    yield Part(row.id, row.log_seq, unpacked(row.vectors, row.dimension))
            if len(rows) < READ_RELEASES:
                return
            after = rows[-1].log_seq

    def leaf(self, seq: int) -> str:
        """The hash of a log entry, hexadecimal."""
        with read(self._engine) as conn:
            found = conn.execute(select(log_entry.c.leaf_hash).where(log_entry.c.seq == seq)).scalar()
        return "" if found is None else bytes(found).hex()

    def _mine(self) -> tuple[Any, ...]:
        return (
            release_sight.c.kind == self._kind, release_sight.c.space == self._space,
            release_sight.c.sealed == 0,
        )  # fmt: skip


class Past:
    """The segments of one home. Safe to use by several processes: files appear whole."""

    def __init__(self, folder: Path, *, segment_vectors: int = 0) -> None:
        self._folder, self._size = folder, segment_vectors or SEGMENT_VECTORS

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
        known = self._known(space, kind)
        ranges: list[tuple[int, int]] = []
        at = 0
        for after, upto in known:
            if after == at:
                ranges.append((after, upto))
                at = upto
        news, begun, vectors = source.counts(at), at, 0
        fresh: list[tuple[int, int]] = []
        for seq, count in news:
            vectors += count
            if vectors >= self._size:
                fresh.append((begun, seq))
                begun, vectors = seq, 0
        with ThreadPoolExecutor(THREADS) as pool:
            make = partial(self._build, source, space, kind, taken=taken)
            for done, _ in enumerate(pool.map(make, fresh), 1):
                progress(done / len(fresh))
        return ranges + fresh

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
    ) -> "Segment":
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Codes of one segment. ``starts``: the first vector of each release. Of each vector: what is ``taken``
    off, how far it is ``away`` from the centre, and its product with the centre (``along``).
    """

    codes: NDArray[np.uint8]  # a serialised FAISS index
    rotation: Vectors
    centre: Vectors
    releases: NDArray[np.bytes_]
    starts: NDArray[np.int64]
    taken: Vectors
    away: Vectors
    along: Vectors
    spread: float

    @property
    def size(self) -> int:
        """Number of vectors."""
        return len(self.taken)

    @classmethod
    def of(cls, parts: Sequence[Part], taken: Callable[[Vectors], Vectors]) -> "Segment":
        """Make the codes of these releases' vectors."""
        faiss = _faiss()
        dimension = parts[0].vectors.shape[1] if parts else 1
        lengths = [len(part.vectors) for part in parts]
        plain = np.concatenate([part.vectors for part in parts]) if parts else np.zeros((0, 1), np.float32)
        rotation = _rotation(dimension)
        turned = plain @ rotation
        index = faiss.IndexRaBitQ(dimension, faiss.METRIC_INNER_PRODUCT)
        if parts:
            index.train(turned)
            index.add(turned)
        centre = turned.mean(axis=0) if parts else np.zeros(1, np.float32)
        return cls(
            codes=faiss.serialize_index(index), rotation=rotation, centre=centre,
            releases=np.array([part.release for part in parts], f"S{ID_BYTES}"),
            starts=np.cumsum([0, *lengths[:-1]]) if parts else np.zeros(0, np.int64),
            taken=taken(plain), away=_away(turned, centre), along=turned @ centre,
            spread=_spread(index, turned, centre),
        )  # fmt: skip

    def near(self, queries: Vectors, least: float) -> set[str]:
        """Releases of which some vector may score ``least`` with some query."""
        if not self.size or not len(queries):
            return set()
        turned = np.ascontiguousarray(queries @ self.rotation, np.float32)
        away, along = _away(turned, self.centre), turned @ self.centre
        widest = CERTAINTY * self.spread * float(away.max()) * float(self.away.max())
        radius = least + float(self.taken.min()) - widest
        limits, values, rows = _range_search(self._index(), turned, radius)
        which = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
        needed = least + self.taken[rows]
        beside = self.along[rows] + along[which] - float(self.centre @ self.centre)
        errors = self.spread * _unlike(needed - beside, away[which] * self.away[rows])
        hits = rows[~(values + CERTAINTY * errors < needed)]
        owners = np.unique(np.searchsorted(self.starts, hits, side="right") - 1)
        return {bytes(one).decode() for one in self.releases[owners]}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored of it."""
        return {
            "codes": self.codes, "rotation": self.rotation, "centre": self.centre, "starts": self.starts,
            "releases": self.releases, "taken": self.taken, "away": self.away, "along": self.along,
            "spread": np.array(self.spread),
        }  # fmt: skip

    def _index(self) -> Any:
        return _faiss().deserialize_index(self.codes)


def _range_search(index: Any, turned: Vectors, radius: float) -> tuple[Any, Any, Any]:
    faiss = _faiss()
    asked = faiss.RaBitQSearchParameters()
    asked.qb = QUERY_BITS
    limits, values, rows = index.range_search(turned, radius, params=asked)
    return limits, values, rows


def _away(vectors: Vectors, centre: Vectors) -> Vectors:
    return np.asarray(np.linalg.norm(vectors - centre, axis=1), np.float32)


def _unlike(product: Vectors, lengths: Vectors) -> Vectors:
    """What the error of a code is proportional to, for a pair of this product and these lengths together.

    A code knows a vector's direction but for a part at right angles, of which a query that points another way
    sees more.
    """
    cosines = np.clip(product / np.maximum(lengths, 1e-6), 0, ALIKE)
    return np.asarray(lengths * np.sqrt(1 - cosines**2), np.float32)


def _spread(index: Any, turned: Vectors, centre: Vectors) -> float:
    """The factor between `_unlike` and the standard deviation of the codes' error, measured."""
    if len(turned) < 2:
        return 1.0
    faiss = _faiss()
    chosen = np.random.default_rng(len(turned)).permutation(len(turned))
    stored, asked = np.sort(chosen[:MEASURED]), turned[chosen[-(MEASURED // 8) :]]
    wanted = faiss.RaBitQSearchParameters()
    wanted.qb = QUERY_BITS
    wanted.sel = faiss.IDSelectorBatch(stored)
    values, rows = index.search(asked, len(stored), params=wanted)
    from_centre = turned - centre
    lengths = _away(asked, centre)[:, None] * _away(turned, centre)[rows]
    true = np.einsum("qd,qnd->qn", asked, turned[rows])
    product = np.einsum("qd,qnd->qn", asked - centre, from_centre[rows])
    cosines = np.clip(product / np.maximum(lengths, 1e-6), -ALIKE, ALIKE)
    errors = (values - true) / np.maximum(lengths * np.sqrt(1 - cosines**2), 1e-6)
    return float(np.sqrt((errors**2).mean()))


def _rotation(dimension: int) -> Vectors:
    """A random rotation, so that no number of a vector says more than others. It is stored with the codes."""
    drawn = np.random.default_rng(dimension).standard_normal((dimension, dimension))
    turned, _ = np.linalg.qr(drawn)
    return np.ascontiguousarray(turned, np.float32)


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
            _put(target, what)
    except OSError as error:
        raise RegistryUnusable(f"Cannot write {path.name}: {error.strerror}; free space for it.") from error


def _put(target: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".past-", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


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


def _faiss() -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss
