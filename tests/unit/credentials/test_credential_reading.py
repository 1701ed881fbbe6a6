"""Reading: intact, altered, recovered, expired, hostile and plainly broken files."""

import json
import os
import subprocess
import sys
import time
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from encypher_c2pa import verify

from pipeline.credentials import certs
from pipeline.credentials.boxes import MAX_BOXES
from pipeline.credentials.manifest import MINING_USES
from pipeline.credentials.pki import Pki, ensure_pki, fingerprint
from pipeline.credentials.read import IngredientKind, inspect_ingredient, read_credential
from pipeline.credentials.reading import CredentialReading, CredentialState, TimestampState
from pipeline.errors import LimitExceeded, MediaUnreadable, SandboxFailed

PAYLOAD = 0x8123_4567_89AB_CDEF
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_our_clip_reads_as_intact_through_the_sandbox(desk, signed):
    reading = read_credential(signed.path, desk.pki.trust, limits=desk.limits)
    assert reading.intact
    assert reading.ours
    assert reading.trusted
    assert reading.failures == ()
    assert reading == desk.read(signed.path)
    assert (reading.urn, reading.payload) == (signed.urn, PAYLOAD)
    assert reading.actions == ("c2pa.created", "c2pa.watermarked.bound")
    assert reading.digital_source_types == (GENERATED,)
    assert reading.release == {"version": 3, "release_id": "r-1", "checked_seq": 7}
    assert reading.training == {key: {"use": "notAllowed"} for key in MINING_USES}
    assert reading.timestamp_time == signed.timestamp_time
    assert reading.signer_cert_sha256 == fingerprint(desk.pki.claim.certificate)
    assert not reading.laundered_parent
    assert not reading.untrusted_parent


def test_an_unsigned_clip_has_none(desk):
    reading = read_credential(desk.source, desk.pki.trust, limits=desk.limits)
    assert reading == CredentialReading(state=CredentialState.NONE)
    judged = inspect_ingredient(desk.source, desk.pki.trust, limits=desk.limits)
    assert (judged.kind, judged.archive, judged.flagged) == (IngredientKind.NONE, None, False)


def test_one_changed_byte_is_seen(desk, signed, tmp_path):
    content = bytearray(signed.path.read_bytes())
    content[content.index(b"mdat") + 400] ^= 1
    (tmp_path / "altered.mp4").write_bytes(content)
    reading = desk.read(tmp_path / "altered.mp4")
    assert reading.ours
    assert reading.signature_ok
    assert not reading.hash_ok
    assert not reading.intact
    assert reading.failures == ("assertion.bmffHash.mismatch",)
    assert reading.content_hash_only_failure


def test_a_recovered_manifest_fails_only_in_the_content_hash(desk, signed):
    reading = read_credential(
        desk.source, desk.pki.trust, limits=desk.limits, manifest_bytes=signed.manifest_bytes
    )
    assert reading.ours
    assert reading.content_hash_only_failure
    assert not reading.hash_ok
    assert reading.timestamp is TimestampState.TRUSTED
    assert reading.payload == PAYLOAD


@pytest.mark.parametrize("stored", [b"", b"garbage", b"\x00\x00\x00\x10jumb" + bytes(8)])
def test_a_damaged_stored_manifest_is_unreadable(desk, stored):
    assert desk.read(desk.source, stored=stored).state is CredentialState.UNREADABLE


def test_a_changed_stored_manifest_is_not_ours_whole(desk, signed):
    stored = signed.manifest_bytes.replace(b'"checked_seq":7', b'"checked_seq":9')
    reading = desk.read(desk.source, stored=stored)
    assert not reading.content_hash_only_failure
    assert not reading.intact


def test_a_huge_stored_manifest_is_refused(desk):
    with pytest.raises(LimitExceeded):
        read_credential(desk.source, desk.pki.trust, limits=desk.limits, manifest_bytes=bytes(17 << 20))


