"""Made-up references for the index's benchmark, the same for the same number; no model is needed.

Vectors of real pictures share a direction, those of one subject another one: unrelated references have a
cosine of about 0.4, references of one subject of 0.7. Half of the queries are near a reference (0.9), as a
frame is that shows a subject; the others belong to nobody.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from sqlalchemy import Engine

from registry import optouts
from registry.checkpoint import NoteSigner, ed25519_key_id
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft

DIMENSION: Final = 512
REFERENCES: Final = 20  # of a subject
SPACE: Final = "benchmark-512"
KIND: Final = "picture"
NOW: Final = "2026-01-31T12:00:00Z"
CHUNK: Final = 250  # subjects made, and registered, at a time
SHARED, OWN, REST = 0.6, 0.6, 0.5  # shares of the shared direction, the subject's, the reference's
NEAR: Final = 0.5  # how far a query is from a reference

Floats = NDArray[np.float32]
_KEY: Final = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SIGNER: Final = NoteSigner(
    origin="benchmark.example/log", name="benchmark", sign=_KEY.sign,
    key_id=ed25519_key_id("benchmark", _KEY.public_key().public_bytes_raw()),
)  # fmt: skip


def references_of(first: int, last: int) -> NDArray[np.float16]:
    """The references of subjects ``first`` to ``last`` - 1: float16[n, 512] of unit length."""
    shared = _direction(np.random.default_rng(0), 1)
    made = []
    for subject in range(first, last):
        rng = np.random.default_rng([1, subject])
        own, rest = _direction(rng, 1), _direction(rng, REFERENCES)
        made.append(_unit(SHARED * shared + OWN * own + REST * rest))
    return np.concatenate(made).astype(np.float16)


def queries(subjects: int, count: int) -> tuple[Floats, Floats]:
    """Queries near references of some subjects, and as many that belong to nobody."""
    rng = np.random.default_rng(2)
    shared = _direction(np.random.default_rng(0), 1)
    chosen = rng.integers(0, subjects, count)
    near = np.stack([references_of(int(s), int(s) + 1)[rng.integers(0, REFERENCES)] for s in chosen])
    strange = SHARED * shared + np.hypot(OWN, REST) * _direction(rng, count)
    return _unit(near.astype(np.float32) + NEAR * _direction(rng, count)), _unit(strange)


def digest(number: int) -> str:
    """What a reference of this number is called."""
    return hashlib.sha256(b"reference %d" % number).hexdigest()


def draft(subject: int, *, names: int = 1) -> OptOutDraft:
    """The opt-out of one subject with its references."""
    first = subject * REFERENCES
    digests = [digest(number) for number in range(first, first + REFERENCES)]
    return OptOutDraft(
        kind="character", name=f"Figure {subject}", owner="Studio",
        names=tuple(NameDraft(text=f"Figure {subject} {n}") for n in range(names)),
        references=tuple(ReferenceDraft(sha256=d, polarity=1, width=256, height=256) for d in digests),
        vectors=tuple(
            VectorDraft(
                reference=d, space=SPACE, kind=KIND, polarity=1, vector=vector.tobytes(), dimension=DIMENSION
            )
            for d, vector in zip(digests, references_of(subject, subject + 1), strict=True)
        ),
    )  # fmt: skip


def register(engine: Engine, subjects: int) -> None:
    """Register subjects 0 to ``subjects`` - 1, as an import would."""
    for first in range(0, subjects, CHUNK):
        drafts = [draft(subject) for subject in range(first, min(first + CHUNK, subjects))]
        optouts.add_many(engine, drafts, now=NOW, sign_checkpoint=SIGNER)


def register_names(engine: Engine, names: Sequence[str]) -> None:
    """Register names, of twenty each a subject."""
    drafts = [
        OptOutDraft(
            kind="character", name=group[0], owner="Studio", names=tuple(NameDraft(text=n) for n in group)
        )
        for group in (names[start : start + REFERENCES] for start in range(0, len(names), REFERENCES))
    ]
    for first in range(0, len(drafts), CHUNK):
        optouts.add_many(engine, drafts[first : first + CHUNK], now=NOW, sign_checkpoint=SIGNER)


def names(count: int) -> list[str]:
    """Made-up names of two words, no two alike."""
    rng = np.random.default_rng(3)
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er", "il")]
    found: dict[str, None] = {}
    while len(found) < count:
        parts = ["".join(rng.choice(syllables, size)).title() for size in (3, rng.integers(2, 5))]
        found[" ".join(parts)] = None
    return list(found)


def brute_force(subjects: int, asked: Floats) -> Iterator[tuple[int, Floats]]:
    """Scores of all references, some at a time: the number of the first, and float32[queries, n]."""
    for first in range(0, subjects, CHUNK):
        some = references_of(first, min(first + CHUNK, subjects)).astype(np.float32)
        yield first * REFERENCES, asked @ some.T


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0


def _direction(rng: np.random.Generator, count: int) -> Floats:
    return _unit(rng.standard_normal((count, DIMENSION), np.float32))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
