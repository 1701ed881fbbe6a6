"""The embedded classifier: MiniLM's sentence vector and hashed letters, one line of weights per category.

MiniLM reads English alone. For other languages there is a second line, on hashed letters only, and of both
the higher logit counts, the second only from the one on that a finding needs: below it, it knows nothing.

Logistic regressions, fitted by ``python -m training safety`` to text the project writes itself
(MODEL_CARD.md). The weights belong to one sentence model; their space is named after both and needs a
calibration of its own.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Reader, TextEmbedder, Vectors
from classifiers.errors import ModelUnusable
from classifiers.unsafe.features import BUCKETS, SIGNS, Features, Sparse
from classifiers.unsafe.taxonomy import TRAINED
from classifiers.wording import within

FORMAT: Final = "countermark-unsafe/2"
FOLDER: Final = "weights"
WEIGHTS: Final = "prompts.safetensors"
DIGEST: Final = "prompts.sha256"
TOLD: Final = "countermark"
"""The one key of what is told beside the weights."""
HOW: Final = "python -m training safety"
NOTHING: Final = -30.0
"""The logit of what the line for other languages does not know."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """``sentence[c, d]``, ``hashed[c, BUCKETS]``, ``signs[c, s]``, ``bias[c]`` for each of `TRAINED`; of
    other languages ``native[c, BUCKETS]``, ``native_bias[c]``, and ``native_least[c]``, below which they
    say nothing.

    ``minors[4]``: weights of (words about age, how sexual, both multiplied) and a bias. ``minilm``: the
    space of the sentence model; ``digest``: SHA-256 of the file.
    """

    minilm: str
    sentence: Floats
    hashed: Floats
    signs: Floats
    bias: Floats
    native: Floats
    native_bias: Floats
    native_least: Floats
    minors: Floats
    digest: str = ""

    @property
    def space(self) -> str:
        """The name under which scores are kept and calibrated."""
        return f"unsafe-{self.digest[:16]}"

    def logits(self, vectors: Vectors, seen: Sequence[Features]) -> Floats:
        """``float32[n, categories]`` of texts: their unit vectors and their features."""
        found = vectors @ self.sentence.T + self.bias
        for row, one in enumerate(seen):
            places, values = one.hashed
            found[row] += self.hashed[:, places] @ values + self.signs @ one.signs
            np.maximum(found[row], self.elsewhere(one.hashed), out=found[row])
        return np.asarray(found, np.float32)

    def elsewhere(self, gram: Sparse) -> Floats:
        """What the line for other languages says of a text ``float32[categories]``."""
        places, values = gram
        found = self.native[:, places] @ values + self.native_bias
        return np.asarray(np.where(found >= self.native_least, found, NOTHING), np.float32)

    def words(self, category: int, gram: Sparse) -> float:
        """What hashed letters and words alone add to a category's logit, in English or another language."""
        places, values = gram
        return max(
            float(self.hashed[category, places] @ values), float(self.native[category, places] @ values)
        )


class PromptModel:
    """Judges texts with the embedded weights; safe to share between threads."""

    def __init__(self, minilm: TextEmbedder, weights: Weights | None = None) -> None:
        """Raises: ModelUnusable where the weights are missing or damaged, or belong to another model."""
        self.weights = weights or shipped()
        if minilm.space != self.weights.minilm:
            raise ModelUnusable(
                f"the weights for unsafe prompts belong to {self.weights.minilm}, and the sentence model is "
                f"{minilm.space}; make them again with: {HOW}"
            )
        self._minilm = minilm
        self.space = self.weights.space

    def logits(self, texts: Sequence[str], seen: Sequence[Features]) -> Floats:
        """``float32[n, categories]`` of texts with these features, in the order of `TRAINED`.

        Of a text that the sentence model does not see whole, the worst of its parts counts.
        """
        if not texts:
            return np.zeros((0, len(TRAINED)), np.float32)
        cut = self._cut(texts)
        rows = self.weights.logits(
            self._minilm.embed_texts(list(chain.from_iterable(cut))),
            [one for one, parts in zip(seen, cut, strict=True) for _ in parts],
        )
        starts = np.cumsum([0, *(len(parts) for parts in cut[:-1])])
        return np.asarray(np.maximum.reduceat(rows, starts, axis=0), np.float32)

    def _cut(self, texts: Sequence[str]) -> list[list[str]]:
        """Each text in parts that the sentence model sees whole; at least one."""
        model = self._minilm
        if not isinstance(model, Reader):
            return [[text] for text in texts]
        return [
            [text] if pieces <= model.context else within(text, model.context, model.pieces)
            for text, pieces in zip(texts, model.pieces(texts), strict=True)
        ]


