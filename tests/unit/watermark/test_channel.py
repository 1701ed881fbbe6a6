import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watermark import channel

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "hidden_mark.json").read_text())
MESSAGES = st.integers(0, 2**64 - 1)
FREE_DISTANCE = 32  # of this code, as published


def noisy(message: int, z: float, seed: int) -> np.ndarray:
    """Soft values whose normalised correlation with the message is about `z`."""
    noise = np.random.default_rng(seed).standard_normal(channel.CODED_BITS)
    return (channel.encode(message) * z / np.sqrt(channel.CODED_BITS) + noise).astype(np.float32)


def messages_of(count: int, seed: int) -> list[int]:
    return [int(value) for value in np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)]


def weight(message: int) -> int:
    return int(np.sum(channel.encode(message) < 0))


def rotated(message: int, steps: int) -> int:
    """The message with its first `steps` bits at the end."""
    return (message << steps | message >> (channel.MESSAGE_BITS - steps)) & 2**channel.MESSAGE_BITS - 1


def test_known_answer():
    coded = channel.encode(int(VECTOR["payload"], 16))
    assert "".join("0" if value > 0 else "1" for value in coded) == VECTOR["codeword"]


@settings(max_examples=30)
@given(st.lists(MESSAGES, max_size=5))
def test_words_of_many_messages_are_those_of_each(messages):
    words = channel.codewords(np.array(messages, dtype=np.uint64))
    assert words.shape == (len(messages), len(channel.GENERATORS))
    for message, own in zip(messages, words.tolist(), strict=True):
        # One word per generator, the first step in the highest bit.
        bits = [[word >> (63 - step) & 1 for word in own] for step in range(64)]
        assert np.array_equal(1 - 2 * np.ravel(bits), channel.encode(message))


@given(st.lists(MESSAGES, min_size=1, max_size=5))
@settings(max_examples=20)
def test_clean_words_are_read_back(messages):
    soft = np.stack([channel.encode(message) for message in messages])
    assert channel.decode(soft) == messages
    assert channel.decode(soft * np.float32(1e-4)) == messages


@settings(max_examples=50)
@given(MESSAGES, MESSAGES)
def test_the_code_is_linear(one, other):
    both = channel.encode(one) * channel.encode(other)
    assert np.array_equal(channel.encode(one ^ other), both)


@settings(max_examples=50)
@given(MESSAGES, st.integers(0, 63))
def test_turning_the_message_turns_the_word(message, steps):
    # The ends are joined: no bit of the message is better protected than another.
    turned = np.roll(channel.encode(message), -steps * len(channel.GENERATORS))
    assert np.array_equal(channel.encode(rotated(message, steps)), turned)


@settings(max_examples=8)
@given(MESSAGES, st.integers(1, 63), st.integers(0, 2**32))
def test_no_place_in_the_circle_is_special_to_the_decoder(message, steps, seed):
    soft = noisy(message, 18.0, seed)
    turned = np.roll(soft, -steps * len(channel.GENERATORS))
    one, other = channel.decode(np.stack([soft, turned]))
    assert other == rotated(one, steps)


def test_the_free_distance_is_the_published_one():
    # The lightest way through the trellis that leaves the zero state and comes back, by relaxation.
    states = 1 << channel.MEMORY
    state = np.arange(states)
    weights = []
    for bit in (0, 1):
        register = state << 1 | bit
        weights.append(sum(np.bitwise_count(register & g) & 1 for g in channel.GENERATORS).astype(int))
    following = [(state << 1 | bit) % states for bit in (0, 1)]
    lightest, back = np.full(states, 10**6), 10**6
    lightest[1] = weights[1][0]
    for _ in range(400):
        reached = np.full(states, 10**6)
        for bit in (0, 1):
            np.minimum.at(reached, following[bit][1:], lightest[1:] + weights[bit][1:])
        back = min(back, reached[0])
        reached[0] = 10**6
        if np.all(reached >= lightest):
            break
        lightest = np.minimum(lightest, reached)
    assert back == FREE_DISTANCE


def test_no_difference_of_two_messages_is_lighter():
    # Every difference is itself a word, and words turn with their message: one bit may stay at the end.
    light = [
        sum(1 << bit for bit in others) | 1 for n in (0, 1, 2) for others in combinations(range(1, 64), n)
    ]
    weights = [weight(message) for message in (*light, *messages_of(500, 1))]
    assert min(weights) == FREE_DISTANCE


@pytest.mark.parametrize("flipped", [1, 8, 15])
def test_up_to_fifteen_flipped_bits_are_always_corrected(flipped):
    # Half the distance of 32, minus one: true for any pattern of errors.
    rng, message = np.random.default_rng(flipped), 0x1234_5678_9ABC_DEF0
    for _ in range(5):
        soft = channel.encode(message)
        soft[rng.choice(channel.CODED_BITS, flipped, replace=False)] *= -1
        assert channel.decode(soft[None]) == [message]


@pytest.mark.parametrize(("z", "least"), [(14.0, 98), (12.0, 92), (10.0, 35)])
def test_weak_words_are_read(z, least):
    messages = messages_of(100, 2)
    soft = np.stack([noisy(message, z, seed) for seed, message in enumerate(messages)])
    right = [got == message for got, message in zip(channel.decode(soft), messages, strict=True)]
    assert sum(right) >= least


def test_what_is_read_fits_at_least_as_well_as_what_was_sent():
    messages = messages_of(60, 3)
    soft = np.stack([noisy(message, 11.0, seed) for seed, message in enumerate(messages)])
    read = channel.decode(soft)
    assert read != messages
    better = [
        row @ channel.encode(got) >= row @ channel.encode(sent) - 1e-3
        for row, got, sent in zip(soft, read, messages, strict=True)
    ]
    assert sum(better) >= 57  # turns come to an end: not always at the very best


def test_rows_do_not_touch_each_other():
    soft = np.stack([noisy(message, 11.0, seed) for seed, message in enumerate(messages_of(6, 4))])
    assert channel.decode(soft) == [channel.decode(row[None])[0] for row in soft]


@pytest.mark.parametrize("soft", [np.zeros((2, 256)), np.random.default_rng(5).standard_normal((3, 256))])
def test_there_is_always_a_message(soft):
    found = channel.decode(soft.astype(np.float32))
    assert len(found) == len(soft)
    assert all(0 <= message < 2**64 for message in found)


def test_no_rows_give_no_messages():
    assert channel.decode(np.zeros((0, channel.CODED_BITS), np.float32)) == []


@pytest.mark.parametrize("message", [0, 1, 2**63, 2**64 - 1])
def test_coded_form(message):
    coded = channel.encode(message)
    assert coded.shape == (channel.CODED_BITS,) == (256,)
    assert coded.dtype == np.float32
    assert set(np.unique(coded)) <= {-1.0, 1.0}
