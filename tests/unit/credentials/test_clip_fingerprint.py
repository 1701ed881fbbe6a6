"""The clip fingerprint: what it forgives, what it tells apart, and when it does not decide."""

import math
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.credentials.fingerprint import (
    BITS,
    MATCH_DISTANCE,
    MIN_OVERLAP,
    MIN_OVERLAP_SHARE,
    QUERY,
    STORED,
    Fingerprint,
    Fingerprinter,
    Sampling,
    align,
    alignments,
    distance,
    fingerprint,
    frame_hash,
    mirrored_hash,
)
from pipeline.errors import UsageError

Frame = tuple[float, NDArray[np.uint8]]


def scene(
    seed: int, seconds: float = 6.0, rate: float = 12.0, size: tuple[int, int] = (90, 160)
) -> Iterator[Frame]:
    """Smooth structure that drifts, with a cut every two seconds."""
    height, width = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    for number in range(int(seconds * rate)):
        time = number / rate
        random = np.random.default_rng((seed, int(time // 2)))
        picture = np.zeros(size)
        for _ in range(12):
            fx, fy, phase, speed = random.uniform((-4, -4, 0, -1), (4, 4, 6, 1))
            picture += random.uniform(10, 30) * np.sin(2 * math.pi * (fx * x + fy * y) + phase + speed * time)
        yield time, np.clip(picture + 128, 0, 255).astype(np.uint8)


ORIGINAL = fingerprint(scene(1))


def changed(edit) -> Fingerprint:
    return fingerprint(((time, edit(luma)) for time, luma in scene(1)), QUERY)


def noisy(luma):
    noise = np.random.default_rng(0).normal(0, 12, luma.shape)
    return np.clip(luma + noise, 0, 255).astype(np.uint8)


EDITS = {
    "same": lambda luma: luma,
    "half size": lambda luma: cv2.resize(luma, (80, 45), interpolation=cv2.INTER_AREA),
    "noise": noisy,
    "darker": lambda luma: (luma * 0.7).astype(np.uint8),
    "crop 5 % a side": lambda luma: luma[4:86, 8:152],
    "mirrored": lambda luma: np.ascontiguousarray(luma[:, ::-1]),
    "jpeg 10": lambda luma: cv2.imdecode(cv2.imencode(".jpg", luma, [1, 10])[1], cv2.IMREAD_GRAYSCALE),
}


@pytest.mark.parametrize("name", EDITS)
def test_the_same_clip_matches(name):
    found = distance(changed(EDITS[name]), ORIGINAL)
    assert found is not None
    assert found < MATCH_DISTANCE - 0.05


@pytest.mark.parametrize(("start", "end"), [(0.0, 3.0), (1.07, 4.6), (2.9, 6.0)])
def test_a_trimmed_clip_matches(start, end):
    cut = [(time - start + 100.0, luma) for time, luma in scene(1) if start <= time < end]
    found = distance(fingerprint(cut, QUERY), ORIGINAL)
    assert found is not None
    assert found < MATCH_DISTANCE - 0.05


def test_other_clips_do_not_match():
    found = [distance(fingerprint(scene(seed), QUERY), ORIGINAL) for seed in range(2, 12)]
    assert all(value is not None and value > MATCH_DISTANCE + 0.05 for value in found)


def test_a_trim_of_a_long_clip_matches_its_thinned_fingerprint():
    long = fingerprint(scene(3, seconds=40.0, size=(45, 80)))
    assert long.step > STORED.doublings * 0.125
    assert len(long.indices) <= STORED.cap
    part = [(time, luma) for time, luma in scene(3, seconds=40.0, size=(45, 80)) if 20.3 <= time < 31.0]
    found = distance(fingerprint(part, QUERY), long)
    assert found is not None
    assert found < MATCH_DISTANCE - 0.05


def test_all_alignments_the_best_first():
    query = changed(EDITS["noise"])
    found = alignments(query, ORIGINAL)
    assert found[0] == align(query, ORIGINAL)
    assert (found[0].offset, found[0].mirrored) == (0.0, False)
    assert [a.distance for a in found] == sorted(a.distance for a in found)
    assert {a.mirrored for a in found} == {False, True}
    assert all(a.offset % a.step == 0 for a in found)


def test_in_a_still_scene_the_smallest_offset_comes_first():
    luma = next(scene(1))[1]
    still = [(number / 8, luma) for number in range(48)]
    offsets = [a.offset for a in alignments(fingerprint(still, QUERY), fingerprint(still)) if a.distance == 0]
    assert offsets[0] == 0.0
    assert [abs(offset) for offset in offsets] == sorted(abs(offset) for offset in offsets)


def test_memory_is_bounded_and_thinning_is_deterministic():
    maker, coarse = Fingerprinter(sampling=Sampling(doublings=0, cap=8)), []
    luma = next(scene(1))[1]
    for number in range(2000):
        maker.add(number / 8, luma)
        coarse.append(len(maker.finish().indices))
    assert max(coarse) <= 8
    first = fingerprint(((n / 8, luma) for n in range(2000)), Sampling(doublings=0, cap=8))
    assert maker.finish() == first


def test_flat_and_short_clips_are_undecided():
    flat = fingerprint(((n / 8, np.full((40, 60), 90, dtype=np.uint8)) for n in range(80)), QUERY)
    assert flat.indices == ()
    assert distance(flat, ORIGINAL) is None
    assert distance(ORIGINAL, flat) is None
    short = fingerprint(scene(1, seconds=0.3), QUERY)
    assert distance(short, ORIGINAL) is None
    assert distance(fingerprint([]), ORIGINAL) is None
    assert frame_hash(np.zeros((8, 8), dtype=np.uint8)) is None


def test_mirror_is_a_constant_exclusive_or():
    luma = next(scene(5))[1]
    plain, mirrored = frame_hash(luma), frame_hash(np.ascontiguousarray(luma[:, ::-1]))
    other = next(scene(6))[1]
    plain2, mirrored2 = frame_hash(other), frame_hash(np.ascontiguousarray(other[:, ::-1]))
    assert (plain ^ mirrored) == (plain2 ^ mirrored2)


def test_known_bytes():
    """A fingerprint written today must read the same for ever."""
    y, x = np.mgrid[0:48, 0:64]
    pictures = [
        ((x * x * 7 + y * y * 13 + x * y * 5 + 31 * n) // 16 % 256).astype(np.uint8) for n in range(3)
    ]
    made = fingerprint((n / 4, picture) for n, picture in enumerate(pictures))
    assert made.to_bytes().hex() == KNOWN
    assert Fingerprint.from_bytes(bytes.fromhex(KNOWN)) == made


KNOWN = "01010003000000000010387f3dff0001000000103837ddff00020000003038375dff"


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2**64 - 1)), max_size=64), st.integers(0, 24))
def test_bytes_survive(rows, doublings):
    indices = tuple(np.cumsum([row[0] for row in rows]).tolist()) if rows else ()
    made = Fingerprint(doublings=doublings, indices=indices, hashes=tuple(row[1] for row in rows))
    assert Fingerprint.from_bytes(made.to_bytes()) == made


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_read(content):
    try:
        made = Fingerprint.from_bytes(content)
    except UsageError:
        return
    assert made.to_bytes() == content


