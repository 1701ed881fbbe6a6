import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watermark import channel

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "hidden_mark_v1.json").read_text())
MESSAGES = st.integers(0, 2**64 - 1)


def bitwise_crc(data: bytes) -> int:
    """CRC-24 of RFC 4880, one bit at a time: a separate way to the same number."""
    register = 0xB704CE
    for byte in data:
        for place in range(7, -1, -1):
            out = register >> 23 ^ byte >> place & 1
            register = (register << 1 & 0xFFFFFF) ^ (0x864CFB if out else 0)
    return register


def noisy(message: int, z: float, seed: int) -> np.ndarray:
    """Soft values whose normalised correlation with the message is about `z`."""
    noise = np.random.default_rng(seed).standard_normal(channel.CODED_BITS)
    return (channel.encode(message) * z / np.sqrt(channel.CODED_BITS) + noise).astype(np.float32)


def test_reference_crc_gives_the_published_check_value():
    assert bitwise_crc(b"123456789") == 0x21CF02


@given(MESSAGES)
def test_crc_agrees_with_the_bitwise_one(message):
    assert channel.crc24(message) == bitwise_crc(message.to_bytes(8))


def test_known_answers():
    for message, crc in VECTOR["crc24"].items():
        assert f"{channel.crc24(int(message, 16)):06x}" == crc
    coded = channel.encode(int(VECTOR["payload"], 16))
    assert "".join("0" if value > 0 else "1" for value in coded) == VECTOR["codeword"]


@given(st.lists(MESSAGES, min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_clean_words_are_read_back(messages):
    soft = np.stack([channel.encode(message) for message in messages])
    assert channel.decode(soft) == [(message, True) for message in messages]
    assert channel.decode(soft * np.float32(1e-4)) == [(message, True) for message in messages]


def test_the_code_is_linear_and_far_apart():
    # The free distance of this code is 24; every difference of two messages is itself a codeword.
    zero = channel.encode(0)
    rng = np.random.default_rng(1)
    for _ in range(200):
        one, other = (int(value) for value in rng.integers(0, 2**63, 2))
        crc = channel.crc24(one) ^ channel.crc24(other) ^ channel.crc24(0)
        assert channel.crc24(one ^ other) == crc
        assert np.sum(channel.encode(one ^ other) != zero) >= 24


def test_weak_words_at_z_18_are_read():
    messages = [int(value) for value in np.random.default_rng(2).integers(0, 2**63, 100)]
    soft = np.stack([noisy(message, 18.0, seed) for seed, message in enumerate(messages)])
    right = [got == (message, True) for got, message in zip(channel.decode(soft), messages, strict=True)]
    assert sum(right) >= 95


def test_noise_does_not_pass_the_check():
    soft = np.random.default_rng(3).standard_normal((200, channel.CODED_BITS)).astype(np.float32)
    assert not any(fits for _, fits in channel.decode(soft))


def test_nothing_at_all_is_not_a_message():
    assert channel.decode(np.zeros((1, channel.CODED_BITS), np.float32))[0][1] is False


def test_no_rows_give_no_messages():
    assert channel.decode(np.zeros((0, channel.CODED_BITS), np.float32)) == []


@pytest.mark.parametrize("message", [0, 1, 2**63, 2**64 - 1])
def test_coded_form(message):
    coded = channel.encode(message)
    assert coded.shape == (channel.CODED_BITS,) == (384,)
    assert coded.dtype == np.float32
    assert set(np.unique(coded)) <= {-1.0, 1.0}


@pytest.mark.parametrize("flipped", [1, 5, 11])
def test_up_to_eleven_flipped_bits_are_always_corrected(flipped):
    # Half the free distance of 24, minus one: true for any pattern of errors.
    rng, message = np.random.default_rng(flipped), 0x1234_5678_9ABC_DEF0
    for _ in range(5):
        soft = channel.encode(message)
        soft[rng.choice(channel.CODED_BITS, flipped, replace=False)] *= -1
        assert channel.decode(soft[None]) == [(message, True)]
