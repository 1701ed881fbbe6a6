"""Channel code of the hidden mark: 64 bits -> 256 coded bits, soft-decided.

Convolutional code of memory 11, rate 1/4, generators 4767 5723 6265 7455 (octal; the one of best free
distance, 32: Lin and Costello, Error Control Coding, 2nd ed., table 12.1), its ends joined (tail-biting: Ma
and Wolf 1986), so that no energy goes into a tail. Decoding by the Viterbi algorithm over soft values, some
times around the circle, of which the best path counts that ends where it began (Shao, Lin and Fossorier
2003); many candidates at once. There are no check bits: whether a message counts is decided by how well it
fits (`watermark.detector`), and bits that only check would take energy from those that say something.
"""

from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

MESSAGE_BITS = 64
MEMORY = 11
GENERATORS = (0o4767, 0o5723, 0o6265, 0o7455)
CODED_BITS = MESSAGE_BITS * len(GENERATORS)
TURNS = 3  # times around the circle: the first only says where to begin
_STATES = 1 << MEMORY

Soft = NDArray[np.float32]
T = TypeVar("T", np.float32, np.int16)


def codewords(messages: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Coded bits ``uint64[n, 4]`` of messages ``uint64[n]``: a word per generator, the first step highest."""
    out = np.zeros((len(messages), len(GENERATORS)), dtype=np.uint64)
    for column, generator in enumerate(GENERATORS):
        for age in range(MEMORY + 1):
            if generator >> age & 1:
                out[:, column] ^= _rotated(messages, age)
    return out


def _rotated(words: NDArray[np.uint64], places: int) -> NDArray[np.uint64]:
    """Rotated to the right: the bit that came `places` steps before, around the circle."""
    right, left = np.uint64(places), np.uint64((MESSAGE_BITS - places) % MESSAGE_BITS)
    return words >> right | words << left if places else words


def encode(message: int) -> NDArray[np.float32]:
    """Coded bits as ``float32[256]`` of +1 (bit 0) and −1 (bit 1), four for each step."""
    words = codewords(np.array([message], dtype=np.uint64))[0]
    bits = np.unpackbits(words.astype(">u8").view(np.uint8)).reshape(len(GENERATORS), MESSAGE_BITS)
    return (1.0 - 2.0 * bits.T).astype(np.float32).ravel()


@cache
def _branches() -> NDArray[np.float32]:
    """Coded signs ``float32[2, 4, 2048]`` into each state from either source: s>>1, and that plus half."""
    state = np.arange(_STATES)
    sources = np.stack([state >> 1, state >> 1 | _STATES >> 1])
    registers = sources << 1 | state & 1
    parity = np.stack([np.bitwise_count(registers & g) & 1 for g in GENERATORS], axis=1)
    return (1.0 - 2.0 * parity).astype(np.float32)


def decode(soft: Soft) -> list[int]:
    """The best messages found for soft values ``float32[n, 256]`` (positive means bit 0)."""
    rows = len(soft)
    steps = np.ascontiguousarray(soft.reshape(rows, MESSAGE_BITS, len(GENERATORS)).transpose(1, 0, 2))
    metric = np.zeros((rows, _STATES), dtype=np.float32)
    messages, best = [0] * rows, np.full(rows, -np.inf)
    for turn in range(TURNS):
        ends, taken, origins = _once_around(metric, steps)
        own = ends - np.take_along_axis(metric, origins, axis=1)
        closed = np.where(origins == np.arange(_STATES), own, -np.inf)
        metric = ends
        for row in range(rows if turn else 0):  # the first time says only where to begin
            end = int(closed[row].argmax())
            if turn == 1 or closed[row, end] > best[row]:
                best[row], messages[row] = closed[row, end], _trace(taken[:, row], end)
    return messages


def _once_around(
    metric: NDArray[np.float32], steps: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int16]]:
    """After all steps ``[64, n, 4]``: metrics ``[n, 2048]``, sources taken, and each path's first state."""
    low, high = _branches()
    taken = np.empty((len(steps), *metric.shape), dtype=bool)
    origins = np.broadcast_to(np.arange(_STATES, dtype=np.int16), metric.shape)
    for index, values in enumerate(steps):
        first, second = _both(metric)
        first, second = first + values @ low, second + values @ high
        np.greater(second, first, out=taken[index])
        metric = np.maximum(first, second)
        origins = np.where(taken[index], *reversed(_both(origins)))
    return metric, taken, origins


def _both(values: NDArray[T]) -> tuple[NDArray[T], NDArray[T]]:
    """What belongs to either source of each state, ``[n, 2048]``."""
    half = _STATES // 2
    return np.repeat(values[:, :half], 2, axis=1), np.repeat(values[:, half:], 2, axis=1)


def _trace(taken: NDArray[np.bool_], state: int) -> int:
    """The message on the path that ends in `state`."""
    message = 0
    for step in reversed(range(MESSAGE_BITS)):
        message |= (state & 1) << (MESSAGE_BITS - 1 - step)
        state = state >> 1 | (_STATES >> 1 if taken[step, state] else 0)
    return message
