"""X.509 certificates of the development PKI: two roots that share nothing, and the leaves under them.

The claim leaf follows the C2PA certificate profile at assurance level 1 (key usage digitalSignature and
nonRepudiation, claimSigning with documentSigning, the C2PA policy, the c2pa-al extension). It carries the
address of an OCSP responder only where one was named (`anchors.ocsp_address`, `ca`): otherwise nobody answers
for a development root, and revocation is read from our own signer table.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from pipeline.credentials.algorithms import PublicKey

CLAIM_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
DOCUMENT_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
TIME_STAMPING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.8")
C2PA_POLICY: Final = x509.ObjectIdentifier("1.3.6.1.4.1.62558.1.1")
ASSURANCE_LEVEL: Final = x509.ObjectIdentifier("1.3.6.1.4.1.62558.3")
# DER of the object identifier 1.3.6.1.4.1.62558.3.10, "assurance level 1".
ASSURANCE_LEVEL_1_DER: Final = bytes.fromhex("060a2b0601040183e85e030a")

ROOT_LIFE: Final = timedelta(days=3650)
CLAIM_LEAF_LIFE: Final = timedelta(days=365)  # the profile allows 366
RESPONDER_LIFE: Final = timedelta(days=14)
TSA_LEAF_LIFE: Final = timedelta(days=3 * 365)
CLOCK_SKEW: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A private key (P-256) and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def to_pem(self) -> bytes:
        """Key and certificate in one PEM file, so that they can only be replaced together."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)

    @property
    def certificate_pem(self) -> str:
        """The certificate alone, PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


def make_root(common_name: str, organisation: str, now: datetime) -> KeyPair:
    """A self-signed root that may sign leaves only (path length 0), valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = name_of(common_name, organisation)
    builder = _builder(name, name, key.public_key(), now, ROOT_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return KeyPair(key=key, certificate=builder.sign(key, hashes.SHA256()))


def make_claim_leaf(root: KeyPair, common_name: str, organisation: str, now: datetime,
                    life: timedelta = CLAIM_LEAF_LIFE, ocsp: str | None = None) -> KeyPair:  # fmt: skip
    """A C2PA claim signer (ES256) under `root`; `ocsp`: address of the responder that it names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = name_of(common_name, organisation)
    certificate = claim_certificate(root, subject, key.public_key(), now, life, ocsp=ocsp)
    return KeyPair(key=key, certificate=certificate)


def claim_certificate(root: KeyPair, subject: x509.Name, key: PublicKey, now: datetime, life: timedelta, *,
                      ocsp: str | None = None, crl: str | None = None) -> x509.Certificate:  # fmt: skip
    """A certificate of the C2PA profile at assurance level 1 for somebody's `key`; see `profile`.

    `ocsp`, `crl`: addresses of the responder and of the revocation list. `life`: at most 366 days.
    """
    builder = _leaf_builder(root, subject, key, now, life)
    usages = x509.ExtendedKeyUsage([CLAIM_SIGNING, DOCUMENT_SIGNING])
    policy = x509.CertificatePolicies([x509.PolicyInformation(C2PA_POLICY, None)])
    level = x509.UnrecognizedExtension(ASSURANCE_LEVEL, ASSURANCE_LEVEL_1_DER)
    builder = builder.add_extension(usages, critical=False).add_extension(policy, critical=False)
    builder = builder.add_extension(level, critical=False)
    if ocsp:
        place = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
    if crl:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return builder.sign(root.key, hashes.SHA256())


def make_responder(root: KeyPair, now: datetime) -> KeyPair:
    """Who answers OCSP requests for `root` (RFC 6960, 4.2.2.2): its one purpose is OCSPSigning, and
    id-pkix-ocsp-nocheck ends the question who revokes it: its own short life.
    """  # fmt: skip
    key = ec.generate_private_key(ec.SECP256R1())
    names = [one for one in root.certificate.subject if one.oid == NameOID.ORGANIZATION_NAME]
    subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, "OCSP responder")])
    builder = _leaf_builder(root, subject, key.public_key(), now, RESPONDER_LIFE, repudiable=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=True)
    builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    return KeyPair(key=key, certificate=builder.sign(root.key, hashes.SHA256()))


def make_tsa_leaf(root: KeyPair, common_name: str, organisation: str, now: datetime) -> KeyPair:
    """A time-stamp signer under `root`: its only purpose is timeStamping, marked critical (RFC 3161)."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _leaf_builder(root, name_of(common_name, organisation), key.public_key(), now, TSA_LEAF_LIFE)
    builder = builder.add_extension(x509.ExtendedKeyUsage([TIME_STAMPING]), critical=True)
    return KeyPair(key=key, certificate=builder.sign(root.key, hashes.SHA256()))


def name_of(common_name: str, organisation: str) -> x509.Name:
    """A distinguished name of organisation and common name."""
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ])  # fmt: skip


def _builder(subject: x509.Name, issuer: x509.Name, public_key: PublicKey,
             now: datetime, life: timedelta) -> x509.CertificateBuilder:  # fmt: skip
    start = (now - CLOCK_SKEW).replace(microsecond=0)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + life)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)


def _leaf_builder(root: KeyPair, subject: x509.Name, key: PublicKey, now: datetime, life: timedelta, *,
                  repudiable: bool = False) -> x509.CertificateBuilder:  # fmt: skip
    life = min(life, root.certificate.not_valid_after_utc - now)
    builder = _builder(subject, root.certificate.subject, key, now, life)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(
        _key_usage(signs_certificates=False, repudiable=repudiable), critical=True
    )
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
    return builder.add_extension(issuer_key, critical=False)


def _key_usage(*, signs_certificates: bool, repudiable: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=not signs_certificates and not repudiable,
        key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
