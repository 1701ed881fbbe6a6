"""Concept heads: a few small layers on the very vectors that frames are compared with.

1. A head is one safetensors file of a versioned format. It names the space that its vectors are from; with
   another CLIP it does not start, since numbers of two spaces mean nothing to each other.
2. Two forms. ``layers``: linear layers, some with a ReLU behind them, as LAION's heads are. ``texts``: what
   CLIP makes of words for each category, against words for ordinary pictures (no fitting, any open_clip).
3. Scores of a head have a space of their own, named after the file, with a calibration of its own.

``python -m training concepts`` fits, converts and calibrates heads.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Vectors
from classifiers.errors import ModelUnusable
from classifiers.unsafe.check import CATEGORIES, MOST, NEVER
from classifiers.unsafe.labels import logit
from classifiers.unsafe.taxonomy import Category

FORMAT: Final = "countermark-concepts/1"
TOLD: Final = "countermark"
"""The name under which the file says what it is."""
HOW: Final = "python -m training concepts"
MAX_BYTES: Final = 256 << 20
MAX_LAYERS: Final = 32
MAX_OUTPUTS: Final = 1000
JUDGED: Final = NEVER + 1
"""No category that a head judges has a lower number; `NEVER` says that it does not judge it."""
Floats = NDArray[np.float32]


class Outputs(StrEnum):
    """What a head's numbers are."""

    EACH = "each"  # one for each output, which do not exclude each other
    ONE = "one"  # of one softmax


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """``weight[out, in]``, ``bias[out]``, and whether what is below zero is dropped behind it."""

    weight: Floats
    bias: Floats
    relu: bool = False

    def of(self, values: Floats) -> Floats:
        """``float32[n, out]`` of ``values[n, in]``."""
        found = values @ self.weight.T + self.bias
        return np.maximum(found, 0) if self.relu else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Unit vectors ``float32[n, d]`` of words, whose output ``owners[n]`` is (-1: ordinary pictures)."""

    vectors: Floats
    owners: NDArray[np.int64]
    scale: float

    def of(self, values: Floats) -> Floats:
        """For each output how much nearer its words are than ordinary ones: ``float32[n, outputs]``."""
        near = self.scale * (values @ self.vectors.T)
        plain = _together(near[:, self.owners < 0])
        parts = [_together(near[:, self.owners == one]) - plain for one in range(int(self.owners.max()) + 1)]
        return np.stack(parts, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a file holds. ``space``: of the vectors; ``categories``: of the outputs, None for a harmless one.

    ``digest``: SHA-256 of the file, empty for a head that is in none.
    """

    space: str
    categories: tuple[Category | None, ...]
    layers: tuple[Linear, ...] = ()
    texts: Texts | None = None
    outputs: Outputs = Outputs.EACH
    made: dict[str, str] = field(default_factory=dict)
    digest: str = ""

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return int((self.texts.vectors if self.texts else self.layers[0].weight).shape[1])

    @property
    def judged(self) -> frozenset[Category]:
        """The categories that it has something to say about."""
        return frozenset(category for category in self.categories if category is not None)

    def logits(self, vectors: Vectors) -> Vectors:
        """``float32[n, len(CATEGORIES)]`` of unit ``vectors[n, d]``; `NEVER` where it has nothing to say.

        Raises: ValueError for vectors that are no numbers, or of another dimension.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension or not np.isfinite(vectors).all():
            raise ValueError(f"a head for {self.space} was given vectors that are not of it")
        values = self.texts.of(vectors) if self.texts else vectors
        for layer in self.layers:
            values = layer.of(values)
        if not np.isfinite(values).all():
            raise ValueError(f"a head for {self.space} answered with no number")
        return self._of_categories(values)

    def _of_categories(self, values: Floats) -> Vectors:
        found = np.full((len(values), len(CATEGORIES)), NEVER, np.float32)
        owners = np.array([CATEGORIES.index(one) if one else -1 for one in self.categories])
        shares = _softmax(values) if self.outputs is Outputs.ONE else values
        for column in set(owners[owners >= 0].tolist()):
            own = shares[:, owners == column]
            told = _logits(own.sum(axis=1)) if self.outputs is Outputs.ONE else own.max(axis=1)
            found[:, column] = np.clip(told, JUDGED, MOST)
        return found


class ConceptHead:
    """A head that is in a file, for one CLIP; safe to share between threads. ``space``: of its scores."""

    def __init__(self, path: Path, clip_space: str, *, sha256: str = "") -> None:
        """Raises: ModelUnusable where the file is missing, damaged, another, or for another CLIP."""
        self.head = load(path, sha256=sha256)
        if self.head.space != clip_space:
            raise ModelUnusable(
                f"the head {path.name} belongs to {self.head.space}, and the CLIP of the settings is "
                f"{clip_space}: set clip_model to the one it was made with, or make it again with {HOW}"
            )
        self.space = space_of(self.head)
        self.judged = self.head.judged

    def judge(self, vectors: Vectors) -> Vectors:
        """Logits ``float32[n, len(CATEGORIES)]`` of the vectors of frames. Raises: ValueError."""
        return self.head.logits(vectors)


def space_of(head: Head) -> str:
    """The name of the space of its scores."""
    return f"concepts-{head.digest[:16]}"


def load(path: Path, *, sha256: str = "") -> Head:
    """The head of a file. Raises: ModelUnusable."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelUnusable(f"{path.name} is larger than {MAX_BYTES >> 20} MiB: it is no concept head")
        document = path.read_bytes()
    except OSError as error:
        raise ModelUnusable(
            f"the head {path} cannot be read ({error.strerror}): correct frame_head, or make it with {HOW}"
        ) from None
    digest = hashlib.sha256(document).hexdigest()
    if sha256 and digest != sha256.lower():
        raise ModelUnusable(
            f"the head {path.name} has SHA-256 {digest}, not {sha256.lower()}: restore it, or correct "
            "frame_head_sha256"
        )
    return parse(document, path.name)


