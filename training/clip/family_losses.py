"""What the second stage trains for: a look-alike is further away than any picture of the same design.

1. family: among whole pictures of one family, every picture of the same design is nearer than every one of
   another member, by a margin; the hardest weigh most (a smooth form of the triplet loss with hard mining,
   as in circle loss, Sun et al. 2020, without its weights).
2. pairs: one threshold for all pairs, look-alikes among them. Parts of a character say nothing about the
   rest of it, so a part and another member of its family are left out everywhere.
3. The losses of the first stage hold what was learned: all designs apart, captions at their designs,
   attributes to be read from the vectors. Pictures of nobody are apart from all others, also from each other:
   in one place they would be alike, and with them all that is no drawing of this world.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.clip.family_batches import FamilyBatch
from training.clip.losses import Heads, attributes_told, contrast

MARGIN: Final = 0.25
SHARPNESS: Final = 0.05
TEMPERATURE: Final = 0.07
# One threshold for all pairs, and how steep the loss is about it.
LEVEL, STEEP = 0.7, 16.0
HARDEST: Final = 0.02


def family_losses(
    images: Tensor, texts: Tensor, scale: Tensor, heads: Heads, drawn: FamilyBatch
) -> dict[str, Tensor]:
    """Named losses from unit vectors ``float32[n, d]`` of pictures and ``float32[m, d]`` of texts."""
    batch, cosines = drawn.batch, images @ images.T
    seen = batch.designs >= 0
    same = (batch.designs[:, None] == batch.designs[None, :]) & seen[:, None]
    kin = (drawn.families[:, None] == drawn.families[None, :]) & ~same
    itself = torch.eye(len(images), dtype=torch.bool)
    both_whole = drawn.whole[:, None] & drawn.whole[None, :]
    among = ~itself & ~(kin & ~both_whole)
    across = ((batch.designs[:, None] == batch.text_designs[None, :]) & seen[:, None])[drawn.whole]
    rows = contrast(cosines / TEMPERATURE, same & among, among)
    spoken = images[drawn.whole] @ texts.T
    return {
        "family": _ranked(cosines, same & ~itself & both_whole, kin & both_whole),
        "picture": rows[seen].mean(),
        "pairs": _leveled(cosines, same & among, ~same & among),
        "clip": contrast(spoken * scale, across).mean() + contrast(spoken.T * scale, across.T).mean(),
        "attributes": attributes_told(heads.attributes, images, batch.attributes),
        "told": attributes_told(heads.words, texts, drawn.text_attributes),
    }


def _ranked(cosines: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """The mean over rows that have both of softplus((hardest far - hardest near + margin) / sharpness)."""
    rows = near.any(dim=1) & far.any(dim=1)
    nearest = torch.logsumexp((cosines / SHARPNESS).masked_fill(~far, -1e4), dim=1)
    farthest = torch.logsumexp((-cosines / SHARPNESS).masked_fill(~near, -1e4), dim=1)
    each = functional.softplus(nearest + farthest + MARGIN / SHARPNESS)
    return SHARPNESS * each[rows].mean()


def _leveled(cosines: Tensor, near: Tensor, far: Tensor) -> Tensor:
    logits = (cosines - LEVEL) * STEEP
    missed = functional.softplus(-logits[near]).mean()
    taken = functional.softplus(logits[far])
    hard = taken.topk(max(1, int(len(taken) * HARDEST))).values
    return missed + taken.mean() + hard.mean()
