"""Ours is who signed with a certificate of the signer table, not who repeats its serial number."""

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tools import jumbf
from pipeline.credentials.certs import KeyPair
from pipeline.credentials.leaf import leaf_sha256
from pipeline.credentials.pki import fingerprint, load_pair
from pipeline.credentials.reading import TimestampState

URN = "urn:c2pa:1"
CHAIN = b"\x42hi"
HI = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"  # SHA-256 of "hi"


def store_of(path: Path) -> bytes:
    content = path.read_bytes()
    place = jumbf.store(content)
    return content[place.start : place.end]


@pytest.fixture(scope="module")
def forged(desk: Any, workshop: Path) -> Path:
    """By a thief of the claim root's key: another key, all else of the leaf as in ours, serial included."""
    root, leaf = load_pair(desk.pki.folder / "claim_root.pem"), desk.pki.claim.certificate
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(leaf.subject).issuer_name(leaf.issuer)
    builder = builder.public_key(key.public_key()).serial_number(leaf.serial_number)
    builder = builder.not_valid_before(leaf.not_valid_before_utc).not_valid_after(leaf.not_valid_after_utc)
    for extension in leaf.extensions:
        value: Any = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(value, extension.critical)
    pair = KeyPair(key=key, certificate=builder.sign(root.key, hashes.SHA256()))
    return Path(desk.raw_sign(workshop / "forged.mp4", pair, desk.pki.trust, tsa_of=desk.pki))


def test_a_stolen_root_with_a_listed_serial_number_is_not_us(desk: Any, forged: Path) -> None:
    for reading in (desk.read(forged), desk.read(desk.source, stored=store_of(forged))):
        assert reading.signature_ok
        assert reading.timestamp is TimestampState.TRUSTED
        assert not reading.ours
        assert not reading.trusted
        assert (reading.signer_name, reading.release) == (None, None)


def test_the_leaf_is_the_one_that_signed(desk: Any, signed: Any) -> None:
    wanted = fingerprint(desk.pki.claim.certificate)
    assert leaf_sha256(signed.manifest_bytes, signed.urn) == wanted
    assert leaf_sha256(signed.manifest_bytes, URN) is None
    assert leaf_sha256(store_of(signed.path), signed.urn) == wanted


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def superbox(name: bytes, label: bytes, *parts: bytes) -> bytes:
    described = name + bytes.fromhex("00110010800000aa00389b71") + b"\x03" + label + b"\0"
    return box(b"jumb", b"".join((box(b"jumd", described), *parts)))


def manifest(
    protected: bytes, other: bytes = b"\xa0", label: bytes = URN.encode(), more: bytes = b""
) -> bytes:
    cose = b"\xd2\x84" + bytes([0x40 + len(protected)]) + protected + other + b"\xf6\x41x"
    signature = superbox(b"c2cs", b"c2pa.signature", box(b"cbor", cose))
    return superbox(b"c2ma", label, signature, more)


def leaf(*manifests: bytes) -> str | None:
    return leaf_sha256(superbox(b"c2pa", b"c2pa", *manifests), URN)


BY_NUMBER, BY_NAME = b"\xa1\x18\x21" + CHAIN, b"\xa1\x67x5chain" + CHAIN


@pytest.mark.parametrize("headers", [
    (BY_NUMBER,), (BY_NAME,), (b"\xa0", BY_NUMBER), (b"\xa0", BY_NAME),
    (b"\xa1\x18\x21\x82" + CHAIN + b"\x42no",), (b"\xa2\x01\x26\x19\x00\x21" + CHAIN,),
])  # fmt: skip
def test_a_chain_is_found_wherever_c2pa_takes_it_from(headers: tuple[bytes, ...]) -> None:
    assert leaf(manifest(*headers)) == HI


@pytest.mark.parametrize("headers", [
    (b"\xa0",), (BY_NUMBER, BY_NAME), (BY_NUMBER, BY_NUMBER), (b"\xa2" + BY_NUMBER[1:] + BY_NAME[1:],),
    (b"\xa2" + BY_NUMBER[1:] * 2,), (b"\xa1\x18\x21\x80",), (b"\xa1\x18\x21\x62hi",),
    (b"\xbf\x18\x21\x42hi\xff",),
    (BY_NUMBER, b"\xa2\x01"),
])  # fmt: skip
def test_none_or_two_chains_name_nobody(headers: tuple[bytes, ...]) -> None:
    assert leaf(manifest(*headers)) is None


def test_of_two_manifests_or_signatures_of_one_name_neither_counts() -> None:
    one = manifest(BY_NUMBER)
    assert leaf(manifest(BY_NUMBER, label=b"other"), one) == HI
    assert leaf(one, manifest(BY_NUMBER, label=b"other")) is None
    assert leaf(one, one) is None
    assert leaf(manifest(BY_NUMBER, more=superbox(b"c2cs", b"c2pa.signature", box(b"cbor", b"")))) is None
    assert leaf(manifest(BY_NUMBER, more=superbox(b"abcd", b"c2pa.signature"))) is None


@given(st.binary(max_size=200), st.integers(0, 400))
def test_nonsense_names_nobody_and_raises_nothing(nonsense: bytes, cut: int) -> None:
    whole = superbox(b"c2pa", b"c2pa", manifest(BY_NUMBER))
    assert leaf_sha256(nonsense, URN) is None
    assert leaf_sha256(whole[: min(cut, len(whole) - 1)], URN) is None
    leaf_sha256(whole[:cut] + nonsense + whole[cut + 1 :], URN)
