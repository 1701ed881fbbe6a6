"""The answering side of OCSP (RFC 6960): what a CA says of the certificates that it issued.

Answers are signed by a responder's certificate of its own (OCSPSigning, id-pkix-ocsp-nocheck), carry the
nonce of the question (RFC 9654), and hold for some hours. Of a certificate that the CA never issued it says
``unknown``; of another CA's nothing (``unauthorized``).
"""

import base64
import binascii
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pipeline.credentials import ca, certs
from pipeline.credentials.certs import KeyPair
from pipeline.credentials.pki import CLAIM_ROOT, load_pair, load_signers
from pipeline.credentials.profile import subject_names
from pipeline.credentials.safe import Safe
from pipeline.credentials.trust import SignerState

HOLDS: Final = timedelta(hours=4)
RENEW_BEFORE: Final = timedelta(days=3)
MAX_REQUEST_BYTES: Final = 8 * 1024
MAX_NONCE_BYTES: Final = 128  # RFC 9654
REQUEST_TYPE: Final = "application/ocsp-request"
RESPONSE_TYPE: Final = "application/ocsp-response"
HASHES: Final = (hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512)
Clock = Callable[[], datetime]


class State(StrEnum):
    """What a responder says of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A certificate's state; with REVOKED, since when, and why where that is known."""

    state: State
    revoked_at: datetime | None = None
    reason: x509.ReasonFlags | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """For whom is answered: the root, and a look-up of the state now."""

    root: KeyPair
    status: Callable[[int], Status]

    def responder(self, now: datetime) -> KeyPair:
        """A new responder: its key is never written down, since who has the root can make another."""
        return certs.make_responder(self.root, now)


def of_ca(folder: Path) -> Authority:
    """The CA in `folder`. Raises: KeysUnusable."""

    def status(serial: int) -> Status:
        found = ca.load(folder).record.find(serial)
        if found is None:
            return Status(state=State.UNKNOWN)
        if found.revoked_at is None:
            return Status(state=State.GOOD)
        reason = ca.REASONS.get(found.reason or "")
        return Status(
            state=State.REVOKED, revoked_at=datetime.fromisoformat(found.revoked_at), reason=reason
        )  # fmt: skip

    return Authority(root=ca.load(folder).root, status=status)


def of_development(folder: Path, safe: Safe | None = None) -> Authority:
    """A home's own claim root (`pki`), whose revocations are in the signer table; `safe` opens sealed keys.

    Raises: KeysUnusable.
    """
    root = load_pair(folder / CLAIM_ROOT, safe)
    issuer = subject_names(root.certificate)

    def status(serial: int) -> Status:
        rows = load_signers(folder).entries
        found = next((row for row in rows if (row.serial, row.issuer_name) == (str(serial), issuer)), None)
        if found is None:
            return Status(state=State.UNKNOWN)
        if found.state is not SignerState.REVOKED:
            return Status(state=State.GOOD)
        since = datetime.fromisoformat(found.revoked_at or found.not_before)
        return Status(state=State.REVOKED, revoked_at=since)

    return Authority(root=root, status=status)


def answer(request: bytes, authority: Authority, responder: KeyPair, now: datetime) -> bytes:
    """The DER OCSPResponse to a DER OCSPRequest; what cannot be answered is told in it."""
    try:
        asked = ocsp.load_der_ocsp_request(request)
        nonce = _nonce(asked)
        hashed = asked.hash_algorithm
    except (ValueError, NotImplementedError, x509.DuplicateExtension):
        return _refusal(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    except UnsupportedAlgorithm:
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    if not isinstance(hashed, HASHES) or not _about(asked, authority.root.certificate):
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    status = authority.status(asked.serial_number)
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        issuer_name_hash=asked.issuer_name_hash, issuer_key_hash=asked.issuer_key_hash,
        serial_number=asked.serial_number, algorithm=hashed, cert_status=_STATES[status.state],
        this_update=now, next_update=now + HOLDS, revocation_time=status.revoked_at,
        revocation_reason=status.reason,
    )  # fmt: skip
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
    builder = builder.certificates([responder.certificate])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(responder.key, hashes.SHA256()).public_bytes(Encoding.DER)


_STATES: Final = {
    State.GOOD: ocsp.OCSPCertStatus.GOOD, State.REVOKED: ocsp.OCSPCertStatus.REVOKED,
    State.UNKNOWN: ocsp.OCSPCertStatus.UNKNOWN,
}  # fmt: skip


def _nonce(asked: ocsp.OCSPRequest) -> bytes | None:
    try:
        nonce = asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None
    if not 1 <= len(nonce) <= MAX_NONCE_BYTES:
        raise ValueError("nonce")
    return nonce


def _about(asked: ocsp.OCSPRequest, issuer: x509.Certificate) -> bool:
    """Whether the question is about a certificate of `issuer`."""
    names = issuer_hashes(issuer, asked.hash_algorithm)
    return names == (asked.issuer_name_hash, asked.issuer_key_hash)


def issuer_hashes(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    """The two hashes by which a CertID names an issuer (RFC 6960, 4.1.1): of its name, and of its key."""
    built = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, algorithm).build()
    return built.issuer_name_hash, built.issuer_key_hash


def _refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


class Server(ThreadingHTTPServer):
    """Answers over HTTP (RFC 6960, appendix A): POST, or GET with the request in the path.

    Raises: OSError when it cannot listen there.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], authority: Authority, clock: Clock) -> None:
        self.authority, self.clock = authority, clock
        self._renewing, self._responder = threading.Lock(), authority.responder(clock())
        super().__init__(address, _Handler)

    def reply(self, request: bytes) -> bytes:
        """The answer to one question, as things stand now."""
        now = self.clock().astimezone(UTC)
        with self._renewing:
            if now >= self._responder.certificate.not_valid_after_utc - RENEW_BEFORE:
                self._responder = self.authority.responder(now)
            responder = self._responder
        return answer(request, self.authority, responder, now)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10

    def do_POST(self) -> None:
        """Answer a question in the body."""
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > MAX_REQUEST_BYTES:
            return self.send_error(413)
        return self._answer(self.rfile.read(int(size)))

    def do_GET(self) -> None:
        """Answer a question in the path, base64 with percent-encoding."""
        try:
            request = base64.b64decode(unquote(self.path.lstrip("/")), validate=True)
        except (binascii.Error, ValueError):
            return self.send_error(404)
        return self._answer(request)

    def _answer(self, request: bytes) -> None:
        try:
            body = self.server.reply(request)
        except Exception:  # noqa: BLE001 - RFC 6960: a responder in trouble says so, and nothing of why
            body = _refusal(ocsp.OCSPResponseStatus.INTERNAL_ERROR)
        self.send_response(200)
        self.send_header("Content-Type", RESPONSE_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: libraries do not print."""
