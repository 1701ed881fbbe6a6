"""Labelled prompts from a JSON Lines file, for judging the recipe; nothing that ships is ever fitted to them.

One object a line with ``text`` and what it is, in one of three forms: ``labels`` as an object of names and
0 or 1 (a name that is missing was not judged), ``labels`` as a list of names, or ``category`` as one name. An
empty list, or only zeros, is harmless.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class DataUnusable(ValueError):
    """A file of labelled prompts is not in its format; the text says which line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Texts with what they are: ``wanted[n, labels]``, and ``counts[n, labels]`` where somebody judged."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    wanted: NDArray[np.float32]
    counts: NDArray[np.float32]

    @property
    def any(self) -> NDArray[np.bool_]:
        """Which texts are anything at all."""
        return np.asarray(self.wanted.any(axis=1))


def read(path: Path) -> Labelled:
    """Read a file. Raises: DataUnusable."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataUnusable(f"{path} cannot be read: {error}") from None
    rows = [_row(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise DataUnusable(f"{path} has no line")
    names = tuple(sorted({name for _, told in rows for name in told}))
    listed = not any(0 in told.values() for _, told in rows)
    wanted = np.array([[told.get(name, 0) for name in names] for _, told in rows], np.float32)
    counts = np.array([[listed or name in told for name in names] for _, told in rows], np.float32)
    return Labelled(texts=tuple(text for text, _ in rows), labels=names, wanted=wanted, counts=counts)


def _row(line: str, number: int) -> tuple[str, dict[str, int]]:
    try:
        told: Any = json.loads(line)
        text, labels = told["text"], told.get("labels", told.get("category"))
        if isinstance(labels, str):
            labels = [labels]
        if isinstance(labels, list):
            labels = dict.fromkeys(map(str, labels), 1)
        if not isinstance(text, str) or not isinstance(labels, dict):
            raise TypeError
        return text, {str(name): int(bool(value)) for name, value in labels.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataUnusable(
            f'line {number} is not of the form {{"text": "…", "labels": {{"name": 0 or 1}}}}, '
            '{"text": "…", "labels": ["name"]} or {"text": "…", "category": "name"}'
        ) from None
