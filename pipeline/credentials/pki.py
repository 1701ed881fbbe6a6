"""The development PKI: a claim root, a separate time-stamp root, and a leaf under each.

It is made at first use, renewed when a leaf nears its end, and lies in one folder that only its owner can
read. Rules: (1) the folder appears whole, by rename, or not at all; (2) every change happens under a lock
file beside it; (3) the signer table learns of a new claim signer *before* the key is put in place, so no
clip can be signed by a key that a verifier would not know; (4) old signers stay in the table.
"""

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from pipeline.credentials import certs
from pipeline.credentials.certs import KeyPair
from pipeline.credentials.keyfiles import check_folder, locked, read_private, sync_folder, write_private
from pipeline.credentials.trust import SignerEntry, SignerTable, TrustStore
from pipeline.errors import KeysUnusable

ORGANISATION: Final = "Countermark development"
RENEW_BEFORE: Final = timedelta(days=30)
CLAIM_ROOT: Final = "claim_root.pem"
TSA_ROOT: Final = "tsa_root.pem"
CLAIM_LEAF: Final = "claim_leaf.pem"
TSA_LEAF: Final = "tsa_leaf.pem"
SIGNERS: Final = "signers.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """What signing needs (two leaves with their keys) and what verifying needs (`trust`)."""

    folder: Path
    claim: KeyPair
    tsa: KeyPair
    trust: TrustStore

    @property
    def claim_chain_pem(self) -> str:
        """The claim signer's certificate; the root is left out, as C2PA asks."""
        return self.claim.certificate_pem


def ensure_pki(folder: Path, *, now: datetime, organisation: str = ORGANISATION,
               claim_life: timedelta = certs.CLAIM_LEAF_LIFE) -> Pki:  # fmt: skip
    """Load the PKI in `folder`; make it at first use, and renew a leaf that has ended or soon will.

    Safe to call from several processes at once. `claim_life`: validity of a new claim leaf, at most 366 days.
    Raises: KeysUnusable.
    """
    _make_parent(folder)
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not os.path.lexists(folder):
            _create(folder, organisation, now, claim_life)
        _renew(folder, organisation, now, claim_life)
        return load_pki(folder)


def load_pki(folder: Path) -> Pki:
    """Read an existing PKI. Raises: KeysUnusable when a file is missing, damaged or open to others."""
    if not os.path.lexists(folder):
        raise KeysUnusable(f"there are no signing keys in {folder}; name the folder that holds them")
    check_folder(folder)
    claim_root, tsa_root = load_pair(folder / CLAIM_ROOT), load_pair(folder / TSA_ROOT)
    claim = _issued(load_pair(folder / CLAIM_LEAF), claim_root, folder / CLAIM_LEAF)
    tsa = _issued(load_pair(folder / TSA_LEAF), tsa_root, folder / TSA_LEAF)
    signers = load_signers(folder)
    if signers.find(fingerprint(claim.certificate)) is None:
        raise KeysUnusable(f"{folder / SIGNERS} does not list the present signer; restore it from a backup")
    trust = TrustStore(
        claim_roots=claim_root.certificate_pem, tsa_roots=tsa_root.certificate_pem, signers=signers
    )
    return Pki(folder=folder, claim=claim, tsa=tsa, trust=trust)


def load_signers(folder: Path) -> SignerTable:
    """The signer table of `folder`. Raises: KeysUnusable."""
    try:
        return SignerTable.from_json(json.loads(read_private(folder / SIGNERS)))
    except ValueError:
        raise KeysUnusable(f"{folder / SIGNERS} is damaged; restore it from a backup") from None


def revoke_signer(folder: Path, cert_sha256: str, *, at: datetime | None) -> SignerTable:
    """Mark a signer as revoked, from `at` on or altogether (None), and issue a new leaf at the next use.

    Raises: KeysUnusable.
    """
    with locked(folder.with_name(f"{folder.name}.lock")):
        table = load_signers(folder).revoke(cert_sha256, at=_rfc3339(at) if at else None)
        _write_signers(folder, table)
        return table


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER certificate, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _create(folder: Path, organisation: str, now: datetime, claim_life: timedelta) -> None:
    claim_root = certs.make_root("Countermark development claim root", organisation, now)
    tsa_root = certs.make_root("Countermark development time-stamp root", organisation, now)
    building = folder.with_name(f".{folder.name}.new")
    try:
        if os.path.lexists(building):
            shutil.rmtree(building)  # left by a process that was killed; we hold the lock
        building.mkdir(mode=0o700)
    except OSError as error:
        raise KeysUnusable(f"cannot make keys in {folder.parent} ({error.strerror}); check it") from None
    try:
        write_private(building / CLAIM_ROOT, claim_root.to_pem())
        write_private(building / TSA_ROOT, tsa_root.to_pem())
        _write_signers(building, SignerTable())
        _new_claim_leaf(building, claim_root, organisation, now, claim_life)
        _new_tsa_leaf(building, tsa_root, organisation, now)
        building.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(building)
        raise


