"""A leaked key: everything that was made with it is listed, and taken back in one act."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import clock
from registry import apikeys, claims, parties
from registry.errors import NotFound
from registry.party_types import Filing
from registry.types import JobState


@pytest.fixture(name="leak")
def a_key_that_leaked(served: Any) -> tuple[str, dict[str, str]]:
    key, secret = apikeys.create(
        served.service.app.engine, "maker", "test", ("guard",), expires_at=None, now=clock()
    )
    return key.id, {"Authorization": f"Bearer {secret}"}


def test_all_of_it_is_taken_back(served: Any, leak: Any, tmp_path: Path, make_clip: Any) -> None:
    key, headers = leak
    app = served.service.app
    quiet = make_clip(tmp_path / "quiet.mp4", 480, 272, 24, fps=12, seed=90)
    loud = make_clip(tmp_path / "loud.mp4", 480, 272, 24, fps=12, audio=True, seed=91)
    own = make_clip(tmp_path / "own.mp4", 480, 272, 24, fps=12, seed=92)
    made = served.guard(quiet, headers).json()
    held = served.guard(loud, headers, audio="hold").json()
    others = served.guard(own, served.key("studio")).json()
    assert (made["state"], held["state"], others["state"]) == ("released", "held", "released")
    found = app.incidents.look(key)
    assert (found.released, found.held) == ((made["release"]["id"],), (held["id"],))
    assert (found.withdrawn, found.open, found.revoked_at) == ((), (), None)
    done = app.incidents.take_back(key, "Ada", "it was on a web page")
    assert (done.released, done.held, done.withdrawn) == ((), (), found.released)
    assert done.revoked_at is not None
    assert served.client.get(made["release"]["file"]).status_code == 410
    assert served.client.get(others["release"]["file"]).status_code == 200
    assert app.job(held["id"]).state is JobState.REFUSED
    assert served.guard(own, headers).status_code == 401
    assert app.incidents.take_back(key, "Ada", "again") == done


def test_what_is_withdrawn_already_does_not_come_back_by_itself(
    served: Any, leak: Any, tmp_path: Path, make_clip: Any
) -> None:
    key, headers = leak
    app = served.service.app
    clip = make_clip(tmp_path / "clip.mp4", 480, 272, 24, fps=12, seed=94)
    made = served.guard(clip, headers).json()["release"]["id"]
    who = parties.add(app.engine, f"Reporter {key}", "person", now=clock(), sign_checkpoint=app.signer)
    filing = Filing(
        by=who.id, kind="takedown48", signature="R",
        statements={"location": made, "good_faith": "yes", "contact": "r@example.org"},
    )  # fmt: skip
    told = {"now": clock(), "sign_checkpoint": app.signer}
    notice = claims.notify(app.engine, filing, release_id=made, **told)
    assert app.incidents.look(key).withdrawn == (made,)
    app.incidents.take_back(key, "Ada", "leaked")
    claims.decide(app.engine, notice.id, accept=False, why={}, **told)
    app.settle()
    assert app.incidents.look(key).withdrawn == (made,)


def test_nobody_releases_what_their_own_account_asked_for(
    served: Any, leak: Any, tmp_path: Path, make_clip: Any
) -> None:
    _, headers = leak
    app = served.service.app
    loud = make_clip(tmp_path / "loud.mp4", 480, 272, 24, fps=12, audio=True, seed=95)
    held = served.guard(loud, headers, audio="hold").json()
    case = next(one for one in app.reviews.waiting() if one["job"] == held["id"])
    key, secret = apikeys.create(app.engine, "maker", "Ada", ("review",), now=clock())
    mine = {"Authorization": f"Bearer {secret}"}
    path = f"/v1/cases/{case['id']}/decide"
    answer = served.client.post(path, json={"decision": "release"}, headers=mine)
    assert answer.json()["code"] == "act_refused"
    other, secret = apikeys.create(app.engine, "safety", "Ben", ("review",), now=clock())
    done = served.client.post(
        path, json={"decision": "release"}, headers={"Authorization": f"Bearer {secret}"}
    )
    assert done.status_code == 200
    assert (app.incidents.look(key.id).let_go, app.incidents.look(other.id).let_go) == ((), (held["id"],))


def test_a_case_that_somebody_has_taken_stays_held_and_cannot_leave(
    served: Any, leak: Any, tmp_path: Path, make_clip: Any
) -> None:
    key, headers = leak
    app = served.service.app
    loud = make_clip(tmp_path / "loud.mp4", 480, 272, 24, fps=12, audio=True, seed=93)
    held = served.guard(loud, headers, audio="hold").json()
    case = next(one for one in app.reviews.waiting() if one["job"] == held["id"])
    while (taken := app.reviews.take_next("Ben")) and taken["id"] != case["id"]:
        app.reviews.block(taken["id"], "Ben", "")
    assert app.incidents.take_back(key, "Ada", "leaked").held == (held["id"],)
    app.reviews.release(case["id"], "Ben", "a bird")
    until = time.monotonic() + 60
    while (ended := app.job(held["id"])).state in (JobState.HELD, JobState.OPEN) and time.monotonic() < until:
        time.sleep(0.05)
    assert ended.state is JobState.REFUSED
    assert "key_revoked" in json.dumps(ended.result)


def test_a_key_that_is_not_there(served: Any) -> None:
    with pytest.raises(NotFound):
        served.service.app.incidents.look("nobody")
