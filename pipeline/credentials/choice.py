"""Which key signs claims, by the settings ``signer`` and ``signer_chain``. Rules, numbered as in the code:

1. the leaf has the C2PA profile, it and all intermediates are valid now;
2. the chain ends under a claim root that verifiers believe, and no time-stamp root has a claim root's key;
3. the leaf is in the signer table, and not revoked: registered *before* it may sign (`signers.register`);
4. key and leaf belong together: the key signs a nonce, checked with the leaf, when it is first used; so is
   every signature after it.

Opened keys are kept for the life of the process; certificates and the table are looked at each time.
"""

import hashlib
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from pipeline.credentials import kms_key, pkcs11_uri
from pipeline.credentials.algorithms import PublicKey
from pipeline.credentials.pki import Pki, fingerprint
from pipeline.credentials.profile import (
    demand_profile,
    demand_validity,
    issuer_among,
    read_chain,
    read_roots,
)
from pipeline.credentials.signer import ChainSigner, ClaimSigner, LocalKeySigner, SigningKey
from pipeline.credentials.trust import SignerState, TrustStore
from pipeline.errors import KeysUnusable, UsageError
from pipeline.settings import Settings

LOCAL: Final = "local"
MAX_CHAIN_BYTES: Final = 256 * 1024
NONCE_BYTES: Final = 32

_OPENED: Final[dict[str, SigningKey]] = {}
_GUARD: Final = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The settings' choice. `signer`: ``local``, a PKCS#11 URI or ``kms:ARN``; `chain`: PEM file of leaf and
    intermediates; `pin`: of the PKCS#11 token, where its URI names no file.
    """

    signer: str = LOCAL
    chain: Path | None = None
    pin: str | None = None

    def __repr__(self) -> str:
        return f"Choice(signer={self.signer.partition(':')[0]!r})"


def choice_of(settings: Settings) -> Choice:
    """Which key the settings let sign claims."""
    pin = settings.signer_pin
    return Choice(
        signer=settings.signer, chain=settings.signer_chain, pin=pin.get_secret_value() if pin else None
    )  # fmt: skip


def open_signer(choice: Choice, pki: Pki, trust: TrustStore, now: datetime) -> ClaimSigner:
    """The signer of new claims.

    Raises: UsageError for settings that name none, KeysUnusable when the key cannot be used or breaks a rule.
    """
    if choice.signer == LOCAL:
        demand_apart(trust)
        return LocalKeySigner(pki)
    chain = _chain(choice)
    demand_registered(chain, trust, now)
    key = _opened(choice, chain[0])
    return ChainSigner(key, "".join(_pem(certificate) for certificate in chain))


def signer_now(choice: Choice, pki: Pki) -> str:
    """SHA-256 of the certificate that new claims are signed under, whether or not its key can be reached.

    Raises: UsageError, KeysUnusable when `signer_chain` is missing or cannot be read.
    """
    if choice.signer == LOCAL:
        return fingerprint(pki.claim.certificate)
    return fingerprint(_chain(choice)[0])


def open_key(choice: Choice, expected: PublicKey | None = None) -> SigningKey:
    """The key alone, without certificates: for a certificate request. Raises: UsageError, KeysUnusable."""
    if choice.signer.startswith(pkcs11_uri.SCHEME):
        uri = pkcs11_uri.parse(choice.signer)
        from pipeline.credentials.pkcs11_key import Pkcs11Key

        return Pkcs11Key(uri, choice.pin, expected)
    if choice.signer.startswith(kms_key.SCHEME):
        return kms_key.kms_key(choice.signer)
    raise UsageError("the setting signer is neither local nor pkcs11:… nor kms:…; see docs/signing.md")


def demand_registered(chain: list[x509.Certificate], trust: TrustStore, now: datetime) -> None:
    """Rules 1 to 3. Raises: KeysUnusable."""
    demand_profile(chain[0])
    demand_validity(chain, now)
    demand_apart(trust)
    if issuer_among(chain[-1], read_roots(trust.claim_roots)) is None:
        raise KeysUnusable(f"the signer's chain ends under no claim root of this home; {REGISTER}")
    entry = trust.signers.find(fingerprint(chain[0]))
    if entry is None:
        raise KeysUnusable(f"the signer is not in the signer table; {REGISTER}")
    if entry.state is not SignerState.ACTIVE:
        raise KeysUnusable("the signer was revoked; let a certificate be issued for another key")


REGISTER: Final = "run: countermark keys trust-signer CHAIN.pem --root ROOT.pem"


def demand_apart(trust: TrustStore) -> None:
    """Rule 2: c2pa takes a claim under a time-stamp root for trusted. Raises: KeysUnusable."""
    claim = {_key(root) for root in read_roots(trust.claim_roots)}
    if any(_key(root) in claim for root in read_roots(trust.tsa_roots)):
        raise KeysUnusable(
            "a claim root is also a time-stamp root; take another time-stamp service (tsa_roots), or believe "
            "that claim root no more: docs/signing.md"
        )


def read_chain_file(path: Path) -> str:
    """The text of a PEM file. Raises: KeysUnusable when it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CHAIN_BYTES + 1)
    except OSError as error:
        raise KeysUnusable(f"cannot read {path} ({error.strerror}); name the file of the chain") from None
    if len(content) > MAX_CHAIN_BYTES:
        raise KeysUnusable(f"{path} is larger than 256 KiB; write only leaf and intermediates into it")
    return content.decode("ascii", errors="replace")


def _chain(choice: Choice) -> list[x509.Certificate]:
    if choice.chain is None:
        raise UsageError("the setting signer_chain is missing: the certificates of the key that signer names")
    return read_chain(read_chain_file(choice.chain))


def _opened(choice: Choice, leaf: x509.Certificate) -> SigningKey:
    """Rule 4."""
    told = f"{choice.signer}\0{choice.pin}\0{fingerprint(leaf)}"
    name = hashlib.sha256(told.encode()).hexdigest()
    with _GUARD:
        if (known := _OPENED.get(name)) is not None:
            return known
        expected: Any = leaf.public_key()
        key = open_key(choice, expected)
        if key.public_key != expected:
            raise KeysUnusable("key and certificate do not belong together; check signer and signer_chain")
        key.sign(b"countermark key check " + secrets.token_bytes(NONCE_BYTES))
        _OPENED[name] = key
        return key


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _key(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
