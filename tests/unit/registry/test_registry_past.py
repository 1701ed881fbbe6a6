"""Codes of what was seen: nothing that counts is left out, and no damaged file is believed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_builders import Home

from registry import past
from registry.codes import Part, Segment
from registry.past import Near, Past, StoredSights, Taken
from registry.types import SightRow
from registry.vectors import unpacked

DIMENSION, EACH = 64, 5


def unit(count: int, seed: int, dimension: int = DIMENSION) -> Any:
    """Vectors around a few directions, half-precision ones, as they are stored."""
    drawn = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((6, dimension))
    made = centres[drawn.integers(0, 6, count)] + 0.5 * drawn.standard_normal((count, dimension))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype("<f2").astype(np.float32)


def nothing(vectors: Any) -> Any:
    return np.zeros(len(vectors), np.float32)


class Made:
    """So many releases with `EACH` vectors."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.vectors = unit(count * EACH, seed)
        self.asked = 0

    def counts(self, after: int) -> list[tuple[int, int]]:
        return [(seq, EACH) for seq in range(after + 1, len(self.vectors) // EACH + 1)]

    def parts(self, after: int, upto: int) -> Iterator[Part]:
        self.asked += 1
        for seq in range(after + 1, upto + 1):
            yield Part(name(seq), seq, self.vectors[(seq - 1) * EACH : seq * EACH])

    def leaf(self, seq: int) -> str:
        return f"{seq:064x}"

    def exact(self, queries: Any, least: float, upto: int) -> set[str]:
        scores = (queries @ self.vectors[: upto * EACH].T).max(axis=0)
        return {name(int(row) // EACH + 1) for row in np.nonzero(scores >= least)[0]}


def name(seq: int) -> str:
    return f"{seq:036d}"


TAKEN = Taken(basis="none", of=nothing)


def search(folder: Path, source: Made, queries: Any, least: float, taken: Taken = TAKEN) -> Near:
    return Past(folder, segment_vectors=500).search(source, "space", "frame", queries, least, taken)


@pytest.mark.parametrize("least", [0.3, 0.6, 0.8])
def test_all_that_counts_is_among_what_is_found(tmp_path: Path, least: float) -> None:
    source, queries = Made(450), unit(20, 3)
    near = search(tmp_path, source, queries, least)
    assert near.upto == 400  # the last fifty have too few vectors for a segment
    assert source.exact(queries, least, near.upto) <= near.releases


def test_most_of_the_rest_is_left_out(tmp_path: Path) -> None:
    source = Made(400)
    queries = source.vectors[:1]
    near = search(tmp_path, source, queries, 0.95)
    assert name(1) in near.releases
    assert len(near.releases) < 120


def test_a_home_with_little_in_it_has_no_files(tmp_path: Path) -> None:
    assert search(tmp_path, Made(99), unit(3, 3), 0.5) == Near(releases=frozenset(), upto=0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_taken_off_counts(tmp_path: Path) -> None:
    source = Made(100)
    taken = Taken(basis="half", of=lambda vectors: np.full(len(vectors), 0.5, np.float32))
    assert not search(tmp_path, source, unit(5, 3), 1.4, taken).releases
    assert search(tmp_path, source, source.vectors[:5], 0.45, taken).releases


def test_segments_are_made_once_and_again_for_another_calibration(tmp_path: Path) -> None:
    source, queries = Made(200), unit(5, 3)
    first = search(tmp_path, source, queries, 0.6)
    assert source.asked == 2
    assert search(tmp_path, source, queries, 0.6) == first
    assert source.asked == 2
    search(tmp_path, source, queries, 0.6, replace(TAKEN, basis="other"))
    assert source.asked == 4


@settings(max_examples=25)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), which=st.sampled_from(["npz", "json"]))
def test_a_flipped_bit_is_found(tmp_path_factory: pytest.TempPathFactory, place: float, bit: int,
                                which: str) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("past")
    source, queries = Made(100), unit(3, 3)
    first = search(folder, source, queries, 0.6)
    [path] = folder.glob(f"*.{which}")
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    assert search(folder, source, queries, 0.6) == first
    if which == "npz":
        assert source.asked == 2


def test_missing_and_cut_files_are_made_again(tmp_path: Path) -> None:
    source, queries = Made(300), unit(5, 3)
    first = search(tmp_path, source, queries, 0.6)
    one, two, _ = sorted(tmp_path.glob("*.npz"))
    one.write_bytes(one.read_bytes()[:100])
    two.unlink()
    two.with_suffix(".json").unlink()
    again = search(tmp_path, source, queries, 0.6)
    assert again == first


def test_another_history_is_noticed(tmp_path: Path) -> None:
    search(tmp_path, Made(100, seed=1), unit(5, 3), 0.6)

    class Other(Made):
        def leaf(self, seq: int) -> str:
            return f"{seq + 1:064x}"

    other, queries = Other(100, seed=2), unit(5, 3)
    near = search(tmp_path, other, queries, 0.6)
    assert other.asked == 1
    assert other.exact(queries, 0.6, near.upto) <= near.releases


def test_the_error_is_measured(tmp_path: Path) -> None:
    source = Made(400)
    segment = Segment.of(list(source.parts(0, 400)), nothing)
    assert 0.3 < segment.spread * np.sqrt(DIMENSION) < 1.5  # the theory says 0.75


def test_the_database_is_a_source(home: Home) -> None:
    vectors = unit(3, 5, 8)
    row = SightRow(
        kind="frame", space="clip", dimension=8, count=3, vectors=vectors.astype("<f2").tobytes(),
        times=b"", boxes=b"", sealed=False,
    )  # fmt: skip
    one = home.release("one", sight=(row, replace(row, kind="prompt")))
    home.release("two", sight=(replace(row, space="other"), replace(row, kind="face", sealed=True)))
    three = home.release("three", sight=(row, replace(row, count=1, vectors=row.vectors[:16])))
    source = StoredSights(home.engine, "clip", "frame")
    assert source.counts(0) == [(one.log_seq, 3), (three.log_seq, 4)]
    assert source.counts(one.log_seq) == [(three.log_seq, 4)]
    parts = list(source.parts(0, three.log_seq))
    assert [(part.release, len(part.vectors)) for part in parts] == [
        (one.id, 3),
        (three.id, 3),
        (three.id, 1),
    ]
    assert (parts[0].vectors == vectors).all()
    assert source.leaf(one.log_seq) != source.leaf(three.log_seq) != source.leaf(99) == ""


def test_halves_are_what_numpy_makes_of_them() -> None:
    packed = np.arange(1 << 16, dtype="<u2").tobytes()
    made, wanted = unpacked(packed, 256), np.frombuffer(packed, "<f2").astype(np.float32).reshape(-1, 256)
    assert np.array_equal(made, wanted, equal_nan=True)
    assert past.FORMAT.endswith("/1")


def small(folder: Path, source: Made, queries: Any, least: float) -> Near:
    tiers = Past(folder, segment_vectors=500, small_vectors=100)
    return tiers.search(source, "space", "frame", queries, least, TAKEN)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 130), min_size=1, max_size=6))
