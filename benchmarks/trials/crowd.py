"""A crowd of releases that nobody drew: keys of drawn and real clips, changed as those of like clips differ.

Each made-up release has the keys of a real one with some signs flipped, the same ones in all its moments and
windows, and a few of its own. `CLOSENESS` says how many are how close; the pairs of really drawn clips are
closer less often (the benchmark tells both).
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.verify.similar_index import Segment
from pipeline.verify.similar_keys import Keys, Words

# Share of the crowd, and of signs that are flipped for the whole clip: powers of a half.
CLOSENESS: Final = ((0.002, 4), (0.02, 3), (0.15, 2), (0.828, 1))
OWN: Final = 4  # power of a half: signs flipped for one key alone
SIZE: Final = 1 << 16
NAMED: Final = "crowd"


def crowd(keys: Sequence[Keys], count: int, seed: int) -> list[Segment]:
    """Segments of `count` releases. `keys`: of clips, those that are searched for among them."""
    random = np.random.default_rng(seed)
    return [_segment(keys, first, min(SIZE, count - first), random) for first in range(0, count, SIZE)]


def _segment(keys: Sequence[Keys], first: int, count: int, random: np.random.Generator) -> Segment:
    of = random.integers(len(keys), size=count)
    counts = np.array([len(one.times) for one in keys])[of]
    owners = np.repeat(np.arange(count, dtype=np.int32), counts)
    words = np.concatenate([keys[index].words for index in of]).T.copy()
    shares, powers = zip(*CLOSENESS, strict=True)
    close = random.choice(powers, size=count, p=shares)
    flips = np.zeros((len(words), count), np.uint64)
    for power in powers:
        mine = close == power
        flips[:, mine] = _rare(random, (len(words), int(mine.sum())), int(power))
    words ^= flips[:, owners]
    words ^= _rare(random, words.shape, OWN)
    return Segment(
        names=np.array([f"{NAMED} {first + index}".encode() for index in range(count)], np.bytes_),
        words=words, times=np.concatenate([keys[index].times for index in of]), owners=owners,
    )  # fmt: skip


def _rare(random: np.random.Generator, shape: tuple[int, ...], power: int) -> Words:
    """Words of which each bit is set with a chance of ``0.5 ** power``."""
    bits = random.integers(2**64, size=shape, dtype=np.uint64)
    for _ in range(power - 1):
        bits &= random.integers(2**64, size=shape, dtype=np.uint64)
    return bits


def loader(stored: dict[str, bytes], strangers: Sequence[bytes]) -> Callable[[str], bytes | None]:
    """Loads what is stored; for one of the crowd what is not searched for, so that it costs as much."""

    def load(name: str) -> bytes | None:
        if name.startswith(NAMED):
            return strangers[int(name.removeprefix(NAMED)) % len(strangers)]
        return stored.get(name)

    return load


def closeness(queries: NDArray[np.uint64], masks: NDArray[np.uint64], keys: Sequence[Keys]) -> list[int]:
    """For each clip by how many signs its nearest whole key differs in the mean from those of a query."""
    found = []
    for one in keys:
        bits = np.bitwise_count((queries[:, None] ^ one.words[None, :, 0]) & masks[:, None])
        found.append(int(bits.min(axis=1).mean()))
    return found
