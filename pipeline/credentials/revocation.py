"""The asking side of OCSP: whether a signer of ours was revoked, by what its issuer says now.

c2pa's own check fails open (docs/adr/0059), and the child that parses files has no network. So the parent
asks, by these rules, numbered as in the code below:

1. only addresses from the settings are asked, never one out of a file or certificate; no redirects, no
proxies;
2. only about signers of our table, whose issuer is among our own claim roots and intermediates; one that
   was certified anew with another key is there more than once: then each is asked about, and ``revoked``
   outweighs ``good``, which some responders say of what their issuer never issued;
3. an answer counts when it is about this very certificate, signed by the issuer or by a responder that the
   issuer certified for nothing but that, fresh, and with our nonce, or none;
4. whatever is not a definite ``good`` or ``revoked`` is *not checked*: then nothing of the credential is
   believed, but a revocation that the signer table knows stays one;
5. a revocation covers what was not time-stamped before it, as in the signer table;
6. credentials of others cannot be asked about, and so are not believed while ``ocsp`` is ``require``.
"""

import http.client
import io
import secrets
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipeline.credentials.ocsp import REQUEST_TYPE, State, issuer_hashes
from pipeline.credentials.profile import extension, issued_by, read_roots, subject_names
from pipeline.credentials.reading import CredentialReading, RevocationState
from pipeline.credentials.trust import SignerEntry, TrustStore
from pipeline.errors import KeysUnusable

SECONDS: Final = 5.0  # for one question, from connecting to the last byte of the answer
MAX_RESPONSE_BYTES: Final = 64 * 1024
MAX_AGE: Final = timedelta(days=7)
CLOCK_SKEW: Final = timedelta(minutes=5)
NONCE_BYTES: Final = 32
# Names certificates only, nothing rests on it; RFC 5019 and RFC 6960 ask for SHA-1 there.
CERT_ID_HASH: Final = hashes.SHA1()  # noqa: S303
# What reading an answer that is none, or damaged, can raise.
_ODD: Final = (ValueError, TypeError, UnsupportedAlgorithm, KeysUnusable, x509.DuplicateExtension)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a responder said: UNKNOWN for everything that is not definite."""

    state: State
    revoked_at: datetime | None = None


NOTHING: Final = Told(state=State.UNKNOWN)


def checked(
    reading: CredentialReading, trust: TrustStore, responders: Sequence[str], now: datetime
) -> CredentialReading:
    """The reading after `responders` were asked; as it is where it is not trusted."""
    if not reading.trusted:
        return reading
    told = _asked(reading, trust, responders, now)
    if told.state is State.UNKNOWN:  # rules 4 and 6
        return replace(
            reading, trusted=False, ours=False, signer_name=None, generator=None,
            system=None, system_version=None, made_at=None, release=None, signer_cert_sha256=None,
            revocation=RevocationState.NOT_CHECKED,
        )  # fmt: skip
    if told.state is State.GOOD:
        return replace(reading, revocation=RevocationState.GOOD)
    covered = reading.revoked_signer or _covers(told, reading.timestamp_time)
    return replace(reading, revoked_signer=covered, revocation=RevocationState.REVOKED)


def _covers(told: Told, stamped_at: str | None) -> bool:
    """Rule 5."""
    if told.revoked_at is None or stamped_at is None:
        return True
    return datetime.fromisoformat(stamped_at) >= told.revoked_at


def _asked(reading: CredentialReading, trust: TrustStore, responders: Sequence[str], now: datetime) -> Told:
    entry = trust.signers.find(reading.signer_cert_sha256 or "") if reading.ours else None
    if entry is None:
        return NOTHING
    issuers = _issuers(entry, trust)
    answers = (_said(address, int(entry.serial), issuers, now) for address in responders)
    return next((told for told in answers if told.state is not State.UNKNOWN), NOTHING)


def _said(address: str, serial: int, issuers: Sequence[x509.Certificate], now: datetime) -> Told:
    """What one responder says of the certificate, whichever of `issuers` it is of."""
    told = [ask(address, serial, issuer, now) for issuer in issuers]
    return min(told, key=lambda one: _WEIGHT.index(one.state), default=NOTHING)


_WEIGHT: Final = (State.REVOKED, State.GOOD, State.UNKNOWN)


def _issuers(entry: SignerEntry, trust: TrustStore) -> list[x509.Certificate]:
    """Rule 2: the certificates of ours with the name of the signer's issuer, one for each of its keys."""
    try:
        known = [*read_roots(trust.claim_roots), *read_roots(trust.intermediates)]
    except KeysUnusable:
        return []
    fitting = [one for one in known if subject_names(one) == entry.issuer_name]
    return list({issuer_hashes(one, CERT_ID_HASH): one for one in fitting}.values())