GARBAGE = {
    "empty": b"", "text": b"hello, world" * 50, "zeros": bytes(4000),
    "webm": bytes.fromhex("1a45dfa3") + b"\x42\x82\x84webm" * 30, "gif": b"GIF89a" + bytes(200),
    "box size one": b"\x00\x00\x00\x01ftyp" + bytes(4), "box beyond": b"\xff\xff\xff\xffftyp" + bytes(50),
    "large size": b"\x00\x00\x00\x01mdat" + b"\xff" * 8, "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
}  # fmt: skip


@pytest.mark.parametrize("name", GARBAGE)
def test_other_files_have_none(desk, tmp_path, name):
    (tmp_path / "file").write_bytes(GARBAGE[name])
    assert desk.read(tmp_path / "file").state is CredentialState.NONE


def test_a_credential_behind_more_boxes_than_are_looked_at_is_not_said_to_be_none(desk, signed, tmp_path):
    content, path, empty = signed.path.read_bytes(), tmp_path / "many.mp4", b"\0\0\0\x08free"
    start = int.from_bytes(content[:4], "big")
    path.write_bytes(content[:start] + empty * MAX_BOXES + content[start:])
    with pytest.raises(LimitExceeded, match="not known"):
        read_credential(path, desk.pki.trust, limits=desk.limits)
    plain = desk.source.read_bytes()
    for ending in (empty * 1000, bytes(5), bytes(500), b"\0\0\1\0mdat", b"\0\0\0\x02"):
        path.write_bytes(plain + ending)
        assert desk.read(path).state is CredentialState.NONE
    path.write_bytes(plain[: len(plain) // 2])
    assert desk.read(path).state is CredentialState.NONE


def test_a_truncated_clip_never_reads_as_intact(desk, signed, tmp_path):
    content, path = signed.path.read_bytes(), tmp_path / "cut.mp4"
    states = set()
    for part in range(1, 20):
        path.write_bytes(content[: len(content) * part // 20])
        reading = desk.read(path)
        states.add(reading.state)
        assert not reading.intact
        assert not reading.hash_ok
    assert CredentialState.UNREADABLE in states


def test_no_single_change_is_missed_where_it_matters(desk, signed, tmp_path):
    """Flip one bit in many places: intact only where the standard leaves bytes out (padding, ftyp)."""
    original, path = signed.path.read_bytes(), tmp_path / "flipped.mp4"
    whole = desk.read(signed.path)
    for position in range(0, len(original), len(original) // 90):
        changed = bytearray(original)
        changed[position] ^= 0x40
        path.write_bytes(changed)
        reading = desk.read(path)
        if reading.intact:
            assert original[position] == 0 or position < 32, position
            assert reading == whole


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_what_is_no_file_is_refused(desk, tmp_path, kind):
    path = tmp_path / "thing"
    if kind == "folder":
        path.mkdir()
    if kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(MediaUnreadable):
        read_credential(path, desk.pki.trust, limits=desk.limits)


# Time


def short_lived(workshop_folder, seconds: float) -> Pki:
    life = certs.CLOCK_SKEW + timedelta(seconds=seconds)
    return ensure_pki(workshop_folder / "short" / "pki", now=datetime.now(UTC), claim_life=life)


def test_an_expired_signer_is_carried_by_its_time_stamp(desk, tmp_path):
    pki = short_lived(tmp_path, 2.5)
    stamped = desk.sign(tmp_path / "stamped.mp4", pki=pki)
    bare = desk.raw_sign(tmp_path / "bare.mp4", pki.claim, pki.trust, tsa_of=None)
    assert desk.read(bare, pki.trust).trusted
    time.sleep(max(0.0, (pki.claim.certificate.not_valid_after_utc.timestamp() - time.time()) + 1.1))
    assert desk.read(stamped.path, pki.trust).intact
    expired = desk.read(bare, pki.trust)
    assert not expired.trusted
    assert not expired.intact
    assert expired.timestamp is TimestampState.NONE


def test_old_clips_still_verify_after_renewal(desk, tmp_path):
    folder = tmp_path / "keys" / "pki"
    clip = desk.sign(tmp_path / "old.mp4", pki=ensure_pki(folder, now=datetime.now(UTC)))
    renewed = ensure_pki(folder, now=datetime.now(UTC) + timedelta(days=350))
    assert len(renewed.trust.signers.entries) == 2
    assert desk.read(clip.path, renewed.trust).intact


def test_a_revoked_signer_is_flagged_unless_stamped_before(desk, signed):
    digest = signed.signer_cert_sha256
    for at, revoked in ((None, True), ("2020-01-01T00:00:00Z", True), ("2199-01-01T00:00:00Z", False)):
        trust = replace(desk.pki.trust, signers=desk.pki.trust.signers.revoke(digest, at=at))
        reading = desk.read(signed.path, trust)
        assert reading.ours
        assert reading.revoked_signer is revoked
        assert reading.intact is not revoked


# Second opinion


def second_opinion(clip, pki, **options):
    return verify(
        clip.path.read_bytes(), "video/mp4", trust_pem=pki.trust.claim_roots,
        tsa_trust_pem=pki.trust.tsa_roots, no_default_trust=True, telemetry=False, online=False, **options,
    )  # fmt: skip


def failed_codes(report) -> set[str]:
    return {row["code"] for row in report["validation_results"]["failure"]}


def test_an_independent_validator_agrees(desk, signed):
    report = second_opinion(signed, desk.pki)
    assert (report["validation_state"], report["hard_binding"]) == ("Trusted", "match")
    assert failed_codes(report) == set()


def test_strict_conformance_wants_only_revocation_information(desk, signed):
    report = second_opinion(signed, desk.pki, strict_conformance=True)
    assert failed_codes(report) <= {"com.encypher.conformance.revocationInformationMissing"}


def test_the_validator_agrees_two_years_on(desk, signed):
    later = f"{int(signed.timestamp_time[:4]) + 2}-06-01T00:00:00Z"
    report = second_opinion(signed, desk.pki, validation_time=later)
    assert report["validation_state"] == "Trusted"


# Names out of foreign files

EVIL = (
    "Evil\x1b[2J\x1b]0;title\x07\u202eNEWS\u200b\x00\x9b31m\r\n<script>"
    + "a\u0301\u0301\u0301\u0301\u0301"
    + "x" * 500
)


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def test_control_characters_of_a_foreign_manifest_do_not_get_out(desk, tmp_path):
    evil = EVIL.replace("\x00", "")[:50]
    root = certs.make_root(evil, evil, datetime.now(UTC))
    pair = certs.make_claim_leaf(root, evil, evil, datetime.now(UTC))
    document = desk.created().document
    document["title"] = EVIL
    document["claim_generator_info"] = [
        {"name": EVIL.replace("\x00", ""), "version": EVIL.replace("\x00", "")}
    ]
    document["assertions"][0]["data"]["actions"][1]["action"] = "org.evil\x1b[31m.\u202eaction"
    foreign = replace(desk.pki.trust, foreign_roots=root.certificate_pem)
    clip = desk.raw_sign(tmp_path / "evil.mp4", pair, foreign, tsa_of=desk.pki, document=document)
    reading = read_credential(clip, foreign, limits=desk.limits)
    assert reading.trusted
    assert not reading.ours
    assert reading.signer_name.startswith("Evil")
    for text in texts(reading.to_json()):
        assert len(text) <= 1000
        assert not any(unicodedata.category(character) in ("Cc", "Cf") for character in text), ascii(text)
    unlisted = desk.read(clip)
    assert (unlisted.signer_name, unlisted.generator, unlisted.release) == (None, None, None)


# The child's answer


def test_readings_survive_json(desk, signed):
    reading = desk.read(signed.path)
    assert CredentialReading.from_json(json.loads(json.dumps(reading.to_json()))) == reading


@pytest.mark.parametrize(
    "change", [{"state": "x"}, {"extra": 1}, {"payload": "zz"}, {"failures": 3}, {"fingerprint": "?"}]
)
def test_nonsense_from_the_child_is_refused(desk, signed, change):
    with pytest.raises(SandboxFailed):
        CredentialReading.from_json({**desk.read(signed.path).to_json(), **change})


def test_the_child_starts_light():
    program = (
        "import sys, pipeline.credentials.child;"
        "heavy = {'cryptography', 'asn1crypto', 'numpy', 'cv2', 'av', 'torch'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=path)
