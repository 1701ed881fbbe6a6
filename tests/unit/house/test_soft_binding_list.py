"""docs/soft-binding-algorithms.json: as the public list of soft bindings wants it, and as the code is."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pipeline.api.resolution_service import BASE
from pipeline.credentials import softbinding

NAME = re.compile(r"[A-Za-z]{2,63}(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+")
CONTACT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
NEEDED = {"identifier", "alg", "type", "entryMetadata"}
KNOWN = NEEDED | {"deprecated", "decodedMediaTypes", "encodedMediaTypes", "softBindingResolutionApis"}
MEDIA = {"application", "audio", "image", "model", "text", "video"}


@pytest.fixture(name="entries")
def listed(root: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((root / "docs/soft-binding-algorithms.json").read_text())
    return entries


def test_the_entries_are_the_algorithms_of_the_code(entries: list[dict[str, Any]]) -> None:
    told = {one["alg"]: one["type"] for one in entries}
    assert told == {
        softbinding.WATERMARK_ALGORITHM: "watermark", softbinding.FINGERPRINT_ALGORITHM: "fingerprint"
    }  # fmt: skip
    assert len(entries) == len(softbinding.ALGORITHMS)


def test_the_entries_are_as_the_list_wants_them(entries: list[dict[str, Any]]) -> None:
    for one in entries:
        assert NEEDED <= set(one) <= KNOWN
        assert type(one["identifier"]) is int
        assert 0 <= one["identifier"] <= 65535
        assert NAME.fullmatch(one["alg"])
        assert one["decodedMediaTypes"]
        assert set(one["decodedMediaTypes"]) <= MEDIA
        about = one["entryMetadata"]
        assert about["description"].endswith(".")
        assert datetime.fromisoformat(about["dateEntered"]).tzinfo is not None
        assert CONTACT.fullmatch(about["contact"])
        for address in (about["informationalUrl"], *one["softBindingResolutionApis"]):
            assert urlsplit(address).scheme == "https"
            assert urlsplit(address).netloc


def test_the_resolution_api_is_at_our_base(entries: list[dict[str, Any]]) -> None:
    for one in entries:
        assert [urlsplit(address).path for address in one["softBindingResolutionApis"]] == [BASE]
