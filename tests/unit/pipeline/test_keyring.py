"""The key file and the verifier bundle: what is accepted, and what damaged ones say."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.credentials.trust import SignerTable, TrustStore
from pipeline.errors import KeysUnusable
from pipeline.keyring import ensure_keyring, export_verifier, load_keyring, read_bundle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRUST = TrustStore(claim_roots="", tsa_roots="", signers=SignerTable())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ensure_keyring(tmp_path / "keys")
    return tmp_path / "keys"


def bundle_of(folder: Path, *, detect: bool) -> dict[str, Any]:
    return export_verifier(load_keyring(folder), TRUST, detect=detect, now=NOW, days=2).to_json()


def written(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_made_once_and_for_the_owner_only(folder: Path) -> None:
    first = load_keyring(folder)
    assert ensure_keyring(folder) == first
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "marks.json").stat().st_mode) == 0o600
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ensure_keyring(folder.with_name("race")).log_key, range(4)))
    assert len(set(made)) == 1


def test_secrets_are_not_shown(folder: Path) -> None:
    keyring = load_keyring(folder)
    shown = repr(keyring) + repr(export_verifier(keyring, TRUST, detect=True, now=NOW, days=1))
    for secret in (keyring.current.secret, keyring.minting.secret, keyring.log_secret):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_a_checkpoint_signature_is_checked(folder: Path) -> None:
    keyring = load_keyring(folder)
    signature = keyring.sign_log(b"text")
    assert keyring.log_key.verify(signature, b"text")
    assert not keyring.log_key.verify(signature, b"Text")
    assert not keyring.log_key.verify(b"", b"text")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "countermark-marks/2"}, {"detection": []}, {"detection": None}, {"minting": "00"},
        {"log": "00"}, {"log": 7}, {"detection": [{"epoch": 1, "secret": "00"}]},
        {"detection": [{"epoch": 1e999, "secret": "00" * 32}]},
        {"detection": [{"epoch": n, "secret": "00" * 32} for n in range(9)]},
        {"minting_first": -1}, {"minting_first": 1 << 40}, {"minting_first": "1"}, {"minting_retired": 7},
        {"minting_retired": [{"secret": "00" * 32, "first": 0}]},
        {"minting_first": 5, "minting_retired": [{"secret": "00" * 32, "first": 9}]},
    ],
)  # fmt: skip
def test_damaged_keys_say_so(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "marks.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(KeysUnusable, match="backup"):
        load_keyring(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_what_is_no_document_says_so(folder: Path, content: str) -> None:
    (folder / "marks.json").write_text(content)
    with pytest.raises(KeysUnusable):
        load_keyring(folder)


@pytest.mark.parametrize("detect", [True, False])
def test_a_bundle_reads_and_holds_no_more_than_it_says(folder: Path, tmp_path: Path, detect: bool) -> None:
    document = bundle_of(folder, detect=detect)
    bundle = read_bundle(written(tmp_path / "b.json", document), now=NOW)
    keyring = load_keyring(folder)
    assert bundle.detection == (keyring.detection if detect else ())
    assert bundle.log_key == keyring.log_key
    text = json.dumps(document)
    assert keyring.minting.secret.hex() not in text
    assert keyring.log_secret.hex() not in text
    assert (keyring.current.secret.hex() in text) is detect
    with pytest.raises(KeysUnusable, match="2026-01-03"):
        read_bundle(tmp_path / "b.json", now=NOW + timedelta(days=2))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"}, {"trust": {}}, {"log": {"origin": "x"}}, {"log": "x"}, {"expires_at": "soon"},
        {"expires_at": "2027-01-01T00:00:00"}, {"expires_at": None}, {"detection": [{"epoch": 1}]},
        {"detection": [{"epoch": 1, "secret": "00"}]}, {"detection": [{"epoch": 1e999, "secret": "00" * 32}]},
        {"detection": [{"epoch": n, "secret": "00" * 32} for n in range(9)]},
    ],
)  # fmt: skip
def test_a_damaged_bundle_says_so(folder: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    document = bundle_of(folder, detect=True) | change
    with pytest.raises(KeysUnusable):
        read_bundle(written(tmp_path / "b.json", document), now=NOW)


def test_what_is_no_bundle_says_so(tmp_path: Path) -> None:
    for path in (written(tmp_path / "deep", "[" * 100_000), tmp_path, tmp_path / "missing"):
        with pytest.raises(KeysUnusable):
            read_bundle(path, now=NOW)
