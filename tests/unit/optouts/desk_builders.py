"""A desk on a database of its own, with small eyes that see colours and count words."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from classifiers.base import Picture, Vectors
from classifiers.faces import Face
from classifiers.thresholds import Calibration
from pipeline.cohort import Cohort
from pipeline.optouts.desk import Desk
from registry.checkpoint import NoteSigner, ed25519_key_id
from registry.db import open_database

NOW = "2026-11-23T14:02:07.000Z"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
SIGNER = NoteSigner(
    origin="test.example/log", name="test", key_id=ed25519_key_id("test", PUBLIC), sign=KEY.sign
)


class Colours:
    """Embeds a picture as its mean colour and a text as counts of its letters, in eight dimensions."""

    space, dimension = "colours-1", 8

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        return _units(np.array([[*image.mean(axis=(0, 1)), 1, 0, 0, 0, 0] for image in images]))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        counted = [[text.count(letter) for letter in "aeiourn"] for text in texts]
        return _units(np.array([[1, *counts] for counts in counted]))


class Letters(Colours):
    """The same for texts, in another space."""

    space = "letters-1"


class RedFaces:
    """Takes the red part of a picture for a face, and every further one for another."""

    space = "red-1"

    def look(self, picture: Picture) -> tuple[Face, ...]:
        red = (picture == (255, 0, 0)).all(axis=2)
        columns = red.sum(axis=0) == 100
        starts = np.flatnonzero(np.diff(columns.astype(int), prepend=0) == 1)
        ends = np.flatnonzero(np.diff(columns.astype(int), append=0) == -1) + 1
        return tuple(self._face(picture, int(a), int(b)) for a, b in zip(starts, ends, strict=True))

    def _face(self, picture: Picture, start: int, end: int) -> Face:
        digest = hashlib.sha256(picture[:, start:end].tobytes()).digest()[:8]
        width = picture.shape[1]
        vector = np.frombuffer(digest, np.uint8).astype(np.float32)
        return Face(box=(start / width, 0.0, end / width, 1.0), vector=vector, certainty=1.0)


class SmallEyes:
    """Without calibrations, so that nothing is measured."""

    clip, minilm, faces = Colours(), Letters(), RedFaces()
    calibrations: Mapping[str, Calibration] = {}
    cohort = Cohort(None)


def desk_in(folder: Path) -> Desk:
    """A desk whose clock stands still."""
    engine = open_database(folder / "registry.db")
    return Desk(engine=engine, eyes=SmallEyes(), signer=SIGNER, clock=lambda: NOW)


def _units(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
