"""Cases over HTTP: taken by one person, decided once, and the job goes on by itself."""

import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.api import shapes
from pipeline.clock import clock
from pipeline.optouts.order import parse_order
from registry import apikeys, permissions
from registry.ids import new_id
from registry.permissions import Approval
from registry.types import JobState, Reason

WAIT_SECONDS = 60


def reviewer(served: Any, name: str) -> dict[str, str]:
    """Headers of a person of the safety team."""
    _, secret = apikeys.create(served.service.app.engine, "safety", name, ("review",), now=clock())
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture(name="held")
def a_held_job(served: Any, tmp_path: Path, make_clip: Any, request: pytest.FixtureRequest) -> Any:
    """Headers of an account, and the document of its job, which is held for its sound."""
    loud = make_clip(tmp_path / "loud.mp4", 480, 272, 24, fps=12, audio=True, seed=len(request.node.name))
    headers = served.key("studio")
    job = served.guard(loud, headers, audio="hold").json()
    assert (job["state"], [one["code"] for one in job["reasons"]]) == ("held", ["audio_not_checked"])
    return headers, job


def test_a_case_is_taken_decided_and_the_job_goes_on(served: Any, held: Any) -> None:
    headers, job = held
    ada, ben = reviewer(served, "Ada"), reviewer(served, "Ben")
    [listed] = served.client.get("/v1/cases", headers=ben).json()["cases"]
    taken = served.client.post("/v1/cases/next", headers=ada)
    assert taken.status_code == 200
    case = taken.json()
    shapes.CaseAnswer.model_validate(case)
    assert (case["id"], case["job"], case["lease"]["holder"]) == (listed["id"], job["id"], "Ada (safety)")
    assert served.client.post("/v1/cases/next", headers=ben).status_code == 204
    path = f"/v1/cases/{case['id']}"
    other = served.client.post(f"{path}/decide", json={"decision": "release"}, headers=ben)
    assert (other.status_code, other.json()["code"]) == (409, "case_taken")
    assert served.client.post(f"{path}/give-back", headers=ada).status_code == 204
    done = served.client.post(f"{path}/decide", json={"decision": "release", "why": "birds"}, headers=ben)
    shapes.DecidedAnswer.model_validate(done.json())
    assert (done.status_code, done.json()["state"], done.json()["job"]) == (200, "closed", job["id"])
    until = time.monotonic() + WAIT_SECONDS
    while (now := served.client.get(f"/v1/generations/{job['id']}", headers=headers).json())[
        "state"
    ] == "open":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert (now["state"], now["verdict"]) == ("released", "allow")
    assert served.client.get(now["release"]["file"]).status_code == 200
    shown = served.client.get(path, headers=ada).json()
    assert [(one["by"], one["decision"], one["why"]) for one in shown["votes"]] == [
        ("Ben (safety)", "release", "birds")
    ]
    again = served.client.post(f"{path}/decide", json={"decision": "block"}, headers=ada)
    assert (again.status_code, again.json()["code"]) == (409, "case_closed")


def test_a_refusal_is_told_to_who_asked(served: Any, held: Any) -> None:
    headers, job = held
    ada = reviewer(served, "Ada")
    case = served.client.post("/v1/cases/next", headers=ada).json()
    done = served.client.post(f"/v1/cases/{case['id']}/decide", json={"decision": "block"}, headers=ada)
    assert (done.status_code, done.json()["about"]) == (200, "refused")
    told = served.client.get(f"/v1/generations/{job['id']}", headers=headers).json()
    assert (told["state"], told["verdict"]) == ("refused", "block")
    assert [one["code"] for one in told["reasons"]] == ["refused_by_person", "audio_not_checked"]
    assert job["id"] in told["appeal"]


def test_pages_of_cases(served: Any, held: Any) -> None:
    ada = reviewer(served, "Ada")
    _, job = held
    page = served.client.get("/v1/cases?limit=1", headers=ada).json()
    shapes.CasesAnswer.model_validate(page)
    assert [one["job"] for one in page["cases"]] == [job["id"]]
    rest = served.client.get(f"/v1/cases?limit=1&after={page['after']}", headers=ada).json()
    assert rest == {"cases": [], "after": None}
    served.client.post(f"/v1/cases/{page['cases'][0]['id']}/decide", json={"decision": "block"}, headers=ada)


