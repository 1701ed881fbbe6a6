"""Our OCSP responder: what it says of whom, over HTTP, and that OpenSSL agrees."""

import base64
import contextlib
import http.client
import subprocess
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as kinds
from loopback import answering

from pipeline.credentials import ca, ocsp
from pipeline.credentials.csr import make_request
from pipeline.credentials.ocsp import Authority, Server, State, Status
from pipeline.credentials.pki import ensure_pki, fingerprint, revoke_signer
from pipeline.credentials.signer import LocalKeySigner


def now() -> datetime:
    return datetime.now(UTC)


@contextlib.contextmanager
def serving(authority: Authority):
    with Server(("127.0.0.1", 0), authority, now) as server, answering(server):
        yield server


@pytest.fixture
def responder(desk):
    with serving(ocsp.of_development(desk.pki.folder)) as server:
        yield server


def test_the_signer_table_of_a_home_is_what_its_responder_says(desk, signed, tmp_path):
    pki = ensure_pki(tmp_path / "keys" / "pki", now=now())
    serial = pki.claim.certificate.serial_number
    authority = ocsp.of_development(pki.folder)
    assert authority.status(serial).state is State.GOOD
    assert authority.status(serial + 1).state is State.UNKNOWN
    since = now().replace(microsecond=0)
    revoke_signer(pki.folder, fingerprint(pki.claim.certificate), at=since)
    assert authority.status(serial) == Status(state=State.REVOKED, revoked_at=since)


def test_openssl_agrees_with_our_answers(tmp_path, desk):
    folder = tmp_path / "ca"
    made = ca.create(folder, "Studio", now=now())
    request = make_request(LocalKeySigner(desk.pki), organisation="Studio", common_name="s").encode()
    good, bad = (ca.issue(folder, request, now=now(), days=30) for _ in range(2))
    ca.revoke(folder, fingerprint(bad), at=now() - timedelta(hours=1), reason="key-compromise")
    (tmp_path / "root.pem").write_text(made.root.certificate_pem)
    with serving(ocsp.of_ca(folder)) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        for leaf, word in ((good, "good"), (bad, "revoked")):
            (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
            told = subprocess.run(
                ["openssl", "ocsp", "-issuer", "root.pem", "-cert", "leaf.pem", "-CAfile", "root.pem", "-url",
                 address],
                cwd=tmp_path, capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert "Response verify OK" in told.stderr
            assert "WARNING" not in told.stderr  # the nonce came back
            assert f"leaf.pem: {word}" in told.stdout
        assert "keyCompromise" in told.stdout


def test_over_http_with_the_question_in_the_path_or_too_large(desk, responder):
    host, port = responder.server_address[:2]

    def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection(host, port, timeout=10)) as connection:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()

    path = "/" + quote(base64.b64encode(asked_about(desk)).decode(), safe="")
    status, content = ask("GET", path)
    said = kinds.load_der_ocsp_response(content)
    assert (status, said.certificate_status) == (200, kinds.OCSPCertStatus.GOOD)
    assert ask("GET", "/hello?")[0] == 404
    assert ask("POST", "/", bytes(ocsp.MAX_REQUEST_BYTES + 1))[0] == 413


def test_what_is_no_question_for_this_ca_is_told_so(desk, rogue):
    authority = ocsp.of_development(desk.pki.folder)
    pair = authority.responder(now())
    for wrong in (b"", b"hello", bytes(3000)):
        said = kinds.load_der_ocsp_response(ocsp.answer(wrong, authority, pair, now()))
        assert said.response_status is kinds.OCSPResponseStatus.MALFORMED_REQUEST
    unheard_of = asked_about(desk).replace(
        bytes.fromhex("608648016503040201"), bytes.fromhex("60864801650304027f")
    )
    said = kinds.load_der_ocsp_response(ocsp.answer(unheard_of, authority, pair, now()))
    assert said.response_status is kinds.OCSPResponseStatus.UNAUTHORIZED
    other = rogue.claim.certificate
    issuer = x509.load_pem_x509_certificate(rogue.trust.claim_roots.encode())
    asked = kinds.OCSPRequestBuilder().add_certificate(other, issuer, hashes.SHA256()).build()
    said = kinds.load_der_ocsp_response(ocsp.answer(asked.public_bytes(Encoding.DER), authority, pair, now()))
    assert said.response_status is kinds.OCSPResponseStatus.UNAUTHORIZED


def test_the_responders_certificate_is_renewed_before_it_ends(desk):
    moment = [now()]
    with ocsp.Server(("127.0.0.1", 0), ocsp.of_development(desk.pki.folder), lambda: moment[0]) as server:
        question = asked_about(desk)
        ends = []
        for days in (0, 1, 12, 40):
            moment[0] = now() + timedelta(days=days)
            [used] = kinds.load_der_ocsp_response(server.reply(question)).certificates
            assert used.not_valid_after_utc > moment[0]
            ends.append(used.not_valid_after_utc)
    assert ends[0] == ends[1] < ends[2] < ends[3]


def asked_about(desk) -> bytes:
    root = x509.load_pem_x509_certificate(desk.pki.trust.claim_roots.encode())
    leaf = desk.pki.claim.certificate
    built_request = kinds.OCSPRequestBuilder().add_certificate(leaf, root, hashes.SHA256())
    return built_request.build().public_bytes(Encoding.DER)
