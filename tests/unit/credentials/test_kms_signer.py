"""Claim keys in AWS KMS, spoken to in its own protocol (moto on loopback), and behind any function."""

import json
import socket
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from pipeline.credentials import kms_key as module_under_test
from pipeline.credentials.algorithms import holds
from pipeline.credentials.choice import Choice, open_signer
from pipeline.credentials.kms_key import kms_key
from pipeline.credentials.pki import load_pki
from pipeline.credentials.profile import read_chain
from pipeline.credentials.sign import sign_clip
from pipeline.credentials.signer import CallbackKey, CallbackSigner, SigningAlg, Wants
from pipeline.credentials.signers import register
from pipeline.credentials.tsa import local_tsa
from pipeline.errors import KeysUnusable, UsageError

ARN = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def account(monkeypatch):
    """Credentials as AWS' own tools find them, and the address of a server, by calling it."""

    def use(address: str) -> None:
        for name, value in {
            "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "test", "AWS_REGION": "us-east-1",
            "AWS_SECRET_ACCESS_KEY": "hush-hush", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)

    return use


@pytest.fixture
def make_key(bucket_server, account, monkeypatch):
    """Makes a key in the service and answers its setting.

    moto signs the digest of what it gets also where MessageType says that this is a digest (its documentation
    names that gap), which KMS does not: here it does as the API reference of KMS says.
    """
    from moto.kms import utils

    def sign_ecdsa(self, message, signing_algorithm):
        hashed = {"ECDSA_SHA_256": hashes.SHA256(), "ECDSA_SHA_384": hashes.SHA384()}[signing_algorithm]
        return self.private_key.sign(message, ec.ECDSA(Prehashed(hashed)))

    def sign_rsa(self, message, signing_algorithm):
        assert signing_algorithm == "RSASSA_PSS_SHA_256"
        padded = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return self.private_key.sign(message, padded, Prehashed(hashes.SHA256()))

    monkeypatch.setattr(utils.ECDSAPrivateKey, "sign", sign_ecdsa)
    monkeypatch.setattr(utils.RSAPrivateKey, "sign", sign_rsa)
    account(bucket_server.address)

    def make(spec: str, usage: str = "SIGN_VERIFY") -> str:
        client = module_under_test._client("us-east-1")
        return "kms:" + client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]

    return make


@pytest.mark.parametrize(
    ("spec", "alg"), [("ECC_NIST_P256", "es256"), ("ECC_NIST_P384", "es384"), ("RSA_2048", "ps256")]
)
def test_keys_of_each_kind_sign(make_key, spec, alg):
    key = kms_key(make_key(spec))
    assert holds(key.public_key, key.sign(b"text" * 5000), b"text" * 5000)  # longer than KMS takes messages
    assert key._alg == alg


def test_a_clip_is_signed_by_the_service_and_reads_as_ours(desk, make_key, certified, tmp_path):
    setting, chain = make_key("ECC_NIST_P256"), tmp_path / "chain.pem"
    chain.write_text(certified(kms_key(setting).public_key))
    register(desk.pki.folder, read_chain(chain.read_text()), None)
    trust = load_pki(desk.pki.folder).trust
    signer = open_signer(Choice(signer=setting, chain=chain), desk.pki, trust, now())
    with local_tsa(desk.pki, clock=now) as tsa:
        sign_clip(desk.source, tmp_path / "out.mp4", desk.created(), signer=signer, tsa=tsa, trust=trust)
    assert desk.read(tmp_path / "out.mp4", trust).intact


def test_a_key_that_cannot_sign_claims_is_refused(make_key):
    with pytest.raises(KeysUnusable, match="P-256, P-384"):
        kms_key(make_key("ECC_SECG_P256K1"))
    with pytest.raises(KeysUnusable, match="not one for signing"):
        kms_key(make_key("RSA_2048", "ENCRYPT_DECRYPT"))


def test_a_key_that_is_not_there_is_told_by_kind(make_key):
    make_key("ECC_NIST_P256")
    with pytest.raises(KeysUnusable, match="NotFoundException") as caught:
        kms_key(f"kms:{ARN}")
    assert ARN not in str(caught.value)


@pytest.mark.parametrize(
    "setting", ["kms:", "kms:alias/x", f"kms:{ARN} ", f"kms:{ARN}\n", "kms:arn:aws:s3:::bucket", f"aws:{ARN}"]
)
def test_what_is_no_arn_is_refused(setting):
    with pytest.raises(UsageError, match="docs/signing"):
        kms_key(setting)


def test_a_service_that_is_away_is_given_up_soon(account):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    account(f"http://127.0.0.1:{port}")
    with pytest.raises(KeysUnusable, match="EndpointConnectionError") as caught:
        kms_key(f"kms:{ARN}")
    assert "hush-hush" not in str(caught.value)


def test_an_address_that_is_none_is_told(account):
    account("kms.example")
    with pytest.raises(KeysUnusable, match="ValueError"):
        kms_key(f"kms:{ARN}")


def test_a_failing_service_is_asked_three_times(account):
    asked = []

    class Failing(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.headers["X-Amz-Target"])
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"__type": "KMSInternalException", "message": "secret detail"}).encode()
            self.send_response(500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        account(f"http://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(KeysUnusable, match="KMSInternalException") as caught:
            kms_key(f"kms:{ARN}")
        server.shutdown()
    assert asked == ["TrentService.GetPublicKey"] * 3
    assert "secret detail" not in str(caught.value)


# Any function


KEY = ec.generate_private_key(ec.SECP256R1())


def raw(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_function_signs_messages_or_digests_in_either_form(certified):
    chain = certified(KEY.public_key())
    message = CallbackSigner(
        chain, lambda data: KEY.sign(data, ec.ECDSA(hashes.SHA256())), wants=Wants.MESSAGE
    )
    digest = CallbackSigner(
        chain, lambda data: raw(KEY.sign(data, ec.ECDSA(Prehashed(hashes.SHA256())))), wants=Wants.DIGEST
    )
    for signer in (message, digest):
        assert (signer.alg, signer.chain_pem) == (SigningAlg.ES256, chain)
        assert holds(KEY.public_key(), signer.sign(b"text"), b"text")


def test_a_function_with_another_key_is_noticed():
    other = ec.generate_private_key(ec.SECP256R1())
    key = CallbackKey(
        KEY.public_key(), lambda data: other.sign(data, ec.ECDSA(hashes.SHA256())), wants=Wants.MESSAGE
    )
    with pytest.raises(KeysUnusable, match="not the key"):
        key.sign(b"text")


def test_ed25519_takes_no_digests(module):
    with pytest.raises(KeysUnusable, match="messages"):
        CallbackKey(module.public["ed25519"], bytes, wants=Wants.DIGEST)
