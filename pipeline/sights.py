"""Sights as they are stored: with a job while it runs, with a release for as long as it is out.

Vectors are kept as float16, little endian. Faces are sealed (AES-256-GCM under ``<home>/keys/sights.key``),
since a face vector is biometric data: a copy of the database alone says nothing about anybody's face
(docs/adr/0008-stored-sights.md).

What the passages of a prompt are made of (`classifiers.base.Passage`) stands in the place of boxes.

Words have no vectors. In their place stands one JSON document, filled up with spaces to a whole number of
half-precision numbers for each line: the lines, and their *reading*, in which a later scan looks for names
without reading them again (`classifiers.sieve`; docs/adr/0024-words-in-frames.md).
"""

import base64
import json
import os
import secrets
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from classifiers.base import Box, Kind, Line, Passage, Seen, Sight
from pipeline.credentials.keyfiles import locked
from pipeline.credentials.safe import Safe, Secret
from pipeline.errors import KeysUnusable, StorageFailed
from registry.types import SightRow

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FORMAT: Final = "countermark-sight/1"
SEALED_KINDS: Final = frozenset({Kind.FACE})
HALF: Final = 2  # bytes of a number


class Sealer:
    """Turns sights into rows and back. Raises: KeysUnusable for a key that did not seal these rows."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def rows(self, sight: Sight) -> tuple[SightRow, ...]:
        """The rows to store. A look that found nothing has one too: else nobody would have looked."""
        return tuple(self._row(seen) for seen in sight.seen)

    def sight(self, texts: Sequence[str], rows: Sequence[SightRow]) -> Sight:
        """The sight that these rows hold."""
        return Sight(texts=tuple(texts), seen=tuple(self._seen(row) for row in rows))

    def dump(self, sight: Sight) -> bytes:
        """A document of `sight`, faces sealed."""
        rows = [_row_json(row) for row in self.rows(sight)]
        return json.dumps({"format": FORMAT, "texts": sight.texts, "rows": rows}).encode()

    def load(self, document: bytes) -> Sight:
        """Read `dump`'s document. Raises: StorageFailed for any other."""
        try:
            told = json.loads(document)
            if told["format"] != FORMAT:
                raise ValueError(told["format"])
            return self.sight(told["texts"], [_row_of(row) for row in told["rows"]])
        except (ValueError, KeyError, TypeError):
            raise StorageFailed("what was seen of the clip cannot be read again; start again") from None

    def _row(self, seen: Seen) -> SightRow:
        if seen.kind is Kind.WORDS:
            vectors, dimension = _written(seen)
        else:
            vectors, dimension = seen.vectors.astype("<f2").tobytes(), seen.vectors.shape[1]
        sealed = seen.kind in SEALED_KINDS
        return SightRow(
            kind=str(seen.kind), space=seen.space, dimension=dimension, count=len(seen.vectors),
            vectors=self._seal(vectors, _bound(seen.kind, seen.space)) if sealed else vectors,
            times=np.array(seen.times, "<f4").tobytes(),
            boxes=np.array(_passages(seen.passages) or seen.boxes, "<f4").tobytes(),
            sealed=sealed,
        )  # fmt: skip

    def _seen(self, row: SightRow) -> Seen:
        plain = self._open(row.vectors, _bound(row.kind, row.space)) if row.sealed else row.vectors
        lines: tuple[Line, ...] = ()
        if row.kind == Kind.WORDS:
            lines, vectors = _lines(row), np.zeros((row.count, 0), np.float32)
        else:
            vectors = np.frombuffer(plain, "<f2").astype(np.float32).reshape(row.count, row.dimension)
        boxes = np.frombuffer(row.boxes, "<f4").reshape(-1, 4)
        of_text = row.kind == Kind.PROMPT
        return Seen(
            kind=Kind(row.kind), space=row.space, vectors=vectors,
            times=tuple(np.frombuffer(row.times, "<f4").tolist()),
            boxes=() if of_text else tuple(map(_box, boxes)), lines=lines,
            passages=tuple(map(_passage, boxes)) if of_text else (),
        )  # fmt: skip

    def _seal(self, plain: bytes, bound: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, bound)

    def _open(self, sealed: bytes, bound: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
        except InvalidTag:
            told = f"{Secret.SIGHTS} is not the key of this home; restore it from a backup"
            raise KeysUnusable(told) from None


def ensure_sealer(safe: Safe) -> Sealer:
    """The sealer of a home, whose key is made at first use. Raises: KeysUnusable."""
    path = safe.folder / Secret.SIGHTS
    with locked(safe.folder / f"{Secret.SIGHTS}.lock"):
        if not os.path.lexists(path):
            safe.write(path, Secret.SIGHTS, secrets.token_bytes(KEY_BYTES))
    key = safe.read(path, Secret.SIGHTS)
    if len(key) != KEY_BYTES:
        raise KeysUnusable(f"{path} is damaged; restore it from a backup")
    return Sealer(key)


def _written(seen: Seen) -> tuple[bytes, int]:
    """The document of lines of words, and how many numbers each takes up; nothing for none."""
    if not seen.lines:
        return b"", 1
    from classifiers.sieve import skeleton
    from classifiers.words import texts_in

    told = {
        "lines": [[line.text, round(line.confidence, 3)] for line in seen.lines],
        "reading": skeleton(texts_in([seen])),
    }
    document = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    dimension = -(-len(document) // (HALF * len(seen.lines)))
    return document.ljust(HALF * dimension * len(seen.lines)), dimension


def _lines(row: SightRow) -> tuple[Line, ...]:
    """Raises: ValueError for a damaged row."""
    if not row.count:
        return ()
    try:
        told = _document(row)["lines"]
        lines = tuple(Line(text=str(text), confidence=float(sure)) for text, sure in told)
    except (KeyError, TypeError):
        raise ValueError("the words of a clip are damaged") from None
    if len(lines) != row.count:
        raise ValueError(f"{row.count} lines of words were kept, and {len(lines)} are there")
    return lines


def reading_of(row: SightRow) -> dict[str, str]:
    """The reading of a row of words; empty where there is none."""
    try:
        told = _document(row).get("reading", {}) if row.count else {}
        return {str(name): str(value) for name, value in told.items()}
    except (ValueError, AttributeError):
        return {}


def _document(row: SightRow) -> dict[str, Any]:
    told = json.loads(row.vectors)
    if not isinstance(told, dict):
        raise ValueError("the words of a clip are damaged")
    return told


def _bound(kind: str, space: str) -> bytes:
    """What a sealed row is tied to, so that it cannot stand in for another kind of vector."""
    return f"{FORMAT} {kind} {space}".encode()


def _box(row: Any) -> Box:
    x0, y0, x1, y1 = (float(side) for side in row)
    return x0, y0, x1, y1


def _passages(told: Sequence[Passage]) -> list[Box]:
    return [(float(one.first), float(one.end), float(one.listed), float(one.part)) for one in told]


def _passage(row: Any) -> Passage:
    first, end, listed, part = (float(number) for number in row)
    return Passage(first=int(first), end=int(end), listed=listed > 0, part=part > 0)


def _row_json(row: SightRow) -> dict[str, Any]:
    packed = {name: base64.b64encode(getattr(row, name)).decode() for name in ("vectors", "times", "boxes")}
    return packed | {
        "kind": row.kind, "space": row.space, "dimension": row.dimension, "count": row.count,
        "sealed": row.sealed,
    }  # fmt: skip


def _row_of(told: dict[str, Any]) -> SightRow:
    packed = {name: base64.b64decode(told[name], validate=True) for name in ("vectors", "times", "boxes")}
    return SightRow(**told | packed)
