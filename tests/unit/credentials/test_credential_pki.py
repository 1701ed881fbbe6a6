"""The development PKI: made once, kept private, renewed, and never half there."""

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from pipeline.credentials import pki as module
from pipeline.credentials.certs import ASSURANCE_LEVEL, CLAIM_SIGNING, TIME_STAMPING
from pipeline.credentials.pki import (
    ensure_pki,
    fingerprint,
    load_pki,
    load_signers,
    revoke_signer,
    rotate_signer,
)
from pipeline.credentials.trust import SignerEntry, SignerState, SignerTable, TrustStore
from pipeline.errors import KeysUnusable

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ensure_pki(tmp_path / "keys" / "pki", now=NOW)
    return tmp_path / "keys" / "pki"


def test_made_once_and_loaded_again(folder):
    first = load_pki(folder)
    again = ensure_pki(folder, now=NOW + timedelta(days=200))
    assert again.claim.certificate == first.claim.certificate
    assert again.trust == first.trust
    assert first.claim_chain_pem.count("BEGIN CERTIFICATE") == 1
    assert "PRIVATE" not in json.dumps(first.trust.to_json()) + first.claim_chain_pem


def test_private_to_its_owner(folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_profiles(folder):
    pki = load_pki(folder)
    claim, tsa = pki.claim.certificate, pki.tsa.certificate
    usage = claim.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert CLAIM_SIGNING in usage.value
    assert TIME_STAMPING not in usage.value
    assert claim.extensions.get_extension_for_oid(ASSURANCE_LEVEL)
    stamping = tsa.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert stamping.critical
    assert list(stamping.value) == [TIME_STAMPING]
    assert claim.not_valid_after_utc - claim.not_valid_before_utc <= timedelta(days=366)
    assert claim.issuer != tsa.issuer


@pytest.mark.parametrize("name", ["claim_leaf.pem", "tsa_root.pem", "signers.json"])
def test_a_file_that_others_can_read_is_refused_with_the_cure(folder, name):
    path = folder / name
    path.chmod(0o640)
    with pytest.raises(KeysUnusable) as caught:
        ensure_pki(folder, now=NOW)
    assert f"chmod 600 {path}" in str(caught.value)
    path.chmod(0o600)
    ensure_pki(folder, now=NOW)


def test_an_open_folder_is_refused_with_the_cure(folder):
    folder.chmod(0o755)
    with pytest.raises(KeysUnusable, match="chmod 700"):
        load_pki(folder)


def test_links_are_not_followed(folder, tmp_path):
    leaf = folder / "claim_leaf.pem"
    leaf.rename(tmp_path / "elsewhere.pem")
    leaf.symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(KeysUnusable, match="cannot read"):
        load_pki(folder)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\x00" * 5000])
@pytest.mark.parametrize("name", ["claim_root.pem", "claim_leaf.pem", "tsa_leaf.pem", "signers.json"])
def test_damaged_files_are_refused(folder, name, damage):
    (folder / name).write_bytes(damage)
    with pytest.raises(KeysUnusable):
        ensure_pki(folder, now=NOW)


def test_missing_parts_are_refused(folder, tmp_path):
    with pytest.raises(KeysUnusable, match="no signing keys"):
        load_pki(tmp_path / "none")
    (folder / "tsa_leaf.pem").unlink()
    with pytest.raises(KeysUnusable, match=r"tsa_leaf\.pem"):
        ensure_pki(folder, now=NOW)


def test_a_leaf_of_another_root_is_refused(folder, tmp_path):
    other = ensure_pki(tmp_path / "other" / "pki", now=NOW).folder
    (folder / "claim_leaf.pem").write_bytes((other / "claim_leaf.pem").read_bytes())
    with pytest.raises(KeysUnusable, match="not issued by"):
        load_pki(folder)


def test_a_dangling_link_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "pki").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeysUnusable):
        ensure_pki(tmp_path / "pki", now=NOW)


def test_renewal_keeps_the_old_signer(folder):
    old = load_pki(folder)
    new = ensure_pki(folder, now=NOW + timedelta(days=340))
    assert new.claim.certificate != old.claim.certificate
    assert [row.state for row in new.trust.signers.entries] == [SignerState.ACTIVE, SignerState.ACTIVE]
    assert new.trust.signers.entries[0] == old.trust.signers.entries[0]
    assert new.trust.claim_roots == old.trust.claim_roots


def test_a_root_at_its_end_says_so(folder):
    with pytest.raises(KeysUnusable, match="reached its end"):
        ensure_pki(folder, now=NOW + timedelta(days=3640))


