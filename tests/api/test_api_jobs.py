"""Jobs over HTTP: accepted once, told to their account only, released, held, gone; the one file route."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.clock import clock, rfc3339
from registry import apikeys, releases
from registry.db import read
from registry.ids import new_id
from registry.tables import job as jobs_table
from registry.types import JobState


@pytest.fixture(scope="module", name="released")
def one_release(served: Any, clip: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers of the account, and the document of its released job."""
    headers = served.key("studio")
    answer = served.guard(clip, headers | {"Idempotency-Key": "first"}, prompt="a disc crosses")
    assert answer.status_code == 200, answer.text
    return headers, answer.json()


def test_released(served: Any, released: Any) -> None:
    headers, job = released
    assert (job["state"], job["verdict"], job["kind"]) == ("released", "allow", "guard")
    assert job["release"]["state"] == "released"
    again = served.client.get(f"/v1/generations/{job['id']}", headers=headers)
    assert again.json() == job
    assert not list((served.service.settings.home / "uploads" / "kept").iterdir())


def test_the_same_key_is_the_same_job(served: Any, released: Any, clip: Path, make_clip: Any) -> None:
    headers, job = released
    named = headers | {"Idempotency-Key": "first"}
    assert served.guard(clip, named, prompt="a disc crosses").json()["id"] == job["id"]
    for other in (served.guard(clip, named, prompt="another"), served.guard(_other(clip, make_clip), named)):
        assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    assert not list((served.service.settings.home / "uploads" / "kept").glob("arriving*"))


def test_other_accounts_see_nothing(served: Any, released: Any) -> None:
    _, job = released
    answer = served.client.get(f"/v1/generations/{job['id']}", headers=served.key("rival"))
    assert (answer.status_code, answer.json()["code"]) == (404, "route_unknown")
    for unknown in (new_id(clock()), "nonsense", "..%2f..", "%00"):
        answer = served.client.get(f"/v1/generations/{unknown}", headers=served.key("rival"))
        assert answer.status_code == 404


def test_the_file(served: Any, released: Any) -> None:
    _, job = released
    answer = served.client.get(job["release"]["file"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["cache-control"] == "no-store"
    assert hashlib.sha256(answer.content).hexdigest() == job["release"]["sha256"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=-5", -5, None), ("bytes=100-", 100, None),
     ("bytes=5-999999999999", 5, None)],
)  # fmt: skip
def test_ranges(served: Any, released: Any, asked: str, first: int, last: int | None) -> None:
    path = released[1]["release"]["file"]
    whole = served.client.get(path).content
    answer = served.client.get(path, headers={"Range": asked})
    begin = first if first >= 0 else len(whole) + first
    end = len(whole) - 1 if last is None else last
    assert answer.status_code == 206
    assert answer.content == whole[begin : end + 1]
    assert answer.headers["content-range"] == f"bytes {begin}-{end}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=9-2", "bytes=" + "1" * 99])
def test_ranges_that_are_ignored(served: Any, released: Any, asked: str) -> None:
    answer = served.client.get(released[1]["release"]["file"], headers={"Range": asked})
    assert answer.status_code == 200


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=999999998-999999999", "bytes=-0"])
def test_ranges_outside(served: Any, released: Any, asked: str) -> None:
    answer = served.client.get(released[1]["release"]["file"], headers={"Range": asked})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_impossible")


@pytest.mark.parametrize(
    "name", ["x", "..%2f..%2fkeys", "../../registry.db", "%2e%2e", "%00", "0" * 36, "a" * 64]
)
def test_no_path_comes_from_the_request(served: Any, name: str) -> None:
    answer = served.client.get(f"/v1/releases/{name}/file")
    assert (answer.status_code, answer.json()["code"]) == (404, "route_unknown")


