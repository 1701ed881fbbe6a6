"""Opt-outs over HTTP: in force when the answer comes, shown and withdrawn by their own account only."""

import io
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.clock import clock
from registry import apikeys, rules
from registry.merkle import leaf_hash
from registry.vocabulary import Conditions

WHOM = {"name": "Zorblax the Wanderer", "aliases": ["Zorbi of Harbour Street"]}


@pytest.fixture(scope="module", name="strict")
def a_service_that_asks_names(serve: Any) -> Any:
    return serve(policy="opt-out")


def png(width: int = 128, height: int = 128) -> bytes:
    """A PNG of noise."""
    rng = np.random.default_rng(5)
    frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (height, width, 3), np.uint8), "rgb24")
    out = io.BytesIO()
    with av.open(out, "w", format="image2pipe") as target:
        stream = target.add_stream("png", 1)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


def optout(served: Any, headers: dict[str, str], fields: Any = WHOM, **files: bytes) -> Any:
    values = [
        (name, one) for name, many in fields.items() for one in ([many] if isinstance(many, str) else many)
    ]
    parts: list[Any] = [(name, (None, value)) for name, value in values]
    parts += [(name, (f"{name}.png", data)) for name, data in files.items()]
    return served.client.post("/v1/optouts", files=parts or [("mode", (None, "block"))], headers=headers)


def judged(served: Any, prompt: str) -> dict[str, Any]:
    answer = served.client.post("/v1/moderate/prompt", json={"prompt": prompt}, headers=served.key("maker"))
    document: dict[str, Any] = answer.json()
    return document


def test_refused_from_the_next_request(strict: Any) -> None:
    headers = strict.key("studio")
    prompt = "Zorbi of Harbour Street rides a bicycle"
    assert judged(strict, prompt)["verdict"] != "block"
    answer = optout(strict, headers)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    refused = judged(strict, prompt)
    assert refused["verdict"] == "block"
    assert refused["registry_seq"] >= made["seq"]
    reason = refused["reasons"][0]
    assert (reason["evidence"]["subject"], reason["evidence"]["owner"]) == (made["subject"], "studio")
    assert prompt[slice(*reason["evidence"]["span"])] == "Zorbi of Harbour Street"
    again = optout(strict, headers)
    assert (again.status_code, again.json()["new"]) == (200, False)
    job = strict.client.post(
        "/v1/generations", json={"prompt": prompt}, headers=strict.key("maker") | {"Prefer": "wait=60"}
    ).json()
    assert (job["state"], job["verdict"], job["release"]) == ("refused", "block", None)
    withdrawn = strict.client.post(f"/v1/optouts/{made['subject']}/withdraw", headers=headers)
    assert (withdrawn.status_code, withdrawn.json()["state"]) == (200, "withdrawn")
    assert judged(strict, prompt)["verdict"] != "block"


def test_the_receipt_proves_itself(served: Any) -> None:
    receipt = optout(served, served.key("prover")).json()["receipt"]
    assert leaf_hash(receipt["entry"].encode()).hex() == receipt["proof"]["leaf_hash"]
    public = json.loads(receipt["entry"])["public"]
    assert "Zorblax" not in json.dumps(public)


def test_only_the_account_sees_and_withdraws_it(served: Any) -> None:
    made = optout(served, served.key("studio")).json()
    for headers in (served.key("rival"), served.key("studio 2")):
        shown = served.client.get(f"/v1/optouts/{made['subject']}", headers=headers)
        gone = served.client.post(f"/v1/optouts/{made['subject']}/withdraw", headers=headers)
        assert {shown.status_code, gone.status_code} == {404}
    mine = served.client.get(f"/v1/optouts/{made['subject']}", headers=served.key("studio")).json()
    assert (mine["state"], mine["owner"]) == ("active", "studio")
    assert {name["text"] for name in mine["names"]} == {WHOM["name"], *WHOM["aliases"]}


def test_another_account_of_the_same_name_is_another_subject(served: Any) -> None:
    first = optout(served, served.key("studio")).json()["subject"]
    assert optout(served, served.key("estate")).json()["subject"] != first


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "request_malformed"),
        ({"name": ""}, "request_malformed"),
        ({"name": "x" * 201}, "request_malformed"),
        ({"name": "Zorblax", "kind": "planet"}, "request_malformed"),
        ({"name": "Zorblax", "owner": "somebody else"}, "request_malformed"),
        ({"name": ["Zorblax", "Zorbi"]}, "request_malformed"),
        ({"name": "\u200b"}, "request_malformed"),
        ({"name": "the"}, "name_refused"),
    ],
)
def test_bad_orders(served: Any, fields: dict[str, Any], code: str) -> None:
    answer = optout(served, served.key(), fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


@pytest.mark.parametrize(
    "data", [b"no picture", b"", b"\x89PNG\r\n\x1a\n" + bytes(64), png(1, 1), png()[:200], png(4000, 100)]
)
def test_bad_pictures(served: Any, data: bytes) -> None:
    headers = served.key("careless")
    answer = optout(served, headers, WHOM, references=data)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "picture_refused"
    assert not list((served.service.settings.home / "uploads").glob("arriving*"))


def test_a_part_nobody_reads(served: Any) -> None:
    answer = optout(served, served.key(), WHOM, pictures=png())
    assert (answer.status_code, answer.json()["code"]) == (422, "request_malformed")


@pytest.mark.parametrize("why", ["name.png", "../../x.png"])
def test_pictures_are_looked_at(served: Any, why: str, tmp_path: Path) -> None:
    headers = served.key("painter")
    made = served.client.post(
        "/v1/optouts", data={"name": "Zorblax"}, files={"references": (why, png())}, headers=headers
    ).json()
    shown = served.client.get(f"/v1/optouts/{made['subject']}", headers=headers).json()
    assert [(one["width"], one["polarity"]) for one in shown["pictures"]] == [(128, 1)]


def test_rules_hear_what_a_client_says_and_the_tags_of_its_key(strict: Any) -> None:
    """The purpose is the client's word; the tags are those that the operator gave its key."""
    app = strict.service.app
    made = optout(strict, strict.key("tagger"), {"name": "Quandelor of Harbour Street"})
    assert made.status_code == 201, made.text
    wanted = Conditions(tags=("press",), purposes=("editorial",))
    by = {"now": clock(), "sign_checkpoint": app.signer}
    rules.set_rule(app.engine, made.json()["subject"], "allow", conditions=wanted, **by)
    _, secret = apikeys.create(app.engine, "paper", "test", ["moderate"], tags=["press"], now=clock())
    press, plain = {"Authorization": f"Bearer {secret}"}, strict.key("maker")

    def verdict(headers: dict[str, str], **said: str) -> Any:
        body = {"prompt": "Quandelor of Harbour Street rides a bicycle", **said}
        return strict.client.post("/v1/moderate/prompt", json=body, headers=headers).json()["verdict"]

    assert verdict(press, purpose="editorial") == "allow"
    assert verdict(press) == "block"
    assert verdict(plain, purpose="editorial") == "block"
    wrong = strict.client.post("/v1/moderate/prompt", json={"prompt": "a", "purpose": "fun"}, headers=press)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "usage")
