"""How OCSP responders are reached: within one time, whatever they send, and over TLS."""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.credentials import certs, ocsp, revocation
from pipeline.credentials.reading import RevocationState


def now() -> datetime:
    return datetime.now(UTC)


def slowly(server: socket.socket, before: bytes, stop: threading.Event) -> None:
    """Sends `before`, then a byte again and again, for three seconds at most."""
    with server, server.accept()[0] as asking, contextlib.suppress(OSError):
        asking.sendall(before)
        for _ in range(60):
            if stop.wait(0.05):
                return
            asking.sendall(b"x")


HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "headers": ("http", HEAD), "body": ("http", HEAD + b"Content-Length: 60000\r\n\r\n"),
    "handshake": ("https", b"\x16\x03\x03\x40\x00"),
}  # fmt: skip


@pytest.mark.parametrize("where", SLOW)
def test_a_responder_that_sends_byte_by_byte_is_not_waited_for(desk, signed, monkeypatch, where):
    scheme, before = SLOW[where]
    monkeypatch.setattr(revocation, "SECONDS", 0.3)
    server, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()
    address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/"
    thread = threading.Thread(target=slowly, args=(server, before, stop), daemon=True)
    thread.start()
    began = time.monotonic()
    told = revocation.checked(desk.read(signed.path), desk.pki.trust, [address], now())
    took = time.monotonic() - began
    stop.set()
    thread.join()
    assert told.revocation is RevocationState.NOT_CHECKED
    assert 0.25 < took < 1.5


def https_certificate() -> certs.KeyPair:
    key, name = ec.generate_private_key(ec.SECP256R1()), certs.name_of("responder", "Tests")
    builder = certs._builder(name, name, key.public_key(), now(), timedelta(days=1))
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return certs.KeyPair(
        key=key, certificate=builder.add_extension(here, critical=False).sign(key, hashes.SHA256())
    )


def test_over_tls_only_a_responder_whose_certificate_holds_is_asked(desk, signed, monkeypatch, tmp_path):
    pair, pem = https_certificate(), tmp_path / "responder.pem"
    pem.write_bytes(pair.to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    authority, said = ocsp.of_development(desk.pki.folder), []
    with ocsp.Server(("127.0.0.1", 0), authority, now) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        address = f"https://127.0.0.1:{server.server_address[1]}/"
        for believed in (False, True):
            if believed:
                monkeypatch.setenv("SSL_CERT_FILE", str(pem))
            reading = revocation.checked(desk.read(signed.path), desk.pki.trust, [address], now())
            said.append(reading.revocation)
        server.shutdown()
        thread.join()
    assert said == [RevocationState.NOT_CHECKED, RevocationState.GOOD]
