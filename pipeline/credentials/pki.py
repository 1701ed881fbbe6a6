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
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from pipeline.credentials import certs
from pipeline.credentials.anchors import intermediates, more_roots, ocsp_address
from pipeline.credentials.certs import KeyPair
from pipeline.credentials.keyfiles import check_folder, locked, read_private, sync_folder, write_private
from pipeline.credentials.safe import Safe, Secret
from pipeline.credentials.trust import SignerEntry, SignerState, SignerTable, TrustStore
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
               claim_life: timedelta = certs.CLAIM_LEAF_LIFE, safe: Safe | None = None) -> Pki:  # fmt: skip
    """Load the PKI in `folder`; make it at first use, and renew a leaf that has ended or soon will.

    Safe to call from several processes at once. `claim_life`: validity of a new claim leaf, at most 366 days;
    ``safe``: opens sealed keys, by default one without a pass phrase. Raises: KeysUnusable.
    """
    _make_parent(folder)
    making = _Making(folder, safe or _plain(folder), organisation, now, claim_life)
    with _locked(folder):
        if not os.path.lexists(folder):
            making.create()
        making.renew()
        return load_pki(folder, safe)


def load_pki(folder: Path, safe: Safe | None = None) -> Pki:
    """Read an existing PKI. Raises: KeysUnusable for a file that is missing, damaged, sealed or exposed."""
    if not os.path.lexists(folder):
        raise KeysUnusable(f"there are no signing keys in {folder}; name the folder that holds them")
    check_folder(folder)
    claim_root, tsa_root = load_pair(folder / CLAIM_ROOT, safe), load_pair(folder / TSA_ROOT, safe)
    claim = _issued(load_pair(folder / CLAIM_LEAF, safe), claim_root, folder / CLAIM_LEAF)
    tsa = _issued(load_pair(folder / TSA_LEAF, safe), tsa_root, folder / TSA_LEAF)
    signers = load_signers(folder)
    if signers.find(fingerprint(claim.certificate)) is None:
        raise KeysUnusable(f"{folder / SIGNERS} does not list the present signer; restore it from a backup")
    trust = TrustStore(
        claim_roots=claim_root.certificate_pem + more_roots(folder), tsa_roots=tsa_root.certificate_pem,
        signers=signers, intermediates=intermediates(folder),
    )  # fmt: skip
    return Pki(folder=folder, claim=claim, tsa=tsa, trust=trust)


def load_signers(folder: Path) -> SignerTable:
    """The signer table of `folder`. Raises: KeysUnusable."""
    try:
        return SignerTable.from_json(json.loads(read_private(folder / SIGNERS)))
    except ValueError:
        raise KeysUnusable(f"{folder / SIGNERS} is damaged; restore it from a backup") from None


def rotate_signer(folder: Path, *, now: datetime, organisation: str = ORGANISATION,
                  safe: Safe | None = None) -> Pki:  # fmt: skip
    """Issue a new claim signer now; the one before stays in the table, and what it signed stays good.

    Raises: KeysUnusable.
    """
    with _locked(folder):
        load_pki(folder, safe)  # what cannot be used is not added to
        making = _Making(folder, safe or _plain(folder), organisation, now, certs.CLAIM_LEAF_LIFE)
        making.new_claim_leaf()
        return load_pki(folder, safe)


def revoke_signer(folder: Path, cert_sha256: str, *, at: datetime | None) -> SignerTable:
    """Mark a signer as revoked, from `at` on or altogether (None), and issue a new leaf at the next use.

    A revocation is only ever widened: an earlier moment, or altogether. Raises: KeysUnusable.
    """
    with _locked(folder):
        table = load_signers(folder)
        known = table.find(cert_sha256)
        if known is not None and known.state is SignerState.REVOKED and not _wider(known.revoked_at, at):
            since = f"from {known.revoked_at} on" if known.revoked_at else "altogether"
            raise KeysUnusable(f"this signer is revoked {since}; a revocation can only be made to cover more")
        table = table.revoke(cert_sha256, at=_rfc3339(at) if at else None)
        _write_signers(folder, table)
        return table


