"""Parts of the fingerprint's benchmark that figures depend on."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.attacks.footage import Footage, Frame
from benchmarks.trials.crowd import crowd
from benchmarks.trials.likeness import clips
from benchmarks.trials.likeness_pairs import Judged, distances, read, repeats, written
from pipeline.credentials.fingerprint import Fingerprint, align, mirrored_hash
from pipeline.verify.similar_keys import WINDOWS, Keys
from pipeline.verify.similar_proof import Proof
from pipeline.verify.similar_times import Line


def printed(random: np.random.Generator, doublings: int, count: int) -> Fingerprint:
    indices = np.sort(random.choice(count + 3, count, replace=False))
    hashes = random.integers(2**64, size=count, dtype=np.uint64)
    return Fingerprint(
        doublings=doublings, indices=tuple(map(int, indices)), hashes=tuple(map(int, hashes))
    )  # fmt: skip


def test_distances_of_many_are_those_of_each() -> None:
    random = np.random.default_rng(1)
    query = printed(random, 0, 24)
    stored = [printed(random, 1, count) for count in (3, 5, 9, 12, 14)]
    turned = tuple(mirrored_hash(bits) for bits in query.hashes[::2])
    stored.append(Fingerprint(doublings=1, indices=tuple(range(12)), hashes=turned))
    found = distances(query, stored)
    for one, value in zip(stored, found, strict=True):
        alignment = align(query, one)
        assert (alignment is None) == bool(np.isnan(value))
        assert alignment is None or alignment.distance == pytest.approx(value)


def film(start: int, count: int = 20) -> Footage:
    def play():  # type: ignore[no-untyped-def]
        for index in range(count):
            luma = np.full((96, 128), 60, np.uint8)
            left = (start + index) * 5 % 96
            luma[20:60, left : left + 24] = 200
            yield Frame(index / 8, np.vstack([luma, np.full((48, 128), 128, np.uint8)]))

    return Footage(width=128, height=96, rate=8, seconds=count / 8, play=play)


def test_a_shifted_repetition_is_no_other_clip() -> None:
    assert repeats(film(0), film(3))
    assert not repeats(film(0), film(9))  # less than four fifths of it


def test_a_crowd_is_as_large_and_as_close_as_is_said() -> None:
    keys = [Keys(np.full((2, len(WINDOWS)), 2**63, np.uint64), np.zeros(2, np.float32))]
    segment = crowd(keys, 3000, 1)[0]
    assert len(segment.names) == 3000
    assert segment.words.shape == (len(WINDOWS), 6000)
    bits = np.bitwise_count(segment.words[0] ^ np.uint64(2**63))
    assert 0.4 < bits.mean() / 64 < 0.5
    assert 0.02 < (bits < 16).mean() < 0.1


def test_pairs_that_were_written_down_are_judged_alike(tmp_path: Path) -> None:
    some = clips(4)
    proof = Proof(line=Line(1.0, 0.25, ()), structure=0.95, least=0.9, differs=0.4, motion=0.97, moments=6,
                  seen=1.0, share=0.9)  # fmt: skip
    pairs = [Judged(query=some[0], other=some[1], proof=proof, still=False),
             Judged(query=some[0], other=some[2], proof=None, still=True)]  # fmt: skip
    written(pairs, tmp_path / "judged.json")
    again = read(tmp_path / "judged.json", some)
    assert [(one.query.name, one.other.name, one.proof, one.still, one.same) for one in again] == [
        (one.query.name, one.other.name, one.proof, one.still, one.same) for one in pairs
    ]
    assert [one.same for one in pairs] == [True, False]
