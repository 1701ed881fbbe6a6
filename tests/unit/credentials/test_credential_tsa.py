"""The local time-stamp authority: RFC 3161, loopback only, never the same serial number twice."""

import hashlib
import socket
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from asn1crypto import core, tsp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.credentials.tsa import MAX_REQUEST_BYTES, POLICY, answer, local_tsa, next_serial
from pipeline.errors import KeysUnusable

NOW = datetime(2026, 11, 22, 12, 0, 1, 999, tzinfo=UTC)


class Rejection(core.Sequence):
    """A TimeStampResp without its optional token."""

    _fields: ClassVar = [("status", tsp.PKIStatusInfo)]


def query(algorithm="sha256", digest=None, **extra) -> bytes:
    digest = hashlib.new("sha256", b"x").digest() if digest is None else digest
    imprint = {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": digest}
    return tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, "cert_req": True, **extra}).dump()


def test_a_granted_token_is_signed_and_complete(desk):
    response = tsp.TimeStampResp.load(answer(query(nonce=42), desk.pki.tsa, serial=9, now=NOW))
    assert response["status"]["status"].native == "granted"
    signed = response["time_stamp_token"]["content"]
    info = signed["encap_content_info"]["content"].parsed
    assert (info["nonce"].native, info["serial_number"].native, info["policy"].native) == (42, 9, POLICY)
    assert info["gen_time"].native == datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)
    signer = signed["signer_infos"][0]
    attributes = signer["signed_attrs"].untag().dump()
    key = desk.pki.tsa.key.public_key()
    key.verify(signer["signature"].native, attributes, ec.ECDSA(hashes.SHA256()))
    assert len(signed["certificates"]) == 1


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (b"", "bad_data_format"), (b"garbage", "bad_data_format"), (query() + b"x", "bad_data_format"),
        (query(algorithm="sha1", digest=bytes(20)), "bad_alg"),
        (query(algorithm="md5", digest=bytes(16)), "bad_alg"),
        (query(digest=bytes(31)), "bad_alg"), (query(req_policy="1.2.3"), "unaccepted_policy"),
    ],
)  # fmt: skip
def test_what_cannot_be_stamped_is_rejected(desk, request_bytes, reason):
    response = Rejection.load(answer(request_bytes, desk.pki.tsa, serial=1, now=NOW), strict=True)
    assert response["status"]["status"].native == "rejection"
    assert response["status"]["fail_info"].native == {reason}


def post(url: str, body: bytes) -> int:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/timestamp-query"})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_only_the_secret_path_answers_and_only_while_it_lasts(desk):
    with local_tsa(desk.pki, clock=lambda: NOW) as tsa:
        assert tsa.url.startswith("http://127.0.0.1:")
        assert post(tsa.url, query()) == 200
        assert post(tsa.url + "x", query()) == 404
        assert post(tsa.url.rsplit("/", 1)[0] + "/", query()) == 404
        assert post(tsa.url, bytes(MAX_REQUEST_BYTES + 1)) == 413
        assert tsa.failures == []
    host, port = tsa.url.removeprefix("http://").split("/")[0].split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1)


def test_serial_numbers_only_rise(desk):
    first = next_serial(desk.pki.folder)
    assert [next_serial(desk.pki.folder) for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_a_damaged_counter_stops_stamping(desk):
    path = desk.pki.folder / "tsa_serial"
    next_serial(desk.pki.folder)
    content = path.read_bytes()
    try:
        path.write_bytes(b"many")
        with pytest.raises(KeysUnusable, match="damaged"):
            next_serial(desk.pki.folder)
    finally:
        path.write_bytes(content)
