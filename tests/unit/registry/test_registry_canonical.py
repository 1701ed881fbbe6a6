import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.canonical import canonical, stored
from registry.errors import EntryInvalid
from registry.ids import is_id, new_id, parse_time, uuid7

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(min_codepoint=32, max_codepoint=126))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
)


@given(values)
def test_canonical_json_reads_back_and_is_one_form(value: object) -> None:
    text = canonical(value)
    again = json.loads(text)
    assert again == value
    assert canonical(again) == text


def test_the_form_is_that_of_rfc_8785() -> None:
    value = {"b": '€$\u000f\nA\'B"\\"/\u007f', "a": [1, True, None], "": "\U0001f600"}
    expected = '{"":"\U0001f600","a":[1,true,null],"b":"€$\\u000f\\nA\'B\\"\\\\\\"/\u007f"}'
    assert canonical(value) == expected.encode()


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 2**53, -(2**53), "\ud800", {"é": 1}, {1: 2}, {"a\n": 1}, b"x", {1, 2}, (1,)]
)
def test_what_has_no_single_form_is_refused(value: object) -> None:
    with pytest.raises(EntryInvalid):
        canonical({"a": [value]})


def test_depth_is_limited() -> None:
    deep: object = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(EntryInvalid):
        canonical(deep)


@pytest.mark.parametrize("value", [float("inf"), object(), "\udfff", {"a": {1, 2}}])
def test_stored_json_must_be_json(value: object) -> None:
    with pytest.raises(EntryInvalid):
        stored(value)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_uuid7_has_version_variant_time_and_order(milliseconds: int, entropy: bytes) -> None:
    text = uuid7(milliseconds, entropy)
    made = uuid.UUID(text)
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == milliseconds
    assert is_id(text)
    if milliseconds:
        assert uuid7(milliseconds - 1, b"\xff" * 10) < text


def test_known_uuid7_of_rfc_9562() -> None:
    """Appendix A.6: time 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F."""
    entropy = (0x18C4DC0C0C07398F << 12 | 0xCC3).to_bytes(10, "big")
    assert uuid7(0x017F22E279B0, entropy) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_ids_are_new_and_times_are_checked() -> None:
    assert new_id("2026-01-31T12:00:00.5Z") != new_id("2026-01-31T12:00:00.5Z")
    for text in ("2026-01-31T12:00:00", "2026-13-31T12:00:00Z", "2026-01-31 12:00:00Z", "now", ""):
        with pytest.raises(EntryInvalid):
            parse_time(text)
    assert not is_id("../../etc")
