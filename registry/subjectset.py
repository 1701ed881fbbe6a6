"""A handful of subjects to search in: what the publish fence and the retro-scan compare with.

The same questions and the same answers as `registry.view.Snapshot`, without FAISS and without a database.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from registry.subject_types import NameRow, SubjectRecord, VectorRow
from registry.vectors import PORTRAIT, Rows, VectorMatch, Vectors, best, checked, decoded, marked


class SubjectSet:
    """Immutable. Withdrawn subjects have nothing left to match and are left out.

    Raises `RegistryDamaged` for vectors that are not what was registered.
    """

    def __init__(self, records: Iterable[SubjectRecord]) -> None:
        given = tuple(records)
        self._seq = max((record.seq for record in given), default=0)
        self._subjects = {record.id: record for record in given if record.state == "active"}
        self._names = tuple(name for record in self._subjects.values() for name in record.names)
        rows: dict[tuple[str, str], list[VectorRow]] = defaultdict(list)
        for record in self._subjects.values():
            for row in record.vectors:
                rows[row.space, row.kind].append(row)
        self._shelves = {key: (found, decoded(found, found[0].dimension)) for key, found in rows.items()}

    @property
    def seq(self) -> int:
        """The last log entry about any of the subjects; 0 for none."""
        return self._seq

    @property
    def names(self) -> tuple[NameRow, ...]:
        """All their names."""
        return self._names

    @property
    def subjects(self) -> Mapping[str, SubjectRecord]:
        """The subjects by id, as they were given."""
        return MappingProxyType(self._subjects)

    def spaces(self) -> frozenset[str]:
        """The spaces in which there are vectors."""
        return frozenset(space for space, _kind in self._shelves)

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> list[list[VectorMatch]]:
        """Return the nearest vectors of ``kinds`` in ``space`` for each of float32[n, d], best first.

        Raises ValueError for vectors of another size than the space's, or not made of numbers.
        """
        found: list[list[VectorMatch]] = [[] for _ in vectors]
        for kind in dict.fromkeys(kinds):
            if (space, kind) in self._shelves:
                rows, stored = self._shelves[space, kind]
                scores = _scores(checked(vectors, stored.shape[1]), stored, kind)
                for matches, line in zip(found, scores, strict=True):
                    matches += [_match(rows[row], float(line[row])) for row in _highest(line, neighbours)]
        return marked([best(matches, neighbours) for matches in found], self._subjects)

    def rows_of(self, space: str, kind: str, subjects: Sequence[str]) -> Rows:
        """All vectors of these subjects of a kind in a space: owners, ``float32[n, d]``, polarities."""
        rows, stored = self._shelves.get((space, kind), ([], np.zeros((0, 0), np.float32)))
        wanted = frozenset(subjects)
        mine = [place for place, row in enumerate(rows) if row.subject in wanted]
        signs = np.array([rows[place].polarity for place in mine], np.int8)
        return [rows[place].subject for place in mine], stored[mine], signs


def _scores(queries: Vectors, stored: Vectors, kind: str) -> Vectors:
    """Scores float32[queries, stored]."""
    if kind != PORTRAIT:
        return queries @ stored.T
    distances = [np.linalg.norm(stored - query, axis=1) for query in queries]
    return -np.asarray(distances, np.float32).reshape(len(queries), len(stored))


def _highest(line: Vectors, neighbours: int) -> Sequence[int]:
    """The places of the highest scores; all of those that are as high as the last of them."""
    if not 0 < neighbours < len(line):
        return range(len(line))
    last = np.partition(line, -neighbours)[-neighbours]
    places: list[int] = np.nonzero(~(line < last))[0].tolist()
    return places


def _match(row: VectorRow, score: float) -> VectorMatch:
    return VectorMatch(
        subject=row.subject, reference=row.reference, kind=row.kind, polarity=row.polarity, score=score
    )
