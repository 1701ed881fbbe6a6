"""Sights as they are stored: with a job while it runs, with a release for as long as it is out.

Vectors are kept as float16, little endian. Faces are sealed (AES-256-GCM under ``<home>/keys/sights.key``),
since a face vector is biometric data: a copy of the database alone says nothing about anybody's face
(docs/adr/0008-stored-sights.md).
"""

import base64
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from classifiers.base import Box, Kind, Seen, Sight
from pipeline.credentials.keyfiles import locked, read_private, write_private
from pipeline.errors import KeysUnusable, StorageFailed
from registry.types import SightRow

KEY_FILE: Final = "sights.key"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FORMAT: Final = "countermark-sight/1"
SEALED_KINDS: Final = frozenset({Kind.FACE})


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
        vectors = seen.vectors.astype("<f2").tobytes()
        sealed = seen.kind in SEALED_KINDS
        return SightRow(
            kind=str(seen.kind), space=seen.space, dimension=seen.vectors.shape[1], count=len(seen.vectors),
            vectors=self._seal(vectors, _bound(seen.kind, seen.space)) if sealed else vectors,
            times=np.array(seen.times, "<f4").tobytes(), boxes=np.array(seen.boxes, "<f4").tobytes(),
            sealed=sealed,
        )  # fmt: skip

    def _seen(self, row: SightRow) -> Seen:
        plain = self._open(row.vectors, _bound(row.kind, row.space)) if row.sealed else row.vectors
        vectors = np.frombuffer(plain, "<f2").astype(np.float32).reshape(row.count, row.dimension)
        boxes = np.frombuffer(row.boxes, "<f4").reshape(-1, 4)
        return Seen(
            kind=Kind(row.kind), space=row.space, vectors=vectors,
            times=tuple(np.frombuffer(row.times, "<f4").tolist()), boxes=tuple(map(_box, boxes)),
        )  # fmt: skip

    def _seal(self, plain: bytes, bound: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, bound)

    def _open(self, sealed: bytes, bound: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
        except InvalidTag:
            raise KeysUnusable(f"{KEY_FILE} is not the key of this home; restore it from a backup") from None


def ensure_sealer(keys: Path) -> Sealer:
    """The sealer of a home, whose key is made at first use. Raises: KeysUnusable."""
    path = keys / KEY_FILE
    with locked(keys / f"{KEY_FILE}.lock"):
        if not os.path.lexists(path):
            write_private(path, secrets.token_bytes(KEY_BYTES))
    key = read_private(path)
    if len(key) != KEY_BYTES:
        raise KeysUnusable(f"{path} is damaged; restore it from a backup")
    return Sealer(key)


def _bound(kind: str, space: str) -> bytes:
    """What a sealed row is tied to, so that it cannot stand in for another kind of vector."""
    return f"{FORMAT} {kind} {space}".encode()


def _box(row: Any) -> Box:
    x0, y0, x1, y1 = (float(side) for side in row)
    return x0, y0, x1, y1


def _row_json(row: SightRow) -> dict[str, Any]:
    packed = {name: base64.b64encode(getattr(row, name)).decode() for name in ("vectors", "times", "boxes")}
    return packed | {
        "kind": row.kind, "space": row.space, "dimension": row.dimension, "count": row.count,
        "sealed": row.sealed,
    }  # fmt: skip


def _row_of(told: dict[str, Any]) -> SightRow:
    packed = {name: base64.b64decode(told[name], validate=True) for name in ("vectors", "times", "boxes")}
    return SightRow(**told | packed)