def test_who_may(served: Any) -> None:
    refused = served.client.get("/v1/cases", headers=served.key("studio"))
    assert (refused.status_code, refused.json()["because"]) == (403, "scope")
    assert served.client.post("/v1/cases/next").status_code == 401


@pytest.mark.parametrize("case_id", ["nonsense", "%00", "..%2f.."])
def test_a_case_that_is_not_there(served: Any, case_id: str) -> None:
    ada = reviewer(served, "Ada")
    for path in (case_id, new_id(clock())):
        decided = served.client.post(f"/v1/cases/{path}/decide", json={"decision": "block"}, headers=ada)
        assert (decided.status_code, served.client.get(f"/v1/cases/{path}", headers=ada).status_code) == (
            404, 404,
        )  # fmt: skip


def test_a_holder_is_asked_over_http(served: Any) -> None:
    app, ada = served.service.app, reviewer(served, "Ada")
    order = parse_order({"kind": "character", "name": "Zorblax", "owner": "Studio", "mode": "block"})
    subject = served.service.desk.register(order, []).id
    found: Any = {"subject": subject, "intent": "depict", "asks": False}
    inputs: Any = {"account": "maker", "key": "", "policy": "opt-out", "prompt": "Zorblaks waves"}
    jobs = app._bench.jobs
    job = jobs.submit("guard/2", f"held {new_id(clock())}", inputs)
    reason = Reason(code="name_near", check="prompt_names", detail="A name.", evidence=found)
    jobs.finish(job, JobState.HELD, {"decision": None, "reasons": []}, reasons=[reason])
    case = served.client.post("/v1/cases/next", headers=ada).json()
    assert [one["subject"] for one in case["askable"]] == [subject]
    path = f"/v1/cases/{case['id']}"
    wrong = served.client.post(
        f"{path}/decide", json={"decision": "ask", "subjects": ["nobody"]}, headers=ada
    )
    assert (wrong.status_code, wrong.json()["code"]) == (400, "usage")
    done = served.client.post(f"{path}/decide", json={"decision": "ask"}, headers=ada)
    shapes.DecidedAnswer.model_validate(done.json())
    assert (done.status_code, done.json()["state"], done.json()["about"]) == (200, "open", "held")
    assert served.client.get("/v1/cases", headers=ada).json()["cases"] == []
    listed = served.client.get("/v1/cases?with_holders=true", headers=ada).json()
    shapes.CasesAnswer.model_validate(listed)
    [waits] = listed["cases"]
    assert [(one["subject"], one["state"], one["by"]) for one in waits["asked"]] == [
        (subject, "asked", "Ada (safety)")
    ]
    early = served.client.post(f"{path}/decide", json={"decision": "release"}, headers=ada)
    assert (early.status_code, early.json()["code"]) == (409, "case_taken")
    permissions.approve(
        app.engine, waits["asked"][0]["permission"], Approval(), now=clock(), sign_checkpoint=app.signer
    )
    [back] = served.client.get("/v1/cases", headers=ada).json()["cases"]
    assert (back["id"], back["asked"][0]["state"]) == (case["id"], "approved")
    blocked = served.client.post(f"{path}/decide", json={"decision": "block"}, headers=ada)
    assert blocked.json()["about"] == "refused"


def test_nobody_to_ask(served: Any, held: Any) -> None:
    ada = reviewer(served, "Ada")
    case = served.client.post("/v1/cases/next", headers=ada).json()
    path = f"/v1/cases/{case['id']}/decide"
    answer = served.client.post(path, json={"decision": "ask"}, headers=ada)
    assert (answer.status_code, answer.json()["code"]) == (400, "usage")
    served.client.post(path, json={"decision": "block"}, headers=ada)


@pytest.mark.parametrize(
    "body", [{}, {"decision": "allow"}, {"decision": "block", "by": "Ben"}, {"decision": "block", "why": 1}]
)
def test_a_decision_that_is_none(served: Any, held: Any, body: dict[str, Any]) -> None:
    ada = reviewer(served, "Ada")
    case = served.client.post("/v1/cases/next", headers=ada).json()
    answer = served.client.post(f"/v1/cases/{case['id']}/decide", json=body, headers=ada)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_malformed")
    served.client.post(f"/v1/cases/{case['id']}/decide", json={"decision": "block"}, headers=ada)