def test_what_is_held_is_served_nowhere(served: Any, tmp_path: Path, make_clip: Any) -> None:
    sound = make_clip(tmp_path / "sound.mp4", 480, 272, 36, fps=12, audio=True)
    headers = served.key("studio")
    job = served.guard(sound, headers, audio="hold").json()
    assert (job["state"], job["release"]) == ("held", None)
    assert job["reasons"][0]["code"] == "audio_not_checked"
    assert job["appeal"].startswith("To object, write to the operator of this service")
    assert job["id"] in job["appeal"]
    assert served.client.get(f"/v1/releases/{job['id']}/file").status_code == 404
    stripped = served.guard(sound, headers, audio="strip").json()
    assert stripped["state"] == "released"


def test_sound_is_not_the_clients_to_let_through(served: Any, clip: Path) -> None:
    answer = served.guard(clip, served.key(), audio="accept")
    assert (answer.status_code, answer.json()["code"]) == (422, "request_malformed")


def test_no_video_fails(served: Any, tmp_path: Path) -> None:
    text = tmp_path / "clip.mp4"
    text.write_text("no video")
    job = served.guard(text, served.key()).json()
    assert (job["state"], job["error"]["code"]) == ("failed", "media_unreadable")


def test_withdrawn_is_gone(served: Any, clip: Path) -> None:
    headers, app = served.key("studio"), served.service.app
    release = served.guard(clip, headers).json()["release"]
    assert served.client.get(release["file"]).status_code == 200
    releases.withdraw(app.engine, release["id"], why={}, now=clock(), sign_checkpoint=app.signer)
    answer = served.client.get(release["file"])
    assert (answer.status_code, answer.json()["code"]) == (410, "withdrawn")
    app.reinstate(release["id"], "a mistake")
    assert served.client.get(release["file"]).status_code == 200


def test_verified(served: Any, released: Any) -> None:
    file = served.client.get(released[1]["release"]["file"]).content
    answer = served.client.post("/v1/verify", files={"file": ("clip.mp4", file)})
    report = answer.json()
    assert (report["verdict"], report["release"]["id"]) == ("intact", released[1]["release"]["id"])
    hidden = report["evidence"]["hidden_mark"]
    assert "log10_chance" not in hidden  # strangers could climb it
    assert "score" not in report["evidence"]["visible_mark"]
    full = served.client.post("/v1/verify", files={"file": ("clip.mp4", file)}, headers=served.key())
    assert full.json()["evidence"]["hidden_mark"]["log10_chance"] < -9


def test_a_full_queue_is_told(serve: Any, clip: Path) -> None:
    busy = serve(workers=0, max_queue=3, max_queue_account=2)
    mine, theirs = busy.key(), busy.key("rival")
    waiting = [post(busy, clip, mine, f"n{number}") for number in range(2)]
    assert {answer.status_code for answer in waiting} == {202}
    full = post(busy, clip, mine, "n2")
    assert (full.status_code, full.json()["code"]) == (429, "queue_full")
    assert full.headers["retry-after"]
    assert post(busy, clip, theirs, "n3").status_code == 202
    for headers in (theirs, busy.key("third")):
        answer = post(busy, clip, headers, "n4")
        assert (answer.status_code, answer.json()["code"]) == (503, "too_busy")
        assert answer.headers["retry-after"]
    drawn = busy.client.post("/v1/generations", json={"prompt": "a boat"}, headers=mine)
    assert (drawn.status_code, drawn.json()["code"]) == (503, "too_busy")
    assert len(list((busy.service.settings.home / "uploads" / "kept").iterdir())) == 3
    run_one(busy)
    assert post(busy, clip, theirs, "n4").status_code == 202


def test_what_a_revoked_key_asked_for_does_not_leave(serve: Any, clip: Path) -> None:
    served = serve(workers=0)
    headers, app = served.key("leaky"), served.service.app
    job = post(served, clip, headers, "one")
    assert (job.status_code, job.json()["state"]) == (202, "open")
    key_id = headers["Authorization"].split("_")[1]
    apikeys.revoke(app.engine, key_id, why={}, now=clock(), sign_checkpoint=app.signer)
    run_one(served)
    assert app.job(job.json()["id"]).state in (JobState.HELD, JobState.REFUSED)
    told = served.client.get(f"/v1/generations/{job.json()['id']}", headers=served.key("leaky")).json()
    assert told["release"] is None
    assert told["verdict"] in ("review", "block", None)
    assert told["reasons"]


