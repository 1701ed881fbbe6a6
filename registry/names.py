"""All names in force, in layers, so that one name more needs no new index of all others.

A layer never changes: who looks for names in texts indexes each layer once and keeps the index with it. What
is withdrawn or renamed is told by subject, beside the layers it was in. Like segments, layers are merged
into larger ones, small ones at once and large ones off-line.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final, SupportsIndex, overload

from registry.subject_types import NameRow

GROWTH: Final = 4  # a layer is at least so many times as large as the next one
AT_ONCE: Final = 256  # names that are merged, and so indexed, while somebody waits: some 15 ms


class Layer(Sequence[NameRow]):
    """Some names. Compared by identity, and can be referred to weakly."""

    __slots__ = ("__weakref__", "_names")

    def __init__(self, names: Sequence[NameRow]) -> None:
        self._names = tuple(names)

    @overload
    def __getitem__(self, place: SupportsIndex) -> NameRow: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[NameRow]: ...
    def __getitem__(self, place: SupportsIndex | slice) -> NameRow | Sequence[NameRow]:
        return self._names[place]

    def __len__(self) -> int:
        return len(self._names)


Prepare = Callable[[Layer], None]
"""Makes the index of a layer, before it is used."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A layer, and the subjects whose names in it do not count any more."""

    layer: Layer
    gone: frozenset[str] = frozenset()

    @property
    def small(self) -> bool:
        """Whether it is made anew at once; then nothing in it is gone."""
        return len(self.layer) <= AT_ONCE

    def living(self) -> Iterator[NameRow]:
        """The names that count."""
        return (name for name in self.layer if name.subject not in self.gone)

    def without(self, gone: Set[str]) -> "Part":
        """The same without the names of these subjects."""
        if not self.small:
            return Part(self.layer, self.gone | gone)
        if not any(name.subject in gone for name in self.layer):
            return self
        return Part(Layer([name for name in self.layer if name.subject not in gone]))


class Names(Sequence[NameRow]):
    """All names in force; immutable. ``parts``: the largest first."""

    __slots__ = ("_all", "parts")

    def __init__(self, parts: Sequence[Part] = ()) -> None:
        self.parts = tuple(parts)
        self._all: tuple[NameRow, ...] | None = None

    def __iter__(self) -> Iterator[NameRow]:
        return (name for part in self.parts for name in part.living())

    @overload
    def __getitem__(self, place: SupportsIndex) -> NameRow: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[NameRow]: ...
    def __getitem__(self, place: SupportsIndex | slice) -> NameRow | Sequence[NameRow]:
        return self._tuple()[place]

    def __len__(self) -> int:
        return len(self._tuple())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._tuple() == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def _tuple(self) -> tuple[NameRow, ...]:
        if self._all is None:
            self._all = tuple(iter(self))
        return self._all

    def changed(self, gone: Set[str], names: Sequence[NameRow]) -> "Names":
        """The names without those of ``gone``, and with these."""
        parts = [part.without(gone) for part in self.parts] if gone else [*self.parts]
        return Names(_merged_at_once([*parts, Part(Layer(names))]))

    def to_merge(self) -> tuple[Part, ...]:
        """Large parts that should become one, too alike in size or with much that is gone; or none."""
        groups: list[list[Part]] = []
        for part in self.parts:
            if not part.small:
                groups.append([part])
            while len(groups) > 1 and _size(groups[-2]) < GROWTH * _size(groups[-1]):
                last = groups.pop()
                groups[-1] += last
        return next((tuple(g) for g in groups if len(g) > 1 or 4 * len(g[0].gone) > _size(g)), ())

    def merged(self, old: Sequence[Part], layer: Layer) -> "Names":
        """These names, with one layer instead of the parts ``old`` of an earlier state.

        What went since then is gone in the new one as well.
        """
        before = {part.layer: part.gone for part in old}
        since = [part.gone - before[part.layer] for part in self.parts if part.layer in before]
        rest = [part for part in self.parts if part.layer not in before]
        return Names(_sorted([*rest, Part(layer, frozenset().union(*since))]))


def _merged_at_once(parts: Sequence[Part]) -> list[Part]:
    """Merge small parts that are alike in size; large ones stay as they are."""
    large = [part for part in parts if not part.small]
    kept: list[Part] = []
    for part in _sorted([part for part in parts if part.small and len(part.layer)]):
        kept.append(part)
        while len(kept) > 1 and len(kept[-2].layer) < GROWTH * len(kept[-1].layer):
            last = kept.pop()
            kept.append(Part(Layer([*kept.pop().layer, *last.layer])))
    return _sorted([*large, *kept])


def _sorted(parts: Sequence[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: -len(part.layer))


def _size(parts: Sequence[Part]) -> int:
    return sum(len(part.layer) for part in parts)
