"""Sights survive storing; faces are sealed; another key opens nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import Kind, Seen, Sight
from pipeline.errors import KeysUnusable, StorageFailed
from pipeline.sights import KEY_BYTES, KEY_FILE, Sealer, ensure_sealer

SEALER = Sealer(bytes(KEY_BYTES))


def seen(kind: Kind, count: int, dimension: int, seed: int = 0) -> Seen:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, dimension)).astype(np.float16).astype(np.float32)
    times = tuple(float(n) / 2 for n in range(count))
    boxes = tuple((0.0, 0.25, 0.5, 1.0) for _ in range(count))
    return Seen(kind=kind, space="space-1", vectors=vectors, times=times, boxes=boxes)


def same(one: Sight, other: Sight) -> bool:
    pairs = zip(one.seen, other.seen, strict=True)
    return one.texts == other.texts and all(
        (a.kind, a.space, a.times, a.boxes) == (b.kind, b.space, b.times, b.boxes)
        and a.vectors.shape == b.vectors.shape
        and np.array_equal(a.vectors, b.vectors)
        for a, b in pairs
    )


sights = st.builds(
    Sight,
    texts=st.lists(st.text(st.characters(codec="utf-8")), max_size=3).map(tuple),
    seen=st.lists(
        st.builds(seen, st.sampled_from(Kind), st.integers(0, 5), st.integers(1, 16), st.integers(0, 9)),
        max_size=4,
    ).map(tuple),
)


@given(sight=sights)
def test_a_sight_survives_storing(sight: Sight) -> None:
    assert same(SEALER.load(SEALER.dump(sight)), sight)
    assert same(SEALER.sight(sight.texts, SEALER.rows(sight)), sight)


def test_faces_are_sealed_and_nothing_else() -> None:
    face, frame = seen(Kind.FACE, 2, 128), seen(Kind.FRAME, 2, 8)
    sealed, plain = SEALER.rows(Sight(seen=(face, frame)))
    assert (sealed.sealed, plain.sealed) == (True, False)
    assert face.vectors.astype("<f2").tobytes() not in sealed.vectors
    assert plain.vectors == frame.vectors.astype("<f2").tobytes()


def test_a_sealed_row_opens_only_as_what_it_is() -> None:
    sight = Sight(seen=(seen(Kind.FACE, 1, 128),))
    [row] = SEALER.rows(sight)
    with pytest.raises(KeysUnusable, match="backup"):
        Sealer(b"x" * KEY_BYTES).sight((), [row])
    other = type(row)(**{name: getattr(row, name) for name in row.__slots__} | {"space": "space-2"})
    with pytest.raises(KeysUnusable):
        SEALER.sight((), [other])


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"format": "countermark-sight/1"}', b"\xff"])
def test_damaged_documents_are_refused(document: bytes) -> None:
    with pytest.raises(StorageFailed, match="start again"):
        SEALER.load(document)


def test_the_key_of_a_home_is_made_once_and_damage_is_seen(tmp_path: Path) -> None:
    sight = Sight(seen=(seen(Kind.FACE, 1, 128),))
    rows = ensure_sealer(tmp_path).rows(sight)
    assert same(ensure_sealer(tmp_path).sight((), rows), sight)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o077 == 0
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(KeysUnusable, match="damaged"):
        ensure_sealer(tmp_path)
