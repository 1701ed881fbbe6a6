"""COSE algorithms of claim signers in terms of `cryptography`: which key has which, does a signature hold.

One algorithm per kind of key (C2PA 2.4, 13.2): P-256 signs ES256, P-384 ES384, RSA PS256, Ed25519 EdDSA.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from pipeline.errors import KeysUnusable

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

MIN_RSA_BITS: Final = 2048  # C2PA 2.4, section 13.2
MAX_RSA_BITS: Final = 8192
MIN_RSA_EXPONENT: Final = 65_537
PSS_SALT_BYTES: Final = 32


class SigningAlg(StrEnum):
    """COSE algorithms that C2PA allows and a claim signer may have."""

    ES256 = "es256"
    ES384 = "es384"
    PS256 = "ps256"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class _Curve:
    name: str
    hash: hashes.HashAlgorithm
    number_bytes: int


CURVES: Final = {
    SigningAlg.ES256: _Curve("secp256r1", hashes.SHA256(), 32),
    SigningAlg.ES384: _Curve("secp384r1", hashes.SHA384(), 48),
}


def algorithm_of(key: object) -> SigningAlg:
    """The algorithm that a public key signs claims with. Raises: KeysUnusable for any other kind of key."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return SigningAlg.ED25519
    if isinstance(key, ec.EllipticCurvePublicKey):
        for alg, curve in CURVES.items():
            if key.curve.name == curve.name:
                return alg
    if isinstance(key, rsa.RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        if key.public_numbers().e < MIN_RSA_EXPONENT:
            raise KeysUnusable("the RSA key has a public exponent below 65537; make another key")
        return SigningAlg.PS256
    raise KeysUnusable(
        "only P-256, P-384, RSA (2048 bits or more) and Ed25519 keys sign claims; make such a key"
    )


def hash_of(alg: SigningAlg) -> hashes.HashAlgorithm | None:
    """The hash that is signed; None where the algorithm signs the message itself (Ed25519)."""
    if alg is SigningAlg.ED25519:
        return None
    return CURVES[alg].hash if alg in CURVES else hashes.SHA256()


def digest(alg: SigningAlg, data: bytes) -> bytes:
    """The digest of `data` that `alg` signs. Raises: KeysUnusable for Ed25519, which has none."""
    if (chosen := hash_of(alg)) is None:
        raise KeysUnusable("Ed25519 signs messages, not digests; let the service sign the message")
    hasher = hashes.Hash(chosen)
    hasher.update(data)
    return hasher.finalize()


def pss() -> padding.PSS:
    """The padding of PS256 (RFC 8230: MGF1 with the same hash, salt as long as the hash)."""
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=PSS_SALT_BYTES)


def to_der(alg: SigningAlg, signature: bytes) -> bytes:
    """An ECDSA signature as DER; r||s, which modules return, is told by its length. Others as they are."""
    curve = CURVES.get(alg)
    if curve is None or len(signature) != 2 * curve.number_bytes:
        return signature
    r, s = signature[: curve.number_bytes], signature[curve.number_bytes :]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def holds(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether `signature` (DER for ECDSA) over the message `data` is this key's, by its one algorithm."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, pss(), hashes.SHA256())
        else:
            key.verify(signature, data, ec.ECDSA(CURVES[algorithm_of(key)].hash))
    except InvalidSignature:
        return False
    return True
