"""Channel code of the hidden mark: 64 bits + CRC-24 + 8 zero tail bits -> 384 coded bits, soft-decided.

CRC-24 of RFC 4880 section 6.1; convolutional code K=9, rate 1/4, generators 463 535 733 745 (octal), the
one of best free distance; decoding by the Viterbi algorithm over soft values, many candidates at once.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

MESSAGE_BITS, CHECK_BITS, TAIL_BITS = 64, 24, 8
STEPS = MESSAGE_BITS + CHECK_BITS + TAIL_BITS
GENERATORS = (0o463, 0o535, 0o733, 0o745)
CODED_BITS = STEPS * len(GENERATORS)
_STATES = 1 << TAIL_BITS
_CRC_POLYNOMIAL, _CRC_START = 0x864CFB, 0xB704CE

Soft = NDArray[np.float32]


def crc24(message: int) -> int:
    """CRC-24 over the 8 big-endian bytes of a 64-bit message."""
    crc = _CRC_START
    for byte in message.to_bytes(8):
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (_CRC_POLYNOMIAL if crc & 0x800000 else 0)
            crc &= 0xFFFFFF
    return crc


def encode(message: int) -> NDArray[np.float32]:
    """Coded bits as ``float32[384]`` of +1 (bit 0) and −1 (bit 1)."""
    word = (message << CHECK_BITS | crc24(message)) << TAIL_BITS
    register, out = 0, []
    for step in range(STEPS):
        register = (register << 1 | word >> (STEPS - 1 - step) & 1) & 0x1FF
        out += [1.0 - 2.0 * ((register & g).bit_count() & 1) for g in GENERATORS]
    return np.array(out, dtype=np.float32)


@cache
def _branches() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Coded signs ``[256, 2, 4]`` of both branches into each state, and the states they come from."""
    state = np.arange(_STATES)
    sources = np.stack([state >> 1, state >> 1 | _STATES >> 1], axis=1)
    registers = (sources << 1) | (state[:, None] & 1)
    parity = np.array(
        [[[(int(r) & g).bit_count() & 1 for g in GENERATORS] for r in row] for row in registers]
    )
    return (1.0 - 2.0 * parity).astype(np.float32), sources


def decode(soft: Soft) -> list[tuple[int, bool]]:
    """Most likely messages for soft values ``float32[n, 384]`` (positive means bit 0).

    Gives for each row the message and whether its CRC fits.
    """
    signs, sources = _branches()
    rows = len(soft)
    gains = np.einsum("nti,sbi->ntsb", soft.reshape(rows, STEPS, len(GENERATORS)), signs)
    metric = np.full((rows, _STATES), -np.inf, dtype=np.float32)
    metric[:, 0] = 0.0
    taken = np.empty((STEPS, rows, _STATES), dtype=bool)
    for step in range(STEPS):
        arriving = metric[:, sources] + gains[:, step]
        taken[step] = arriving[..., 1] > arriving[..., 0]
        metric = arriving.max(axis=2)
    return [_trace(taken[:, row]) for row in range(rows)]


def _trace(taken: NDArray[np.bool_]) -> tuple[int, bool]:
    state, word = 0, 0  # the zero tail ends every path in state 0
    for step in reversed(range(STEPS)):
        word |= (state & 1) << (STEPS - 1 - step)
        state = state >> 1 | (_STATES >> 1 if taken[step, state] else 0)
    word >>= TAIL_BITS
    message, check = word >> CHECK_BITS, word & ((1 << CHECK_BITS) - 1)
    return message, crc24(message) == check