def _renew(folder: Path, organisation: str, now: datetime, claim_life: timedelta) -> None:
    check_folder(folder)
    claim, tsa = load_pair(folder / CLAIM_LEAF), load_pair(folder / TSA_LEAF)
    entry = load_signers(folder).find(fingerprint(claim.certificate))
    if _ending(claim, now) or (entry is not None and entry.state != "active"):
        _new_claim_leaf(folder, _usable_root(folder / CLAIM_ROOT, now), organisation, now, claim_life)
    if _ending(tsa, now):
        _new_tsa_leaf(folder, _usable_root(folder / TSA_ROOT, now), organisation, now)


def _new_claim_leaf(folder: Path, root: KeyPair, organisation: str, now: datetime, life: timedelta) -> None:
    leaf = certs.make_claim_leaf(root, "Countermark development signer", organisation, now, life)
    _write_signers(folder, load_signers(folder).with_entry(signer_entry(leaf.certificate)))
    write_private(folder / CLAIM_LEAF, leaf.to_pem())


def _new_tsa_leaf(folder: Path, root: KeyPair, organisation: str, now: datetime) -> None:
    leaf = certs.make_tsa_leaf(root, "Countermark development time-stamps", organisation, now)
    write_private(folder / TSA_LEAF, leaf.to_pem())


def signer_entry(certificate: x509.Certificate) -> SignerEntry:
    """The signer table's row for a claim signer's certificate (also for one that a KMS or CA issued)."""
    return SignerEntry(
        serial=str(certificate.serial_number),
        issuer_organisation=_first(certificate.issuer, NameOID.ORGANIZATION_NAME),
        issuer_common_name=_first(certificate.issuer, NameOID.COMMON_NAME),
        cert_sha256=fingerprint(certificate), not_before=_rfc3339(certificate.not_valid_before_utc),
        not_after=_rfc3339(certificate.not_valid_after_utc),
    )  # fmt: skip


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    values = [attribute.value for attribute in name.get_attributes_for_oid(oid)]
    return values[0] if values and isinstance(values[0], str) else None


def _write_signers(folder: Path, table: SignerTable) -> None:
    write_private(folder / SIGNERS, json.dumps(table.to_json(), indent=1).encode())


def _ending(pair: KeyPair, now: datetime) -> bool:
    """Near its end: 30 days, or a tenth of its life where that is less."""
    start, end = pair.certificate.not_valid_before_utc, pair.certificate.not_valid_after_utc
    return now >= end - min(RENEW_BEFORE, (end - start) / 10)


def _usable_root(path: Path, now: datetime) -> KeyPair:
    root = load_pair(path)
    if now >= root.certificate.not_valid_after_utc - RENEW_BEFORE:
        raise KeysUnusable(f"the root in {path} has reached its end; make a new key folder")
    return root


def load_pair(path: Path) -> KeyPair:
    """A key file of this folder. Raises: KeysUnusable when it is missing, damaged or open to others."""
    content = read_private(path)
    try:
        key = load_pem_private_key(content, password=None)
        certificate = x509.load_pem_x509_certificate(content)
    except (ValueError, TypeError):
        raise KeysUnusable(f"{path} is damaged; restore it from a backup") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise KeysUnusable(f"key and certificate in {path} do not belong together; restore it from a backup")
    return KeyPair(key=key, certificate=certificate)


def _issued(leaf: KeyPair, root: KeyPair, path: Path) -> KeyPair:
    try:
        leaf.certificate.verify_directly_issued_by(root.certificate)
    except Exception:  # noqa: BLE001 - InvalidSignature, ValueError and TypeError all mean the same here
        raise KeysUnusable(f"{path} was not issued by the root beside it; restore it from a backup") from None
    return leaf


def _make_parent(folder: Path) -> None:
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeysUnusable(f"cannot make {folder.parent} ({error.strerror}); name another folder") from None


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
