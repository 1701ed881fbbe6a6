"""Which key may sign claims: one that fits its certificate, has the profile, and was registered before."""

import json
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipeline.credentials import certs, ocsp, revocation
from pipeline.credentials.certs import make_root, make_tsa_leaf
from pipeline.credentials.choice import Choice, demand_registered, open_signer
from pipeline.credentials.ocsp import State, Status
from pipeline.credentials.pki import (
    add_signer,
    ensure_pki,
    fingerprint,
    load_pair,
    load_pki,
    revoke_signer,
    signer_entry,
)
from pipeline.credentials.profile import demand_profile, read_chain
from pipeline.credentials.sign import sign_clip
from pipeline.credentials.signer import ChainSigner, LocalKeySigner
from pipeline.credentials.signers import register
from pipeline.credentials.trust import TrustStore
from pipeline.credentials.tsa import local_tsa
from pipeline.errors import KeysUnusable, UsageError

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PIN = "4711"


@pytest.fixture
def folder(tmp_path):
    ensure_pki(tmp_path / "keys" / "pki", now=NOW)
    return tmp_path / "keys" / "pki"


def pem(*certificates: x509.Certificate) -> str:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates).decode()


def test_the_local_key_needs_nothing(desk):
    assert isinstance(open_signer(Choice(), desk.pki, desk.pki.trust, NOW), LocalKeySigner)


def leaf_of(root, key=None, *, start=NOW, **more):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
    key = key or ec.generate_private_key(ec.SECP256R1()).public_key()
    return certs.claim_certificate(root, subject, key, start, more.pop("life", timedelta(days=90)), **more)


@dataclass(frozen=True)
class Authority:
    """A CA with an intermediate, and a claim signer of it."""

    root: certs.KeyPair
    between: certs.KeyPair
    key: ec.EllipticCurvePrivateKey
    leaf: x509.Certificate

    @property
    def public_key(self) -> Any:
        return self.key.public_key()

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


def another_ca(now: datetime = NOW) -> Authority:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    names = [certs.name_of(name, "Some CA") for name in ("Root", "Issuing 1")]
    made = []
    for depth, (key, name) in enumerate(zip(keys, names, strict=False)):
        builder = certs._builder(name, names[0], key.public_key(), now, timedelta(days=900))
        constraints = x509.BasicConstraints(ca=True, path_length=1 - depth)
        builder = builder.add_extension(constraints, critical=True)
        builder = builder.add_extension(certs._key_usage(signs_certificates=True), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key())
        signed = builder.add_extension(issuer, critical=False).sign(keys[0], hashes.SHA256())
        made.append(certs.KeyPair(key=key, certificate=signed))
    return Authority(*made, keys[2], leaf_of(made[1], keys[2].public_key(), start=now))


def test_a_signer_of_another_ca_is_registered_with_its_root_and_its_intermediates(folder):
    made = another_ca()
    chain = [made.leaf, made.between.certificate]
    for _ in range(2):  # again changes nothing
        register(folder, chain, made.root.certificate)
    trust = load_pki(folder).trust
    assert trust.claim_roots.count("BEGIN") == 2
    assert trust.intermediates.count("BEGIN") == 1
    assert [entry.cert_sha256 for entry in trust.signers.entries[1:]] == [fingerprint(made.leaf)]
    demand_registered(chain, trust, NOW)
    assert TrustStore.from_text(json.dumps(trust.to_json())) == trust
    older = {name: value for name, value in trust.to_json().items() if name != "intermediates"}
    assert TrustStore.from_json(older) == replace(trust, intermediates="")


