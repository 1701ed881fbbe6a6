import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watermark.errors import PayloadError, WatermarkError
from watermark.keys import MintingKey
from watermark.payload import ID_COUNT, MAC_BITS, PAYLOAD_BITS, VERSION, Mint, Payload, PayloadCodec, as_hex

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "payload_v1.json").read_text())
CODECS = [PayloadCodec(MintingKey(secret=bytes.fromhex(case["secret"]))) for case in VECTORS["keys"]]
CODEC = CODECS[0]
COUNTERS = st.integers(0, ID_COUNT - 1)


def test_known_answers():
    assert VECTORS["version"] == VERSION
    for codec, case in zip(CODECS, VECTORS["keys"], strict=True):
        for issued in case["issued"]:
            bits = codec.issue(issued["counter"])
            assert as_hex(bits) == issued["payload"]
            assert codec.decode(bits) == Payload(version=1, id=int(issued["id"], 16))
            assert codec.counter(codec.decode(bits)) == issued["counter"]


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["why"])
def test_known_refusals(case):
    bits = int(case["payload"], 16)
    with pytest.raises(PayloadError, match=case["says"]):
        CODEC.decode(bits)
    assert CODEC.accepts(bits) is False


def test_vectors_cover_both_ends_of_the_counter():
    assert {0, ID_COUNT - 1} <= {issued["counter"] for issued in VECTORS["keys"][0]["issued"]}


@given(COUNTERS)
def test_what_was_issued_is_read_back(counter):
    bits = CODEC.issue(counter)
    assert 0 <= bits < 1 << PAYLOAD_BITS
    assert CODEC.accepts(bits)
    assert CODEC.counter(CODEC.decode(bits)) == counter


@given(COUNTERS)
def test_every_id_has_one_counter(ident):
    counter = CODEC.counter(Payload(version=VERSION, id=ident))
    assert 0 <= counter < ID_COUNT
    assert CODEC.decode(CODEC.issue(counter)).id == ident


@given(COUNTERS, COUNTERS)
def test_different_counters_give_different_payloads(one, other):
    assert (CODEC.issue(one) == CODEC.issue(other)) == (one == other)


@given(COUNTERS, st.lists(st.integers(1, ID_COUNT - 1), unique=True, max_size=3))
def test_of_several_keys_exactly_one_issues_a_payload_and_all_accept_it(counter, later):
    firsts = [0, *sorted(later)]
    keys = [MintingKey(secret=bytes([n]) * 32, first=first) for n, first in enumerate(firsts)]
    mint, [issuer] = Mint(keys[::-1]), [key for key in keys if key.first <= counter][-1:]
    bits = mint.issue(counter)
    assert bits == PayloadCodec(issuer).issue(counter)
    assert mint.accepts(bits)
    others = [PayloadCodec(key).issue(counter) for key in keys if key is not issuer]
    assert not any(mint.accepts(other) for other in others if other != bits)


def test_a_counter_before_the_first_key_has_no_payload():
    with pytest.raises(PayloadError, match="restore the keys"):
        Mint([MintingKey(secret=bytes(32), first=3)]).issue(2)


@pytest.mark.parametrize("bit", range(PAYLOAD_BITS))
def test_no_flipped_bit_is_accepted(bit):
    for counter in (0, 1, 41, 123_456_789, ID_COUNT - 1):
        assert not CODEC.accepts(CODEC.issue(counter) ^ 1 << bit)


def test_guesses_are_accepted_about_as_often_as_twenty_bits_allow():
    head = VERSION << 40 | 12345
    right = CODEC.encode(Payload(version=VERSION, id=12345))
    accepted = [mac for mac in range(0, 1 << MAC_BITS, 64) if CODEC.accepts(head << MAC_BITS | mac)]
    assert len(accepted) <= 1  # of one head exactly one MAC fits
    assert CODEC.accepts(right)


def test_neighbours_do_not_look_alike():
    first, second = CODEC.decode(CODEC.issue(0)), CODEC.decode(CODEC.issue(1))
    assert 8 <= (first.id ^ second.id).bit_count() <= 32


def test_keys_do_not_read_each_other():
    assert sum(CODECS[1].accepts(CODEC.issue(counter)) for counter in range(500)) == 0


@pytest.mark.parametrize("counter", [-1, ID_COUNT, ID_COUNT + 5])
def test_counters_that_do_not_fit_are_refused(counter):
    with pytest.raises(PayloadError, match="start a new key"):
        CODEC.issue(counter)


@given(st.integers(-(2**70), 2**70))
def test_any_integer_is_read_or_refused(bits):
    try:
        payload = CODEC.decode(bits)
    except WatermarkError:
        assert not CODEC.accepts(bits)
    else:
        assert CODEC.encode(payload) == bits


def test_hexadecimal_form_keeps_leading_zeros():
    assert as_hex(1) == "0000000000000001"
    assert as_hex(2**64 - 1) == "f" * 16
