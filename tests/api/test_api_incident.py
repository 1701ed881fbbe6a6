"""A leaked key: everything that was made with it is listed, and taken back in one act."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import clock
from registry import apikeys
from registry.db import read
from registry.errors import NotFound
from registry.tables import job
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
    with read(app.engine) as conn:
        [row] = conn.execute(job.select().where(job.c.id == held["id"]))
    assert row.state == JobState.OPEN
    list(app.resume(lambda *_: None))
    ended = app.job(held["id"])
    assert ended.state is JobState.REFUSED
    assert "key_revoked" in json.dumps(ended.result)


def test_a_key_that_is_not_there(served: Any) -> None:
    with pytest.raises(NotFound):
        served.service.app.incidents.look("nobody")
