"""Several texts as one row of a transformer, in which each sees itself alone.

A padded batch computes the padding too, and a small model takes nearly as long for one short text as for
three: most of it is reading the weights. In one row there is no padding, and the weights are read once. What
comes out differs from a text's own row by the rounding of its sums alone (Krell et al., "Efficient Sequence
Packing without Cross-contamination", 2021).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

Ids = tuple[int, ...]
"""The pieces of a text, with those that mark its beginning and its end."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a model is given: `ids`, `places` ``int64[1, n]`` and `sees` ``bool[n, n]``.

    ``lengths``: of the texts, in order.
    """

    ids: torch.Tensor
    places: torch.Tensor
    sees: torch.Tensor
    lengths: list[int]


def rows(texts: Iterable[Ids], most: int) -> Iterable[list[Ids]]:
    """The texts in rows of at most `most` pieces, in order; a longer one is a row of its own."""
    row: list[Ids] = []
    for ids in texts:
        if row and sum(map(len, row)) + len(ids) > most:
            yield row
            row = []
        row.append(ids)
    if row:
        yield row


def packed(texts: Sequence[Ids]) -> Row:
    """These texts, none empty, as one row."""
    lengths = [len(ids) for ids in texts]
    whose = torch.repeat_interleave(torch.arange(len(texts)), torch.tensor(lengths))
    return Row(
        ids=torch.tensor([[piece for ids in texts for piece in ids]]),
        places=torch.cat([torch.arange(length) for length in lengths])[None],
        sees=whose[:, None] == whose[None],
        lengths=lengths,
    )


def means(hidden: torch.Tensor, row: Row) -> torch.Tensor:
    """Of each text the mean over its pieces ``[texts, d]`` of what came out, ``hidden[1, n, d]``."""
    lengths = torch.tensor(row.lengths)
    whose = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    sums = torch.zeros(len(lengths), hidden.shape[-1], dtype=hidden.dtype).index_add_(0, whose, hidden[0])
    return sums / lengths[:, None]
