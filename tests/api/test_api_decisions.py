"""Statements of reasons and appeals over HTTP: whose they are, what they say, and who decides."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.api import shapes
from pipeline.clock import clock
from registry import apikeys, permissions
from registry.ids import new_id

PROMPT = "Zorblax waves at the sea"
FIELDS = {
    "puid", "category", "decision_facts", "content_type", "content_date", "application_date",
    "territorial_scope", "automated_detection", "automated_decision", "source_type", "decision_visibility",
    "decision_ground", "incompatible_content_ground", "incompatible_content_explanation",
}  # fmt: skip


@pytest.fixture(name="strict", scope="module")
def a_service_that_checks(serve: Any) -> Any:
    """Under the policy that compares names, among others; one name is registered."""
    served = serve(policy="opt-out", generator="scene")
    holder = served.key("Studio Example", "optout")
    made = served.client.post("/v1/optouts", files=[("name", (None, "Zorblax"))], headers=holder)
    assert made.status_code == 201, made.text
    return served


def person(served: Any, name: str, account: str = "safety") -> dict[str, str]:
    engine = served.service.app.engine
    _, secret = apikeys.create(engine, account, name, ("review", "admin"), now=clock())
    return {"Authorization": f"Bearer {secret}"}


def refused(served: Any, headers: dict[str, str], prompt: str = PROMPT, **more: Any) -> Any:
    body = {"prompt": prompt, "seconds": 1, "seed": 7} | more
    job = served.client.post("/v1/generations", json=body, headers=headers | {"Prefer": "wait=60"}).json()
    assert job["state"] == "refused", job
    return job


def test_a_refusal_has_a_statement_that_names_nobody(strict: Any) -> None:
    headers = strict.key("studio-a")
    job = refused(strict, headers)
    told = strict.client.get(job["statement"], headers=headers)
    assert told.status_code == 200
    document = told.json()
    shapes.DecisionAnswer.model_validate(document)
    assert (document["kind"], document["job"], document["ended_at"]) == ("refusal", job["id"], None)
    statement = document["statement"]
    assert set(statement) == FIELDS
    assert statement["category"] == "STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS"
    assert statement["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_REMOVED"]
    assert statement["automated_decision"] == "AUTOMATED_DECISION_FULLY"
    assert statement["content_type"] == ["CONTENT_TYPE_SYNTHETIC_MEDIA", "CONTENT_TYPE_TEXT"]
    assert "name_match" in statement["decision_facts"]
    for hidden in ("Zorblax", "Studio", "studio-a", "0.", "score"):
        assert hidden not in json.dumps(statement)
    assert strict.client.get(job["statement"], headers=strict.key("other")).status_code == 404
    assert strict.client.get(job["statement"]).status_code == 401


def test_pages_of_decisions(strict: Any) -> None:
    headers = strict.key("pages")
    ids = [refused(strict, headers, f"Zorblax number {number}")["statement"] for number in range(3)]
    first = strict.client.get("/v1/decisions?limit=2", headers=headers).json()
    shapes.DecisionsAnswer.model_validate(first)
    rest = strict.client.get("/v1/decisions", params={"after": first["after"]}, headers=headers).json()
    listed = [one["id"] for page in (first, rest) for one in page["decisions"]]
    assert [f"/v1/decisions/{one}/statement" for one in listed] == ids
    assert rest["after"] is None


def test_an_operator_exports_all(strict: Any) -> None:
    refused(strict, strict.key("exported"))
    operator = person(strict, "Ops")
    answer = strict.client.get("/v1/statements", headers=operator)
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines
    assert all(set(one) == FIELDS for one in lines)
    assert len({one["puid"] for one in lines}) == len(lines)
    none = strict.client.get("/v1/statements?until=2020-01-01T00:00:00Z", headers=operator)
    assert (none.status_code, none.text) == (200, "")
    wrong = strict.client.get("/v1/statements?since=yesterday", headers=operator)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "request_malformed")
    assert strict.client.get("/v1/statements", headers=strict.key("exported")).status_code == 403


def appeal(served: Any, headers: dict[str, str], **body: Any) -> Any:
    return served.client.post("/v1/appeals", json={"text": "It is a village."} | body, headers=headers)


@pytest.mark.timeout(500)  # the models that look at the clip are loaded for it
def test_an_appeal_is_granted_and_the_prompt_is_drawn(strict: Any) -> None:
    headers, ada = strict.key("maker"), person(strict, "Ada")
    job = refused(strict, headers, "Zorblax has a church")
    made = appeal(strict, headers, job=job["id"])
    assert made.status_code == 201
    told = made.json()
    shapes.AppealAnswer.model_validate(told)
    assert (told["state"], told["again"]) == ("open", None)
    assert appeal(strict, headers, job=job["id"]).json()["id"] == told["id"]
    twice = appeal(strict, headers, job=job["id"], text="Look again.")
    assert (twice.status_code, twice.json()["code"]) == (409, "appeal_refused")
    case = strict.client.get(f"/v1/cases/{told['id']}", headers=ada).json()
    shapes.CaseAnswer.model_validate(case)
    assert (case["kind"], case["appeal"], case["texts"]) == (
        "appeal", "It is a village.", ["Zorblax has a church"],
    )  # fmt: skip
    own = strict.client.post(
        f"/v1/cases/{told['id']}/decide", json={"decision": "release"},
        headers=person(strict, "Me", account="maker"),
    )  # fmt: skip
    assert (own.status_code, own.json()["code"]) == (403, "act_refused")
    done = strict.client.post(f"/v1/cases/{told['id']}/decide", json={"decision": "release"}, headers=ada)
    assert done.status_code == 200, done.text
    seen = strict.client.get(made.headers["location"], headers=headers).json()
    assert (seen["state"], done.json()["job"]) == ("granted", seen["again"])
    again = wait(strict, seen["again"], headers)
    assert (again["state"], again["decision"]["cleared"]) == ("released", ["name_match"])
    document = strict.client.get(job["statement"], headers=headers).json()
    assert document["appeal"]["state"] == "granted"
    assert strict.client.get("/v1/appeals", headers=headers).json()["appeals"] == [seen]
    # The same words for another account, or other words for this one, are refused as ever.
    refused(strict, strict.key("stranger"), "Zorblax has a church")
    refused(strict, headers, "Zorblax has a school")


def wait(served: Any, job_id: str, headers: dict[str, str]) -> Any:
    until = time.monotonic() + 280
    while (now := served.client.get(f"/v1/generations/{job_id}", headers=headers).json())["state"] == "open":
        assert time.monotonic() < until
        time.sleep(0.1)
    return now


def test_an_appeal_is_upheld(strict: Any) -> None:
    headers, ada = strict.key("upheld"), person(strict, "Ada")
    job = refused(strict, headers)
    told = appeal(strict, headers, job=job["id"]).json()
    taken = strict.client.post("/v1/cases/next", headers=ada).json()
    assert taken["id"] == told["id"]
    done = strict.client.post(f"/v1/cases/{told['id']}/decide", json={"decision": "block"}, headers=ada)
    assert (done.json()["state"], done.json()["about"]) == ("closed", "refused")
    seen = strict.client.get(f"/v1/appeals/{told['id']}", headers=headers).json()
    assert (seen["state"], seen["again"]) == ("upheld", None)
    again = strict.client.post(f"/v1/cases/{told['id']}/decide", json={"decision": "release"}, headers=ada)
    assert (again.status_code, again.json()["code"]) == (409, "case_closed")


def test_a_holders_no_is_a_decision(strict: Any) -> None:
    engine, headers = strict.service.app.engine, strict.key("asking")
    files = [("name", (None, "Vexmire")), ("mode", (None, "ask"))]
    strict.client.post("/v1/optouts", files=files, headers=strict.key("Studio Ask", "optout"))
    body = {"prompt": "Vexmire at the sea", "seconds": 1, "seed": 7}
    wait = {"Prefer": "wait=60"}
    job = strict.client.post("/v1/generations", json=body, headers=headers | wait).json()
    [asked] = permissions.list_permissions(engine, job_id=job["id"])
    signer = strict.service.app.signer
    permissions.refuse(engine, asked.id, why="no", now=clock(), sign_checkpoint=signer)
    told = strict.client.get(f"/v1/generations/{job['id']}", headers=headers).json()
    decided = strict.client.get(told["statement"], headers=headers).json()
    assert (told["state"], decided["kind"], decided["ended_at"]) == ("refused", "refusal", None)
    assert "its rights holder was asked, and refused" in decided["statement"]["decision_facts"]
    assert set(decided["statement"]) == FIELDS
    assert appeal(strict, headers, job=job["id"]).status_code == 201


def test_what_cannot_be_appealed_against(strict: Any) -> None:
    headers = strict.key("wrong")
    job = refused(strict, headers)
    other = appeal(strict, strict.key("somebody"), job=job["id"])
    assert (other.status_code, other.json()["code"]) == (404, "route_unknown")
    for body in ({"job": new_id(clock())}, {"release": new_id(clock())}, {"job": "x"}):
        assert appeal(strict, headers, **body).status_code == 404
    for wrong in ({}, {"job": job["id"], "release": job["id"]}, {"job": job["id"], "text": " "}):
        assert appeal(strict, headers, **wrong).status_code == 422
    assert strict.client.get(f"/v1/appeals/{new_id(clock())}", headers=headers).status_code == 404


def test_nobody_decides_about_their_own_decision(served: Any, make_clip: Any, tmp_path: Path) -> None:
    loud = make_clip(tmp_path / "loud.mp4", 480, 272, 24, fps=12, audio=True, seed=77)
    headers, ada, ben = served.key("owner"), person(served, "Ada"), person(served, "Ben")
    job = served.guard(loud, headers, audio="hold").json()
    early = appeal(served, headers, job=job["id"])
    assert (early.status_code, early.json()["code"]) == (409, "appeal_refused")
    held = served.client.get(job["statement"], headers=headers).json()
    assert (held["kind"], held["appeal"]) == ("hold", None)
    case = served.client.post("/v1/cases/next", headers=ada).json()
    served.client.post(f"/v1/cases/{case['id']}/decide", json={"decision": "block"}, headers=ada)
    told = served.client.get(f"/v1/generations/{job['id']}", headers=headers).json()
    statement = served.client.get(told["statement"], headers=headers).json()["statement"]
    assert statement["automated_decision"] == "AUTOMATED_DECISION_PARTIALLY"
    made = appeal(served, headers, job=job["id"]).json()
    assert served.client.post("/v1/cases/next", headers=ada).status_code == 204
    path = f"/v1/cases/{made['id']}/decide"
    own = served.client.post(path, json={"decision": "block"}, headers=ada)
    assert (own.status_code, own.json()["code"]) == (403, "act_refused")
    assert served.client.post(path, json={"decision": "release"}, headers=ben).status_code == 200
    again = served.guard(loud, headers, audio="hold").json()  # a refused clip is not kept: it is sent again
    assert again["state"] == "released", again


def test_a_withdrawn_release_is_served_again(served: Any, clip: Path) -> None:
    headers, ada = served.key("back"), person(served, "Ada")
    job = served.guard(clip, headers).json()
    release = job["release"]["id"]
    nothing = appeal(served, headers, release=release)
    assert nothing.status_code == 404
    served.service.app.withdraw(release, "a mistake")
    [decided] = served.client.get("/v1/decisions", headers=headers).json()["decisions"]
    assert (decided["kind"], decided["release"]) == ("withdrawal", release)
    assert decided["statement"]["automated_decision"] == "AUTOMATED_DECISION_NOT_AUTOMATED"
    made = appeal(served, headers, release=release).json()
    case = served.client.get(f"/v1/cases/{made['id']}", headers=ada).json()
    assert [one["code"] for one in case["reasons"]] == ["withdrawn_by_operator"]
    done = served.client.post(f"/v1/cases/{made['id']}/decide", json={"decision": "release"}, headers=ada)
    assert (done.status_code, done.json()["about"]) == (200, "released")
    assert served.client.get(f"/v1/releases/{release}/file").status_code == 200
    [decided] = served.client.get("/v1/decisions", headers=headers).json()["decisions"]
    assert decided["ended_at"] is not None
    assert decided["statement"]["end_date_visibility_restriction"] == decided["ended_at"][:10]
