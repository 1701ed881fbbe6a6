"""Which names have a form: a hash table over all forms of all names, some seven bytes a form.

A form of a name is told by a 64-bit hash of its letters, the same for a stretch of a prompt: two running sums
over the letters give the hash of every stretch, so all stretches of a prompt are looked up together without
cutting one of them out. The table keeps, by the first bits of the hash, sixteen further bits and the number
of the name. What it answers is a candidate; whether the name is there, whoever asks sees by comparing
letters.

The hash is a polynomial in ``BASE`` modulo 2^64 (``BASE`` is odd, so that it can be divided by), each letter
first scattered as in SplitMix64 (Steele, Lea and Flood 2014).
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]

BASE: Final = 0x9E3779B97F4A7C15
PER_BUCKET: Final = 4
_INVERSE: Final = pow(BASE, -1, 1 << 64)
_WORD: Final = (1 << 64) - 1
MAX_OWNERS: Final = 1 << 24
_MIN_BITS, _MAX_BITS, _FINGER_BITS = 10, 24, 16
_OWNER: Final = np.uint64(MAX_OWNERS - 1)


def codes_of(letters: str) -> Codes:
    """The code points of a text."""
    return np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), np.uint32)


def letters_scattered(codes: Codes) -> Hashes:
    """`scattered`, from a table where all letters are ASCII."""
    if len(codes) and codes.max() < len(_SCATTERED):
        return _SCATTERED[codes]
    return scattered(codes)


def scattered(numbers: NDArray[np.uint32] | Hashes) -> Hashes:
    """Each number as a 64-bit one that looks random; 0 stays 0."""
    mixed = numbers.astype(np.uint64)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(32)
    return mixed


_SCATTERED: Final = scattered(np.arange(128, dtype=np.uint32))
SALTS: Final = np.array([(salt + 1) * 0xD1342543DE82EF95 & _WORD for salt in range(16)], np.uint64)


def salted(hashes: Hashes, salt: int | NDArray[np.integer]) -> Hashes:
    """The hashes as keys of a table: those of different salts have nothing to do with each other.

    ``salt``: below 16, one for all or one for each.
    """
    return scattered(hashes + SALTS[salt])


class Powers:
    """Powers of ``BASE`` and of its inverse, as many as were asked for. Safe to share between threads."""

    def __init__(self) -> None:
        self._both = np.ones(1, np.uint64), np.ones(1, np.uint64)

    def up_to(self, count: int) -> tuple[Hashes, Hashes]:
        """BASE^0 … BASE^(count-1), and the same of the inverse."""
        up, down = self._both
        if len(up) < count:
            size = max(count, 2 * len(up), 1024)
            up, down = self._both = _powers(BASE, size), _powers(_INVERSE, size)
        return up[:count], down[:count]


def _powers(base: int, count: int) -> Hashes:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


POWERS: Final = Powers()


def running(values: Hashes) -> Hashes:
    """Running sums of scattered letters, from which `stretches` takes the hash of any stretch."""
    up, _ = POWERS.up_to(len(values))
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * up, out=sums[1:])
    return sums


def stretches(sums: Hashes, starts: Places, ends: Places) -> Hashes:
    """The hashes of the letters from each start to each end."""
    _, down = POWERS.up_to(len(sums))
    return np.asarray((sums[ends] - sums[starts]) * down[starts], np.uint64)


@cache
def without(letters: int, most: int) -> Hashes:
    """What turns rows of scattered letters into the hashes of what is left without up to `most` of them.

    ``uint64[letters, ways]``: ``rows @ without(…)`` has a column for each choice; zeros count as nothing.
    """
    ways = [(1 << letters) - 1]
    for mask in list(ways):
        ways += [mask & ~(1 << place) for place in range(letters)] if most else []
    if most > 1:
        ways += [ways[0] & ~(1 << a) & ~(1 << b) for a in range(letters) for b in range(a)]
    up, _ = POWERS.up_to(letters)
    table = np.zeros((letters, len(ways)), np.uint64)
    for way, mask in enumerate(ways):
        kept = [place for place in range(letters) if mask >> place & 1]
        table[kept, way] = up[: len(kept)]
    return table


def rows(values: Hashes, starts: Places, ends: Places, width: int) -> Hashes:
    """``uint64[n, width]``: the scattered letters from each start on, zeros from each end on."""
    places = starts[:, None] + np.arange(width)
    inside = places < ends[:, None]
    return np.asarray(np.where(inside, values[np.minimum(places, len(values) - 1)], 0), np.uint64)


class Forms:
    """Forms as they are gathered: the first bits of each hash, and the number of its name, in one number."""

    def __init__(self, most: int) -> None:
        """``most``: how many may come; memory is taken as they come."""
        self._packed = np.empty(most, np.uint64)
        self._count = 0

    def add(self, hashes: Hashes, owners: NDArray[np.integer]) -> None:
        """Add the forms of some names, whose numbers are below ``MAX_OWNERS``."""
        end = self._count + len(hashes)
        self._packed[self._count : end] = (hashes & ~_OWNER) | owners.astype(np.uint64)
        self._count = end

    def sorted(self) -> Hashes:
        """All of them in order, each once; call it last, since they are sorted where they are."""
        packed = self._packed[: self._count]
        packed.sort()
        fresh = np.ones(len(packed), bool)
        np.not_equal(packed[1:], packed[:-1], out=fresh[1:])
        return packed[fresh]


class FormTable:
    """Numbers of names by the hashes of their forms; immutable."""

    def __init__(self, forms: Forms) -> None:
        packed = forms.sorted()
        count = len(packed)
        bits = min(_MAX_BITS, max(_MIN_BITS, (count // PER_BUCKET).bit_length()))
        self._bucket, self._finger = np.uint64(64 - bits), np.uint64(64 - bits - _FINGER_BITS)
        edges = np.arange(1 << bits, dtype=np.uint64) << self._bucket
        self._first = np.append(np.searchsorted(packed, edges), count).astype(np.uint32)
        self._owners = (packed & _OWNER).astype(np.uint32)
        packed >>= self._finger
        self._fingers = packed.astype(np.uint16)

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return self._first.nbytes + self._fingers.nbytes + self._owners.nbytes

    def find(self, hashes: Hashes) -> tuple[Places, NDArray[np.uint32]]:
        """Who may have one of these forms: places in `hashes`, and the numbers of the names."""
        bucket = (hashes >> self._bucket).astype(np.intp)
        first = self._first[bucket]
        counts = (self._first[bucket + 1] - first).astype(np.intp)
        which = np.repeat(np.arange(len(hashes)), counts)
        begins = np.repeat(counts.cumsum() - counts, counts)
        places = np.arange(len(which)) - begins + first[which]
        same = self._fingers[places] == (hashes >> self._finger).astype(np.uint16)[which]
        return which[same], self._owners[places[same]]
