"""What is made of names, kept with the layers they come in.

A registry's names come in layers that never change (`LayeredNames`), of which a new opt-out adds a small one.
What is made of a layer is kept as long as the layer itself; of names in any other form, the last is kept.
"""

import threading
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Final, Generic, Protocol, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

from classifiers.base import NameEntry

MAX_KEPT: Final = 2
MIN_KEPT: Final = 16  # names; what is made of fewer is as quickly made as found

T = TypeVar("T")
_NOBODY: Final[frozenset[str]] = frozenset()


class NamePart(Protocol):
    """A layer of names, compared by identity, and the subjects whose names in it do not count any more."""

    @property
    def layer(self) -> Sequence[NameEntry]: ...  # noqa: D102
    @property
    def gone(self) -> Set[str]: ...  # noqa: D102


@runtime_checkable
class LayeredNames(Protocol):
    """Names in layers, no subject in two of them (but where it is gone)."""

    @property
    def parts(self) -> Sequence[NamePart]: ...  # noqa: D102


class OfLayers(Generic[T]):
    """Makes something of names; each layer once, also when several threads ask."""

    def __init__(self, make: Callable[[Sequence[NameEntry]], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: WeakKeyDictionary[Sequence[NameEntry], T] = WeakKeyDictionary()
        self._making: WeakKeyDictionary[Sequence[NameEntry], threading.Lock] = WeakKeyDictionary()
        self._kept: list[tuple[Sequence[NameEntry], T]] = []

    def parts(self, names: Sequence[NameEntry]) -> Iterator[tuple[T, Set[str]]]:
        """What was made of each layer, with the subjects that do not count in it."""
        if isinstance(names, LayeredNames):
            yield from ((self.of(part.layer), part.gone) for part in names.parts)
        else:
            yield self._plain(names), _NOBODY

    def of(self, layer: Sequence[NameEntry]) -> T:
        """What is made of this layer."""
        with self._lock:
            if layer in self._made:
                return self._made[layer]
            making = self._making.setdefault(layer, threading.Lock())
        with making:
            if layer not in self._made:
                made = self._make(layer)
                with self._lock:
                    self._made[layer] = made
            return self._made[layer]

    def _plain(self, names: Sequence[NameEntry]) -> T:
        if len(names) < MIN_KEPT:
            return self._make(names)
        with self._lock:
            for kept, made in self._kept:
                if kept is names:
                    return made
            made = self._make(names)
            self._kept.insert(0, (names, made))
            del self._kept[MAX_KEPT:]
            return made
