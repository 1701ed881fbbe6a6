import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watermark.errors import KeyMaterialError
from watermark.keys import DetectionKey, MintingKey, permutation, signs, stream, uniform

VECTORS = Path(__file__).parents[2] / "vectors"
KEY = bytes(range(32))


def test_detection_key_derivation_is_pinned():
    vector = json.loads((VECTORS / "hidden_mark.json").read_text())
    key = DetectionKey(epoch=0, secret=bytes.fromhex(vector["secret"]))
    assert [key.template.hex(), key.carrier.hex(), key.visible.hex()] == [
        vector[name] for name in ("template", "carrier", "visible")
    ]


def test_minting_key_derivation_is_pinned():
    for case in json.loads((VECTORS / "payload_v1.json").read_text())["keys"]:
        key = MintingKey(secret=bytes.fromhex(case["secret"]))
        assert (key.mac.hex(), key.permutation.hex()) == (case["mac"], case["permutation"])


def test_every_purpose_has_its_own_key():
    detection, minting = DetectionKey(epoch=0, secret=KEY), MintingKey(secret=KEY)
    derived = {detection.template, detection.carrier, detection.visible, minting.mac, minting.permutation}
    assert len(derived) == 5
    assert KEY not in derived


def test_the_epoch_is_a_name_and_draws_nothing():
    assert (
        DetectionKey(epoch=1, secret=KEY).carrier == DetectionKey(epoch=2, secret=KEY).carrier
    )  # rotation gives a new secret, not only a new number


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_other_lengths_are_refused(length):
    with pytest.raises(KeyMaterialError, match=f"this one has {length}"):
        DetectionKey(epoch=0, secret=bytes(length))
    with pytest.raises(KeyMaterialError, match="32 bytes"):
        MintingKey(secret=bytes(length))


def test_secrets_are_not_shown():
    secret = b"\xab" * 32
    for key in (DetectionKey(epoch=7, secret=secret), MintingKey(secret=secret)):
        assert repr(secret) not in repr(key)
        assert "xab" not in repr(key)


def test_streams_are_repeatable_and_labels_are_independent():
    assert np.array_equal(stream(KEY, "a", 64), stream(KEY, "a", 64))
    assert np.array_equal(stream(KEY, "a", 64)[:16], stream(KEY, "a", 16))
    assert not np.array_equal(stream(KEY, "a", 64), stream(KEY, "b", 64))


@given(st.integers(1, 600), st.text(max_size=8))
def test_permutations_are_permutations(count, label):
    assert sorted(permutation(KEY, label, count)) == list(range(count))


@given(st.integers(1, 2000), st.text(max_size=8))
def test_signs_are_signs_and_uniform_is_in_range(count, label):
    drawn = signs(KEY, label, count)
    assert drawn.shape == (count,)
    assert drawn.dtype == np.float32
    assert set(np.unique(drawn)) <= {-1.0, 1.0}
    numbers = uniform(KEY, label, count)
    assert numbers.shape == (count,)
    assert 0 <= numbers.min() <= numbers.max() < 1


def test_signs_are_fair_and_uncorrelated():
    drawn = signs(KEY, "fair", 100_000)
    limit = 4 / np.sqrt(len(drawn))  # four standard deviations
    assert abs(drawn.mean()) < limit
    for lag in (1, 7, 8, 64):
        assert abs(np.mean(drawn[lag:] * drawn[:-lag])) < limit


def test_uniform_fills_the_interval_evenly():
    numbers = uniform(KEY, "even", 100_000)
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    assert np.abs(counts - 5000).max() < 4 * np.sqrt(5000)