def test_a_revoked_signer_is_replaced(folder):
    old = load_pki(folder)
    digest = module.fingerprint(old.claim.certificate)
    revoke_signer(folder, digest, at=NOW)
    new = ensure_pki(folder, now=NOW)
    assert new.claim.certificate != old.claim.certificate
    entry = new.trust.signers.find(digest)
    assert entry
    assert entry.state is SignerState.REVOKED
    assert not entry.revoked_for("2026-11-22T11:59:59Z")
    assert entry.revoked_for("2026-11-22T12:00:00Z")
    assert entry.revoked_for(None)
    with pytest.raises(KeysUnusable, match="no signer"):
        revoke_signer(folder, "00" * 32, at=None)


def test_a_revocation_is_only_ever_widened(tmp_path):
    folder = tmp_path / "pki"
    digest = fingerprint(ensure_pki(folder, now=NOW).claim.certificate)
    revoke_signer(folder, digest, at=NOW)
    with pytest.raises(KeysUnusable, match="cover more"):
        revoke_signer(folder, digest, at=NOW + timedelta(seconds=1))
    revoke_signer(folder, digest, at=NOW - timedelta(days=1))
    revoke_signer(folder, digest, at=None)
    with pytest.raises(KeysUnusable, match="altogether"):
        revoke_signer(folder, digest, at=NOW - timedelta(days=2))
    entry = load_signers(folder).find(digest)
    assert (entry.state, entry.revoked_at) == (SignerState.REVOKED, None)


def test_a_signer_is_replaced_by_hand_and_stays_good(tmp_path):
    folder = tmp_path / "pki"
    old = ensure_pki(folder, now=NOW)
    new = rotate_signer(folder, now=NOW)
    assert new.claim.certificate != old.claim.certificate
    assert new.tsa.certificate == old.tsa.certificate
    assert [entry.state for entry in new.trust.signers.entries] == [SignerState.ACTIVE] * 2
    assert new.trust.signers.find(fingerprint(old.claim.certificate))
    assert ensure_pki(folder, now=NOW).claim.certificate == new.claim.certificate


def test_an_interrupted_creation_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module._Making, "new_tsa_leaf", fail)
    with pytest.raises(KeyboardInterrupt):
        ensure_pki(tmp_path / "pki", now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["pki.lock"]


def test_what_a_killed_process_left_is_replaced(tmp_path):
    (tmp_path / ".pki.new").mkdir()
    (tmp_path / ".pki.new" / "claim_root.pem").write_text("half a key")
    ensure_pki(tmp_path / "pki", now=NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pki", "pki.lock"]


PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pipeline.credentials.pki import ensure_pki
from pipeline.credentials.tsa import next_serial
sys.stdin.read(1)
pki = ensure_pki(Path(sys.argv[1]), now=datetime(2026, 11, 22, 12, tzinfo=UTC))
print(pki.claim.certificate.serial_number, pki.tsa.certificate.serial_number)
print(*(next_serial(pki.folder) for _ in range(5)))
"""


def test_processes_that_start_together_agree(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "pki")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdin
        child.stdin.write("x")
        child.stdin.flush()
    answers = [child.communicate()[0].splitlines() for child in children]
    assert len({answer[0] for answer in answers}) == 1
    serials = [int(number) for answer in answers for number in answer[1].split()]
    assert sorted(serials) == list(range(1, 16))
    assert len(load_pki(tmp_path / "pki").trust.signers.entries) == 1


# The trust store's document


def test_trust_store_survives_json(folder):
    trust = load_pki(folder).trust
    assert TrustStore.from_text(json.dumps(trust.to_json())) == trust


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "countermark-trust/2"}', "null"])
def test_other_documents_are_no_trust_store(text):
    with pytest.raises(KeysUnusable):
        TrustStore.from_text(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("serial", 5),
        ("cert_sha256", "zz"),
        ("state", "new"),
        ("revoked_at", "2026-01-01T00:00:00"),
        ("issuer_common_name", []),
    ],
)
def test_bad_signer_rows_are_refused(folder, name, value):
    document = load_pki(folder).trust.to_json()
    document["signers"]["signers"][0][name] = value
    with pytest.raises(KeysUnusable):
        TrustStore.from_json(document)


def test_the_same_signer_is_listed_once(folder):
    table = load_pki(folder).trust.signers
    assert table.with_entry(table.entries[0]) == table
    assert isinstance(table.entries[0], SignerEntry)
    assert SignerTable().find("00") is None
