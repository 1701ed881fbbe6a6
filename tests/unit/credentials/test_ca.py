"""A CA of one's own: what it certifies and what not, revocation, lists, and requests made by any key."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import csr
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from encypher_c2pa import verify

from pipeline.credentials import ca
from pipeline.credentials.algorithms import algorithm_of
from pipeline.credentials.anchors import OCSP_ADDRESS
from pipeline.credentials.choice import Choice, open_key, open_signer
from pipeline.credentials.csr import make_request
from pipeline.credentials.keyfiles import write_private
from pipeline.credentials.pki import ensure_pki, fingerprint, load_pki
from pipeline.credentials.profile import demand_profile
from pipeline.credentials.sign import sign_clip
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.signers import register
from pipeline.credentials.tsa import local_tsa
from pipeline.errors import KeysUnusable, UsageError

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PIN = "4711"
KEY = ec.generate_private_key(ec.SECP256R1())
STRICT = {"com.encypher.conformance.revocationInformationMissing"}  # a response stapled to the signature


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def folder(tmp_path):
    ca.create(tmp_path / "ca", "Studio", now=NOW, ocsp="http://ocsp.example/", crl="http://crl.example/list")
    return tmp_path / "ca"


def request(*names, key=KEY, hashed=None, extension=None) -> bytes:
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashed or hashes.SHA256()).public_bytes(Encoding.PEM)


ORG, CN, C = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME, NameOID.COUNTRY_NAME
GOOD = ((ORG, "Studio"), (CN, "signer 1"))


@pytest.mark.parametrize("kind", ["es256", "es384", "ps256", "ed25519"])
def test_a_key_in_the_module_asks_is_certified_and_signs(desk, module, tmp_path, kind):
    key = open_key(Choice(signer=module.uri(kind), pin=PIN))
    asked = make_request(key, organisation="Studio", common_name=kind, country="DE")
    made = ca.create(tmp_path / "ca", "Studio", now=now(), ocsp="http://127.0.0.1:9/")
    leaf = ca.issue(tmp_path / "ca", asked.encode(), now=now(), days=366)
    demand_profile(leaf)
    assert leaf.public_key() == key.public_key
    assert algorithm_of(leaf.public_key()) == kind
    folder = ensure_pki(tmp_path / "keys" / "pki", now=now()).folder
    register(folder, [leaf], made.root.certificate)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf.public_bytes(Encoding.PEM))
    pki = load_pki(folder)
    signer = open_signer(Choice(signer=module.uri(kind), chain=chain, pin=PIN), pki, pki.trust, now())
    with local_tsa(pki, clock=now) as tsa:
        sign_clip(desk.source, tmp_path / "out.mp4", desk.created(), signer=signer, tsa=tsa, trust=pki.trust)
    assert desk.read(tmp_path / "out.mp4", pki.trust).intact
    report = verify(
        (tmp_path / "out.mp4").read_bytes(), "video/mp4", trust_pem=pki.trust.claim_roots,
        tsa_trust_pem=pki.trust.tsa_roots, no_default_trust=True, strict_conformance=True, online=False,
        telemetry=False,
    )  # fmt: skip
    assert report["hard_binding"] == "match"
    assert {row["code"] for row in report["validation_results"]["failure"]} == STRICT


def test_what_a_certificate_says(folder):
    leaf = ca.issue(folder, request(*GOOD), now=NOW, days=90)
    assert leaf.subject.rfc4514_string() == "CN=signer 1,O=Studio"
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=90)
    [access] = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert access.access_method == AuthorityInformationAccessOID.OCSP
    assert access.access_location.value == "http://ocsp.example/"
    [point] = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name[0].value == "http://crl.example/list"
    leaf.verify_directly_issued_by(ca.load(folder).root.certificate)
    [row] = ca.load(folder).record.issued
    assert (row.serial, row.cert_sha256) == (str(leaf.serial_number), fingerprint(leaf))


def test_extensions_that_a_request_asks_for_are_not_taken(folder):
    wanted = x509.BasicConstraints(ca=True, path_length=None)
    demand_profile(ca.issue(folder, request(*GOOD, extension=wanted), now=NOW, days=1))


REFUSED = {
    "another organisation": ((ORG, "Studios"), (CN, "s")), "no organisation": ((CN, "s"),),
    "two organisations": ((ORG, "Studio"), (ORG, "Studio"), (CN, "s")), "no name": ((ORG, "Studio"),),
    "two names": ((ORG, "Studio"), (CN, "a"), (CN, "b")), "two countries": (*GOOD, (C, "DE"), (C, "FR")),
    "another kind of name": (*GOOD, (NameOID.EMAIL_ADDRESS, "a@b")),
    "control characters": ((ORG, "Studio"), (CN, "a\nb")),
    "the CA's own": ((ORG, "Studio"), (CN, "Studio claim CA")),
    "blank": ((ORG, "Studio"), (CN, "  ")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_subjects_that_are_refused(folder, name):
    with pytest.raises(UsageError, match="the request"):
        ca.issue(folder, request(*REFUSED[name]), now=NOW, days=90)
    assert ca.load(folder).record.issued == ()


def test_requests_that_are_refused(folder):
    forged = bytearray(request(*GOOD))
    body = x509.load_pem_x509_csr(bytes(forged)).public_bytes(Encoding.DER)
    changed = body[:-4] + bytes([body[-4] ^ 1]) + body[-3:]
    pem = x509.load_der_x509_csr(changed).public_bytes(Encoding.PEM)
    with pytest.raises(UsageError, match="signature does not hold"):
        ca.issue(folder, pem, now=NOW, days=90)
    for weak in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP521R1())):
        with pytest.raises(UsageError, match="only P-256"):
            ca.issue(folder, request(*GOOD, key=weak), now=NOW, days=90)
    with pytest.raises(UsageError, match="weak hash"):
        ca.issue(folder, request(*GOOD, hashed=hashes.SHA224()), now=NOW, days=90)
    for wrong in (b"", b"x", request(*GOOD) + b"x" * 70_000):
        with pytest.raises(UsageError, match="no certificate request"):
            ca.issue(folder, wrong, now=NOW, days=90)
    for days in (0, 367):
        with pytest.raises(UsageError, match="366"):
            ca.issue(folder, request(*GOOD), now=NOW, days=days)
    assert ca.load(folder).record.issued == ()


def test_a_ca_at_its_end_does_not_certify_beyond_it(folder):
    with pytest.raises(KeysUnusable, match="root ends before"):
        ca.issue(folder, request(*GOOD), now=NOW + timedelta(days=3640), days=90)


def test_a_ca_is_made_once_and_kept_private(folder):
    with pytest.raises(KeysUnusable, match="new folder"):
        ca.create(folder, "Studio", now=NOW)
    with pytest.raises(KeysUnusable, match="no CA"):
        ca.load(folder.parent)
    for name in ("root.pem", "ca.json"):
        (folder / name).chmod(0o644)
        with pytest.raises(KeysUnusable, match="chmod 600"):
            ca.load(folder)
        (folder / name).chmod(0o600)
    (folder / "ca.json").write_text('{"format": "countermark-ca/2"}')
    with pytest.raises(KeysUnusable, match="damaged"):
        ca.load(folder)


def test_a_revocation_is_in_the_list_and_stays(folder):
    first, second = (ca.issue(folder, request(*GOOD), now=NOW, days=90) for _ in range(2))
    before = x509.load_der_x509_crl(ca.revocation_list(folder, now=NOW, days=7))
    assert list(before) == []
    ca.revoke(folder, fingerprint(first), at=NOW, reason="key-compromise")
    after = x509.load_der_x509_crl(ca.revocation_list(folder, now=NOW, days=7))
    [entry] = after
    assert (entry.serial_number, entry.revocation_date_utc) == (first.serial_number, NOW)
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise
    assert after.get_revoked_certificate_by_serial_number(second.serial_number) is None
    assert after.is_signature_valid(ca.load(folder).root.key.public_key())
    assert after.next_update_utc == NOW + timedelta(days=7)
    numbers = [
        one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for one in (before, after)
    ]
    assert numbers == [1, 2]
    with pytest.raises(UsageError, match="no such certificate"):
        ca.revoke(folder, "00" * 32, at=NOW, reason="superseded")
    with pytest.raises(UsageError, match="reason"):
        ca.revoke(folder, fingerprint(second), at=NOW, reason="boredom")


def test_a_revocation_is_only_ever_widened(folder):
    leaf = fingerprint(ca.issue(folder, request(*GOOD), now=NOW, days=90))
    day = timedelta(days=1)
    ca.revoke(folder, leaf, at=NOW - day, reason="superseded")
    with pytest.raises(KeysUnusable, match="cover more"):
        ca.revoke(folder, leaf, at=NOW, reason="key-compromise")
    said = []
    for at, reason in ((NOW - 2 * day, "unspecified"), (NOW - 3 * day, "key-compromise")):
        found = ca.revoke(folder, leaf, at=at, reason=reason)
        assert ca.load(folder).record.issued == (found,)
        assert datetime.fromisoformat(found.revoked_at) == at
        said.append(found.reason)
    assert said == ["superseded", "key-compromise"]
    [entry] = x509.load_der_x509_crl(ca.revocation_list(folder, now=NOW, days=7))
    assert entry.revocation_date_utc == NOW - 3 * day
    with pytest.raises(UsageError, match="1950"):
        ca.revoke(folder, leaf, at=datetime(1949, 12, 31, tzinfo=UTC), reason="superseded")


def test_an_organisation_whose_root_would_have_too_long_a_name_leaves_no_folder(tmp_path):
    for name in ("A" * 56, "é" * 28, " ", "a\nb", "a\udcff"):
        with pytest.raises(UsageError, match="55 bytes"):
            ca.create(tmp_path / "new", name, now=NOW)
        assert not (tmp_path / "new").exists()
    assert ca.create(tmp_path / "new", "é" * 27 + "A", now=NOW).record.organisation == "é" * 27 + "A"


def test_a_request_whose_name_is_no_text_is_refused(folder):
    good = x509.load_pem_x509_csr(request((ORG, "Studio"), (CN, "abcdefgh")))
    asked = csr.CertificationRequest.load(
        good.public_bytes(Encoding.DER).replace(b"abcdefgh", b"ab\xff\xfeefgh")
    )
    signed = asked["certification_request_info"].dump()
    asked["signature"] = KEY.sign(signed, ec.ECDSA(hashes.SHA256()))
    body = base64.encodebytes(asked.dump())
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"-----END CERTIFICATE REQUEST-----\n"
    assert x509.load_pem_x509_csr(pem).is_signature_valid
    with pytest.raises(UsageError, match="names that can be read"):
        ca.issue(folder, pem, now=NOW, days=90)


def test_the_homes_own_key_asks_too(desk):
    pem = make_request(LocalKeySigner(desk.pki), organisation="Studio", common_name="x")
    assert ca.read_request(pem.encode()).public_key() == desk.pki.claim.key.public_key()
    with pytest.raises(UsageError, match="do not fit"):
        make_request(LocalKeySigner(desk.pki), organisation="Studio", common_name="x" * 65)


def test_development_leaves_name_a_responder_where_one_was_named(tmp_path):
    pki = ensure_pki(tmp_path / "keys" / "pki", now=NOW)
    assert "authorityInfoAccess" not in {one.oid._name for one in pki.claim.certificate.extensions}
    write_private(pki.folder / OCSP_ADDRESS, b"http://127.0.0.1:2560/")
    renewed = ensure_pki(pki.folder, now=NOW + timedelta(days=340)).claim.certificate
    [access] = renewed.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert access.access_location.value == "http://127.0.0.1:2560/"
