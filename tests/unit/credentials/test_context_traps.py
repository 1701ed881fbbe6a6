"""Traps of the c2pa context: settings that are silently accepted, processes, expiry, unlisted algorithms.

c2pa takes unknown names of settings without a word, so each of ours is switched off here and has to be
missed. Three have no effect that could be seen: thumbnails (c2pa draws none of videos), the threshold from
which it keeps data on disk, and OCSP, which needs a responder.
"""

import copy
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from loopback import listener

from pipeline.credentials import certs, softbinding
from pipeline.credentials.c2pa_context import C2paError, Context, Reader, settings
from pipeline.credentials.pki import ensure_pki
from pipeline.credentials.read import read_credential
from pipeline.credentials.reading import CredentialReading, TimestampState
from pipeline.types import FileVerdict
from pipeline.verify.ladder import Facts, verdict

# Settings


def changed(given: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the settings with one of them, which must be there, changed."""
    document = copy.deepcopy(given)
    *rooms, name = path.split(".")
    room = document
    for part in rooms:
        room = room[part]
    assert name in room, path
    room[name] = value
    return document


def codes(clip: Path, document: dict[str, Any]) -> tuple[str, set[str]]:
    """c2pa's bare state and all codes of the active manifest."""
    with (
        Context.from_dict(document) as context,
        clip.open("rb") as file,
        Reader("video/mp4", file, None, context) as reader,
    ):
        results = reader.get_validation_results()["activeManifest"]
        return str(reader.get_validation_state()), {row["code"] for kind in results.values() for row in kind}


@pytest.fixture(scope="module")
def stranger(desk: Any, rogue: Any, workshop: Path) -> Path:
    """A clip by a stranger with our names, stamped by a stranger too."""
    return Path(desk.sign(workshop / "stranger.mp4", pki=rogue).path)


def test_without_the_claim_signing_use_our_own_clips_would_not_be_trusted(desk: Any, signed: Any) -> None:
    ours = settings(desk.pki.trust)
    assert codes(signed.path, ours)[0] == "Trusted"
    assert codes(signed.path, changed(ours, "trust.trust_config", "1.2.3.4\n"))[0] != "Trusted"


def test_without_verify_trust_a_stranger_would_not_be_called_untrusted(desk: Any, stranger: Path) -> None:
    ours = settings(desk.pki.trust)
    assert "signingCredential.untrusted" in codes(stranger, ours)[1]
    off = changed(ours, "verify.verify_trust", False)
    assert "signingCredential.untrusted" not in codes(stranger, off)[1]


def test_without_timestamp_trust_any_time_would_pass(desk: Any, stranger: Path) -> None:
    ours = settings(desk.pki.trust)
    assert "timeStamp.untrusted" in codes(stranger, ours)[1]
    off = changed(ours, "verify.verify_timestamp_trust", False)
    assert "timeStamp.untrusted" not in codes(stranger, off)[1]


def test_each_list_of_anchors_counts(desk: Any, signed: Any) -> None:
    ours = settings(desk.pki.trust)
    for lost, code in ((0, "signingCredential.untrusted"), (1, "timeStamp.untrusted")):
        kept = [one for index, one in enumerate(ours["trust"]["anchors"]) if index != lost]
        assert code in codes(signed.path, changed(ours, "trust.anchors", kept))[1]


def test_two_settings_keep_a_file_from_being_fetched_for(desk: Any, tmp_path: Path) -> None:
    """Either alone does; that no file without a C2PA box gets that far is a third."""
    ours = settings(desk.pki.trust)
    fetching = changed(ours, "verify.remote_manifest_fetch", True)
    open_to_all = copy.deepcopy(fetching)
    del open_to_all["core"]["allowed_network_hosts"]
    with listener() as (address, knocks):
        url = f"{address}/manifest.c2pa"
        upload = desk.raw_sign(
            tmp_path / "upload.mp4", desk.pki.claim, desk.pki.trust, tsa_of=None, remote_url=url, embed=False
        )
        for document, heard in ((ours, False), (fetching, False), (open_to_all, True)):
            with suppress(C2paError):
                codes(upload, document)
            until = time.monotonic() + (10 if heard else 0.2)
            while not knocks and time.monotonic() < until:
                time.sleep(0.01)  # the listening thread has to get its turn
            assert bool(knocks) is heard


# An algorithm that is on nobody's list


def test_a_soft_binding_of_an_unlisted_algorithm_says_nothing(desk: Any, tmp_path: Path) -> None:
    """It passes today (c2pa-rs 0.91); we neither read it nor let it stand for ours."""
    document = desk.created().document
    for assertion in document["assertions"]:
        if assertion["data"].get("alg") == softbinding.WATERMARK_ALGORITHM:
            assertion["data"]["alg"] = "com.example.unlisted.1"
    clip = desk.raw_sign(
        tmp_path / "odd.mp4", desk.pki.claim, desk.pki.trust, tsa_of=desk.pki, document=document
    )
    reading = desk.read(clip)
    assert reading.ours
    assert reading.payload is None
    assert reading.fingerprint == b"\x01\x01\x00\x00"


def test_ours_are_listed_for_newer_libraries(desk: Any) -> None:
    listed = settings(desk.pki.trust)["soft_binding"]["soft_binding_algorithms"]
    assert set(listed) == {softbinding.WATERMARK_ALGORITHM, softbinding.FINGERPRINT_ALGORITHM}
    assert all(name.count(".") >= 3 for name in listed)  # namespaced and numbered


# Processes


@contextmanager
def forked() -> Iterator[bool]:
    """True in a forked child, which ends with the block; the parent waits and wants exit code 0."""
    child = os.fork()
    if child:
        yield False
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        return
    try:
        yield True
        os._exit(0)
    except BaseException:  # noqa: BLE001 - the child must not go on as a second pytest
        os._exit(1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_context_is_dead_after_a_fork_and_reading_does_not_mind(desk: Any, signed: Any) -> None:
    with Context.from_dict(settings(desk.pki.trust)) as context:
        with forked() as child:
            if child:
                with signed.path.open("rb") as file, pytest.raises(C2paError):
                    Reader("video/mp4", file, None, context)
        with forked() as child:
            if child:
                assert read_credential(signed.path, desk.pki.trust, limits=desk.limits).intact


# The end of a leaf certificate


def told(reading: CredentialReading) -> FileVerdict:
    """The verdict where nothing but the credential is known."""
    return verdict(
        Facts(
            readable=True, credential=reading, payload=None, resolves=False, fingerprint=None,
            manifest_holds=False, mark_present=False, unchecked=True,
        )
    )  # fmt: skip


def test_the_verdict_outlives_the_leaf_only_by_a_trusted_stamp(desk: Any, rogue: Any, tmp_path: Path) -> None:
    life = certs.CLOCK_SKEW + timedelta(seconds=4)
    pki = ensure_pki(tmp_path / "short" / "pki", now=datetime.now(UTC), claim_life=life)
    clips = {"trusted": desk.sign(tmp_path / "stamped.mp4", pki=pki).path}
    both = replace(pki.trust, tsa_roots=pki.trust.tsa_roots + rogue.trust.tsa_roots)
    with suppress(C2paError):
        clips["untrusted"] = desk.raw_sign(tmp_path / "odd.mp4", pki.claim, both, tsa_of=rogue)
    clips["none"] = desk.raw_sign(tmp_path / "bare.mp4", pki.claim, pki.trust, tsa_of=None)
    assert set(clips) == {"trusted", "untrusted", "none"}
    while (left := pki.claim.certificate.not_valid_after_utc.timestamp() + 1.1 - time.time()) > 0:
        time.sleep(left)
    readings = {stamp: desk.read(clip, pki.trust) for stamp, clip in clips.items()}
    assert {stamp: str(reading.timestamp) for stamp, reading in readings.items()} == {s: s for s in clips}
    assert readings["trusted"].timestamp is TimestampState.TRUSTED
    assert {stamp: str(told(reading)) for stamp, reading in readings.items()} == {
        "trusted": "intact", "untrusted": "untrusted-claim", "none": "untrusted-claim",
    }  # fmt: skip
