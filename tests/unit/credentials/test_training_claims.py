"""What a clip's own credential says about training becomes a wish, if the credential fits the clip."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.credentials.judge import _training
from pipeline.errors import UsageError
from pipeline.imports.training import import_manifest
from registry import training
from registry.checkpoint import NoteSigner, ed25519_key_id
from registry.db import open_database
from registry.training import USES

NOW = "2026-11-28T12:00:00Z"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SIGNER = NoteSigner(
    origin="x/log", name="x", key_id=ed25519_key_id("x", KEY.public_key().public_bytes_raw()), sign=KEY.sign
)


@pytest.fixture
def engine(tmp_path):
    made = open_database(tmp_path / "registry.db")
    yield made
    made.dispose()


def read(engine, desk, path, claimant=None):
    return import_manifest(
        engine, path, trust=desk.pki.trust, limits=desk.limits, claimant=claimant, clock=lambda: NOW,
        signer=SIGNER,
    )  # fmt: skip


def test_an_intact_clip_says_for_itself(engine, desk, signed):
    made = read(engine, desk, signed.path)
    assert (made.new, made.wish.source) == (True, "manifest")
    assert made.wish.uses == {key: {"use": "notAllowed"} for key in sorted(USES)}
    digest = hashlib.sha256(signed.path.read_bytes()).hexdigest()
    assert [one.wish for one in training.answer(engine, sha256=digest)] == [made.wish]
    assert not read(engine, desk, signed.path).new


def test_a_clip_that_was_changed_or_is_silent_says_nothing(engine, desk, signed, tmp_path):
    content = bytearray(signed.path.read_bytes())
    content[content.index(b"mdat") + 400] ^= 1
    (tmp_path / "altered.mp4").write_bytes(content)
    with pytest.raises(UsageError, match="does not fit the file"):
        read(engine, desk, tmp_path / "altered.mp4", "Studio A")
    with pytest.raises(UsageError, match="no credential"):
        read(engine, desk, desk.source, "Studio A")
    assert training.list_wishes(engine) == []


def test_entries_are_read_under_both_labels_and_made_safe():
    entries = {"c2pa.ai_training": {"use": "constrained", "constraint_info": "ask\x1b[31m us", "more": 1}}
    told = _training([{"label": "c2pa.training-mining", "data": {"entries": entries}}, {"label": "other"}])
    assert told == {"cawg.ai_training": {"use": "constrained", "constraint_info": "ask us"}}
    assert _training([{"label": "cawg.training-mining__2", "data": {"entries": [1]}}, {"data": 7}]) == {}
    assert _training([{"label": "cawg.training-mining", "data": {"entries": {"x": 7}}}]) == {"x": {}}
