import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watermark import channel, issued
from watermark.issued import Issued

MESSAGES = st.integers(0, 2**64 - 1)


def drawn(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64).tolist()


def noisy(message, z, seed):
    noise = np.random.default_rng(seed).standard_normal(channel.CODED_BITS)
    return (channel.encode(message) * z / np.sqrt(channel.CODED_BITS) + noise).astype(np.float32)


@settings(max_examples=20)
@given(st.lists(MESSAGES, min_size=1, max_size=12), st.integers(0, 2**32))
def test_the_best_is_that_of_all_sums(payloads, seed):
    soft = np.random.default_rng(seed).standard_normal((3, channel.CODED_BITS)).astype(np.float32)
    words = np.stack([channel.encode(payload) for payload in payloads])
    sums = soft @ words.T
    for row, found in zip(sums, Issued(payloads).best(soft), strict=True):
        assert found in payloads
        assert row[payloads.index(found)] == pytest.approx(row.max(), rel=1e-4, abs=1e-3)


def test_a_weaker_mark_is_read_than_can_be_decoded():
    payloads = drawn(20_000)
    sent = payloads[::500]
    soft = np.stack([noisy(message, 8.0, seed) for seed, message in enumerate(sent)])
    listed = sum(got == want for got, want in zip(Issued(payloads).best(soft), sent, strict=True))
    decoded = sum(got == want for got, want in zip(channel.decode(soft), sent, strict=True))
    assert listed >= 0.9 * len(sent)
    assert decoded <= 0.5 * len(sent)


def test_what_lies_beyond_one_piece_is_found(monkeypatch):
    monkeypatch.setattr(issued, "AT_ONCE", 64)
    payloads = drawn(1000)
    soft = np.stack([channel.encode(payload) for payload in (min(payloads), max(payloads), payloads[500])])
    assert Issued(payloads).best(soft) == [min(payloads), max(payloads), payloads[500]]


def test_the_same_payload_counts_once():
    payloads = drawn(10)
    assert len(Issued(payloads * 3)) == 10


def test_only_the_newest_are_kept(monkeypatch):
    monkeypatch.setattr(issued, "MAX_ISSUED", 5)
    payloads = drawn(8)
    listed = Issued(payloads)
    assert len(listed) == 5
    for payload in payloads[:3]:
        assert listed.best(channel.encode(payload)[None]) != [payload]
    for payload in payloads[3:]:
        assert listed.best(channel.encode(payload)[None]) == [payload]


def test_an_empty_list_is_false_and_has_no_best():
    assert not Issued([])
    assert Issued([1])
    assert Issued([1]).best(np.zeros((0, channel.CODED_BITS), np.float32)) == []


def test_a_long_list_takes_the_memory_that_is_said():
    payloads = drawn(100_000)
    tracemalloc.start()
    try:
        listed = Issued(payloads)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1.5 * 40 * len(listed)  # 32 of the codeword, 8 of the payload
