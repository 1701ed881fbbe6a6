"""Held jobs, and what people do with them in the console."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from pipeline.clock import clock
from pipeline.release.staging import Staging
from registry import apikeys, sessions
from registry.ids import new_id
from registry.types import JobState, Reason

NAMED = Reason(
    code="name_near", check="prompt_names", detail="“Zorblaks” is close to the name of <Zorblax> (Studio).",
    evidence={"subject": "s", "score": 0.91, "threshold": 0.85, "turn": 0, "span": [2, 10]},
)  # fmt: skip
FACE = Reason(
    code="likeness_match", check="likeness", detail="A face.",
    evidence={
        "subject": "t", "probability": 0.93, "times": [0.5, 1.0], "boxes": [[0.1, 0.2, 0.5, 0.6]] * 2,
    },
)  # fmt: skip
WORD = re.compile(r'name="word" value="([0-9a-f]{64})"')


class Hold:
    """Makes held jobs, as a job that was stopped leaves them."""

    def __init__(self, app: Any, clip: Path) -> None:
        self._bench, self._clip, self._count = app._bench, clip, 0  # what `open_app` put together

    def __call__(self, *reasons: Reason, clip: bool = True, material: Sequence[Path] = ()) -> str:
        self._count += 1
        given = [(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in material]
        inputs: Any = {
            "account": "maker", "key": "", "policy": "opt-out", "prompt": "A Zorblaks <b>waves",
            "material": [{"source": str(path), "sha256": sha256} for path, sha256 in given],
        }  # fmt: skip
        job = self._bench.jobs.submit("guard/2", f"held {new_id(clock())}", inputs)
        for path, sha256 in given:
            Staging(self._bench.store, job.id).take_in(path, sha256, ".material")
        if clip:
            data = self._clip.read_bytes()
            name = f"{hashlib.sha256(data).hexdigest()}.input"
            Staging(self._bench.store, job.id).path(name).write_bytes(data)
            self._bench.jobs.step(job, "accept", lambda: {"file": name})
        self._bench.jobs.finish(job, JobState.HELD, {"decision": None, "reasons": []}, reasons=reasons)
        return str(job.id)


def word(text: str) -> str:
    found = WORD.search(text)
    assert found is not None
    return found[1]


def take(browser: TestClient) -> str:
    form = {"word": word(browser.get("/review").text)}
    return str(browser.post("/review/next", data=form).headers["location"])


def decide(browser: TestClient, path: str, decision: str, why: str = "") -> Any:
    form = {"word": word(browser.get(path).text), "decision": decision, "why": why}
    return browser.post(path, data=form)


def sign_in(service: Any, name: str, *scopes: str, account: str = "safety") -> TestClient:
    """A browser in which somebody is signed in, by name; with which scopes."""
    engine = service.app.state.service.app.engine
    key, _ = apikeys.create(engine, account, name, scopes or ("review",), now=clock())
    link = sessions.make_link(engine, key.id, clock())
    browser = TestClient(service.app, base_url="https://testserver", follow_redirects=False)
    assert browser.get(f"/sign-in?link={link}").status_code == 200
    assert browser.post("/sign-in", data={"link": link}).status_code == 303
    return browser
