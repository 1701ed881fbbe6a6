"""Who signs a claim. A key service or a hardware module takes the local key's place behind `ClaimSigner`.

`SigningKey` is a private key wherever it lies, `ChainSigner` such a key with its certificates, `CallbackKey`
a key behind any function: a key management service, a signing server, a vault.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.credentials.algorithms import PublicKey, SigningAlg, algorithm_of, digest, holds, to_der
from pipeline.credentials.pki import Pki
from pipeline.credentials.profile import read_chain
from pipeline.errors import KeysUnusable

__all__ = [
    "CallbackKey", "CallbackSigner", "ChainSigner", "ClaimSigner", "LocalKeySigner", "SigningAlg",
    "SigningKey", "Wants",
]  # fmt: skip


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


class SigningKey(Protocol):
    """A private key in a file, a module or a service, and its public half."""

    @property
    def public_key(self) -> PublicKey:
        """The public half; its kind decides the algorithm (`algorithms.algorithm_of`)."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature over the message `data`: DER for ECDSA. Raises: KeysUnusable, without secrets."""
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

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._key.public_key()

    def sign(self, data: bytes) -> bytes:
        """ECDSA P-256 over SHA-256 of `data`, DER."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


class ChainSigner:
    """A claim signer out of a key and its certificates; `pipeline.credentials.choice` has checked both."""

    def __init__(self, key: SigningKey, chain_pem: str) -> None:
        self._key, self._chain, self._alg = key, chain_pem, algorithm_of(key.public_key)

    @property
    def alg(self) -> SigningAlg:
        """The algorithm of the key."""
        return self._alg

    @property
    def chain_pem(self) -> str:
        """Leaf and intermediates."""
        return self._chain

    def sign(self, data: bytes) -> bytes:
        """The key's signature. Raises: KeysUnusable."""
        return self._key.sign(data)


class Wants(StrEnum):
    """What a service signs: the message, or the digest of it that the caller made."""

    MESSAGE = "message"
    DIGEST = "digest"


class CallbackKey:
    """A key behind a function.

    `call` gets the message, or with ``wants=Wants.DIGEST`` its SHA-256 or SHA-384 as the algorithm has it,
    and answers the signature (DER or r||s). Every answer is checked with the public key before it is used,
    so that a service that was given another key is noticed at once.
    """

    def __init__(self, public_key: PublicKey, call: Callable[[bytes], bytes], *, wants: Wants) -> None:
        self._alg = algorithm_of(public_key)
        if wants is Wants.DIGEST and self._alg is SigningAlg.ED25519:
            raise KeysUnusable("Ed25519 signs messages, not digests; let the service sign the message")
        self._public, self._call, self._wants = public_key, call, wants

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """Let the function sign. Raises: KeysUnusable for a wrong answer, and what the function raises."""
        handed = digest(self._alg, data) if self._wants is Wants.DIGEST else data
        signature = to_der(self._alg, self._call(handed))
        if not holds(self._public, signature, data):
            raise KeysUnusable("what signed is not the key of the certificate; check key and signer_chain")
        return signature


class CallbackSigner(ChainSigner):
    """A claim signer out of a function and a chain, for services that have no class here (docs/signing.md).

    Raises: KeysUnusable when the leaf's key cannot sign claims.
    """

    def __init__(self, chain_pem: str, call: Callable[[bytes], bytes], *, wants: Wants) -> None:
        leaf: Any = read_chain(chain_pem)[0].public_key()
        super().__init__(CallbackKey(leaf, call, wants=wants), chain_pem)