def post(served: Any, clip: Path, headers: dict[str, str], name: str) -> Any:
    with clip.open("rb") as file:
        return served.client.post(
            "/v1/guard", files={"clip": ("c.mp4", file)}, headers=headers | {"Idempotency-Key": name}
        )


def run_one(served: Any) -> None:
    """What another process does: take the oldest job that waits, and run it."""
    taken = served.service.app.take()
    assert taken is not None
    served.service.app.run(taken, lambda *_: None)


def _other(clip: Path, make_clip: Any) -> Path:
    other: Path = make_clip(clip.with_name("other.mp4"), 480, 272, 36, fps=12, seed=4)
    return other


def test_both_forms_of_a_prompt_are_kept(served: Any, clip: Path) -> None:
    headers = served.key("studio")
    job = served.guard(clip, headers, prompt="a disc", enhanced_prompt="a bright disc at dusk").json()
    release = releases.get(served.service.app.engine, job["release"]["id"])
    assert release is not None
    assert release.facts["enhanced_prompt"] == "a bright disc at dusk"
    alone = served.guard(clip, headers, enhanced_prompt="a bright disc at dusk")
    assert (alone.status_code, alone.json()["code"]) == (400, "usage")


def test_what_a_clip_was_made_from_comes_with_it(
    served: Any, clip: Path, make_clip: Any, tmp_path: Path
) -> None:
    given = [make_clip(tmp_path / f"{seed}.mp4", 160, 96, 12, seed=seed) for seed in (6, 7)]
    headers = served.key("studio") | {"Prefer": "wait=60", "Idempotency-Key": "made-from"}

    def sent() -> Any:
        files = [("material", (path.name, path.read_bytes())) for path in (*given, given[0])]
        whole = [("clip", (clip.name, clip.read_bytes())), *files]
        answer = served.client.post("/v1/guard", files=whole, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    folder = served.service.settings.home / "uploads" / "kept"
    before = set(folder.iterdir())  # of jobs of other tests that are still open
    job = sent().json()
    assert job["state"] == "released"
    assert sent().json()["id"] == job["id"]
    with read(served.service.app.engine) as conn:
        inputs = conn.execute(select(jobs_table.c.inputs).where(jobs_table.c.id == job["id"])).scalar_one()
    assert len(inputs["material"]) == 3
    assert set(folder.iterdir()) <= before
    alone = served.client.post("/v1/guard", files=[("material", b"x")], headers=served.key())
    assert (alone.status_code, alone.json()["code"]) == (422, "request_malformed")


def test_sound_that_nobody_says_anything_of_is_stripped(served: Any, tmp_path: Path, make_clip: Any) -> None:
    sound = make_clip(tmp_path / "sound.mp4", 480, 272, 36, fps=12, audio=True, seed=5)
    job = served.guard(sound, served.key("studio")).json()
    assert (job["state"], job["decision"]["checks"]["audio"]) == ("released", "stripped")


def test_a_testers_job_says_what_the_checks_say_and_leaves_nothing(served: Any, clip: Path) -> None:
    ends = rfc3339(datetime.now(UTC) + timedelta(days=7))
    headers = served.key("red team", "guard", "tester", expires_at=ends)
    job = served.guard(clip, headers, prompt="a disc crosses").json()
    assert (job["state"], job["verdict"], job["release"]) == ("refused", "allow", None)
    assert [reason["code"] for reason in job["reasons"]] == ["tester_key"]
    refused = served.client.post("/v1/optouts", data={"name": "Anything"}, headers=headers)
    assert refused.status_code == 403