def test_a_clip_signed_under_an_intermediate_is_ours_and_its_issuer_is_asked(desk, tmp_path):
    now = datetime.now(UTC)
    made, pki = another_ca(now), ensure_pki(tmp_path / "keys" / "pki", now=now)
    chain = [made.leaf, made.between.certificate]
    register(pki.folder, chain, made.root.certificate)
    trust = load_pki(pki.folder).trust
    with local_tsa(pki, clock=lambda: now) as tsa:
        sign_clip(
            desk.source, tmp_path / "out.mp4", desk.created(), signer=ChainSigner(made, pem(*chain)), tsa=tsa,
            trust=trust,
        )  # fmt: skip
    reading = desk.read(tmp_path / "out.mp4", trust)
    assert reading.intact
    status = Status(state=State.GOOD)
    authority = ocsp.Authority(root=made.between, status=lambda _serial: status)
    with ocsp.Server(("127.0.0.1", 0), authority, lambda: datetime.now(UTC)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        told = revocation.checked(reading, trust, (address,), now)
        server.shutdown()
        thread.join()
    assert told.intact


def test_a_signer_that_nobody_registered_does_not_sign(folder):
    leaf = leaf_of(load_pair(folder / "claim_root.pem"))
    with pytest.raises(KeysUnusable, match=r"not in the signer table.*trust-signer"):
        demand_registered([leaf], load_pki(folder).trust, NOW)
    register(folder, [leaf], None)
    demand_registered([leaf], load_pki(folder).trust, NOW)


def test_a_signer_under_a_root_that_nobody_believes_is_neither_registered_nor_signs(folder):
    leaf = leaf_of(make_root("Other", "Other", NOW))
    with pytest.raises(KeysUnusable, match="no claim root"):
        register(folder, [leaf], None)
    assert len(load_pki(folder).trust.signers.entries) == 1
    with pytest.raises(KeysUnusable, match="no claim root"):
        demand_registered([leaf], load_pki(folder).trust, NOW)


def test_a_revoked_signer_does_not_sign(folder):
    leaf = leaf_of(load_pair(folder / "claim_root.pem"))
    register(folder, [leaf], None)
    revoke_signer(folder, fingerprint(leaf), at=NOW)
    register(folder, [leaf], None)  # does not bring it back
    with pytest.raises(KeysUnusable, match="was revoked"):
        demand_registered([leaf], load_pki(folder).trust, NOW)


@pytest.mark.parametrize("start", [NOW - timedelta(days=91), NOW + timedelta(days=1)])
def test_a_certificate_outside_its_validity_does_not_sign(folder, start):
    leaf = leaf_of(load_pair(folder / "claim_root.pem"), start=start)
    register(folder, [leaf], None)
    with pytest.raises(KeysUnusable, match="is valid from"):
        demand_registered([leaf], load_pki(folder).trust, NOW)


def test_a_root_is_never_both_of_claims_and_of_time_stamps(folder):
    tsa = load_pair(folder / "tsa_root.pem")
    with pytest.raises(KeysUnusable, match="vouches for time-stamps"):
        register(folder, [leaf_of(tsa)], tsa.certificate)
    leaf, trust = leaf_of(load_pair(folder / "claim_root.pem")), load_pki(folder).trust
    register(folder, [leaf], None)
    mixed = replace(load_pki(folder).trust, tsa_roots=trust.tsa_roots + trust.claim_roots)
    with pytest.raises(KeysUnusable, match="also a time-stamp root"):
        demand_registered([leaf], mixed, NOW)


def test_a_root_of_the_outside_time_stamp_service_is_no_claim_root(folder):
    stamping = make_root("Stamps", "Stamps", NOW)
    pki, leaf = load_pki(folder), leaf_of(stamping)
    trust = replace(pki.trust, tsa_roots=pki.trust.tsa_roots + stamping.certificate_pem)
    with pytest.raises(KeysUnusable, match="vouches for time-stamps"):
        register(folder, [leaf], stamping.certificate, trust=trust)
    register(folder, [leaf], stamping.certificate)  # before the setting named that service
    pki = load_pki(folder)
    mixed = replace(trust, claim_roots=pki.trust.claim_roots)
    with pytest.raises(KeysUnusable, match="also a time-stamp root"):
        open_signer(Choice(), pki, mixed, NOW)


def test_a_root_with_the_name_of_another_one_is_refused(folder):
    twin = make_root("Countermark development claim root", "Countermark development", NOW)
    with pytest.raises(KeysUnusable, match="same name"):
        register(folder, [leaf_of(twin)], twin.certificate)
    leaf = leaf_of(load_pair(folder / "claim_root.pem"))
    with pytest.raises(KeysUnusable, match="is no root"):
        register(folder, [leaf], leaf)


def test_key_and_certificate_must_belong_together(desk, module, certified, tmp_path):
    chain = tmp_path / "chain.pem"
    chain.write_text(certified(ec.generate_private_key(ec.SECP256R1()).public_key()))
    register(desk.pki.folder, read_chain(chain.read_text()), None)
    choice = Choice(signer=module.uri("es256"), chain=chain, pin=PIN)
    with pytest.raises(KeysUnusable, match="not the key of the certificate"):
        open_signer(choice, desk.pki, load_pki(desk.pki.folder).trust, datetime.now(UTC))


def test_settings_that_name_no_signer_are_told(desk, module, certified, tmp_path):
    chain = tmp_path / "chain.pem"
    trust, now = load_pki(desk.pki.folder).trust, datetime.now(UTC)
    with pytest.raises(UsageError, match="signer_chain is missing"):
        open_signer(Choice(signer=module.uri("es256")), desk.pki, trust, now)
    for content in (None, b"no PEM", b"x" * 300_000):
        if content is not None:
            chain.write_bytes(content)
        with pytest.raises(KeysUnusable):
            open_signer(Choice(signer=module.uri("es256"), chain=chain, pin=PIN), desk.pki, trust, now)
    assert PIN not in repr(Choice(signer=module.uri("es256"), pin=PIN))


# The profile

ANY_POLICY = x509.ObjectIdentifier("2.5.29.32.0")

BROKEN = {
    "ca": (x509.BasicConstraints(ca=True, path_length=None), "must not be a CA"),
    "usage": (certs._key_usage(signs_certificates=False, repudiable=True), "nonRepudiation"),
    "signs": (certs._key_usage(signs_certificates=True), "digitalSignature"),
    "no claims": (x509.ExtendedKeyUsage([certs.DOCUMENT_SIGNING]), "lacks the purpose"),
    "claims alone": (x509.ExtendedKeyUsage([certs.CLAIM_SIGNING]), "lacks documentSigning"),
    "stamps": (
        x509.ExtendedKeyUsage([certs.CLAIM_SIGNING, certs.DOCUMENT_SIGNING, certs.TIME_STAMPING]), "must not",
    ),
    "any": (
        x509.ExtendedKeyUsage([
            certs.CLAIM_SIGNING, certs.DOCUMENT_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ]), "must not",
    ),
    "policy": (x509.CertificatePolicies([x509.PolicyInformation(ANY_POLICY, None)]), "C2PA policy"),
}  # fmt: skip


def rebuilt(leaf, root, change=None, *, without=None, key=None, end=None):
    """The leaf with one extension replaced or left out."""
    builder = x509.CertificateBuilder().subject_name(leaf.subject).issuer_name(leaf.issuer)
    builder = builder.public_key(key or leaf.public_key()).serial_number(7)
    builder = builder.not_valid_before(leaf.not_valid_before_utc)
    builder = builder.not_valid_after(end or leaf.not_valid_after_utc)
    for one in leaf.extensions:
        if one.oid != without:
            same = change is not None and one.oid == change.oid
            builder = builder.add_extension(change if same else one.value, critical=one.critical)
    return builder.sign(root.key, hashes.SHA256())


@pytest.mark.parametrize("name", BROKEN)
def test_a_leaf_without_the_profile_is_refused(folder, name):
    root, (change, why) = load_pair(folder / "claim_root.pem"), BROKEN[name]
    leaf = leaf_of(root)
    demand_profile(rebuilt(leaf, root))
    with pytest.raises(KeysUnusable, match=why):
        register(folder, [rebuilt(leaf, root, change)], None)


@pytest.mark.parametrize("kind", [
    x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.CertificatePolicies,
    x509.AuthorityKeyIdentifier,
])  # fmt: skip
def test_a_leaf_that_lacks_a_part_of_the_profile_is_refused(folder, kind):
    root = load_pair(folder / "claim_root.pem")
    for without in (kind.oid, certs.ASSURANCE_LEVEL):
        with pytest.raises(KeysUnusable, match="profile"):
            demand_profile(rebuilt(leaf_of(root), root, without=without))


def test_a_leaf_without_the_profile_does_not_sign_even_if_it_is_in_the_table(folder):
    root = load_pair(folder / "claim_root.pem")
    leaf = rebuilt(leaf_of(root), root, without=certs.ASSURANCE_LEVEL)
    add_signer(folder, signer_entry(leaf))
    with pytest.raises(KeysUnusable, match="profile"):
        demand_registered([leaf], load_pki(folder).trust, NOW)


def test_a_leaf_that_lives_too_long_or_has_a_weak_key_is_refused(folder):
    root = load_pair(folder / "claim_root.pem")
    leaf = leaf_of(root)
    with pytest.raises(KeysUnusable, match="366 days"):
        demand_profile(rebuilt(leaf, root, end=leaf.not_valid_before_utc + timedelta(days=367)))
    weak = rsa.generate_private_key(65537, 1024).public_key()
    with pytest.raises(KeysUnusable, match="2048 bits"):
        demand_profile(rebuilt(leaf, root, key=weak))
    with pytest.raises(KeysUnusable, match="P-256"):
        demand_profile(rebuilt(leaf, root, key=ec.generate_private_key(ec.SECP256K1()).public_key()))


def test_the_development_leaves_have_the_profile_and_a_time_stamp_leaf_has_not(folder):
    pki = load_pki(folder)
    demand_profile(pki.claim.certificate)
    with pytest.raises(KeysUnusable):
        demand_profile(make_tsa_leaf(load_pair(folder / "tsa_root.pem"), "t", "t", NOW).certificate)


def test_a_chain_is_leaf_first_and_without_its_root():
    made = another_ca()
    root, between, leaf = made.root.certificate, made.between.certificate, made.leaf
    assert read_chain(pem(leaf, between, root)) == [leaf, between]
    assert read_chain(pem(leaf)) == [leaf]
    for wrong in (pem(between, leaf), pem(leaf, root), "", "x", pem(*[leaf] * 7)):
        with pytest.raises(KeysUnusable):
            read_chain(wrong)
