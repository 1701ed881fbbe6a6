"""A claim key in a PKCS#11 module (hardware module, smart card, SoftHSM). Rules, numbered as in the code:

1. one module, one lock: modules need not be safe for threads, and a login holds for the whole process;
2. a token that was away is opened again once per signature: first with a new session, then with the module
   begun anew, since modules look for tokens when they begin. A second failure is told;
3. a PIN that was refused is not tried again by this process: tokens lock themselves after a few wrong ones;
4. what is told is the kind of the error, never a PIN or the module's own text.

Needs the extra ``pkcs11`` (python-pkcs11).
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import load_der_public_key

from pipeline.credentials.algorithms import PublicKey, SigningAlg, algorithm_of, digest, holds, to_der
from pipeline.credentials.keyfiles import read_private
from pipeline.credentials.pkcs11_uri import Pkcs11Uri
from pipeline.errors import KeysUnusable, NotInstalled

try:
    import pkcs11
    from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass
    from pkcs11 import exceptions as kinds
    from pkcs11.util.ec import encode_ec_public_key
    from pkcs11.util.rsa import encode_rsa_public_key
except ImportError:  # told by `Pkcs11Key`
    pkcs11 = None  # type: ignore[assignment]

_LOCKS: Final[dict[Path, threading.RLock]] = {}
_REFUSED_PINS: Final[set[str]] = set()
_GUARD: Final = threading.Lock()


class Pkcs11Key:
    """A private key of a token. Raises: NotInstalled, KeysUnusable when module, token, PIN or key fail."""

    def __init__(self, uri: Pkcs11Uri, pin: str | None, expected: PublicKey | None = None) -> None:
        """`pin`: where the URI names no file; None for tokens without one. `expected`: the leaf's public key;
        without it the token's public object is read, and signatures are checked with it.
        """  # fmt: skip
        if pkcs11 is None:
            raise NotInstalled("PKCS#11 modules need: pip install 'countermark[pkcs11]'")
        self._uri, self._pin = uri, _pin(uri, pin)
        with _GUARD:
            self._lock = _LOCKS.setdefault(uri.module, threading.RLock())
        self._session: Any = None
        self._key: Any = None
        with self._lock, self._told():
            try:
                self._open()
            except pkcs11.PKCS11Error:
                if self._session is not None or self._mark() in _REFUSED_PINS:
                    raise
                self._reopen()  # it may have been put in since the module began
            self._public = expected or self._read_public()
        self._alg = algorithm_of(self._public)

    @property
    def public_key(self) -> PublicKey:
        """The leaf's public key, or the one that the token shows."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """Sign in the token; safe from several threads. Raises: KeysUnusable."""
        with self._lock, self._told():  # rule 1
            try:
                signature = self._sign(data)
            except pkcs11.PKCS11Error:
                self._reopen()  # rule 2
                signature = self._sign(data)
        if not holds(self._public, signature, data):
            raise KeysUnusable(
                f"{self._uri.told} is not the key of the certificate; check signer and signer_chain"
            )
        return signature

    def _sign(self, data: bytes) -> bytes:
        if self._key is None:
            raise kinds.SessionHandleInvalid
        match self._alg:
            case SigningAlg.ED25519:
                made = self._key.sign(data, mechanism=Mechanism.EDDSA)
            case SigningAlg.PS256:
                parameters = (Mechanism.SHA256, MGF.SHA256, 32)
                made = self._key.sign(
                    data, mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=parameters
                )
            case _:
                made = self._key.sign(digest(self._alg, data), mechanism=Mechanism.ECDSA)
        return to_der(self._alg, made)

    def _reopen(self) -> None:
        with suppress(pkcs11.PKCS11Error, AttributeError):
            self._session.close()
        self._session = self._key = None
        try:
            self._open()
        except pkcs11.PKCS11Error:
            pkcs11.lib(str(self._uri.module)).reinitialize()
            self._open()

    def _open(self) -> None:
        token, mark = self._token(), self._mark()
        if mark in _REFUSED_PINS:  # rule 3
            raise KeysUnusable(
                f"the PIN of {self._uri.told} was refused and is not tried again, since the token would lock "
                "itself; correct it and start again"
            )
        try:
            self._session = self._log_in(token)
        except (kinds.PinIncorrect, kinds.PinInvalid, kinds.PinLenRange):
            _REFUSED_PINS.add(mark)
            raise
        wanted = {"label": self._uri.object, "id": self._uri.id}
        self._key = self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, **wanted)

    def _log_in(self, token: Any) -> Any:
        try:
            return token.open(user_pin=self._pin)
        except kinds.UserAlreadyLoggedIn:  # by another key of this process, or before the session was lost
            return token.open()

    def _token(self) -> Any:
        uri = self._uri
        module = pkcs11.lib(str(uri.module))
        fitting = [
            token for token in module.get_tokens(token_label=uri.token)
            if uri.serial in (None, token.serial.decode(errors="replace").strip())
            and uri.manufacturer in (None, token.manufacturer_id) and uri.model in (None, token.model)
            and uri.slot_id in (None, token.slot.slot_id)
        ]  # fmt: skip
        if not fitting:
            raise kinds.TokenNotPresent
        if len(fitting) > 1:
            raise kinds.MultipleTokensReturned
        return fitting[0]

    def _mark(self) -> str:
        """Names PIN and token in the list of refused ones without keeping the PIN."""
        told = f"{self._uri.module}\0{self._uri.token}\0{self._uri.serial}\0{self._uri.slot_id}\0{self._pin}"
        return hashlib.sha256(told.encode()).hexdigest()

    def _read_public(self) -> PublicKey:
        identity = {"label": self._uri.object, "id": self._uri.id}
        key = self._session.get_key(object_class=ObjectClass.PUBLIC_KEY, **identity)
        if key.key_type is KeyType.RSA:
            der = encode_rsa_public_key(key)
            return _rsa(der)
        if key.key_type is KeyType.EC_EDWARDS:
            return _ed25519(bytes(key[Attribute.EC_POINT]))
        public: Any = load_der_public_key(encode_ec_public_key(key))
        algorithm_of(public)
        return public  # type: ignore[no-any-return]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Rule 4."""
        try:
            yield
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            kind = type(error).__name__
            raise KeysUnusable(
                f"{self._uri.told} cannot be used ({kind}); check module, token and PIN"
            ) from None


def _pin(uri: Pkcs11Uri, given: str | None) -> str | None:
    if uri.pin_file is None:
        return given
    try:
        return read_private(uri.pin_file).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise KeysUnusable(f"{uri.pin_file} is not text; write the PIN into it, and nothing else") from None


def _rsa(der: bytes) -> PublicKey:
    from asn1crypto.keys import PublicKeyInfo, RSAPublicKey  # comes with python-pkcs11

    public: Any = load_der_public_key(PublicKeyInfo.wrap(RSAPublicKey.load(der), "rsa").dump())
    return public  # type: ignore[no-any-return]


def _ed25519(point: bytes) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    # PKCS#11 3.0 wraps the 32 bytes into an OCTET STRING; some modules do not.
    return Ed25519PublicKey.from_public_bytes(point[-32:])
