"""The traps of c2pa-python that were met, one test each; the numbers are those of the design notes."""

import io
import os
import socket
import struct
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from loopback import listener

from pipeline.credentials import certs
from pipeline.credentials.c2pa_context import C2paError, Context, Reader, make_context
from pipeline.credentials.pki import ensure_pki, load_pair
from pipeline.credentials.read import IngredientKind, inspect_ingredient, read_credential
from pipeline.credentials.reading import CredentialState, TimestampState
from pipeline.credentials.sign import MAX_CLIP_BYTES, ExternalTsa, demand_whole, sign_clip
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.tsa import local_tsa
from pipeline.errors import LimitExceeded, Refused, SigningFailed, UsageError


def utc_now() -> datetime:
    return datetime.now(UTC)


def flip_in_mdat(path: Path, destination: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[content.index(b"mdat") + 400] ^= 1
    destination.write_bytes(content)
    return destination


# 1. A rogue authority with our exact names


def test_rogue_authority_with_our_names_is_not_us(desk, rogue, tmp_path):
    desk.sign(tmp_path / "rogue.mp4", pki=rogue)
    reading = desk.read(tmp_path / "rogue.mp4")
    assert reading.signature_ok
    assert reading.hash_ok
    assert not reading.trusted
    assert not reading.ours
    assert not reading.intact
    assert "signingCredential.untrusted" in reading.failures
    assert (reading.signer_name, reading.generator, reading.release) == (None, None, None)
    assert reading.timestamp is TimestampState.UNTRUSTED
    assert reading.timestamp_time is None


def test_foreign_authority_with_our_names_is_trusted_but_never_ours(desk, rogue, tmp_path):
    desk.sign(tmp_path / "rogue.mp4", pki=rogue)
    trust = replace(desk.pki.trust, foreign_roots=rogue.trust.claim_roots)
    reading = desk.read(tmp_path / "rogue.mp4", trust)
    assert reading.trusted
    assert not reading.ours
    assert reading.release is None
    assert reading.signer_name == "Countermark development"  # a verifier that lists this root asked for it


def test_a_leaf_of_our_root_that_is_not_in_the_table_is_not_trusted(desk, signed):
    trust = replace(desk.pki.trust, signers=type(desk.pki.trust.signers)())
    reading = desk.read(signed.path, trust)
    assert reading.signature_ok
    assert not reading.trusted
    assert not reading.ours


# 2. trust_kind fences nothing


def roots(pki):
    return load_pair(pki.folder / "claim_root.pem"), load_pair(pki.folder / "tsa_root.pem")


def forged_pairs(pki):
    claim_root, tsa_root = roots(pki)
    moment = pki.claim.certificate.not_valid_before_utc + certs.CLOCK_SKEW
    names = ("Countermark development signer", "Countermark development", moment)
    return {
        "claim leaf under the time-stamp root": certs.make_claim_leaf(tsa_root, *names),
        "time-stamp leaf under the time-stamp root": pki.tsa,
        "time-stamp leaf under the claim root": certs.make_tsa_leaf(claim_root, *names),
    }


@pytest.mark.parametrize("index", range(3))
def test_time_stamp_credentials_cannot_sign_claims(desk, tmp_path, index):
    pair = list(forged_pairs(desk.pki).values())[index]
    forged = tmp_path / "forged.mp4"
    try:
        desk.raw_sign(forged, pair, desk.pki.trust, tsa_of=desk.pki)
    except C2paError:
        return  # c2pa refused to sign at all: nothing to tell apart
    reading = desk.read(forged)
    assert not reading.trusted
    assert not reading.ours
    assert reading.signer_name is None


def test_c2pa_alone_would_trust_a_claim_under_the_time_stamp_root(desk, tmp_path):
    pair = forged_pairs(desk.pki)["claim leaf under the time-stamp root"]
    forged = desk.raw_sign(tmp_path / "forged.mp4", pair, desk.pki.trust, tsa_of=desk.pki)
    with (
        make_context(desk.pki.trust) as context,
        forged.open("rb") as file,
        Reader("video/mp4", file, None, context) as reader,
    ):
        assert reader.get_validation_state() == "Trusted"  # why the list's name is looked at
    assert not desk.read(forged).trusted


def test_a_claim_key_cannot_stamp_times(desk, tmp_path):
    """Else whoever steals a claim key could date claims back before the revocation."""
    stamping = replace(desk.pki, tsa=desk.pki.claim)
    forged = tmp_path / "forged.mp4"
    with suppress(C2paError):
        desk.raw_sign(forged, desk.pki.claim, desk.pki.trust, tsa_of=stamping)
        assert desk.read(forged).timestamp is not TimestampState.TRUSTED


def test_a_foreign_authority_cannot_stamp_our_claims(desk, rogue, tmp_path):
    trust = replace(desk.pki.trust, foreign_roots=rogue.trust.tsa_roots)
    forged = desk.raw_sign(tmp_path / "forged.mp4", desk.pki.claim, trust, tsa_of=rogue)
    reading = desk.read(forged, trust)
    assert reading.ours
    assert reading.timestamp is TimestampState.UNTRUSTED


def test_nor_bring_a_key_of_ours_back_that_has_ended(desk, rogue, tmp_path):
    life = certs.CLOCK_SKEW + timedelta(seconds=2.5)
    short = ensure_pki(tmp_path / "short" / "pki", now=utc_now(), claim_life=life)
    trust = replace(short.trust, foreign_roots=rogue.trust.tsa_roots)
    forged = desk.raw_sign(tmp_path / "forged.mp4", short.claim, trust, tsa_of=rogue)
    assert desk.read(forged, trust).ours
    time.sleep(max(0.0, short.claim.certificate.not_valid_after_utc.timestamp() - time.time() + 1.1))
    reading = desk.read(forged, trust)
    assert not reading.ours
    assert not reading.trusted


# 3. Laundering


def test_tampered_parent_is_refused_before_signing(desk, signed, tmp_path):
    tampered = flip_in_mdat(signed.path, tmp_path / "tampered.mp4")
    with pytest.raises(Refused, match="does not hold"):
        inspect_ingredient(tampered, desk.pki.trust, limits=desk.limits)


def test_allowed_tampered_parent_stays_visible_after_signing(desk, signed, guarded, tmp_path):
    tampered = flip_in_mdat(signed.path, tmp_path / "tampered.mp4")
    judged = inspect_ingredient(tampered, desk.pki.trust, limits=desk.limits, allow_broken=True)
    assert judged.kind is IngredientKind.BROKEN
    assert judged.flagged
    desk.sign(tmp_path / "child.mp4", guarded(judged))
    reading = desk.read(tmp_path / "child.mp4")
    assert reading.intact
    assert reading.laundered_parent
    # and a parent that is itself laundered is refused in turn
    with pytest.raises(Refused):
        inspect_ingredient(tmp_path / "child.mp4", desk.pki.trust, limits=desk.limits)


def test_intact_foreign_parent_is_kept_and_flagged(desk, rogue, guarded, tmp_path):
    desk.sign(tmp_path / "foreign.mp4", pki=rogue)
    judged = inspect_ingredient(tmp_path / "foreign.mp4", desk.pki.trust, limits=desk.limits)
    assert judged.kind is IngredientKind.UNTRUSTED
    assert judged.flagged
    assert judged.archive
    desk.sign(tmp_path / "child.mp4", guarded(judged))
    reading = desk.read(tmp_path / "child.mp4")
    assert reading.intact
    assert reading.untrusted_parent
    assert not reading.laundered_parent


# 4. Smuggling


@pytest.mark.parametrize("name", [b"free", b"skip", b"uuid", b"wide", b"mdat", b"abcd"])
def test_appended_boxes_break_the_hash(desk, signed, tmp_path, name):
    smuggled = tmp_path / "smuggled.mp4"
    smuggled.write_bytes(signed.path.read_bytes() + struct.pack(">I4s", 8 + 1000, name) + bytes(1000))
    reading = desk.read(smuggled)
    assert not reading.hash_ok
    assert not reading.intact


@pytest.mark.parametrize("name", [b"free", b"skip"])
def test_inserted_boxes_break_the_hash(desk, signed, tmp_path, name):
    content = signed.path.read_bytes()
    start = struct.unpack(">I", content[:4])[0]
    smuggled = tmp_path / "smuggled.mp4"
    smuggled.write_bytes(content[:start] + struct.pack(">I4s", 8 + 100, name) + bytes(100) + content[start:])
    assert not desk.read(smuggled).intact


def test_a_second_credential_box_is_not_intact(desk, signed, tmp_path):
    content = signed.path.read_bytes()
    extra = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(500)
    smuggled = tmp_path / "smuggled.mp4"
    smuggled.write_bytes(content + struct.pack(">I4s", 8 + len(extra), b"uuid") + extra)
    assert not desk.read(smuggled).intact


@pytest.mark.parametrize("name", [b"mfra", b"ftyp"])
def test_appended_boxes_that_the_hash_leaves_out_are_not_intact(desk, signed, tmp_path, name):
    smuggled = tmp_path / "smuggled.mp4"
    smuggled.write_bytes(signed.path.read_bytes() + struct.pack(">I4s", 8 + 500, name) + bytes(500))
    assert not desk.read(smuggled).intact


@pytest.mark.parametrize(
    "tail", [b"x", b"12345678" * 9, bytes(4) + b"free" + bytes(50), b"\0\0\0\1free" + bytes(9)]
)
def test_bytes_after_the_last_box_are_not_intact(desk, signed, tmp_path, tail):
    smuggled = tmp_path / "smuggled.mp4"
    smuggled.write_bytes(signed.path.read_bytes() + tail)
    assert not desk.read(smuggled).intact


# 5. Server-side request forgery


@pytest.mark.parametrize("embed", [True, False])
def test_an_upload_that_names_an_address_causes_no_connection(desk, tmp_path, embed):
    with listener() as (address, knocks):
        url = f"{address}/manifest.c2pa"
        upload = desk.raw_sign(
            tmp_path / "upload.mp4", desk.pki.claim, desk.pki.trust, tsa_of=None, remote_url=url, embed=embed
        )
        reading = read_credential(upload, desk.pki.trust, limits=desk.limits)
        inspect_ingredient(upload, desk.pki.trust, limits=desk.limits, allow_broken=True)
        assert reading.state is (CredentialState.PRESENT if embed else CredentialState.NONE)
        assert knocks == []
        if not embed:  # the listener does hear c2pa's default settings
            with suppress(C2paError), Context() as context, upload.open("rb") as file:
                Reader("video/mp4", file, None, context)
            assert knocks


# 7. In place


def test_signing_a_file_onto_itself_is_refused_and_harmless(desk, tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(desk.source.read_bytes())
    (tmp_path / "link.mp4").symlink_to(clip)
    for destination in (clip, tmp_path / "link.mp4"):
        with pytest.raises(UsageError, match="onto itself"):
            desk.sign(destination, source=clip)
    assert clip.read_bytes() == desk.source.read_bytes()


def sign_with(desk, destination, *, signer=None, tsa=None):
    signer = signer or LocalKeySigner(desk.pki)
    return sign_clip(desk.source, destination, desk.created(), signer=signer, tsa=tsa, trust=desk.pki.trust)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_no_time_stamp_no_release(desk, tmp_path):
    with pytest.raises(SigningFailed, match="no good time-stamp"):
        sign_with(desk, tmp_path / "out.mp4", tsa=ExternalTsa(url=f"http://127.0.0.1:{closed_port()}/"))
    assert list(tmp_path.iterdir()) == []


def test_a_failing_time_stamp_service_says_why(desk, tmp_path):
    def clock():
        raise RuntimeError("the clock stands still")

    with (
        local_tsa(desk.pki, clock=clock) as tsa,
        pytest.raises(SigningFailed, match="the clock stands still"),
    ):
        sign_with(desk, tmp_path / "out.mp4", tsa=tsa)
    assert list(tmp_path.iterdir()) == []


def test_a_time_stamp_of_an_unknown_authority_is_not_enough(desk, rogue, tmp_path):
    with local_tsa(rogue, clock=utc_now) as tsa, pytest.raises(SigningFailed, match="not trusted"):
        sign_with(desk, tmp_path / "out.mp4", tsa=tsa)
    assert list(tmp_path.iterdir()) == []


class BrokenKeyService(LocalKeySigner):
    """A key service that is out of order."""

    def sign(self, data: bytes) -> bytes:
        raise ConnectionError("key service: quota exceeded")


def test_the_cause_in_the_signing_callback_is_kept(desk, tmp_path, capfd):
    with (
        local_tsa(desk.pki, clock=utc_now) as tsa,
        pytest.raises(SigningFailed, match="quota exceeded") as caught,
    ):
        sign_with(desk, tmp_path / "out.mp4", signer=BrokenKeyService(desk.pki), tsa=tsa)
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


# 8. verify_after_sign does not check the content hash


def test_what_does_not_read_back_whole_is_not_released(desk, signed, tmp_path):
    tampered = flip_in_mdat(signed.path, tmp_path / "tampered.mp4")
    with pytest.raises(SigningFailed, match=r"bmffHash\.mismatch"):
        demand_whole(desk.read(tampered), signed.urn)
    with pytest.raises(SigningFailed, match="name differ"):
        demand_whole(desk.read(signed.path), "urn:c2pa:00000000-0000-4000-8000-000000000000")
    demand_whole(desk.read(signed.path), signed.urn)


def test_the_kept_manifest_is_the_embedded_one(desk, signed):
    assert signed.manifest_bytes in signed.path.read_bytes()
    assert io.BytesIO(signed.manifest_bytes).read(8)[4:] == b"jumb"


def test_a_clip_larger_than_the_media_room_takes_in_is_refused(desk, tmp_path):
    huge = tmp_path / "huge.mp4"
    huge.touch()
    os.truncate(huge, MAX_CLIP_BYTES + 1)
    with pytest.raises(LimitExceeded, match="8 GiB"):
        desk.sign(tmp_path / "out.mp4", source=huge)
    assert [path.name for path in tmp_path.iterdir()] == ["huge.mp4"]
