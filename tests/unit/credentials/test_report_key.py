"""The report key: made once, for its owner only, apart from the others; and in verifier bundles."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.credentials.report_key import (
    ReportKey,
    ensure_report_key,
    find_report_key,
    live_report_key,
    load_report_key,
    rotate_report_key,
)
from pipeline.credentials.safe import Safe
from pipeline.credentials.trust import SignerTable, TrustStore
from pipeline.errors import KeysUnusable
from pipeline.keyring import ensure_keyring, export_verifier, load_keyring, read_bundle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRUST = TrustStore(claim_roots="", tsa_roots="", signers=SignerTable())


def plain(folder: Path) -> Safe:
    return Safe(folder=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ensure_keyring(tmp_path / "keys")
    return tmp_path / "keys"


def test_made_once_and_for_the_owner_only(folder: Path) -> None:
    assert find_report_key(plain(folder)) is None
    with ThreadPoolExecutor(4) as pool:
        made = {signer.secret for signer in pool.map(lambda _: ensure_report_key(plain(folder)), range(4))}
    assert made == {load_report_key(plain(folder)).secret}
    assert stat.S_IMODE((folder / "report.json").stat().st_mode) == 0o600


def test_it_is_a_key_of_its_own_and_shows_no_secret(folder: Path) -> None:
    signer, keyring = ensure_report_key(plain(folder)), load_keyring(folder)
    assert signer.key.public != keyring.log_key.public
    signature = signer.sign(b"text")
    assert signer.key.verify(signature, b"text")
    assert not signer.key.verify(signature, b"Text")
    assert not keyring.log_key.verify(signature, b"text")
    shown = repr(signer) + json.dumps(signer.key.to_json())
    assert signer.secret.hex() not in shown
    assert repr(signer.secret) not in shown


@pytest.mark.parametrize(
    "content", ["{}", "[]", "x", '{"format": "countermark-report-key/2", "secret": "00"}',
                '{"format": "countermark-report-key/1", "secret": "00"}',
                '{"format": "countermark-report-key/1", "secret": 7}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_key_says_so(folder: Path, content: str) -> None:
    ensure_report_key(plain(folder))
    (folder / "report.json").write_text(content)
    with pytest.raises(KeysUnusable, match="backup"):
        ensure_report_key(plain(folder))


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    ensure_report_key(plain(folder))
    (folder / "report.json").chmod(0o644)
    with pytest.raises(KeysUnusable, match="chmod"):
        find_report_key(plain(folder))


def test_bundles_carry_the_public_half_and_old_ones_are_readable(folder: Path, tmp_path: Path) -> None:
    signer, keyring = ensure_report_key(plain(folder)), load_keyring(folder)
    made = export_verifier(keyring, TRUST, detect=False, now=NOW, days=2, reports=[signer.key]).to_json()
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(made))
    assert signer.secret.hex() not in path.read_text()
    assert read_bundle(path, now=NOW).reports == (signer.key,)
    del made["report"]
    del made["reports_before"]
    path.write_text(json.dumps(made))
    assert read_bundle(path, now=NOW).reports == ()
    path.write_text(json.dumps(made | {"report": {"public": "00"}}))
    with pytest.raises(KeysUnusable):
        read_bundle(path, now=NOW)


def test_a_key_is_64_hex_digits() -> None:
    for text in ("", "00", "zz" * 32, "00" * 33):
        with pytest.raises(ValueError, match=r".*"):
            ReportKey.from_hex(text)


def test_in_a_sealed_home_it_is_sealed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    sealed = Safe(folder=folder, passphrase=lambda: b"a long pass phrase")
    ensure_keyring(folder, sealed)
    signer = ensure_report_key(sealed)
    assert signer.secret.hex().encode() not in (folder / "report.json").read_bytes()
    assert load_report_key(sealed) == signer
    with pytest.raises(KeysUnusable, match="sealed"):
        find_report_key(Safe(folder=folder))


def test_a_new_key_signs_and_the_old_one_still_counts_unless_it_leaked(folder: Path) -> None:
    first = ensure_report_key(plain(folder))
    second = rotate_report_key(plain(folder))
    assert second == load_report_key(plain(folder))
    assert second.known == (second.key, first.key)
    third = rotate_report_key(plain(folder), leaked=True)
    assert third.known == (third.key, first.key)  # not the second
    assert len({first.secret, second.secret, third.secret}) == 3
    assert stat.S_IMODE((folder / "report.json").stat().st_mode) == 0o600


def test_there_has_to_be_a_key_to_rotate(folder: Path) -> None:
    with pytest.raises(KeysUnusable):
        rotate_report_key(plain(folder))


def test_bundles_carry_all_that_count(folder: Path, tmp_path: Path) -> None:
    ensure_report_key(plain(folder))
    known = rotate_report_key(plain(folder)).known
    made = export_verifier(load_keyring(folder), TRUST, detect=False, now=NOW, days=1, reports=known)
    path = tmp_path / "bundle.json"
    document = made.to_json()
    path.write_text(json.dumps(document))
    assert read_bundle(path, now=NOW).reports == known
    del document["reports_before"]  # of a bundle from before keys could be rotated
    path.write_text(json.dumps(document))
    assert read_bundle(path, now=NOW).reports == known[:1]


def test_a_running_process_signs_with_the_new_key(folder: Path) -> None:
    live = live_report_key(plain(folder))
    before = live.latest
    after = rotate_report_key(plain(folder))
    assert live.latest == after != before
    (folder / "report.json").write_text("{")
    with pytest.raises(KeysUnusable):
        live.now()
    assert live.latest == after
