"""Channel code of the hidden mark: 64 bits -> 256 coded bits, soft-decided.

Convolutional code of memory 11, rate 1/4, generators 4767 5723 6265 7455 (octal; the one of best free
distance, 32: Lin and Costello, Error Control Coding, 2nd ed., table 12.1), its ends joined (tail-biting: Ma
and Wolf 1986), so that no energy goes into a tail. Decoding by the Viterbi algorithm over soft values, around
the circle and some way on at both ends; many candidates at once. There are no check bits: whether a message
counts is decided by how well it fits (`watermark.detector`), and bits that only check would take energy from
those that say something.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

MESSAGE_BITS = 64
MEMORY = 11
GENERATORS = (0o4767, 0o5723, 0o6265, 0o7455)
CODED_BITS = MESSAGE_BITS * len(GENERATORS)
OVERLAP = 4 * MEMORY  # steps run through once more at either end: by then any start is forgotten
_STATES = 1 << MEMORY

Soft = NDArray[np.float32]


def encode(message: int) -> NDArray[np.float32]:
    """Coded bits as ``float32[256]`` of +1 (bit 0) and −1 (bit 1)."""
    steps = np.arange(MESSAGE_BITS)
    bits = np.array([message >> (MESSAGE_BITS - 1 - int(step)) & 1 for step in steps])
    registers = sum(np.roll(bits, age) << age for age in range(MEMORY + 1))
    out = [1.0 - 2.0 * (np.bitwise_count(registers & g) & 1) for g in GENERATORS]
    return np.stack(out, axis=1).astype(np.float32).ravel()


@cache
def _branches() -> NDArray[np.float32]:
    """Coded signs ``float32[2, 4, 2048]`` into each state from either source: s>>1, and that plus half."""
    state = np.arange(_STATES)
    sources = np.stack([state >> 1, state >> 1 | _STATES >> 1])
    registers = sources << 1 | state & 1
    parity = np.stack([np.bitwise_count(registers & g) & 1 for g in GENERATORS], axis=1)
    return (1.0 - 2.0 * parity).astype(np.float32)


def decode(soft: Soft) -> list[int]:
    """Most likely messages for soft values ``float32[n, 256]`` (positive means bit 0)."""
    low, high = _branches()
    rows = len(soft)
    around = np.tile(soft.reshape(rows, MESSAGE_BITS, len(GENERATORS)), (1, 3, 1))
    steps = around[:, MESSAGE_BITS - OVERLAP : 2 * MESSAGE_BITS + OVERLAP]
    metric = np.zeros((rows, _STATES), dtype=np.float32)
    taken = np.empty((steps.shape[1], rows, _STATES), dtype=bool)
    for index in range(steps.shape[1]):
        values = np.ascontiguousarray(steps[:, index])
        first = np.repeat(metric[:, : _STATES // 2], 2, axis=1) + values @ low
        second = np.repeat(metric[:, _STATES // 2 :], 2, axis=1) + values @ high
        np.greater(second, first, out=taken[index])
        metric = np.maximum(first, second)
    return [_trace(taken[:, row], int(metric[row].argmax())) for row in range(rows)]


def _trace(taken: NDArray[np.bool_], state: int) -> int:
    """The message on the path that ends in `state`, without what was run through once more."""
    message = 0
    for step in reversed(range(len(taken))):
        if OVERLAP <= step < OVERLAP + MESSAGE_BITS:
            message |= (state & 1) << (OVERLAP + MESSAGE_BITS - 1 - step)
        state = state >> 1 | (_STATES >> 1 if taken[step, state] else 0)
    return message
