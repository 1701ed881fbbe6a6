"""A certification authority of one's own for claim signers: a folder with a root and what it issued.

``root.pem`` (key and certificate), ``ca.json`` (what was issued, what was revoked). Rules, as numbered
in the code:

1. a request proves that whoever made it has the key, and has a key of a kind that signs claims;
2. the profile is ours, whatever extensions a request asks for; of its subject only names that say who signs;
3. a certificate is written down before it is handed out, so that there is none that cannot be revoked;
4. a revocation is never taken back, only ever widened: to an earlier moment.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pipeline.credentials import certs
from pipeline.credentials.algorithms import algorithm_of
from pipeline.credentials.certs import KeyPair
from pipeline.credentials.keyfiles import check_folder, locked, read_private, write_private
from pipeline.credentials.pki import fingerprint, parse_pair
from pipeline.errors import KeysUnusable, UsageError

CA_FORMAT: Final = "countermark-ca/1"
ROOT: Final = "root.pem"
RECORD: Final = "ca.json"
MAX_DAYS: Final = 366
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_NAME: Final = 64  # RFC 5280, upper bounds of names
NAMES: Final = {
    NameOID.COUNTRY_NAME: "C", NameOID.ORGANIZATION_NAME: "O", NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COMMON_NAME: "CN",
}  # fmt: skip
HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
FIRST: Final = datetime(1950, 1, 1, tzinfo=UTC)  # RFC 5280, 5.1.2.6: nothing earlier fits into a list
# RFC 5280, 5.3.1: those that fit a claim signer.
REASONS: Final = {
    "unspecified": x509.ReasonFlags.unspecified, "key-compromise": x509.ReasonFlags.key_compromise,
    "superseded": x509.ReasonFlags.superseded,
    "cessation-of-operation": x509.ReasonFlags.cessation_of_operation,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate of this CA. `serial`: decimal. Times are RFC 3339 in UTC; `reason`: one of `REASONS`."""

    serial: str
    subject: str
    cert_sha256: str
    not_after: str
    revoked_at: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is written down of a CA. `ocsp`, `crl`: addresses that its certificates name."""

    organisation: str
    ocsp: str | None = None
    crl: str | None = None
    crl_number: int = 0
    issued: tuple[Issued, ...] = ()

    def find(self, serial: int) -> Issued | None:
        """The certificate with that serial number."""
        return next((one for one in self.issued if one.serial == str(serial)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ca:
    """A CA as it is now."""

    folder: Path
    root: KeyPair
    record: Record


def create(folder: Path, organisation: str, *, now: datetime, ocsp: str | None = None,
           crl: str | None = None) -> Ca:  # fmt: skip
    """Make a CA in a new folder.

    Raises: UsageError for a name that a certificate cannot hold, KeysUnusable when there is a CA, or the
    folder cannot be made.
    """
    name = _root_name(organisation)
    if not organisation.strip() or not organisation.isprintable() or len(name.encode()) > MAX_NAME:
        longest = MAX_NAME - len(_root_name(""))
        raise UsageError(f"the organisation is empty, over {longest} bytes or not printable; name it shorter")
    root = certs.make_root(name, organisation, now)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise KeysUnusable(f"cannot make {folder} ({error.strerror}); name a new folder") from None
    record = Record(organisation=organisation, ocsp=ocsp, crl=crl)
    write_private(folder / ROOT, root.to_pem())
    _write(folder, record)
    return Ca(folder=folder, root=root, record=record)


def load(folder: Path) -> Ca:
    """Read a CA. Raises: KeysUnusable when there is none, or it is damaged or open to others."""
    if not os.path.lexists(folder / RECORD):
        raise KeysUnusable(f"there is no CA in {folder}; make one with: countermark ca init")
    check_folder(folder)
    try:
        document = json.loads(read_private(folder / RECORD))
        if document.pop("format") != CA_FORMAT:
            raise ValueError("format")
        issued = tuple(Issued(**row) for row in document.pop("issued"))
        record = Record(**document, issued=issued)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise KeysUnusable(f"{folder / RECORD} is damaged; restore it from a backup") from None
    root = parse_pair(read_private(folder / ROOT), folder / ROOT)
    return Ca(folder=folder, root=root, record=record)


def issue(folder: Path, request: bytes, *, now: datetime, days: int) -> x509.Certificate:
    """A certificate for a certificate request (PKCS#10, PEM); rules 1 to 3.

    Raises: UsageError for a request that is refused, KeysUnusable.
    """
    asked = read_request(request)
    if not 1 <= days <= MAX_DAYS:
        raise UsageError(f"claim signers are certified for 1 to {MAX_DAYS} days; name another number")
    with locked(folder / "lock"):
        ca = load(folder)
        if ca.root.certificate.not_valid_after_utc - now < timedelta(days=days):
            raise KeysUnusable("the CA's root ends before that; ask for fewer days, or make a new CA")
        subject = _subject(asked, ca.record.organisation)
        key: Any = asked.public_key()
        made = certs.claim_certificate(
            ca.root, subject, key, now, timedelta(days=days), ocsp=ca.record.ocsp, crl=ca.record.crl
        )
        row = Issued(
            serial=str(made.serial_number), subject=made.subject.rfc4514_string(),
            cert_sha256=fingerprint(made), not_after=_rfc3339(made.not_valid_after_utc),
        )  # fmt: skip
        _write(folder, replace(ca.record, issued=(*ca.record.issued, row)))
    return made


def revoke(folder: Path, cert_sha256: str, *, at: datetime, reason: str) -> Issued:
    """Revoke a certificate from `at` on; one that is revoked, from an earlier moment on (rule 4). It then
    keeps its reason where the new one is ``unspecified``.

    Raises: UsageError for an unknown certificate or reason, or a moment that no list can name; KeysUnusable,
    also where the revocation covers more already.
    """
    if reason not in REASONS:
        raise UsageError(f"the reason is one of {', '.join(REASONS)}; name one of them")
    if at < FIRST:
        raise UsageError("revocation lists know no moment before 1950; name a later one")
    with locked(folder / "lock"):
        record = load(folder).record
        found = next((one for one in record.issued if one.cert_sha256 == cert_sha256), None)
        if found is None:
            raise UsageError("this CA issued no such certificate; list them with: countermark ca list")
        if found.revoked_at is not None and at > datetime.fromisoformat(found.revoked_at):
            raise KeysUnusable(
                f"it is revoked from {found.revoked_at} on; a revocation can only be made to cover more"
            )
        told = found.reason or reason if reason == "unspecified" else reason
        changed = replace(found, revoked_at=_rfc3339(at), reason=told)
        issued = tuple(changed if one is found else one for one in record.issued)
        _write(folder, replace(record, issued=issued))
    return changed


def revocation_list(folder: Path, *, now: datetime, days: int) -> bytes:
    """A CRL (RFC 5280, DER) that holds for `days`; its number grows by one. Raises: KeysUnusable."""
    with locked(folder / "lock"):
        ca = load(folder)
        record = replace(ca.record, crl_number=ca.record.crl_number + 1)
        _write(folder, record)
    builder = x509.CertificateRevocationListBuilder().issuer_name(ca.root.certificate.subject)
    builder = builder.last_update(now).next_update(now + timedelta(days=days))
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.root.key.public_key())
    builder = builder.add_extension(x509.CRLNumber(record.crl_number), critical=False)
    builder = builder.add_extension(issuer_key, critical=False)
    for one in record.issued:
        if one.revoked_at is not None:
            entry = x509.RevokedCertificateBuilder().serial_number(int(one.serial))
            entry = entry.revocation_date(datetime.fromisoformat(one.revoked_at))
            if one.reason not in (None, "unspecified"):
                entry = entry.add_extension(x509.CRLReason(REASONS[str(one.reason)]), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(ca.root.key, hashes.SHA256()).public_bytes(Encoding.DER)


def read_request(content: bytes) -> x509.CertificateSigningRequest:
    """A request that proves its key (rule 1). Raises: UsageError for any other."""
    try:
        if len(content) > MAX_REQUEST_BYTES:
            raise ValueError("size")
        asked = x509.load_pem_x509_csr(content)
        proven, hashed = asked.is_signature_valid, asked.signature_hash_algorithm
        key, _readable = asked.public_key(), asked.subject
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise UsageError(
            "this is no certificate request in PEM with names that can be read; "
            "make one with: countermark keys csr"
        ) from None
    if not proven:
        raise UsageError("the request's signature does not hold; make it again with the key it is for")
    try:
        algorithm_of(key)
    except KeysUnusable as error:
        raise UsageError(str(error)) from None
    if hashed is not None and not isinstance(hashed, HASHES):
        raise UsageError("the request is signed over a weak hash; make it again with SHA-256 or better")
    return asked


def _subject(asked: x509.CertificateSigningRequest, organisation: str) -> x509.Name:
    """Rule 2: country, organisation (the CA's own, once), units, and a common name, once; printable."""
    found: dict[str, list[str]] = {}
    for one in asked.subject:
        name = NAMES.get(one.oid)
        if name is None:
            raise UsageError("the request's subject may hold C, O, OU and CN only; leave the rest out")
        text = one.value if isinstance(one.value, str) else ""
        if not text.strip() or len(text) > MAX_NAME or not text.isprintable():
            raise UsageError(f"the request's {name} is empty, longer than 64 characters or not printable")
        found.setdefault(name, []).append(text)
    if found.get("O") != [organisation]:
        raise UsageError(
            f"the request must name the organisation {organisation} (O) once, since this CA is its"
        )
    if len(found.get("CN", ())) != 1 or len(found.get("C", ())) > 1:
        raise UsageError("the request must have one common name (CN), and one country (C) at most")
    if asked.subject == certs.name_of(_root_name(organisation), organisation):
        raise UsageError("the request has the name of the CA itself; choose another common name (CN)")
    return asked.subject


def _root_name(organisation: str) -> str:
    return f"{organisation} claim CA"


def _write(folder: Path, record: Record) -> None:
    document = {"format": CA_FORMAT, **asdict(record)}
    write_private(folder / RECORD, json.dumps(document, indent=1).encode())


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
