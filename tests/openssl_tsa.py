"""A second time-stamp authority, which shares nothing with ours: OpenSSL's ``ts`` behind a small server."""

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
CONFIGURATION = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/leaf.pem
signer_key = {folder}/key.pem
signer_digest = {digest}
certs = {folder}/root.pem
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def unchanged(message: bytes) -> bytes:
    return message


@dataclass(frozen=True)
class OpensslTsa:
    """Stamps with an RSA key; `root`: PEM file of its root."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    @contextlib.contextmanager
    def serving(
        self, port: int = 0, *, query: Callable[[bytes], bytes] = unchanged,
        reply: Callable[[bytes], bytes] = unchanged,
    ) -> Iterator[str]:  # fmt: skip
        """Its address while it runs; ``query``, ``reply``: what an attacker between makes of each."""

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805
                asked = handler.rfile.read(int(handler.headers["Content-Length"]))
                answer = reply(self.answer(query(asked)))
                handler.send_response(200)
                handler.send_header("Content-Type", "application/timestamp-reply")
                handler.send_header("Content-Length", str(len(answer)))
                handler.end_headers()
                handler.wfile.write(answer)

            def log_message(handler, *_: object) -> None:  # noqa: N805
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/tsr"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, query: bytes) -> bytes:
        asked, answered = self.folder / "query", self.folder / "reply"
        asked.write_bytes(query)
        command = ["openssl", "ts", "-reply", "-config", self.folder / "configuration", "-queryfile", asked]
        subprocess.run([*command, "-out", answered], check=True, capture_output=True)
        return answered.read_bytes()


def make_tsa(
    folder: Path, digest: hashes.SHA384 | hashes.SHA512, *, starts: timedelta = -DAY, ends: timedelta = DAY
) -> OpensslTsa:
    """An authority whose leaf is good between these two, counted from now."""
    now, folder = datetime.now(UTC), folder / digest.name
    folder.mkdir()
    root_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    root = _certificate("Another root", root_key, root_key, digest, (now - 900 * DAY, now + 900 * DAY))
    leaf = _certificate("Another authority", key, root_key, digest, (now + starts, now + ends))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (folder / "serial").write_text("01\n")
    (folder / "configuration").write_text(CONFIGURATION.format(folder=folder, digest=digest.name))
    return OpensslTsa(folder)


def _certificate(
    name: str, key: rsa.RSAPrivateKey, issuer: rsa.RSAPrivateKey, digest: hashes.HashAlgorithm,
    life: tuple[datetime, datetime],
) -> x509.Certificate:  # fmt: skip
    is_root, above = key is issuer, issuer.public_key()
    usage = x509.KeyUsage(
        digital_signature=not is_root, content_commitment=not is_root, key_cert_sign=is_root,
        crl_sign=is_root, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder(public_key=key.public_key(), serial_number=x509.random_serial_number())
        .subject_name(_name(name)).issuer_name(_name("Another root"))
        .not_valid_before(life[0]).not_valid_after(life[1])
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
    )  # fmt: skip
    if not is_root:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(purpose, critical=True)
    return builder.sign(issuer, digest)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
