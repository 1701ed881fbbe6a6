"""Reading by a list: which of the issued payloads fits best, where a clip says too little to decode.

A decoder has to find one message of 2⁶⁴; a service has issued far fewer. Their codewords are compared one by
one with what a clip says of the coded bits, which reads marks of about four fifths of the strength that
decoding takes.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from watermark import channel

TABLE_BITS = 16  # coded bits that one look-up adds up
AT_ONCE = 1 << 16  # payloads, which bounds memory
MAX_ISSUED = 4_000_000  # 32 bytes each; the newest of more


class Issued:
    """Payloads that were issued, the newest last, ready to be compared. At most `MAX_ISSUED` are kept."""

    def __init__(self, payloads: Iterable[int]) -> None:
        messages = np.fromiter(payloads, dtype=np.uint64)[-MAX_ISSUED:]
        # Counted, because numpy sorts then; else it fills a table of hashes, which takes 15 times as long.
        self._messages = np.unique(messages, return_counts=True)[0]
        words = channel.codewords(self._messages).astype(">u8")
        self._parts = (
            words.view(">u2").astype(np.uint16).reshape(len(words), channel.CODED_BITS // TABLE_BITS)
        )

    def __len__(self) -> int:
        return len(self._messages)

    def best(self, soft: channel.Soft) -> list[int]:
        """For each row of ``float32[n, 256]`` (positive means bit 0) the payload whose codeword fits best.

        Raises: ValueError when nothing was issued.
        """
        return [self._best(row) for row in soft]

    def _best(self, soft: channel.Soft) -> int:
        ordered = soft.reshape(channel.MESSAGE_BITS, -1).T.reshape(-1, TABLE_BITS)
        tables = [_table(part) for part in ordered]
        found, highest = 0, -np.inf
        for start in range(0, len(self._messages), AT_ONCE):
            parts = self._parts[start : start + AT_ONCE]
            total = np.zeros(len(parts), dtype=np.float32)
            for column, table in enumerate(tables):
                total += table[parts[:, column]]
            place = int(total.argmax())
            if total[place] > highest:
                found, highest = start + place, float(total[place])
        return int(self._messages[found])


def _table(values: channel.Soft) -> NDArray[np.float32]:
    """What each pattern of 16 bits adds up to, ``float32[65536]``: the first bit is the highest."""
    sums = np.zeros(1, dtype=np.float32)
    for value in values:
        sums = np.stack([sums + value, sums - value], axis=1).ravel()
    return sums