@pytest.mark.parametrize(
    "content", [b"", b"\x02\x00\x00\x00", b"\x01\x19\x00\x00", b"\x01\x01\x00\x01", b"\x01\x01\x00\x00x"]
)
def test_bad_bytes_are_refused(content):
    with pytest.raises(UsageError):
        Fingerprint.from_bytes(content)


def one_by_one(query: Fingerprint, stored: Fingerprint) -> list[tuple[float, float, bool]]:
    """What `alignments` means: every shift that there is, tried on its own."""
    swapped = query.doublings > stored.doublings
    dense, sparse = (stored, query) if swapped else (query, stored)
    factor = 2 ** (sparse.doublings - dense.doublings)
    at = dict(zip(dense.indices, dense.hashes, strict=True))
    told = [(index * factor, bits) for index, bits in zip(sparse.indices, sparse.hashes, strict=True)]
    usable = min(len(told), (len(at) + factor - 1) // factor)
    found = []
    for mirrored in (False, True):
        for shift in sorted(range(-told[-1][0], dense.indices[-1] + 1), key=abs):
            met = [at[place + shift] ^ bits for place, bits in told if place + shift in at]
            if len(met) >= max(MIN_OVERLAP, math.ceil(usable * MIN_OVERLAP_SHARE)):
                turned = [mirrored_hash(bits) if mirrored else bits for bits in met]
                far = sum(bits.bit_count() / BITS for bits in turned) / len(met)
                found.append((far, (1 if swapped else -1) * shift * dense.step, mirrored))
    return sorted(found, key=lambda one: one[0])


PRINTS = st.builds(
    lambda places, doublings, first: Fingerprint(
        doublings=doublings, indices=tuple(sorted(places)),
        hashes=tuple((first * (place + 3)) % 2**64 for place in sorted(places)),
    ),
    st.sets(st.integers(0, 40), min_size=MIN_OVERLAP, max_size=30), st.integers(0, 3),
    st.integers(0, 2**64 - 1),
)  # fmt: skip


@given(PRINTS, PRINTS)
def test_alignments_are_those_of_every_shift(query: Fingerprint, stored: Fingerprint) -> None:
    found = alignments(query, stored)
    assert [(one.distance, one.offset, one.mirrored) for one in found] == one_by_one(query, stored)
    assert align(query, stored) == (found[0] if found else None)


def test_no_value_makes_comparing_long() -> None:
    """What strangers send says itself how far apart its samples lie; they are no more for that."""
    words = tuple(range(7, 1031))
    stored = Fingerprint(doublings=1, indices=tuple(range(64)), hashes=words[:64])
    for count, doublings, last in ((65, 5, 1799), (65, 20, 60_000), (1024, 5, 1799)):
        told = (*range(count - 1), last)
        hostile = Fingerprint(doublings=doublings, indices=told, hashes=words[:count])
        began = time.process_time()
        for _ in range(24):
            align(hostile, stored)
        assert time.process_time() - began < 2.0  # trying every shift takes 8 s, and hours
