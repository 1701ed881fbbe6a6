"""Roots that the settings name: whose clips read as foreign, and whose time-stamps count."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipeline.credentials import certs
from pipeline.credentials.certs import KeyPair
from pipeline.credentials.pki import Pki, ensure_pki
from pipeline.credentials.trust import SignerTable, TrustStore
from pipeline.errors import KeysUnusable
from pipeline.home import Home
from pipeline.keyring import ensure_keyring
from pipeline.roots import with_roots
from pipeline.settings import Settings
from pipeline.types import FileVerdict
from pipeline.verify.opening import open_local

NOBODY = TrustStore(claim_roots="", tsa_roots="", signers=SignerTable())
DOCUMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")


@pytest.fixture
def roots(rogue: Pki, tmp_path: Path) -> Path:
    path = tmp_path / "roots.pem"
    path.write_text(rogue.trust.claim_roots)
    return path


def verdict(clip: Path, settings: Settings) -> FileVerdict:
    with open_local(settings) as verifier:
        return verifier.verify(clip).verdict


def test_a_clip_of_a_signer_under_such_a_root_is_foreign(
    desk: Any, rogue: Pki, roots: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "theirs.mp4"
    desk.sign(clip, pki=rogue)
    home = tmp_path / "home"
    named = Settings(home=home, foreign_roots=roots)
    assert verdict(clip, Settings(home=home)) is FileVerdict.UNTRUSTED_CLAIM
    assert verdict(clip, named) is FileVerdict.FOREIGN  # without keys of one's own
    ensure_keyring(Home(home).keys)
    ensure_pki(Home(home).pki, now=desk.pki.claim.certificate.not_valid_before_utc + timedelta(hours=1))
    assert verdict(clip, Settings(home=home)) is FileVerdict.UNTRUSTED_CLAIM
    assert verdict(clip, named) is FileVerdict.FOREIGN


@pytest.mark.parametrize("purpose", [ExtendedKeyUsageOID.EMAIL_PROTECTION, DOCUMENTS])
def test_others_may_sign_with_certificates_for_mail_and_documents(
    desk: Any, rogue: Pki, roots: Path, tmp_path: Path, purpose: x509.ObjectIdentifier
) -> None:
    root = certs.make_root("Other root", "Other", rogue.claim.certificate.not_valid_before_utc)
    pair = leaf(root, purpose)
    roots.write_text(root.certificate_pem)
    trust = with_roots(desk.pki.trust, Settings(home=tmp_path, foreign_roots=roots))
    clip = desk.raw_sign(tmp_path / "theirs.mp4", pair, trust, tsa_of=rogue)
    reading = desk.read(clip, trust)
    assert (reading.trusted, reading.ours, reading.signer_name) == (True, False, "Other")
    assert not desk.read(clip).trusted


def leaf(root: KeyPair, purpose: x509.ObjectIdentifier) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    made = certs._leaf_builder(
        root, certs.name_of("signer", "Other"), key.public_key(),
        root.certificate.not_valid_before_utc, timedelta(days=30),
    ).add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)  # fmt: skip
    return KeyPair(key=key, certificate=made.sign(root.key, hashes.SHA256()))


def test_roots_of_a_time_stamp_service_are_added(rogue: Pki, roots: Path, tmp_path: Path) -> None:
    assert with_roots(NOBODY, Settings(home=tmp_path)) is NOBODY
    found = with_roots(NOBODY, Settings(home=tmp_path, tsa_roots=roots))
    assert found.tsa_roots.endswith(rogue.trust.claim_roots)
    assert (found.claim_roots, found.foreign_roots) == ("", "")


@pytest.mark.parametrize("name", ["tsa_roots", "foreign_roots"])
def test_a_file_without_roots_is_an_error_that_names_the_setting(tmp_path: Path, name: str) -> None:
    other, damaged = tmp_path / "other.pem", tmp_path / "damaged.pem"
    other.write_text("no certificate")
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    for wrong in (other, damaged, tmp_path / "missing", tmp_path):
        with pytest.raises(KeysUnusable, match=name):
            with_roots(NOBODY, Settings.model_validate({"home": tmp_path, name: wrong}))


def test_roots_of_ours_are_left_out_of_a_public_list(
    desk: Any, rogue: Pki, roots: Path, tmp_path: Path
) -> None:
    ours = desk.pki.trust
    with roots.open("a") as file:
        file.write(ours.claim_roots + ours.tsa_roots)
    trust = with_roots(ours, Settings(home=tmp_path, foreign_roots=roots))
    assert trust.foreign_roots.strip() == rogue.trust.claim_roots.strip()
    clip = tmp_path / "ours.mp4"
    desk.sign(clip)
    reading = desk.read(clip, trust)
    assert (reading.ours, reading.trusted) == (True, True)
    roots.write_text(ours.claim_roots)
    assert with_roots(ours, Settings(home=tmp_path, foreign_roots=roots)) == ours


def test_a_root_may_be_in_both_public_lists(desk: Any, rogue: Pki, roots: Path, tmp_path: Path) -> None:
    """As many are in the C2PA lists of signers and of time-stamp services."""
    trust = with_roots(desk.pki.trust, Settings(home=tmp_path, foreign_roots=roots, tsa_roots=roots))
    clip = tmp_path / "theirs.mp4"
    desk.sign(clip, pki=rogue)
    reading = desk.read(clip, trust)
    assert (reading.trusted, reading.ours) == (True, False)