def _wider(before: str | None, at: datetime | None) -> bool:
    return at is None or (before is not None and at <= datetime.fromisoformat(before))


def add_signer(folder: Path, entry: SignerEntry) -> None:
    """List a claim signer that another CA certified (`signers.register`). Raises: KeysUnusable."""
    with _locked(folder):
        _write_signers(folder, load_signers(folder).with_entry(entry))


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER certificate, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@dataclass(frozen=True, slots=True)
class _Making:
    """Makes the files of a PKI, under its lock."""

    folder: Path
    safe: Safe
    organisation: str
    now: datetime
    claim_life: timedelta

    def create(self) -> None:
        claim_root = certs.make_root("Countermark development claim root", self.organisation, self.now)
        tsa_root = certs.make_root("Countermark development time-stamp root", self.organisation, self.now)
        building = self.folder.with_name(f".{self.folder.name}.new")
        try:
            if os.path.lexists(building):
                shutil.rmtree(building)  # left by a process that was killed; we hold the lock
            building.mkdir(mode=0o700)
        except OSError as error:
            raise KeysUnusable(
                f"cannot make keys in {self.folder.parent} ({error.strerror}); check it"
            ) from None
        try:
            new = replace(self, folder=building)
            new._write(CLAIM_ROOT, claim_root)
            new._write(TSA_ROOT, tsa_root)
            _write_signers(building, SignerTable())
            new.new_claim_leaf()
            new.new_tsa_leaf()
            building.rename(self.folder)
            sync_folder(self.folder.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                shutil.rmtree(building)
            raise

    def renew(self) -> None:
        check_folder(self.folder)
        claim, tsa = self._load(CLAIM_LEAF), self._load(TSA_LEAF)
        entry = load_signers(self.folder).find(fingerprint(claim.certificate))
        if _ending(claim, self.now) or (entry is not None and entry.state is not SignerState.ACTIVE):
            self.new_claim_leaf()
        if _ending(tsa, self.now):
            self.new_tsa_leaf()

    def new_claim_leaf(self) -> None:
        root = self._usable_root(CLAIM_ROOT)
        leaf = certs.make_claim_leaf(
            root, "Countermark development signer", self.organisation, self.now, self.claim_life,
            ocsp_address(self.folder),
        )  # fmt: skip
        _write_signers(self.folder, load_signers(self.folder).with_entry(signer_entry(leaf.certificate)))
        self._write(CLAIM_LEAF, leaf)

    def new_tsa_leaf(self) -> None:
        root = self._usable_root(TSA_ROOT)
        leaf = certs.make_tsa_leaf(root, "Countermark development time-stamps", self.organisation, self.now)
        self._write(TSA_LEAF, leaf)

    def _usable_root(self, name: str) -> KeyPair:
        root = self._load(name)
        if self.now >= root.certificate.not_valid_after_utc - RENEW_BEFORE:
            raise KeysUnusable(f"the root in {self.folder / name} has reached its end; make a new key folder")
        return root

    def _load(self, name: str) -> KeyPair:
        return load_pair(self.folder / name, self.safe)

    def _write(self, name: str, pair: KeyPair) -> None:
        self.safe.write(self.folder / name, _secret(name), pair.to_pem())


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


def load_pair(path: Path, safe: Safe | None = None) -> KeyPair:
    """A key file of this folder. Raises: KeysUnusable when it is missing, damaged, sealed or exposed."""
    return parse_pair((safe or _plain(path.parent)).read(path, _secret(path.name)), path)


def parse_pair(content: bytes, path: Path) -> KeyPair:
    """A key file's content, as `KeyPair.to_pem` writes it. Raises: KeysUnusable, which names `path`."""
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


def _secret(name: str) -> Secret:
    return Secret(f"pki/{name}")


def _plain(folder: Path) -> Safe:
    return Safe(folder=folder.parent)


def _locked(folder: Path) -> contextlib.AbstractContextManager[None]:
    return locked(folder.with_name(f"{folder.name}.lock"))


def _make_parent(folder: Path) -> None:
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeysUnusable(f"cannot make {folder.parent} ({error.strerror}); name another folder") from None


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
