"""A time-stamp authority that is not ours, OpenSSL's: believed for what it is, and for nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives import hashes
from openssl_tsa import DAY, OpensslTsa, make_tsa, unchanged

from pipeline.credentials.sign import ExternalTsa, SignedClip, sign_clip
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.trust import TrustStore
from pipeline.errors import SigningFailed


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> OpensslTsa:
    return make_tsa(tmp_path_factory.mktemp("tsa"), hashes.SHA512())


def trusting(desk, tsa: OpensslTsa) -> TrustStore:
    """Our trust, and in the place of our own time-stamp root that of the other authority."""
    return replace(desk.pki.trust, tsa_roots=tsa.root.read_text())


def signed(desk, destination: Path, url: str, trust: TrustStore) -> SignedClip:
    return sign_clip(
        desk.source, destination, desk.created(), signer=LocalKeySigner(desk.pki), tsa=ExternalTsa(url=url),
        trust=trust,
    )  # fmt: skip


@pytest.mark.parametrize("digest", [hashes.SHA384(), hashes.SHA512()], ids=lambda digest: digest.name)
def test_an_rsa_authority_is_believed(desk, tmp_path, digest):
    tsa = make_tsa(tmp_path, digest)
    trust = trusting(desk, tsa)
    with tsa.serving() as url:
        made = signed(desk, tmp_path / "out.mp4", url, trust)
    assert desk.read(made.path, trust).intact
    stamped = datetime.fromisoformat(made.timestamp_time)
    assert abs(stamped - datetime.now(UTC)) < timedelta(minutes=1)
    assert not desk.read(made.path).intact  # its root is nobody's here


def change(**fields: object) -> Callable[[bytes], bytes]:
    """What makes another request of a request."""

    def changed(query: bytes) -> bytes:
        document = tsp.TimeStampReq.load(query)
        for name, value in fields.items():
            document[name] = value
        return document.dump(force=True)

    return changed


OTHER_IMPRINT = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)}


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        (change(nonce=7), unchanged), (change(message_imprint=OTHER_IMPRINT), unchanged),
        (change(req_policy="1.2.3"), unchanged),
        (unchanged, lambda _: b"garbage"), (unchanged, lambda _: b""),
        (unchanged, lambda reply: reply[:-40] + bytes([reply[-40] ^ 1]) + reply[-39:]),
    ],
    ids=["nonce", "imprint", "rejected", "garbage", "nothing", "signature"],
)  # fmt: skip
def test_an_answer_to_something_else_is_refused(desk, tmp_path, authority, query, reply):
    with authority.serving(query=query, reply=reply) as url, pytest.raises(SigningFailed) as refused:
        signed(desk, tmp_path / "out.mp4", url, trusting(desk, authority))
    assert "time-stamp" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("starts", "ends"), [(-9 * DAY, -DAY), (DAY, 9 * DAY)], ids=["ended", "not begun"])
def test_a_leaf_that_is_not_good_now_stamps_nothing(desk, tmp_path, starts, ends):
    tsa = make_tsa(tmp_path, hashes.SHA512(), starts=starts, ends=ends)
    with tsa.serving() as url, pytest.raises(SigningFailed, match="no good time-stamp"):
        signed(desk, tmp_path / "out.mp4", url, trusting(desk, tsa))
    assert not (tmp_path / "out.mp4").exists()


def test_an_authority_that_nobody_named_is_refused(desk, tmp_path, authority):
    with authority.serving() as url, pytest.raises(SigningFailed, match="not trusted"):
        signed(desk, tmp_path / "out.mp4", url, desk.pki.trust)
    assert list(tmp_path.iterdir()) == []