def test_a_home_that_grows_misses_nothing(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    folder, queries, count = tmp_path_factory.mktemp("past"), unit(10, 3), 0
    for step in steps:
        count += step
        source = Made(count)
        near = small(folder, source, queries, 0.6)
        assert (count - near.upto) * EACH < 100
        assert source.exact(queries, 0.6, near.upto) <= near.releases
        ranges = sorted(tuple(map(int, path.stem.split("-")[-2:])) for path in folder.glob("*.npz"))
        assert [last for _, last in ranges[:-1]] == [first for first, _ in ranges[1:]]
        assert sum((last - first) * EACH < 500 for first, last in ranges) < 5
        assert small(folder, source, queries, 0.6) == near
        assert source.asked <= len(ranges)


def test_small_segments_become_a_whole_one(tmp_path: Path) -> None:
    small(tmp_path, Made(90), unit(3, 3), 0.6)
    assert len([*tmp_path.glob("*.npz")]) == 4
    small(tmp_path, Made(130), unit(3, 3), 0.6)
    kept = {path.name.split("-", 3)[-1] for path in tmp_path.iterdir()}
    assert kept == {"0-100.npz", "0-100.json", "100-120.npz", "100-120.json"}


def test_no_row_is_lost_where_a_release_has_several(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip that was made from another has frames of both."""
    monkeypatch.setattr(past, "READ_ROWS", 2)
    rows = tuple(
        SightRow(
            kind="frame", space="clip", dimension=2, count=1, times=b"", boxes=b"", sealed=False,
            vectors=np.array([n, 1], "<f2").tobytes(),
        )
        for n in range(3)
    )  # fmt: skip
    made = [home.release(f"k{n}", sight=rows) for n in range(3)]
    source = past.StoredSights(home.engine, "clip", "frame")
    found = [(part.release, part.vectors[0, 0]) for part in source.parts(0, made[-1].log_seq)]
    assert found == [(one.id, n) for one in made for n in range(3)]
    assert {part.release for part in source.parts(made[0].log_seq, made[1].log_seq)} == {made[1].id}
