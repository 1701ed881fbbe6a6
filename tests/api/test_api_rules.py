"""Rules and claims of one's own opt-outs over HTTP: in force at once, nobody else's, ended and tried out."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.client import Client, Problem
from pipeline.clock import clock
from pipeline.optouts.order import parse_order
from registry import evidence, parties
from registry.merkle import leaf_hash
from registry.party_types import Filing

PROMPT = "Quandelor of Harbour Street rides a bicycle"


@pytest.fixture(scope="module", name="strict")
def a_service_that_asks_names(serve: Any) -> Any:
    return serve(policy="opt-out")


@pytest.fixture(scope="module", name="subject")
def an_opt_out(strict: Any) -> str:
    parts = {"name": (None, "Quandelor of Harbour Street")}
    made = strict.client.post("/v1/optouts", files=parts, headers=strict.key("studio"))
    assert made.status_code == 201, made.text
    return str(made.json()["subject"])


def verdict(served: Any, account: str, prompt: str = PROMPT, **said: str) -> str:
    body = {"prompt": prompt, **said}
    told = served.client.post("/v1/moderate/prompt", json=body, headers=served.key(account)).json()
    return str(told["verdict"])


def test_a_rule_counts_from_the_next_request_on_until_it_ends(strict: Any, subject: str) -> None:
    headers, where = strict.key("studio"), f"/v1/optouts/{subject}/rules"
    body = {"effect": "allow", "account": "partner", "conditions": {"regions": ["EU"], "credit": "© Studio"}}
    assert verdict(strict, "partner", region="DE") == "block"
    made = strict.client.post(where, json=body, headers=headers)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["effect"], told["account"], told["conditions"]["regions"]) == ("allow", "partner", ["EU"])
    assert leaf_hash(told["receipt"]["entry"].encode()).hex() == told["receipt"]["proof"]["leaf_hash"]
    assert (verdict(strict, "partner", region="DE"), verdict(strict, "partner")) == ("allow", "block")
    again = strict.client.post(where, json=body, headers=headers)
    assert (again.status_code, again.json()["rule"]) == (200, told["rule"])
    listed = strict.client.get(where, headers=headers).json()
    assert [one["rule"] for one in listed["rules"]] == [told["rule"]]
    ended = strict.client.post(f"{where}/{told['rule']}/end", headers=headers)
    assert (ended.status_code, ended.json()["ended_seq"] > told["seq"]) == (200, True)
    assert strict.client.post(f"{where}/{told['rule']}/end", headers=headers).json() == ended.json()
    assert verdict(strict, "partner", region="DE") == "block"
    assert strict.client.get(where, headers=headers).json()["rules"] == []
    past = strict.client.get(where, params={"ended": "true"}, headers=headers).json()["rules"]
    assert [one["ended_seq"] for one in past] == [ended.json()["ended_seq"]]


def test_a_licence_is_for_one_account(strict: Any, subject: str) -> None:
    headers, where = strict.key("studio"), f"/v1/optouts/{subject}/rules"
    body: dict[str, Any] = {"effect": "allow", "licence": True}
    assert strict.client.post(where, json=body, headers=headers).json()["code"] == "request_malformed"
    made = strict.client.post(where, json=body | {"account": "licensee"}, headers=headers).json()
    assert (made["licence"], verdict(strict, "licensee"), verdict(strict, "rival")) == (
        True,
        "allow",
        "block",
    )
    ended = strict.client.post(f"{where}/{made['rule']}/end", headers=headers)
    assert (ended.status_code, verdict(strict, "licensee")) == (200, "block")


def test_a_portfolio_is_the_whole_catalogue(strict: Any) -> None:
    headers = strict.key("house")
    wanted = (
        {"name": "Wendelin Moorcroft", "mode": "allow"},
        {"name": "Moorcroft and Daughters", "kind": "portfolio", "mode": "allow"},
    )
    made = []
    for told in wanted:
        parts = {name: (None, value) for name, value in told.items()}
        answer = strict.client.post("/v1/optouts", files=parts, headers=headers)
        assert answer.status_code == 201, answer.text
        made.append(answer.json())
    prompt = "Wendelin Moorcroft rides a bicycle"
    assert verdict(strict, "maker", prompt) == "allow"
    where = f"/v1/optouts/{made[1]['subject']}/rules"
    rule = strict.client.post(where, json={"effect": "block", "account": "maker"}, headers=headers).json()
    assert verdict(strict, "maker", prompt) == "block"
    listed = strict.client.get(f"/v1/optouts/{made[0]['subject']}/rules", headers=headers).json()
    assert (listed["rules"], [one["rule"] for one in listed["inherited"]]) == ([], [rule["rule"]])


@pytest.mark.parametrize(
    "body",
    [
        {"effect": "burn"},
        {"effect": "block", "conditions": {"credit": "x"}},
        {"effect": "allow", "conditions": {"regions": ["Atlantis"]}},
        {"effect": "allow", "conditions": {"job": "x"}},
        {"effect": "allow", "valid_from": "yesterday"},
        {"effect": "allow", "valid_from": "2026-02-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"},
        {"effect": "allow", "owner": "me"},
    ],
)
def test_bad_rules(strict: Any, subject: str, body: dict[str, Any]) -> None:
    answer = strict.client.post(f"/v1/optouts/{subject}/rules", json=body, headers=strict.key("studio"))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_others_rules_are_not_there(strict: Any, subject: str) -> None:
    where, rival = f"/v1/optouts/{subject}", strict.key("rival")
    own = strict.client.post(f"{where}/rules", json={"effect": "review"}, headers=strict.key("studio")).json()
    answers = [
        strict.client.get(f"{where}/rules", headers=rival),
        strict.client.post(f"{where}/rules", json={"effect": "allow"}, headers=rival),
        strict.client.post(f"{where}/rules/{own['rule']}/end", headers=rival),
        strict.client.post(f"{where}/simulate", json={"effect": "block"}, headers=rival),
        strict.client.post(f"{where}/rules/nothing/end", headers=strict.key("studio")),
    ]
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(404, "route_unknown")}
    assert strict.client.get(f"{where}/rules", headers=strict.key("studio", "create")).status_code == 403
    strict.client.post(f"{where}/rules/{own['rule']}/end", headers=strict.key("studio"))


def test_what_a_rule_would_make_of_what_is_out(strict: Any, clip: Path) -> None:
    headers = strict.key("careful")
    parts = {"name": (None, "Mirabeth Tanglewood"), "mode": (None, "allow")}
    subject = strict.client.post("/v1/optouts", files=parts, headers=headers).json()["subject"]
    job = strict.guard(clip, strict.key("maker"), prompt="Mirabeth Tanglewood walks").json()
    assert job["state"] == "released", job
    where = f"/v1/optouts/{subject}/simulate"
    told = strict.client.post(where, json={"effect": "block"}, headers=headers).json()
    assert told["changed"] == [{"before": "allow", "after": "block", "count": 1}]
    assert told["examples"] == [{"release": job["release"]["id"], "before": "allow", "after": "block"}]
    same = strict.client.post(where, json={"effect": "allow"}, headers=headers).json()
    assert (same["compared"], same["changed"], same["examples"]) == (told["compared"], [], [])
    wrong = strict.client.post(where, json={"effect": "block", "since": "soon"}, headers=headers)
    assert wrong.status_code == 400
    rules = strict.client.get(f"/v1/optouts/{subject}/rules", headers=headers).json()["rules"]
    assert rules == []
    file = strict.client.get(job["release"]["file"])
    assert file.status_code == 200


@pytest.fixture(scope="module", name="claim")
def a_claim(served: Any) -> str:
    """What an unverified party registered."""
    engine, signer = served.service.app.engine, served.service.app.signer
    agency = parties.add(engine, "Estate Example", kind="company", now=clock(), sign_checkpoint=signer)
    filing = Filing(by=agency.id, statements={"authority": "yes", "good_faith": "yes"})
    order = parse_order({"name": "Quandelor of Fern Row"})
    served.service.desk.register(order, filing=filing)
    [told] = served.client.get("/v1/claims", headers=served.key("Estate Example")).json()["claims"]
    return str(told["id"])


def test_claims_and_their_evidence(served: Any, claim: str, tmp_path: Path) -> None:
    headers = served.key("Estate Example", "holder")
    shown = served.client.get(f"/v1/claims/{claim}", headers=headers).json()
    assert (shown["state"], shown["kind"], shown["evidence"]) == ("provisional", "opt_out", [])
    assert (bool(shown["due_at"]), shown["statements"]["authority"]) == (True, "yes")
    params = {"state": "provisional"}
    assert len(served.client.get("/v1/claims", params=params, headers=headers).json()["claims"]) == 1
    assert served.client.get("/v1/claims", params={"state": "active"}, headers=headers).json()["claims"] == []
    deed = tmp_path / "deed.pdf"
    deed.write_bytes(b"%PDF-1.7 a deed")
    key = headers["Authorization"].removeprefix("Bearer ")
    with Client("http://testserver", key, transport=served.client._transport) as service:
        kept = service.add_evidence(claim, deed, note="the deed", type="application/pdf")
        [file] = kept["evidence"]
        assert (file["note"], file["type"], file["size"]) == ("the deed", "application/pdf", 15)
        assert service.add_evidence(claim, deed)["evidence"] == [file]
        assert [one["id"] for one in service.claims()] == [claim]
        rival = Client(
            "http://testserver", served.key("rival")["Authorization"][7:], transport=served.client._transport
        )
        with pytest.raises(Problem) as refused:
            rival.add_evidence(claim, deed)
        assert refused.value.status == 404
    assert served.client.get(f"/v1/claims/{claim}", headers=served.key("rival")).status_code == 404
    assert served.client.get("/v1/claims", headers=served.key("rival")).json()["claims"] == []


def test_evidence_has_a_limit(served: Any, claim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = served.key("Estate Example")
    monkeypatch.setattr("pipeline.api.claims.FILE_BYTES_MAX", 8)
    answer = served.client.post(
        f"/v1/claims/{claim}/evidence", files={"file": ("a.txt", b"too much")}, headers=headers
    )
    assert answer.status_code == 201
    answer = served.client.post(
        f"/v1/claims/{claim}/evidence", files={"file": ("b.txt", b"too much!")}, headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
    assert 9 not in [one.size for one in evidence.of_claim(served.service.app.engine, claim)]


def test_rules_with_the_client(strict: Any, subject: str) -> None:
    key = strict.key("studio")["Authorization"].removeprefix("Bearer ")
    with Client("http://testserver", key, transport=strict.client._transport) as service:
        made = service.add_rule(subject, "review", account="paper", conditions={"ask": True})
        assert [one["rule"] for one in service.rules(subject)] == [made["rule"]]
        assert service.simulate(subject, "allow", limit=1)["compared"] <= 1
        assert service.end_rule(subject, made["rule"])["ended_seq"]
        assert made["rule"] in [one["rule"] for one in service.rules(subject, ended=True)]
