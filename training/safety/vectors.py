"""Sentence vectors, kept in a folder between runs, so that one that was stopped goes on."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from classifiers.base import TextEmbedder
from training.safety.fit import Floats

CHUNK: Final = 1024


class Vectors:
    """Embeds texts, each once; `folder`: where vectors are kept as they come, or None."""

    def __init__(self, embedder: TextEmbedder, folder: Path | None, say: Callable[[str], None]) -> None:
        self._embedder, self._say = embedder, say
        self._file = folder / f"{embedder.space}.npz" if folder else None
        self._known: dict[str, Floats] = {}
        if self._file is not None and self._file.is_file():
            with np.load(self._file, allow_pickle=False) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    def of(self, texts: Sequence[str]) -> Floats:
        """Unit vectors ``float32[n, dimension]``."""
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        # Alike lengths together, so that little is padding.
        order = sorted(missing, key=lambda key: len(missing[key]))
        for at in range(0, len(order), CHUNK):
            part = order[at : at + CHUNK]
            found = self._embedder.embed_texts([missing[key] for key in part])
            self._known.update(zip(part, found, strict=True))
            self._keep()
            self._say(f"{min(at + CHUNK, len(order))} of {len(order)} sentence vectors")
        return np.array([self._known[key] for key in keys], np.float32).reshape(len(texts), -1)

    def _keep(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        made = self._file.with_suffix(".part.npz")
        np.savez(made, keys=np.array(list(self._known)), vectors=np.array(list(self._known.values())))
        made.replace(self._file)