def ask(address: str, serial: int, issuer: x509.Certificate, now: datetime) -> Told:
    """What the responder at `address` says of a certificate of `issuer`; UNKNOWN for what cannot count."""
    names, nonce = issuer_hashes(issuer, CERT_ID_HASH), secrets.token_bytes(NONCE_BYTES)
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(*names, serial, CERT_ID_HASH)
    request = builder.add_extension(x509.OCSPNonce(nonce), critical=False).build()
    try:
        content = _fetch(address, request.public_bytes(Encoding.DER))
        said = ocsp.load_der_ocsp_response(content)
        if said.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return NOTHING
        about = (said.issuer_name_hash, said.issuer_key_hash, said.serial_number)
        if about != (*names, serial) or not _fresh(said, nonce, now) or not _signed(said, issuer, now):
            return NOTHING  # rule 3
        state = _STATES.get(said.certificate_status, State.UNKNOWN)
        return Told(state=state, revoked_at=said.revocation_time_utc)
    except (OSError, http.client.HTTPException, *_ODD):
        return NOTHING


_STATES: Final = {ocsp.OCSPCertStatus.GOOD: State.GOOD, ocsp.OCSPCertStatus.REVOKED: State.REVOKED}


def _fetch(address: str, request: bytes) -> bytes:
    """Rule 1: one POST to this address, and nothing that it points to; all of it within `SECONDS`."""
    place, until = urlsplit(address), time.monotonic() + SECONDS
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port)
    opened: Any = _Bounded(_connected(place, connection.port, until), until)
    connection.sock = opened
    try:
        connection.request("POST", place.path or "/", body=request, headers={"Content-Type": REQUEST_TYPE})
        response = connection.getresponse()
        content = response.read(MAX_RESPONSE_BYTES + 1)
    finally:
        connection.close()
    if response.status != 200 or len(content) > MAX_RESPONSE_BYTES:
        raise ValueError("no answer")
    return content


def _connected(place: SplitResult, port: int, until: float) -> socket.socket:
    """A socket to that place. Only the resolver keeps its own time: it is this machine's, not theirs."""
    host, failed = place.hostname or "", OSError("no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(_left(until))
            opened.connect(address)
            if place.scheme != "https":
                return opened
            opened.settimeout(_left(until))  # of the whole handshake, whatever it consists of
            return ssl.create_default_context().wrap_socket(opened, server_hostname=host)
        except OSError as error:
            opened.close()
            failed = error
    raise failed


def _left(until: float) -> float:
    """Seconds to the moment `until` of the monotonic clock. Raises: TimeoutError when it has come."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the responder took too long")
    return seconds


class _Bounded:
    """A socket for `http.client` that ends at one moment: a time-out alone begins anew with every byte."""

    def __init__(self, inner: socket.socket, until: float) -> None:
        self._inner, self._until = inner, until
        self.close = inner.close

    def sendall(self, data: bytes) -> None:
        self._inner.settimeout(_left(self._until))
        self._inner.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._inner, self._until))


class _BoundedReader(io.RawIOBase):
    def __init__(self, inner: socket.socket, until: float) -> None:
        self._inner, self._until = inner, until
        self._file = inner.makefile("rb", buffering=0)  # keeps the socket open when `http.client` closes it

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._inner.settimeout(_left(self._until))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _fresh(said: ocsp.OCSPResponse, nonce: bytes, now: datetime) -> bool:
    """In its time, not old, and an answer to this question where it has a nonce."""
    try:
        if said.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce != nonce:
            return False
    except x509.ExtensionNotFound:
        pass  # large responders hand out prepared answers (RFC 5019): their times bound them
    start, end = said.this_update_utc, said.next_update_utc
    return end is not None and now - MAX_AGE <= start <= now + CLOCK_SKEW and now < end


def _signed(said: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> bool:
    """By the issuer itself, or by a responder that it certified (RFC 6960, 4.2.2.2)."""
    delegates = [one for one in said.certificates if _is_responder(one, issuer, now)]
    return any(_holds(said, one) for one in [issuer, *delegates] if _names(said, one))


def _is_responder(one: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    purposes, unchecked = extension(one, x509.ExtendedKeyUsage), extension(one, x509.OCSPNoCheck)
    return (
        purposes is not None and ExtendedKeyUsageOID.OCSP_SIGNING in purposes and unchecked is not None
        and one.not_valid_before_utc <= now < one.not_valid_after_utc and issued_by(one, issuer)
    )  # fmt: skip


def _names(said: ocsp.OCSPResponse, one: x509.Certificate) -> bool:
    if said.responder_name is not None:
        return said.responder_name == one.subject
    return said.responder_key_hash == issuer_hashes(one, CERT_ID_HASH)[1]


def _holds(said: ocsp.OCSPResponse, one: x509.Certificate) -> bool:
    key, hashed, data = one.public_key(), said.signature_hash_algorithm, said.tbs_response_bytes
    if not isinstance(hashed, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(said.signature, data, ec.ECDSA(hashed))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(said.signature, data, padding.PKCS1v15(), hashed)
        else:
            return False
    except InvalidSignature:
        return False
    return True
