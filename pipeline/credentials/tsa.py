"""The local time-stamp authority (RFC 3161), for homes that have not configured one of their own.

It answers on an ephemeral loopback port only while a clip is being signed, behind a path that nobody can
guess. Its word is worth what the machine's clock is worth: it proves order against our own keys, not time
against the world. Needs the extra ``guard`` (asn1crypto); reading time-stamps does not.
"""

import contextlib
import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final

from asn1crypto import algos, cms, core, tsp, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.credentials.certs import KeyPair
from pipeline.credentials.keyfiles import locked, read_private, write_private
from pipeline.credentials.pki import Pki
from pipeline.errors import KeysUnusable

Clock = Callable[[], datetime]

SERIAL_FILE: Final = "tsa_serial"
MAX_REQUEST_BYTES: Final = 64 * 1024
# anyPolicy: a development authority promises nothing in particular.
POLICY: Final = "2.5.29.32.0"
QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"
DIGEST_BYTES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}


@dataclass(slots=True, kw_only=True)
class LocalTsa:
    """A running local authority: its address and whatever went wrong in it."""

    url: str
    failures: list[str] = field(default_factory=list)


@contextlib.contextmanager
def local_tsa(pki: Pki, *, clock: Clock) -> Iterator[LocalTsa]:
    """Serve time-stamps on loopback for as long as the ``with`` block lasts.

    `clock`: the present time (aware) for each time-stamp. Raises: OSError when no port can be opened.
    """
    path = "/" + secrets.token_urlsafe(24)
    server = _Server(("127.0.0.1", 0), _Handler)
    running = LocalTsa(url=f"http://127.0.0.1:{server.server_address[1]}{path}")
    server.stamping = _Stamping(path=path, pki=pki, clock=clock, running=running)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def next_serial(folder: Path) -> int:
    """The next time-stamp serial number of this key folder: never used twice, also across processes.

    Raises: KeysUnusable when the counter is damaged.
    """
    path = folder / SERIAL_FILE
    with locked(folder / f"{SERIAL_FILE}.lock"):
        try:
            serial = int(read_private(path)) + 1 if path.exists() else 1
        except ValueError:
            raise KeysUnusable(f"{path} is damaged; restore it from a backup") from None
        write_private(path, str(serial).encode())
        return serial


def answer(request: bytes, pair: KeyPair, *, serial: int, now: datetime) -> bytes:
    """The DER TimeStampResp to a DER TimeStampReq; a request that cannot be served is rejected in it."""
    try:
        query = tsp.TimeStampReq.load(request, strict=True)
        imprint = query["message_imprint"]
        algorithm = imprint["hash_algorithm"]["algorithm"].native
        digest = imprint["hashed_message"].native
    except (ValueError, TypeError, KeyError):
        return _rejection("bad_data_format")
    if len(digest) != DIGEST_BYTES.get(algorithm, -1):
        return _rejection("bad_alg")
    if (policy := query["req_policy"].native) is not None and policy != POLICY:
        return _rejection("unaccepted_policy")
    info = _info(query, serial, now)
    return _granted(_signed(info.dump(), pair, now))


def _info(query: Any, serial: int, now: datetime) -> Any:
    info = {
        "version": "v1", "policy": POLICY, "message_imprint": query["message_imprint"],
        "serial_number": serial, "gen_time": now.astimezone(UTC).replace(microsecond=0),
        "accuracy": {"seconds": 1},
    }  # fmt: skip
    if query["nonce"].native is not None:
        info["nonce"] = query["nonce"].native
    return tsp.TSTInfo(info)


def _signed(content: bytes, pair: KeyPair, now: datetime) -> Any:
    certificate = x509.Certificate.load(pair.certificate.public_bytes(Encoding.DER))
    attributes = _attributes(content, certificate, now)
    signer = cms.SignerInfo({
        "version": "v1",
        "sid": {"issuer_and_serial_number": {
            "issuer": certificate.issuer, "serial_number": certificate.serial_number,
        }},
        "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        # RFC 5652: what is signed is the DER of a SET OF, not the implicitly tagged field.
        "signature": pair.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
    })  # fmt: skip
    return cms.SignedData({
        "version": "v3",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": {
            "content_type": "tst_info", "content": core.ParsableOctetString(content),
        },
        "certificates": [certificate],
        "signer_infos": [signer],
    })  # fmt: skip


def _attributes(content: bytes, certificate: Any, now: datetime) -> Any:
    signing_certificate = tsp.SigningCertificateV2({
        "certs": [{"cert_hash": hashlib.sha256(certificate.dump()).digest()}]
    })  # fmt: skip
    signing_time = cms.Time({"utc_time": core.UTCTime(now.astimezone(UTC).replace(microsecond=0))})
    return cms.CMSAttributes([
        cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
        cms.CMSAttribute({"type": "signing_time", "values": [signing_time]}),
        cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(content).digest()]}),
        cms.CMSAttribute({"type": "signing_certificate_v2", "values": [signing_certificate]}),
    ])  # fmt: skip


def _granted(signed: Any) -> bytes:
    token = {"content_type": "signed_data", "content": signed}
    response: bytes = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump()
    return response


def _rejection(reason: str) -> bytes:
    response: bytes = _Rejection({"status": {"status": "rejection", "fail_info": {reason}}}).dump()
    return response


class _Rejection(core.Sequence):  # type: ignore[misc]
    """A TimeStampResp without a token, which asn1crypto's own class wrongly demands."""

    _fields: ClassVar = [("status", tsp.PKIStatusInfo)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamping:
    path: str
    pki: Pki
    clock: Clock
    running: LocalTsa


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stamping: _Stamping


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_POST(self) -> None:
        """Answer one time-stamp query."""
        stamping = self.server.stamping
        size = self.headers.get("Content-Length", "")
        if not secrets.compare_digest(self.path.encode(), stamping.path.encode()):
            return self.send_error(404)
        if not size.isdecimal() or int(size) > MAX_REQUEST_BYTES:
            return self.send_error(413)
        try:
            serial = next_serial(stamping.pki.folder)
            reply = answer(self.rfile.read(int(size)), stamping.pki.tsa, serial=serial, now=stamping.clock())
        except Exception as error:  # noqa: BLE001 - the signer must learn the cause, whatever it is
            stamping.running.failures.append(str(error))
            return self.send_error(500)
        return self._reply(reply)

    def _reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", REPLY_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: libraries do not print."""
