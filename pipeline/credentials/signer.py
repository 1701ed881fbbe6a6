"""Who signs a claim. A key service or a hardware module takes the local key's place behind `ClaimSigner`."""

from enum import StrEnum
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.credentials.pki import Pki


class SigningAlg(StrEnum):
    """COSE algorithms that C2PA allows and a claim signer may have."""

    ES256 = "es256"
    ES384 = "es384"
    PS256 = "ps256"
    ED25519 = "ed25519"


class ClaimSigner(Protocol):
    """Signs the bytes of a claim; the private key stays behind it."""

    @property
    def alg(self) -> SigningAlg:
        """The algorithm of `sign`."""
        ...

    @property
    def chain_pem(self) -> str:
        """The signer's certificate, then intermediates; PEM, without the root."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature over `data` (not over a digest of it): DER or r||s for ECDSA.

        Raises: anything; `pipeline.credentials.sign` turns it into SigningFailed with the cause.
        """
        ...


class LocalKeySigner:
    """A claim signer whose key lies in a key folder of this machine (`pipeline.credentials.pki`)."""

    def __init__(self, pki: Pki) -> None:
        self._key = pki.claim.key
        self._chain = pki.claim_chain_pem

    @property
    def alg(self) -> SigningAlg:
        """ES256."""
        return SigningAlg.ES256

    @property
    def chain_pem(self) -> str:
        """The leaf certificate."""
        return self._chain

    def sign(self, data: bytes) -> bytes:
        """ECDSA P-256 over SHA-256 of `data`, DER."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))
