"""A manifest store's boxes: the active manifest by its label, and alone."""

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.credentials.manifest import guarded
from pipeline.credentials.read import inspect_ingredient
from pipeline.credentials.store_boxes import active_label, only_active
from pipeline.errors import MediaUnreadable


def box(kind: bytes, content: bytes, *, large: bool = False) -> bytes:
    if large:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def named(label: str, *boxes: bytes, toggles: int = 3) -> bytes:
    description = box(b"jumd", bytes(16) + bytes([toggles]) + label.encode() + b"\0")
    return box(b"jumb", description + b"".join(boxes))


MANIFEST_UUID = bytes.fromhex("63326d6100110010800000aa00389b71")
MANIFESTS = [named(f"urn:c2pa:{number}", box(b"cbor", bytes([number]))) for number in range(3)]


def test_the_last_is_the_active_one() -> None:
    store = named("c2pa", *MANIFESTS)
    assert active_label(store) == "urn:c2pa:2"
    alone = only_active(store)
    assert alone == named("c2pa", MANIFESTS[2])
    assert active_label(alone) == "urn:c2pa:2"
    assert only_active(alone) is alone


def test_other_ways_of_writing_lengths() -> None:
    last = bytearray(named("urn:c2pa:9"))
    last[:4] = bytes(4)  # to the end of what is around it
    assert active_label(named("c2pa", MANIFESTS[0], bytes(last))) == "urn:c2pa:9"
    inside = named("urn:c2pa:7")[8:]
    assert active_label(named("c2pa", box(b"jumb", inside, large=True))) == "urn:c2pa:7"


@pytest.mark.parametrize(
    "store",
    [
        b"", b"x", bytes(8), box(b"free", b""), box(b"jumb", b""), named("c2pa"),
        named("c2pa", box(b"cbor", b"1")), named("c2pa", MANIFESTS[0]) + b"\0",
        named("c2pa", MANIFESTS[0])[:-1], named("c2pa", named("urn", toggles=0)),
        named("c2pa", box(b"jumb", box(b"jumd", bytes(16) + b"\3urn"))),
        named("c2pa", box(b"jumb", box(b"jumd", bytes(16) + b"\3\xff\0"))), box(b"jumb", MANIFESTS[0]),
        box(b"jumb", named("c2pa")[8:] + box(b"free", b"") * 10_001),
    ],
)  # fmt: skip
def test_what_is_no_store(store: bytes) -> None:
    with pytest.raises(MediaUnreadable):
        active_label(store)


@given(st.binary(max_size=60), st.integers(0, 80))
def test_any_bytes_are_read_or_refused(change: bytes, place: int) -> None:
    store = named("c2pa", *MANIFESTS)
    for told in (change, store[:place] + change + store[place + len(change) :]):
        with suppress(MediaUnreadable):
            assert active_label(only_active(told)) == active_label(told)


def test_a_clip_that_extends_ours_has_two(desk: Any, tmp_path: Any) -> None:
    """As c2pa writes it: the parent's manifest first, that of the new clip last."""
    parent = desk.sign(tmp_path / "parent.mp4")
    archive = inspect_ingredient(parent.path, desk.pki.trust, limits=desk.limits).archive
    extended = guarded(desk.facts(), parent=desk.imported(archive=archive), visible_mark=False)
    child = desk.sign(tmp_path / "child.mp4", extended, source=parent.path)
    store = child.manifest_bytes
    assert active_label(store) == child.urn
    alone = only_active(store)
    assert active_label(alone) == child.urn
    whole = store.index(MANIFEST_UUID + b"\3" + child.urn.encode()) - 16  # two heads before the description
    assert alone.endswith(store[whole:])
    assert len(alone) < len(store)
