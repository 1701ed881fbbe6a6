"""Readings of one text on top of each other, as arrays, so that all of them are searched at once."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.forms import Codes, Hashes, Places, codes_of, letters_scattered
from classifiers.normalise import HEAVY, Reading

_ASCII: Final = 128


class Stack:
    """``letters``: of all readings, one after the other; ``codes``, ``values``: the same as numbers.

    ``starts``, ``ends``: each letter's characters in the text; ``gaps``: what stands before each, and HEAVY
    at the end; ``stop``: for each letter where its reading ends; ``ways``: for each the way of its reading.
    """

    def __init__(self, readings: Sequence[Reading], ways: Sequence[int]) -> None:
        self.letters = "".join([reading.letters for reading in readings])
        self.codes: Codes = codes_of(self.letters)
        self.gaps = np.frombuffer(
            b"".join([reading.gaps[:-1] for reading in readings if reading.letters]) + bytes([HEAVY]),
            np.uint8,
        )
        self.starts: Places = np.array(list(chain.from_iterable(r.starts for r in readings)), np.intp)
        self.ends: Places = np.array(list(chain.from_iterable(r.ends for r in readings)), np.intp)
        sizes = np.array([len(reading.letters) for reading in readings], np.intp)
        self._readings, self._stops = readings, sizes.cumsum()
        self.stop: Places = self._stops.repeat(sizes)
        self.ways: NDArray[np.intp] = np.array(ways, np.intp).repeat(sizes)

    @cached_property
    def values(self) -> Hashes:
        """The letters, scattered."""
        return letters_scattered(self.codes)

    def foreign(self) -> Sequence[int]:
        """Places of letters that are no ASCII, or come after one."""
        if self.letters.isascii():
            return ()
        far = self.codes >= _ASCII
        far[1:] |= far[:-1]
        return [place for place in (far).nonzero()[0].tolist() if place]

    def reading(self, place: int) -> tuple[Reading, int]:
        """The reading that has a letter, and where it begins here."""
        number = int(np.searchsorted(self._stops, place, "right"))
        return self._readings[number], int(self._stops[number]) - len(self._readings[number].letters)
