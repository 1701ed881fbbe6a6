"""Certificate requests (PKCS#10) for keys wherever they lie: `cryptography` builds them, the key signs.

`cryptography` signs with objects of its own classes of keys; the classes here are such keys, of which
nothing but `sign` and `public_key` works, since the private key cannot be had.
"""

from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pipeline.credentials.algorithms import SigningAlg, algorithm_of, hash_of, pss
from pipeline.credentials.signer import SigningKey
from pipeline.errors import UsageError


def make_request(key: SigningKey, *, organisation: str, common_name: str, country: str | None = None) -> str:
    """A request in PEM, signed by the key itself.

    Raises: UsageError for names that a certificate cannot hold, KeysUnusable when the key does not sign.
    """
    alg = algorithm_of(key.public_key)
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        _subject(organisation, common_name, country)
    )
    private: Any = _ADAPTERS[alg](key)
    padding = pss() if alg is SigningAlg.PS256 else None
    request = builder.sign(private, hash_of(alg), rsa_padding=padding)  # type: ignore[arg-type]
    return request.public_bytes(Encoding.PEM).decode()


def _subject(organisation: str, common_name: str, country: str | None) -> x509.Name:
    try:
        names = [x509.NameAttribute(NameOID.COUNTRY_NAME, country)] if country else []
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    except ValueError as error:
        raise UsageError(f"the names do not fit into a certificate ({error}); choose others") from None
    return x509.Name(names)


class _Remote:
    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def public_key(self) -> Any:
        return self._key.public_key

    def sign(self, data: bytes, *_: object) -> bytes:
        """Hash and padding are those that the algorithm of the key has; `make_request` names the same."""
        return self._key.sign(data)

    def _out_of_reach(self, *_: object, **__: object) -> NoReturn:
        raise NotImplementedError("the private key is out of reach")

    private_numbers = private_bytes = private_bytes_raw = exchange = decrypt = _out_of_reach
    __copy__ = __deepcopy__ = _out_of_reach

    @property
    def curve(self) -> Any:
        return self.public_key().curve

    @property
    def key_size(self) -> int:
        size: int = self.public_key().key_size
        return size


class _EcKey(_Remote, ec.EllipticCurvePrivateKey):  # type: ignore[misc]
    pass


class _RsaKey(_Remote, rsa.RSAPrivateKey):
    pass


class _Ed25519Key(_Remote, ed25519.Ed25519PrivateKey):  # type: ignore[misc]
    pass


_ADAPTERS: Any = {
    SigningAlg.ES256: _EcKey, SigningAlg.ES384: _EcKey, SigningAlg.PS256: _RsaKey,
    SigningAlg.ED25519: _Ed25519Key,
}  # fmt: skip
