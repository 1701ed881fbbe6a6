"""Signed reports of the service: what they are about, who may see what, and that they can be checked."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import clock
from pipeline.credentials.report_key import ReportKey
from pipeline.verify.near_duplicates import NearDuplicates
from pipeline.verify.report_check import CheckedStatement, check
from pipeline.verify.statement import FileDigest
from registry.log import append, head

SCORES = {"log10_chance", "presence_log10_chance", "span", "frames", "geometry", "score", "hole", "left"}


@pytest.fixture(scope="module", name="known")
def public_key(served: Any) -> list[ReportKey]:
    told = served.client.get("/v1/report-key").json()
    key = ReportKey.from_hex(told["public"])
    assert told == key.to_json() | {"before": []}
    return [key]


def asked(served: Any, clip: Path, **headers: str) -> Any:
    with clip.open("rb") as file:
        files = {"file": ("<b>odd.mp4", file)}
        answer = served.client.post("/v1/verify?signed=true", files=files, headers=headers)
    assert answer.status_code == 200
    return answer.json()


def judged(envelope: Any, known: list[ReportKey]) -> CheckedStatement:
    checked = check(json.dumps(envelope).encode(), known)
    assert checked.holds
    [one] = checked.statements
    return one


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {*value, *(key for inner in value.values() for key in keys(inner))}
    return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()


def test_strangers_get_no_scores_and_a_signature(served: Any, clip: Path, known: list[ReportKey]) -> None:
    content = clip.read_bytes()
    arrived = FileDigest(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    stranger, studio = judged(asked(served, clip), known), judged(asked(served, clip, **served.key()), known)
    for one in (stranger, studio):
        assert one.told
        assert one.is_about(arrived)
        assert not one.is_about(FileDigest(sha256=arrived.sha256, size=1))
        assert one.told.file.name == "<b>odd.mp4"
        assert one.told.at_hand["registry"] == "read"
        assert one.told.at_hand["detection_key_epochs"] == [1]
    assert stranger.told
    assert studio.told
    assert not keys(stranger.told.report["evidence"]) & SCORES
    assert keys(studio.told.report["evidence"]) & SCORES
    assert (stranger.told.checker.audience, studio.told.checker.audience) == ("everybody", "key holders")
    assert stranger.told.report["seconds"] is None


def test_what_the_registry_learns_meanwhile_is_not_named(
    served: Any, clip: Path, known: list[ReportKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, admit, before = served.service.app.engine, NearDuplicates.admit, []

    def late(self: NearDuplicates, fingerprint: Any, **named: Any) -> None:
        admit(self, fingerprint, **named)
        with engine.begin() as conn:
            before.append(head(conn))
            append(conn, "party", {"name": "Studio"}, None, clock())

    monkeypatch.setattr(NearDuplicates, "admit", late)
    one = judged(asked(served, clip), known)
    assert one.told
    assert [one.told.at_hand["log_head"]] == before


def test_an_upload_that_is_no_video_is_told_too(served: Any, tmp_path: Path, known: list[ReportKey]) -> None:
    thing = tmp_path / "thing"
    thing.write_bytes(b"no video")
    one = judged(asked(served, thing), known)
    assert one.told
    assert one.told.verdict == "unreadable"


def test_the_parameter_is_yes_or_no(served: Any) -> None:
    answer = served.client.post("/v1/verify?signed=perhaps", files={"file": ("a", b"x")})
    assert answer.status_code == 422
    plain = served.client.post("/v1/verify?signed=false", files={"file": ("a", b"x")}).json()
    assert plain["verdict"] == "unreadable"
