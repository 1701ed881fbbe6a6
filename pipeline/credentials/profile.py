"""Certificates of claim signers: reading a chain, and whether the leaf has the C2PA profile.

The profile (C2PA 2.4, section 14.5, and the Conformance Program's certificate policy for assurance level 1):
(1) no CA; (2) key usage digitalSignature and nonRepudiation, nothing that signs certificates; (3) extended
key usage claimSigning with documentSigning or emailProtection, and none of anyExtendedKeyUsage, timeStamping
and OCSPSigning; (4) the C2PA policy; (5) an assurance level; (6) valid for 366 days at most; (7) an authority
key identifier; (8) a key of a kind that signs claims.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipeline.credentials.algorithms import algorithm_of
from pipeline.credentials.certs import (
    ASSURANCE_LEVEL,
    C2PA_POLICY,
    CLAIM_SIGNING,
    DOCUMENT_SIGNING,
    TIME_STAMPING,
)
from pipeline.errors import KeysUnusable

MAX_CHAIN: Final = 6
MAX_LEAF_LIFE: Final = timedelta(days=366)
WITH_CLAIMS: Final = frozenset({DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION})
FORBIDDEN: Final = frozenset({
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, TIME_STAMPING, ExtendedKeyUsageOID.OCSP_SIGNING,
})  # fmt: skip

Kind = TypeVar("Kind", bound=x509.ExtensionType)


def read_chain(pem: str | bytes) -> list[x509.Certificate]:
    """Leaf and intermediates; a root at the end is left out, as C2PA asks.

    Raises: KeysUnusable when it is no PEM, has too many certificates, or one is not issued by the next.
    """
    try:
        found = x509.load_pem_x509_certificates(pem.encode() if isinstance(pem, str) else pem)
    except ValueError:
        raise KeysUnusable("the chain is not PEM; write leaf and intermediates into one file") from None
    if len(found) > MAX_CHAIN:
        raise KeysUnusable("the chain has more than six certificates; leave out what does not belong to it")
    for certificate, issuer in pairwise(found):
        if not issued_by(certificate, issuer):
            raise KeysUnusable("the chain's certificates are not each issued by the next; put the leaf first")
    return found[:-1] if len(found) > 1 and issued_by(found[-1], found[-1]) else found


def read_roots(pem: str) -> list[x509.Certificate]:
    """The certificates of a trust anchor text, which may be empty. Raises: KeysUnusable."""
    if not pem.strip():
        return []
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise KeysUnusable("the list of roots is damaged; restore it from a backup") from None


def roots_without(pem: str, others: str) -> str:
    """The certificates of a trust anchor text that are not among those of another. Raises: KeysUnusable."""
    known = {root.fingerprint(SHA256()) for root in read_roots(others)}
    kept = [root for root in read_roots(pem) if root.fingerprint(SHA256()) not in known]
    return "".join(root.public_bytes(Encoding.PEM).decode() for root in kept)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether names agree and the issuer's key signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def issuer_among(certificate: x509.Certificate, roots: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """Which of `roots` issued the certificate."""
    return next((root for root in roots if issued_by(certificate, root)), None)


def subject_names(certificate: x509.Certificate) -> tuple[str | None, str | None]:
    """Organisation and common name, as `trust.SignerEntry.issuer_name` has those of an issuer."""
    found = [
        [one.value for one in certificate.subject.get_attributes_for_oid(oid) if isinstance(one.value, str)]
        for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    ]
    organisation, common_name = (values[0] if values else None for values in found)
    return organisation, common_name


def demand_profile(leaf: x509.Certificate) -> None:
    """Raises: KeysUnusable that names the first rule (above) that the leaf breaks."""
    usage, purposes = extension(leaf, x509.KeyUsage), set(extension(leaf, x509.ExtendedKeyUsage) or ())
    constraints, policies = extension(leaf, x509.BasicConstraints), extension(leaf, x509.CertificatePolicies)
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    rules = (
        (constraints is not None and not constraints.ca, "it must not be a CA"),
        (
            usage is not None and usage.digital_signature and usage.content_commitment
            and not (usage.key_cert_sign or usage.crl_sign),
            "its key usage must be digitalSignature and nonRepudiation",
        ),
        (CLAIM_SIGNING in purposes, "it lacks the purpose claimSigning (1.3.6.1.4.1.62558.2.1)"),
        (bool(purposes & WITH_CLAIMS), "it lacks documentSigning or emailProtection beside claimSigning"),
        (not purposes & FORBIDDEN, "its purposes must not be any, time-stamps or OCSP too"),
        (
            policies is not None and C2PA_POLICY in {policy.policy_identifier for policy in policies},
            "it lacks the C2PA policy 1.3.6.1.4.1.62558.1.1",
        ),
        (_has(leaf, ASSURANCE_LEVEL), "it names no assurance level (1.3.6.1.4.1.62558.3)"),
        (life <= MAX_LEAF_LIFE, "it is valid for over 366 days"),
        (extension(leaf, x509.AuthorityKeyIdentifier) is not None, "it lacks an authority key identifier"),
    )  # fmt: skip
    for holds, broken in rules:
        if not holds:
            raise KeysUnusable(
                f"the signer's certificate has not the C2PA profile: {broken}; issue another one"
            )
    algorithm_of(leaf.public_key())


def demand_validity(certificates: Sequence[x509.Certificate], now: datetime) -> None:
    """Raises: KeysUnusable when one of them is not valid yet, or not any more."""
    for certificate in certificates:
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            start, end = certificate.not_valid_before_utc.date(), certificate.not_valid_after_utc.date()
            raise KeysUnusable(f"a certificate of the signer is valid from {start} to {end} only; renew it")


def extension(certificate: x509.Certificate, kind: type[Kind]) -> Kind | None:
    """An extension's value, None where it is missing. Raises: KeysUnusable when extensions are malformed."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise KeysUnusable("a certificate has malformed extensions; issue another one") from None


def _has(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> bool:
    return any(one.oid == oid for one in certificate.extensions)
