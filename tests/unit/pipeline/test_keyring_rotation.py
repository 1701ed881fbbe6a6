"""New keys of marks and payloads: what was made before stays readable, and running processes notice."""

import json
import secrets
from pathlib import Path

import pytest

from pipeline.credentials import sealing
from pipeline.credentials.safe import SEAL_FILE, Safe
from pipeline.errors import KeysUnusable
from pipeline.keyring import (
    MARGIN,
    MAX_MINTING,
    LiveKeyring,
    ensure_keyring,
    load_keyring,
    rotate_detection,
    rotate_minting,
)
from watermark.detector import MAX_EPOCHS, HiddenMarkDetector
from watermark.payload import PayloadCodec

LAST = 700  # the counter of the last payload


@pytest.fixture
def safe(tmp_path: Path) -> Safe:
    ensure_keyring(tmp_path)
    return Safe(folder=tmp_path)


def test_a_new_epoch_is_first_and_the_earlier_ones_stay(safe: Safe) -> None:
    before = load_keyring(safe.folder)
    now = rotate_detection(safe)
    assert load_keyring(safe.folder) == now
    assert [key.epoch for key in now.detection] == [2, 1]
    assert now.detection[1:] == before.detection
    assert now.current.secret != before.current.secret
    assert (now.minting, now.log_secret) == (before.minting, before.log_secret)
    assert now.of_epoch(1) == now.of_epoch(None) == before.current
    with pytest.raises(KeysUnusable, match="epoch 3"):
        now.of_epoch(3)


def test_no_more_epochs_than_a_detector_searches(safe: Safe) -> None:
    for _ in range(MAX_EPOCHS - 1):
        keyring = rotate_detection(safe)
    HiddenMarkDetector(keyring.detection)
    with pytest.raises(KeysUnusable, match="no detector searches more"):
        rotate_detection(safe)
    assert load_keyring(safe.folder) == keyring


def test_payloads_of_a_minting_key_that_was_replaced_are_accepted_and_no_others(safe: Safe) -> None:
    old = PayloadCodec(load_keyring(safe.folder).minting)
    now = rotate_minting(safe, last=LAST)
    first = now.minting.first
    assert load_keyring(safe.folder) == now
    assert first == LAST + 1 + MARGIN
    for counter in (1, LAST, first - 1):
        assert now.mint.issue(counter) == old.issue(counter)
        assert now.mint.accepts(old.issue(counter))
    for counter in (first, first + 1, 1 << 39):
        assert now.mint.issue(counter) == PayloadCodec(now.minting).issue(counter)
        assert now.mint.accepts(now.mint.issue(counter))
        assert not now.mint.accepts(old.issue(counter))  # what a thief of the old key would make
    assert not now.mint.accepts(PayloadCodec(now.minting).issue(LAST))


def test_a_keyring_of_one_minting_key_is_written_and_read_as_ever(safe: Safe) -> None:
    document = json.loads((safe.folder / "marks.json").read_text())
    assert set(document) == {"format", "detection", "minting", "log"}
    keyring = load_keyring(safe.folder)
    assert (keyring.minting.first, keyring.retired) == (0, ())
    codec = PayloadCodec(keyring.minting)
    assert all(keyring.mint.issue(counter) == codec.issue(counter) for counter in (0, 1, (1 << 40) - 1))


def test_minting_keys_end_somewhere(safe: Safe) -> None:
    document = json.loads((safe.folder / "marks.json").read_text())
    retired = [{"secret": secrets.token_hex(32), "first": first} for first in range(MAX_MINTING - 1)]
    document |= {"minting_retired": retired, "minting_first": MAX_MINTING}
    (safe.folder / "marks.json").write_text(json.dumps(document))
    with pytest.raises(KeysUnusable, match="minting keys"):
        rotate_minting(safe, last=LAST)


def test_a_running_process_notices(safe: Safe) -> None:
    live = LiveKeyring(safe)
    assert live.now() is live.now()
    rotated = rotate_detection(safe)
    assert live.now() == live.latest == rotated
    rotate_minting(safe, last=LAST)
    (safe.folder / "marks.json").rename(safe.folder / "away")
    with pytest.raises(KeysUnusable):  # nothing is issued by keys that may have been replaced
        live.now()
    assert live.latest == rotated
    (safe.folder / "away").rename(safe.folder / "marks.json")
    assert live.now().retired


def test_a_sealed_keyring_rotates_sealed(safe: Safe) -> None:
    opened = Safe(folder=safe.folder, passphrase=lambda: b"correct horse battery")
    sealing.seal(opened, n=2)
    rotated = rotate_detection(opened)
    assert load_keyring(safe.folder, opened) == rotated
    assert rotated.current.secret.hex().encode() not in (safe.folder / "marks.json").read_bytes()
    assert (safe.folder / SEAL_FILE).exists()
    with pytest.raises(KeysUnusable, match="pass phrase"):
        rotate_detection(safe)