def dump(head: Head) -> bytes:
    """The file of a head."""
    from safetensors.numpy import save

    tensors: dict[str, Any] = {}
    told: dict[str, Any] = {
        "format": FORMAT, "space": head.space, "outputs": str(head.outputs), "made": head.made,
        "categories": [str(category) if category else "" for category in head.categories],
        "relu": [layer.relu for layer in head.layers],
    }  # fmt: skip
    for number, layer in enumerate(head.layers):
        tensors |= {f"weight.{number}": layer.weight, f"bias.{number}": layer.bias}
    if head.texts:
        tensors |= {"texts": head.texts.vectors, "owners": head.texts.owners}
        told["scale"] = head.texts.scale
    whole = {name: np.ascontiguousarray(one) for name, one in tensors.items()}
    # One text: safetensors writes several in any order, and the same head should be the same file.
    return bytes(save(whole, metadata={TOLD: json.dumps(told, sort_keys=True)}))


def parse(document: bytes, name: str = "the head") -> Head:
    """Read `dump`'s file. Raises: ModelUnusable."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as tensors_of

    try:
        tensors = tensors_of(document)
        header = json.loads(document[8 : 8 + int.from_bytes(document[:8], "little")])
        told = json.loads(header["__metadata__"][TOLD])
        if told["format"] != FORMAT:
            raise ValueError(told["format"])
        head = Head(
            space=str(told["space"]), outputs=Outputs(told["outputs"]),
            categories=tuple(Category(one) if one else None for one in told["categories"]),
            layers=_layers(tensors, told["relu"]), texts=_texts(tensors, told),
            made={str(key): str(value) for key, value in told["made"].items()},
            digest=hashlib.sha256(document).hexdigest(),
        )  # fmt: skip
        _check(head)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError,
            RecursionError):  # fmt: skip
        raise ModelUnusable(
            f"{name} is damaged, or no concept head of the format {FORMAT}: restore it, or make it with {HOW}"
        ) from None
    return head


def _layers(tensors: dict[str, Any], relu: Sequence[bool]) -> tuple[Linear, ...]:
    if not all(isinstance(one, bool) for one in relu):
        raise TypeError(relu)
    return tuple(
        Linear(weight=tensors[f"weight.{number}"].astype(np.float32),
               bias=tensors[f"bias.{number}"].astype(np.float32), relu=one)
        for number, one in enumerate(relu)
    )  # fmt: skip


def _texts(tensors: dict[str, Any], told: dict[str, Any]) -> Texts | None:
    if "texts" not in tensors:
        return None
    owners = tensors["owners"].astype(np.int64)
    return Texts(vectors=tensors["texts"].astype(np.float32), owners=owners, scale=float(told["scale"]))


def _check(head: Head) -> None:
    """Raises: ValueError where the parts of a file do not fit together."""
    if not head.judged or len(head.categories) > MAX_OUTPUTS or len(head.layers) > MAX_LAYERS:
        raise ValueError("no category, or too many parts")
    if bool(head.layers) == (head.texts is not None):
        raise ValueError("a head has layers, or texts")
    outs = [layer.weight.shape[:1] for layer in head.layers]
    for layer, out in zip(head.layers, outs, strict=True):
        if layer.weight.ndim != 2 or layer.bias.shape != out:
            raise ValueError("a layer that is not linear")
    ins = [layer.weight.shape[1:] for layer in head.layers[1:]]
    if head.layers and outs != [*ins, (len(head.categories),)]:
        raise ValueError("layers that do not fit together")
    if head.texts is not None:
        _check_texts(head.texts, len(head.categories))
    numbers = [part for one in head.layers for part in (one.weight, one.bias)]
    numbers += [head.texts.vectors] if head.texts else []
    if not all(part.size and np.isfinite(part).all() for part in numbers):
        raise ValueError("no numbers")


def _check_texts(texts: Texts, outputs: int) -> None:
    owners = texts.owners
    if texts.vectors.ndim != 2 or owners.shape != (len(texts.vectors),) or not 0 < texts.scale < np.inf:
        raise ValueError("texts")
    if set(owners.tolist()) != {-1, *range(outputs)}:
        raise ValueError("an output without words")


def _together(near: Floats) -> Floats:
    """The logarithm of the mean of exponentials: how near the nearest words are, few or many."""
    most = near.max(axis=1, keepdims=True)
    return np.asarray(most[:, 0] + np.log(np.exp(near - most).mean(axis=1)), np.float32)


def _softmax(values: Floats) -> Floats:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def _logits(shares: Floats) -> Floats:
    return np.array([logit(float(share)) for share in shares], np.float32)
