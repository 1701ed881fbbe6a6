"""An assertion that was rewritten in a signed file says nothing, although the signature still holds."""

import base64
from pathlib import Path
from typing import Any

import pytest

FINGERPRINT = base64.b64encode(b"\x01\x01\x00\x00")
OTHER = base64.b64encode(b"\x01\x01\x00\x01")


@pytest.mark.parametrize(("old", "new"), [(FINGERPRINT, OTHER), (b"r-1", b"r-9")])
def test_a_rewritten_assertion_is_not_believed(
    desk: Any, signed: Any, tmp_path: Path, old: bytes, new: bytes
) -> None:
    content = signed.path.read_bytes()
    assert content.count(old) == 1
    path = tmp_path / "rewritten.mp4"
    path.write_bytes(content.replace(old, new))
    reading = desk.read(path)
    assert (reading.signature_ok, reading.ours, reading.intact) == (True, True, False)
    assert reading.failures == ("assertion.hashedURI.mismatch",)
    assert (reading.payload, reading.fingerprint, reading.release, reading.actions) == (None, None, None, ())


def test_changed_content_leaves_the_assertions_believed(desk: Any, signed: Any, tmp_path: Path) -> None:
    content = bytearray(signed.path.read_bytes())
    content[-9] ^= 1
    path = tmp_path / "changed.mp4"
    path.write_bytes(content)
    reading = desk.read(path)
    assert (reading.ours, reading.hash_ok) == (True, False)
    assert reading.release["release_id"] == "r-1"
    assert reading.fingerprint == b"\x01\x01\x00\x00"
