"""Moments: small pictures of a clip, kept in constant memory and read back from hostile bytes."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.credentials.fingerprint import Fingerprint
from pipeline.credentials.moments import (
    COVERED,
    LOST_BITS,
    QUERY,
    STORED,
    Moments,
    Sampling,
    Taker,
    stored,
    with_moments,
)
from pipeline.errors import UsageError

HEIGHT, WIDTH, RATE = 90, 160, 12


def taken(seconds: float, sampling: Sampling = STORED, **more) -> Moments:
    random = np.random.default_rng(4)
    taker = Taker(sampling=sampling, **more)
    for index in range(round(seconds * RATE)):
        y = random.integers(16, 235, (HEIGHT, WIDTH), dtype=np.uint8)
        u, v = random.integers(60, 200, (2, HEIGHT // 2, WIDTH // 2), dtype=np.uint8)
        taker.add(5 + index / RATE, y, u, v)
    return taker.finish()


def test_what_is_stored_is_read_back_but_for_the_last_bits():
    made = taken(4)
    read = Moments.from_bytes(made.to_bytes())
    assert (read.width, read.height, len(read.taken)) == (WIDTH, HEIGHT, 8)
    for ours, theirs in zip(made.taken, read.taken, strict=True):
        assert theirs.time == pytest.approx(ours.time, abs=1e-3)
        np.testing.assert_array_equal(theirs.y, ours.y >> LOST_BITS << LOST_BITS)
        np.testing.assert_array_equal(theirs.uv, ours.uv >> LOST_BITS << LOST_BITS)


def test_a_long_clip_has_no_more_moments_than_the_cap():
    made = taken(30, Sampling(lines=8, doublings=0, cap=10))
    times = [moment.time for moment in made.taken]
    assert 5 <= len(times) <= 10
    assert np.ptp(np.diff(times)) < 1e-6
    assert times[0] == 0
    assert times[-1] > 24


def test_the_shorter_side_has_the_lines_whatever_the_shape():
    taker = Taker(sampling=QUERY)
    taker.add(0, np.full((800, 100), 90, np.uint8), None, None)
    [moment] = taker.finish().taken
    assert moment.y.shape == (QUERY.lines * 5, QUERY.lines)  # of the longest ones the end is squeezed
    assert (moment.uv == 128).all()


def test_plates_are_left_out():
    made = taken(1, covered=lambda _time: ((40, 20, 80, 40),))
    y = made.taken[0].y
    scale = y.shape[0] / HEIGHT
    inside = y[int(20 * scale) : int(40 * scale), int(40 * scale) : int(80 * scale)]
    assert (inside == COVERED).all()
    assert np.count_nonzero(y == COVERED) < 1.3 * inside.size
    assert (taken(1).taken[0].y != COVERED).all()


def test_older_releases_have_a_fingerprint_only():
    print_, moments = Fingerprint(doublings=1, indices=(0, 2), hashes=(3, 4)), taken(2)
    assert stored(print_.to_bytes()) == (print_, None)
    read, shown = stored(with_moments(print_, moments))
    assert read == print_
    assert shown is not None
    assert len(shown.taken) == len(moments.taken)


def test_a_clip_without_frames():
    assert Moments.from_bytes(Taker().finish().to_bytes()).taken == ()


WHOLE = taken(1).to_bytes()


@settings(max_examples=60)
@given(st.data())
def test_damaged_bytes_are_refused_or_read(data):
    whole = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = Moments.from_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except UsageError:
        return
    assert len(read.taken) <= STORED.cap


def test_a_bomb_is_refused():
    packed = zlib.compress(bytes(50_000_000), 9)
    head = struct.pack(">BHHHHHI", 1, 2, 160, 90, 24, 42, len(packed))
    with pytest.raises(UsageError):
        Moments.from_bytes(head + packed)
