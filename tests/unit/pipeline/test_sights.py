"""Sights survive storing; faces are sealed; another key opens nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import Kind, Line, Passage, Seen, Sight
from classifiers.sampling import LONG
from classifiers.words import ReadLine, seen_words
from pipeline.checks import WORD_FRAMES, WORD_SHARE
from pipeline.credentials.safe import Safe, Secret
from pipeline.errors import KeysUnusable, StorageFailed
from pipeline.orders import MAX_MATERIAL, MAX_TURNS
from pipeline.sights import KEY_BYTES, Sealer, ensure_sealer, reading_of
from pipeline.texts import Texts
from registry.sights import ROWS_MAX

SEALER = Sealer(bytes(KEY_BYTES))


def seen(kind: Kind, count: int, dimension: int, seed: int = 0) -> Seen:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, dimension)).astype(np.float16).astype(np.float32)
    times = tuple(float(n) / 2 for n in range(count))
    if kind is Kind.PROMPT:
        made = tuple(Passage(first=n, end=n + 3, listed=n % 2 == 1, part=n % 3 == 1) for n in range(count))
        return Seen(kind=kind, space="space-1", vectors=vectors, passages=made)
    boxes = tuple((0.0, 0.25, 0.5, 1.0) for _ in range(count))
    return Seen(kind=kind, space="space-1", vectors=vectors, times=times, boxes=boxes)


def same(one: Sight, other: Sight) -> bool:
    pairs = zip(one.seen, other.seen, strict=True)
    return one.texts == other.texts and all(
        (a.kind, a.space, a.times, a.boxes, a.passages) == (b.kind, b.space, b.times, b.boxes, b.passages)
        and a.vectors.shape == b.vectors.shape
        and np.array_equal(a.vectors, b.vectors)
        and a.lines == b.lines
        for a, b in pairs
    )


WITH_VECTORS = [kind for kind in Kind if kind is not Kind.WORDS]
lines = st.builds(
    ReadLine,
    line=st.builds(
        Line, text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), confidence=st.just(0.75)
    ),
    box=st.just((0.0, 0.25, 0.5, 1.0)),
)
words = st.lists(st.lists(lines, max_size=3), max_size=3).map(
    lambda looks: seen_words([(float(time), look) for time, look in enumerate(looks)])
)
sights = st.builds(
    Sight,
    texts=st.lists(st.text(st.characters(codec="utf-8")), max_size=3).map(tuple),
    seen=st.lists(
        words
        | st.builds(
            seen, st.sampled_from(WITH_VECTORS), st.integers(0, 5), st.integers(1, 16), st.integers(0, 9)
        ),
        max_size=4,
    ).map(tuple),
)


@given(sight=sights)
def test_a_sight_survives_storing(sight: Sight) -> None:
    assert same(SEALER.load(SEALER.dump(sight)), sight)
    assert same(SEALER.sight(sight.texts, SEALER.rows(sight)), sight)


def test_whatever_may_be_ordered_can_be_stored() -> None:
    """With the last turn, picture or moment that an order may have, and everything set up that looks."""
    kept = LONG.regular + LONG.changes + 1
    moments = max(WORD_FRAMES, kept // WORD_SHARE)
    texts = Texts(
        history=("turn",) * MAX_TURNS, pictures=("words",) * (MAX_MATERIAL * moments), prompt="it",
        enhanced="it, drawn",
    )  # fmt: skip
    of_a_pass = len(("CLIP", "sentences", "clauses"))
    judges = len(("embedded", "prompt_judge"))
    of_a_clip = len(("frames", "face", "drawn face", "words", "frame_head", "frame_classifier"))
    most = of_a_pass * len(texts.passes) + judges + of_a_clip * (1 + MAX_MATERIAL)
    assert most == ROWS_MAX


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


def test_words_fill_their_row_as_the_database_wants_it() -> None:
    told = [ReadLine(line=Line(text=text, confidence=0.91), box=(0, 0, 1, 1)) for text in ("Zorbolino", "é")]
    sight = Sight(seen=(seen_words([(1.0, told)]), seen_words([])))
    row, nothing = SEALER.rows(sight)
    assert len(row.vectors) == 2 * row.dimension * row.count
    assert (row.count, row.sealed, nothing.count, nothing.vectors) == (2, False, 0, b"")
    assert same(SEALER.sight((), (row, nothing)), sight)
    assert "zorbolino" in reading_of(row)["letters"]
    assert reading_of(nothing) == {}
    for damaged in (b"[]", b"{}", b'{"lines": [["one", 1]]}', b"{" * 30, b"\xff" * 4):
        with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
            SEALER.sight((), [replace(row, vectors=damaged)])
        assert reading_of(replace(row, vectors=damaged)) == {}


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"format": "countermark-sight/1"}', b"\xff"])
def test_damaged_documents_are_refused(document: bytes) -> None:
    with pytest.raises(StorageFailed, match="start again"):
        SEALER.load(document)


def test_the_key_of_a_home_is_made_once_and_damage_is_seen(tmp_path: Path) -> None:
    sight = Sight(seen=(seen(Kind.FACE, 1, 128),))
    rows = ensure_sealer(Safe(folder=tmp_path)).rows(sight)
    assert same(ensure_sealer(Safe(folder=tmp_path)).sight((), rows), sight)
    assert (tmp_path / Secret.SIGHTS).stat().st_mode & 0o077 == 0
    (tmp_path / Secret.SIGHTS).write_bytes(b"short")
    with pytest.raises(KeysUnusable, match="damaged"):
        ensure_sealer(Safe(folder=tmp_path))