def dump(weights: Weights) -> bytes:
    """The file of weights; hashed ones with 8 bits each and a scale for each category.

    The same weights always make the same bytes: what is told beside them is one key, since safetensors writes
    several in any order.
    """
    from safetensors.numpy import save

    tensors = {
        "sentence": weights.sentence.astype(np.float16),
        **_narrow("hashed", weights.hashed),
        **_narrow("native", weights.native),
        "native_bias": weights.native_bias.astype(np.float32),
        "native_least": weights.native_least.astype(np.float32),
        "signs": weights.signs.astype(np.float32),
        "bias": weights.bias.astype(np.float32),
        "minors": weights.minors.astype(np.float32),
    }
    told = {"format": FORMAT, "minilm": weights.minilm, "categories": [str(c) for c in TRAINED]}
    return bytes(save(tensors, metadata={TOLD: json.dumps(told, sort_keys=True)}))


def _narrow(name: str, lines: Floats) -> dict[str, NDArray[Any]]:
    scale = np.maximum(np.abs(lines).max(axis=1), 1e-6) / 127
    return {
        name: np.round(lines / scale[:, None]).astype(np.int8), f"{name}_scale": scale.astype(np.float32),
    }  # fmt: skip


def _wide(name: str, tensors: Mapping[str, NDArray[Any]]) -> Floats:
    return np.asarray(tensors[name].astype(np.float32) * tensors[f"{name}_scale"][:, None])


def parse(document: bytes) -> Weights:
    """Read `dump`'s file. Raises: ModelUnusable."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(document)
        head = json.loads(document[8 : 8 + int.from_bytes(document[:8], "little")])
        told = json.loads(head["__metadata__"][TOLD])
        if told["format"] != FORMAT or told["categories"] != [str(c) for c in TRAINED]:
            raise ValueError(told["format"])
        weights = Weights(
            minilm=str(told["minilm"]), digest=hashlib.sha256(document).hexdigest(),
            sentence=tensors["sentence"].astype(np.float32),
            hashed=_wide("hashed", tensors), native=_wide("native", tensors),
            native_bias=tensors["native_bias"], native_least=tensors["native_least"],
            signs=tensors["signs"], bias=tensors["bias"], minors=tensors["minors"],
        )  # fmt: skip
        _check(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError, OverflowError):
        raise ModelUnusable(
            f"the weights for unsafe prompts are damaged or of another version; make them again with: {HOW}"
        ) from None
    return weights


def _check(weights: Weights) -> None:
    count = len(TRAINED)
    shapes = {
        (weights.hashed.shape, weights.native.shape): ((count, BUCKETS), (count, BUCKETS)),
        (weights.bias.shape, weights.native_bias.shape, weights.native_least.shape): ((count,),) * 3,
        (weights.signs.shape, weights.minors.shape): ((count, len(SIGNS)), (4,)),
        (weights.sentence.shape[:1],): ((count,),),
    }
    if any(found != wanted for found, wanted in shapes.items()):
        raise ValueError(shapes)
    parts = (
        weights.sentence, weights.hashed, weights.native, weights.native_bias, weights.native_least,
        weights.signs, weights.bias, weights.minors,
    )  # fmt: skip
    if not all(np.isfinite(part).all() for part in parts):
        raise ValueError("not finite")


def load(folder: Path) -> Weights:
    """The weights of a folder, whose digest must be the one beside them. Raises: ModelUnusable."""
    try:
        document = (folder / WEIGHTS).read_bytes()
        wanted = (folder / DIGEST).read_text().split()[:1]
    except (OSError, UnicodeDecodeError) as error:
        raise ModelUnusable(
            f"the weights for unsafe prompts cannot be read ({error}); install again, or make them: {HOW}"
        ) from None
    if [hashlib.sha256(document).hexdigest()] != wanted:
        raise ModelUnusable(
            f"the weights for unsafe prompts have another digest; install again, or make them with: {HOW}"
        )
    return parse(document)


@cache
def shipped() -> Weights:
    """The weights that ship. Raises: ModelUnusable."""
    return load(Path(str(files("classifiers.unsafe").joinpath(FOLDER))))
