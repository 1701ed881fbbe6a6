"""OCSP: our responder's answers, and a policy that believes nothing but a definite answer."""

import contextlib
import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as kinds
from loopback import answering

from pipeline.credentials import c2pa_context, ca, certs, ocsp, revocation
from pipeline.credentials.csr import make_request
from pipeline.credentials.ocsp import Authority, Server, State, Status
from pipeline.credentials.pki import ensure_pki, fingerprint, load_pki
from pipeline.credentials.reading import RevocationState
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.signers import register
from pipeline.credentials.trust import SignerTable
from pipeline.verify.ladder import Facts, verdict
from pipeline.verify.words import credential_line


def now() -> datetime:
    return datetime.now(UTC)


class Responder(Server):
    """Ours on loopback, whose next answers a test can replace."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(("127.0.0.1", 0), authority, now)
        self.asked = 0
        self.make = super().reply

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def answer_for(self, authority: Authority) -> None:
        self.authority, self._responder = authority, authority.responder(now())

    def reply(self, request: bytes) -> bytes:
        self.asked += 1
        return self.make(request)


@contextlib.contextmanager
def serving(authority: Authority):
    with Responder(authority) as server, answering(server):
        yield server


@pytest.fixture
def responder(desk):
    with serving(ocsp.of_development(desk.pki.folder)) as server:
        yield server


@pytest.fixture
def reading(desk, signed):
    return desk.read(signed.path)


def checked(reading, desk, *addresses, trust=None):
    return revocation.checked(reading, trust or desk.pki.trust, addresses, now())


def with_status(authority: Authority, status: Status, when: datetime | None = None):
    """Answers of the responder as if this were so, made at `when`."""

    def make(request: bytes) -> bytes:
        changed = replace(authority, status=lambda _serial: status)
        return ocsp.answer(request, changed, authority.responder(now()), when or now())

    return make


def believed_in_nothing(told) -> bool:
    return told.revocation is RevocationState.NOT_CHECKED and not (
        told.trusted or told.ours or told.intact or told.signer_name or told.release or told.generator
        or told.system or told.system_version or told.made_at
    )  # fmt: skip


def judged(reading) -> str:
    return verdict(Facts(
        readable=True, credential=reading, payload=None, resolves=False, fingerprint=None,
        manifest_holds=False, mark_present=False, unchecked=False,
    ))  # fmt: skip


def test_a_signer_that_was_not_revoked_is_believed(desk, reading, responder):
    told = checked(reading, desk, responder.address)
    assert told == replace(reading, revocation=RevocationState.GOOD)
    assert told.intact
    assert judged(told) == "intact"
    assert responder.asked == 1


def test_what_is_not_trusted_is_not_asked_about(desk, reading, responder):
    stranger = replace(reading, trusted=False, ours=False)
    assert checked(stranger, desk, responder.address) == stranger
    assert responder.asked == 0


def test_a_revocation_covers_what_was_signed_after_it(desk, reading, responder):
    stamped = datetime.fromisoformat(reading.timestamp_time)
    for moment, covers in ((stamped, True), (stamped + timedelta(seconds=1), False)):
        responder.make = with_status(responder.authority, Status(state=State.REVOKED, revoked_at=moment))
        told = checked(reading, desk, responder.address)
        assert (told.revocation, told.revoked_signer) == (RevocationState.REVOKED, covers)
        assert told.intact is not covers
    untimed = replace(reading, timestamp_time=None)
    assert checked(untimed, desk, responder.address).revoked_signer


def stale(responder, _request):
    good = Status(state=State.GOOD)
    return with_status(responder.authority, good, now() - timedelta(hours=5))(_request)


def of_tomorrow(responder, request):
    return with_status(responder.authority, Status(state=State.GOOD), now() + timedelta(hours=2))(request)


def unknown(responder, request):
    return with_status(responder.authority, Status(state=State.UNKNOWN))(request)


def built(
    responder,
    request,
    pair,
    *,
    certificates,
    encoding=kinds.OCSPResponderEncoding.HASH,
    serial=None,
    nonce=None,
):
    asked = kinds.load_der_ocsp_request(request)
    builder = kinds.OCSPResponseBuilder().add_response_by_hash(
        issuer_name_hash=asked.issuer_name_hash, issuer_key_hash=asked.issuer_key_hash,
        serial_number=serial or asked.serial_number, algorithm=asked.hash_algorithm,
        cert_status=kinds.OCSPCertStatus.GOOD, this_update=now(), next_update=now() + timedelta(hours=1),
        revocation_time=None, revocation_reason=None,
    ).responder_id(encoding, pair.certificate)  # fmt: skip
    if certificates:
        builder = builder.certificates(certificates)
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(pair.key, hashes.SHA256()).public_bytes(Encoding.DER)


def without_responder_certificate(responder, request):
    pair = responder.authority.responder(now())
    return built(responder, request, pair, certificates=[])


def of_a_rogue(responder, request):
    names = responder.authority.root.certificate.subject
    organisation, name = (one.value for one in names)
    pair = certs.make_responder(certs.make_root(name, organisation, now()), now())
    return built(responder, request, pair, certificates=[pair.certificate])


def of_a_claim_signer(responder, request):
    pair = certs.make_claim_leaf(responder.authority.root, "signer", "Countermark", now())
    return built(responder, request, pair, certificates=[pair.certificate])


def changed(pair, root, without, instead=None) -> certs.KeyPair:
    """The responder with one extension less, or another in its place."""
    old = pair.certificate
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer)
    builder = builder.public_key(old.public_key()).serial_number(old.serial_number)
    builder = builder.not_valid_before(old.not_valid_before_utc).not_valid_after(old.not_valid_after_utc)
    for one in old.extensions:
        if one.oid != without:
            builder = builder.add_extension(one.value, critical=one.critical)
    if instead is not None:
        builder = builder.add_extension(instead, critical=True)
    return certs.KeyPair(key=pair.key, certificate=builder.sign(root.key, hashes.SHA256()))


def of_one_that_may_not_answer(responder, request):
    pair = responder.authority.responder(now())
    other = x509.ExtendedKeyUsage([certs.CLAIM_SIGNING])
    pair = changed(pair, responder.authority.root, other.oid, other)
    return built(responder, request, pair, certificates=[pair.certificate])


def of_one_that_may_have_been_revoked(responder, request):
    pair = responder.authority.responder(now())
    pair = changed(pair, responder.authority.root, x509.OCSPNoCheck.oid)
    return built(responder, request, pair, certificates=[pair.certificate])


def of_a_responder_that_ended(responder, request):
    pair = certs.make_responder(responder.authority.root, now() - timedelta(days=60))
    return built(responder, request, pair, certificates=[pair.certificate])


def of_another_certificate(responder, request):
    pair = responder.authority.responder(now())
    return built(responder, request, pair, certificates=[pair.certificate], serial=4711)


def with_another_nonce(responder, request):
    pair = responder.authority.responder(now())
    return built(responder, request, pair, certificates=[pair.certificate], nonce=b"x" * 32)


def changed_afterwards(responder, request):
    content = bytearray(Server.reply(responder, request))
    content[-1] ^= 1
    return bytes(content)


def garbage(_responder, _request):
    return b"hello"


def trouble(_responder, _request):
    raise RuntimeError("out of order")


def huge(_responder, _request):
    return bytes(70_000)


NOT_DEFINITE = (
    stale, of_tomorrow, unknown, without_responder_certificate, of_a_rogue, of_a_claim_signer,
    of_one_that_may_not_answer, of_one_that_may_have_been_revoked,
    of_a_responder_that_ended, of_another_certificate, with_another_nonce, changed_afterwards, garbage,
    trouble, huge,
)  # fmt: skip


@pytest.mark.parametrize("answer", NOT_DEFINITE, ids=lambda answer: answer.__name__)
def test_whatever_is_not_definite_is_not_checked(desk, reading, responder, answer):
    responder.make = lambda request: answer(responder, request)
    told = checked(reading, desk, responder.address)
    assert believed_in_nothing(told)
    assert judged(told) == "inconclusive"
    assert credential_line(told, recovered=False).state == "not_checked"
    assert responder.asked == 1


def test_answers_of_the_issuer_itself_and_without_a_nonce_count(desk, reading, responder):
    root = responder.authority.root
    responder.make = lambda request: built(responder, request, root, certificates=[])
    assert checked(reading, desk, responder.address).intact
    name = kinds.OCSPResponderEncoding.NAME
    responder.make = lambda request: built(responder, request, root, certificates=[], encoding=name)
    assert checked(reading, desk, responder.address).intact


def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_a_responder_that_is_away_is_not_checked_and_the_next_one_is_asked(desk, reading, responder):
    assert believed_in_nothing(checked(reading, desk, closed()))
    assert believed_in_nothing(checked(reading, desk))
    assert checked(reading, desk, closed(), responder.address).intact


def test_a_revocation_that_the_table_knows_is_kept_where_nobody_answers(desk, reading):
    assert reading.system
    assert reading.made_at
    signer = desk.pki.claim.certificate
    table = desk.pki.trust.signers.revoke(fingerprint(signer), at=reading.timestamp_time)
    trust = replace(desk.pki.trust, signers=table)
    known = desk.read(desk.source.with_name("signed.mp4"), trust)
    told = checked(known, desk, closed(), trust=trust)
    assert believed_in_nothing(told)
    assert told.revoked_signer


def test_an_address_in_the_certificate_is_never_asked(desk, tmp_path, signed, responder):
    """The leaf names our responder; it is not on the list, so nobody is asked."""
    made = ca.create(tmp_path / "ca", "Studio", now=now(), ocsp=responder.address)
    key = LocalKeySigner(desk.pki)
    request = make_request(key, organisation="Studio", common_name="s").encode()
    leaf = ca.issue(tmp_path / "ca", request, now=now(), days=30)
    pki = ensure_pki(tmp_path / "keys" / "pki", now=now())
    register(pki.folder, [leaf], made.root.certificate)
    pair = certs.KeyPair(key=desk.pki.claim.key, certificate=leaf)
    trust = load_pki(pki.folder).trust
    clip = desk.raw_sign(tmp_path / "out.mp4", pair, trust, tsa_of=pki)
    reading = desk.read(clip, trust)
    assert reading.intact
    assert believed_in_nothing(checked(reading, desk, closed(), trust=trust))
    assert responder.asked == 0
    responder.answer_for(ocsp.of_ca(tmp_path / "ca"))
    assert checked(reading, desk, responder.address, trust=trust).intact
    ca.revoke(tmp_path / "ca", fingerprint(leaf), at=now() - timedelta(days=1), reason="key-compromise")
    assert checked(reading, desk, responder.address, trust=trust).revoked_signer
    # c2pa's own check finds that too, but takes an answer without the responder's certificate for none.
    assert "signingCredential.ocsp.revoked" in own_check(clip, trust, responder)
    responder.make = lambda request: without_responder_certificate(responder, request)
    assert not any(".ocsp." in code for code in own_check(clip, trust, responder))


def own_check(clip, trust, responder) -> set[str]:
    """Codes of c2pa with its own OCSP check, which this program leaves off."""
    document = c2pa_context.settings(trust)
    document["verify"]["ocsp_fetch"] = True
    document["core"]["allowed_network_hosts"] = [f"127.0.0.1:{responder.server_address[1]}"]
    with clip.open("rb") as file, c2pa_context.Context.from_dict(document, None) as context:
        report = c2pa_context.Reader.try_create("video/mp4", file, None, context).json()
    results = json.loads(report)["validation_results"]["activeManifest"]
    return {row["code"] for rows in results.values() for row in rows}


def test_credentials_of_others_and_unclear_issuers_are_not_checked(desk, reading, responder):
    foreign = replace(reading, ours=False, signer_cert_sha256=None)
    assert believed_in_nothing(checked(foreign, desk, responder.address))
    stranger = certs.make_root("Somebody", "Else", now()).certificate_pem
    orphan = replace(desk.pki.trust, claim_roots=stranger)
    assert believed_in_nothing(checked(reading, desk, responder.address, trust=orphan))
    nobody = replace(desk.pki.trust, signers=SignerTable())
    assert believed_in_nothing(checked(reading, desk, responder.address, trust=nobody))
    assert responder.asked == 0


def with_a_twin(desk):
    """Trust in the issuer, and in another certificate of the same name, which comes first."""
    root = x509.load_pem_x509_certificate(desk.pki.trust.claim_roots.encode())
    organisation, name = (one.value for one in root.subject)
    twin = certs.make_root(name, organisation, now())
    return replace(desk.pki.trust, claim_roots=twin.certificate_pem + desk.pki.trust.claim_roots), twin


def test_an_issuer_that_was_certified_anew_is_asked_about_with_each_of_its_keys(desk, reading, responder):
    trust, twin = with_a_twin(desk)
    assert checked(reading, desk, responder.address, trust=trust).intact
    assert responder.asked == 2
    doubled = replace(desk.pki.trust, intermediates=desk.pki.trust.claim_roots)
    assert checked(reading, desk, responder.address, trust=doubled).intact
    assert responder.asked == 3  # one key, one question
    ours, theirs = responder.authority, Authority(root=twin, status=lambda _serial: Status(state=State.GOOD))

    def careless(request: bytes) -> bytes:
        """Says good of what the other one never issued."""
        said = ocsp.answer(request, theirs, theirs.responder(now()), now())
        status = kinds.load_der_ocsp_response(said).response_status
        known = status is kinds.OCSPResponseStatus.SUCCESSFUL
        return said if known else with_status(ours, Status(state=State.REVOKED, revoked_at=now()))(request)

    responder.make = careless
    told = checked(reading, desk, responder.address, trust=trust)
    assert told.revocation is RevocationState.REVOKED


def test_a_recovered_credential_that_could_not_be_asked_about_is_not_checked(desk, signed, responder):
    stored = desk.read(desk.source, stored=signed.manifest_bytes)
    assert stored.content_hash_only_failure
    told = checked(stored, desk, closed())
    absent = desk.read(desk.source)
    assert credential_line(absent, recovered=False, stored=told).state == "not_checked"
    assert credential_line(absent, recovered=False, stored=stored).state == "absent"
