"""Whom a verifier believes: claim roots, time-stamp roots, and the table of our own signers.

Believing a root is not enough to show our name: c2pa trusts whatever chains to any anchor it is given, a
time-stamp root included. A clip is *ours* only when its signer is in the table too.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pipeline.errors import KeysUnusable

TRUST_FORMAT: Final = "countermark-trust/1"
SIGNERS_FORMAT: Final = "countermark-signers/1"


class SignerState(StrEnum):
    """Whether a signer may be believed. A retired signer stays active: what it signed stays good."""

    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerEntry:
    """One of our claim signers, past or present.

    ``serial``: decimal. Issuer: those two parts of its name. ``cert_sha256``: hex of the DER certificate.
    Times are RFC 3339 in UTC. ``revoked_at``: when set, claims with a trusted time-stamp before it stay
    good; a revocation without it covers everything that the signer ever signed.
    """

    serial: str
    issuer_organisation: str | None
    issuer_common_name: str | None
    cert_sha256: str
    not_before: str
    not_after: str
    state: SignerState = SignerState.ACTIVE
    revoked_at: str | None = None

    @property
    def issuer_name(self) -> tuple[str | None, str | None]:
        """Organisation and common name of the issuer, as c2pa reports them."""
        return (self.issuer_organisation, self.issuer_common_name)

    def revoked_for(self, stamped_at: str | None) -> bool:
        """Whether a claim with that trusted time-stamp (RFC 3339, None without one) falls to a revocation."""
        if self.state is not SignerState.REVOKED:
            return False
        if self.revoked_at is None or stamped_at is None:
            return True
        return datetime.fromisoformat(stamped_at) >= datetime.fromisoformat(self.revoked_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerTable:
    """All claim signers that were ever ours."""

    entries: tuple[SignerEntry, ...] = ()

    def find(self, cert_sha256: str) -> SignerEntry | None:
        """The entry of exactly that certificate."""
        return next((entry for entry in self.entries if entry.cert_sha256 == cert_sha256), None)

    def with_entry(self, entry: SignerEntry) -> "SignerTable":
        """A table with `entry` added, unless its certificate is known already."""
        return self if self.find(entry.cert_sha256) else SignerTable(entries=(*self.entries, entry))

    def revoke(self, cert_sha256: str, *, at: str | None) -> "SignerTable":
        """A table in which that signer is revoked, from `at` (RFC 3339) on or altogether (None).

        Raises: KeysUnusable when no such signer is in the table.
        """
        if self.find(cert_sha256) is None:
            raise KeysUnusable(f"no signer has the certificate {cert_sha256[:64]}; list them and choose one")
        changed = (
            replace(entry, state=SignerState.REVOKED, revoked_at=at) if entry.cert_sha256 == cert_sha256
            else entry for entry in self.entries
        )  # fmt: skip
        return SignerTable(entries=tuple(changed))

    def to_json(self) -> dict[str, Any]:
        """The document kept in ``signers.json``."""
        return {"format": SIGNERS_FORMAT, "signers": [asdict(entry) for entry in self.entries]}

    @classmethod
    def from_json(cls, document: object) -> "SignerTable":
        """Read `to_json`'s document. Raises: KeysUnusable when it is of another format or damaged."""
        try:
            if not isinstance(document, dict) or document["format"] != SIGNERS_FORMAT:
                raise ValueError("format")
            return cls(entries=tuple(_entry(row) for row in document["signers"]))
        except (KeyError, TypeError, ValueError):
            raise KeysUnusable(
                f"the signer table is not of the format {SIGNERS_FORMAT}; restore it from a backup"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    """Trust anchors as PEM text (several certificates may follow one another) and the signer table.

    ``foreign_roots``: claim roots of others that are believed too (their clips read as foreign, never ours).
    ``intermediates``: CAs between our claim roots and our signers, whom revocation is asked about; they are
    no anchors.
    """

    claim_roots: str
    tsa_roots: str
    signers: SignerTable
    foreign_roots: str = ""
    intermediates: str = ""

    def to_json(self) -> dict[str, Any]:
        """A document that holds no secret."""
        return {
            "format": TRUST_FORMAT, "claim_roots": self.claim_roots, "tsa_roots": self.tsa_roots,
            "foreign_roots": self.foreign_roots, "intermediates": self.intermediates,
            "signers": self.signers.to_json(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, document: object) -> "TrustStore":
        """Read `to_json`'s document. Raises: KeysUnusable when it is of another format or damaged."""
        try:
            if not isinstance(document, dict) or document["format"] != TRUST_FORMAT:
                raise ValueError("format")
            roots = {name: _pem(document[name]) for name in ("claim_roots", "tsa_roots", "foreign_roots")}
            between = _pem(document.get("intermediates", ""))  # bundles before 2026-12 have none
            return cls(**roots, intermediates=between, signers=SignerTable.from_json(document["signers"]))
        except (KeyError, TypeError, ValueError):
            raise KeysUnusable(
                f"the trust file is not of the format {TRUST_FORMAT}; export it again"
            ) from None

    @classmethod
    def from_text(cls, text: str) -> "TrustStore":
        """`from_json` of JSON text. Raises: KeysUnusable."""
        try:
            return cls.from_json(json.loads(text))
        except ValueError:
            raise KeysUnusable("the trust file is not JSON; export it again") from None


def _entry(row: dict[str, Any]) -> SignerEntry:
    revoked_at = row["revoked_at"]
    texts = {name: _text(row[name]) for name in ("serial", "cert_sha256", "not_before", "not_after")}
    organisation, common_name = row["issuer_organisation"], row["issuer_common_name"]
    if len(bytes.fromhex(texts["cert_sha256"])) != 32:
        raise ValueError("cert_sha256")
    if revoked_at is not None and datetime.fromisoformat(revoked_at).tzinfo is None:
        raise ValueError("revoked_at")
    return SignerEntry(
        **texts, state=SignerState(row["state"]), revoked_at=revoked_at,
        issuer_organisation=None if organisation is None else _text(organisation),
        issuer_common_name=None if common_name is None else _text(common_name),
    )  # fmt: skip


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _pem(value: object) -> str:
    text = _text(value)
    if text and "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError("PEM")
    return text
