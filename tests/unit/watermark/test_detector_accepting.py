"""Which payloads count, and which keys are searched."""

import numpy as np
import pytest

from watermark.detector import MAX_LOG10_CHANCE, HiddenMarkDetector
from watermark.issued import Issued
from watermark.keys import DetectionKey, MintingKey
from watermark.payload import PayloadCodec

CODEC = PayloadCodec(MintingKey(secret=b"\x02" * 32))


def read(frames, *keys, accepts=None):
    return HiddenMarkDetector(keys, accepts).detect(frames)


def test_the_payload_check_is_respected(film, mark, key):
    issued = CODEC.issue(41)
    clip = list(film(3, 160, 120))
    right = list(mark(clip, key, issued))
    assert read(right, key, accepts=CODEC.accepts).payload == issued
    forged = list(mark(clip, key, issued ^ 1))
    refused = read(forged, key, accepts=CODEC.accepts)
    assert refused.payload is None
    assert refused.log10_chance == 0.0
    assert refused.presence_log10_chance < MAX_LOG10_CHANCE  # a mark of this key is there all the same
    assert read(forged, key).payload == issued ^ 1  # without the minting key nobody can tell


def test_an_unknown_version_is_never_accepted(film, mark, key):
    found = read(mark(film(3, 160, 120), key, 0x2123456789ABCDEF), key)
    assert found.payload is None
    assert found.presence_log10_chance < MAX_LOG10_CHANCE


@pytest.mark.parametrize("accepts", [lambda _message: False, None])
def test_a_strong_mark_of_an_unlisted_payload_is_not_read_as_a_listed_one(film, mark, key, payload, accepts):
    # Of 20,000 codewords some agree with any other one by a quarter, which is much of a strong mark.
    listed = Issued(np.random.default_rng(3).integers(0, 2**63, 20_000, dtype=np.uint64).tolist())
    other = payload ^ (1 << 60)  # of no known version: it is never accepted itself
    found = HiddenMarkDetector([key], accepts, listed).detect(mark(film(2, 160, 120), key, other, 50.0))
    assert found.payload is None
    assert found.presence_log10_chance < MAX_LOG10_CHANCE


def test_colour_that_goes_in_the_middle(marked, grey, key, payload):
    found = read(marked[:30] + grey(marked[30:]), key)
    assert found.payload == payload
    assert found.frames == len(marked)


@pytest.mark.parametrize("count", [0, 9])
def test_the_number_of_epochs_is_limited(count):
    keys = [DetectionKey(epoch=index, secret=bytes([index]) * 32) for index in range(count)]
    with pytest.raises(ValueError, match=f"got {count}"):
        HiddenMarkDetector(keys)
