"""Catalogues over HTTP: taken in durably, registered by whoever runs them, told line by line."""

import io
import json
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import Scene
from pipeline import importing
from pipeline.client import Client, Problem
from pipeline.clock import clock
from pipeline.imports import importer as importers
from registry import apikeys, delegations, import_requests, parties
from registry.merkle import leaf_hash
from registry.party_types import Scope

WHERE = "/v1/imports"
CSV = (
    "name;aliases;references\nZorblax of Harbour Street;Zorbi of Harbour Street;\nQuandelor of Mill Lane;;\n"
)


def sent(
    served: Any, headers: dict[str, str], catalogue: str | bytes, name: str = "mine.csv",
    pictures: bytes | None = None, statements: Sequence[str] = (), **fields: str,
) -> Any:  # fmt: skip
    data = catalogue.encode() if isinstance(catalogue, str) else catalogue
    parts: list[Any] = [("catalogue", (name, data))]
    parts += [("pictures", ("pictures.zip", pictures))] if pictures else []
    parts += [(field, (None, value)) for field, value in fields.items()]
    parts += [("statement", (None, one)) for one in statements]
    return served.client.post(WHERE, files=parts, headers=headers)


def ended(served: Any, headers: dict[str, str], made: Any) -> dict[str, Any]:
    """The import when it has come to its end."""
    assert made.status_code == 202, made.text
    for _ in range(600):
        told: dict[str, Any] = served.client.get(made.headers["location"], headers=headers).json()
        if told["finished_at"]:
            return told
        time.sleep(0.1)
    raise AssertionError(told)


def lines_of(
    served: Any, headers: dict[str, str], told: dict[str, Any], **asked: Any
) -> list[dict[str, Any]]:
    """All lines, in pages of two."""
    found, after = [], 0
    while after is not None:
        params = {"after": after, "limit": 2} | asked
        page = served.client.get(f"{WHERE}/{told['id']}/lines", params=params, headers=headers).json()
        found, after = found + page["lines"], page["after"]
    return found


@pytest.fixture(scope="module", name="strict")
def a_service_that_asks_names(serve: Any) -> Any:
    return serve(policy="opt-out")


def test_a_catalogue_is_in_force_and_proves_itself(strict: Any) -> None:
    headers = strict.key("studio")
    told = ended(strict, headers, sent(strict, headers, CSV))
    assert (told["state"], told["error"], told["file"], told["speaks"]) == (
        "done",
        None,
        "mine.csv",
        "account",
    )
    assert told["counts"] == {"new": 2, "extends": 0, "unchanged": 0, "waits": 0, "skipped": 0}
    assert (told["lines"], told["progress"], told["seq"] > 0) == (2, None, True)
    prompt = {"prompt": "Zorbi of Harbour Street rides a bicycle"}
    judged = strict.client.post("/v1/moderate/prompt", json=prompt, headers=strict.key("maker")).json()
    assert judged["verdict"] == "block"
    lines = lines_of(strict, headers, told)
    assert [(one["line"], one["outcome"]) for one in lines] == [(2, "new"), (3, "new")]
    mine = strict.client.get(f"/v1/optouts/{lines[0]['id']}", headers=headers).json()
    assert (mine["owner"], mine["name"], mine["seq"]) == (
        "studio",
        "Zorblax of Harbour Street",
        lines[0]["seq"],
    )
    receipts = strict.client.get(f"{WHERE}/{told['id']}/receipts", headers=headers).text.splitlines()
    for line, receipt in zip(lines, map(json.loads, receipts), strict=True):
        assert (receipt["line"], receipt["sequence"]) == (line["line"], line["seq"])
        entry, proof = receipt["receipt"]["entry"], receipt["receipt"]["proof"]
        assert leaf_hash(entry.encode()).hex() == proof["leaf_hash"]
    assert strict.kept() == []


def test_a_dry_run_says_what_would_be_and_writes_nothing(served: Any) -> None:
    headers = served.key("careful")
    before = served.client.get("/healthz").json()["log_seq"]
    told = ended(served, headers, sent(served, headers, CSV + "the;;\n", dry_run="yes"))
    assert (told["state"], told["dry_run"], told["import"]) == ("done", True, None)
    assert told["counts"] == {"new": 2, "extends": 0, "unchanged": 0, "waits": 0, "problem": 1}
    lines = lines_of(served, headers, told)
    assert [(one["line"], one["outcome"]) for one in lines] == [(2, "new"), (3, "new"), (4, "problem")]
    assert lines_of(served, headers, told, problems=True) == lines[2:]
    assert lines[2]["code"] == "name_refused"
    assert served.client.get("/healthz").json()["log_seq"] == before
    gone = served.client.get(f"{WHERE}/{told['id']}/receipts", headers=headers)
    assert gone.status_code == 404


def test_a_wrong_line_refuses_all_and_says_why(served: Any) -> None:
    headers = served.key("hasty")
    told = ended(served, headers, sent(served, headers, CSV + "the;;\nand;;\n"))
    assert (told["state"], told["error"]["code"], told["counts"]) == ("refused", "import_refused", {})
    lines = lines_of(served, headers, told)
    assert [(one["line"], one["outcome"], bool(one["message"])) for one in lines] == [
        (4, "problem", True), (5, "problem", True),
    ]  # fmt: skip
    assert served.client.get("/v1/optouts", headers=headers).json()["optouts"] == []


def test_wrong_lines_are_passed_over_where_that_is_asked(served: Any) -> None:
    headers = served.key("lenient")
    told = ended(served, headers, sent(served, headers, CSV + "the;;\n", skip_bad="yes"))
    assert (told["state"], told["counts"]["new"], told["counts"]["skipped"]) == ("done", 2, 1)
    skipped = lines_of(served, headers, told)[-1]
    assert (skipped["line"], skipped["outcome"], skipped["code"]) == (4, "skipped", "name_refused")
    assert "the" in skipped["message"]
    [problem] = lines_of(served, headers, told, problems=True)
    assert problem["message"] == skipped["message"]


def test_an_account_imports_its_own_alone(served: Any) -> None:
    headers = served.key("studio two")
    table = "name;owner\nZorblax of Mill Lane;studio two\nQuandelor of Mill Lane;Somebody Else\n"
    told = ended(served, headers, sent(served, headers, table))
    assert told["state"] == "refused"
    [line] = lines_of(served, headers, told)
    assert (line["line"], line["code"]) == (3, "act_refused")
    assert "Somebody Else" in line["message"]


def test_a_party_imports_for_whom_it_may_speak(served: Any) -> None:
    engine, signer = served.service.app.engine, served.service.app.signer
    by = {"now": clock(), "sign_checkpoint": signer}
    agency = parties.add(engine, "Agency Example", kind="agency", level="trusted", **by)
    member = parties.add(engine, "Member Example", kind="company", level="trusted", **by)
    delegations.grant(engine, member.id, agency.id, acts=["register"], scope=Scope(), **by)
    headers = served.key("Agency Example")
    table = "name;owner\nZorblax of Fern Row;Member Example\nQuandelor of Fern Row;\n"
    states: Any = {"speaks": "party", "statements": ("authority", "good-faith")}
    told = ended(served, headers, sent(served, headers, table, **states))
    assert (told["state"], told["speaks"], told["error"]) == ("done", "party", None)
    assert told["counts"]["new"] == 2
    table = "name;owner\nZorblax of Fern Row;Stranger Example\n"
    parties.add(engine, "Stranger Example", kind="company", level="trusted", **by)
    refused = ended(served, headers, sent(served, headers, table, **states))
    assert lines_of(served, headers, refused)[0]["code"] == "act_refused"
    alone = sent(served, served.key("no party"), CSV, speaks="party")
    assert (alone.status_code, alone.json()["code"]) == (422, "request_malformed")


def test_pictures_come_in_an_archive(served: Any) -> None:
    shown = render_frame(
        random_design(np.random.default_rng(1)), Scene(action="dancing", background="forest"),
        width=256, height=256, time=0.0,
    ).picture  # fmt: skip
    drawn, packed = io.BytesIO(), io.BytesIO()
    Image.fromarray(shown).save(drawn, "PNG")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("fox/front.png", drawn.getvalue())
    line = json.dumps({"name": "Zorblax of Elm Court", "references": ["fox/front.png"]})
    headers = served.key("painter")
    made = sent(served, headers, line, "mine.ndjson", pictures=packed.getvalue())
    told = ended(served, headers, made)
    assert (told["state"], told["pictures"]) == ("done", "pictures.zip"), told
    [line_told] = lines_of(served, headers, told)
    shown_now = served.client.get(f"/v1/optouts/{line_told['id']}", headers=headers).json()
    assert [one["width"] for one in shown_now["pictures"]] == [256]
    missing = ended(served, headers, sent(served, headers, line, "mine.ndjson"))
    assert lines_of(served, headers, missing)[0]["code"] == "picture_refused"
    broken = ended(served, headers, sent(served, headers, line, "mine.ndjson", pictures=b"no zip"))
    assert (broken["state"], broken["error"]["code"]) == ("refused", "usage")
    assert "pictures.zip" in broken["error"]["message"]


def test_the_same_name_is_the_same_import(served: Any) -> None:
    headers = served.key("careful sender") | {"Idempotency-Key": "one"}
    first = sent(served, headers, CSV)
    told = ended(served, headers, first)
    again = sent(served, headers, CSV)
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (200, told["id"], "done")
    other = sent(served, headers, CSV + "Wendelin Moorcroft;;\n")
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    assert served.kept() == []
    anew = ended(served, headers, sent(served, headers | {"Idempotency-Key": "two"}, CSV))
    assert (anew["counts"]["unchanged"], anew["import"] != told["import"]) == (2, True)


def test_others_do_not_see_it(served: Any) -> None:
    headers, rival = served.key("owner"), served.key("rival")
    told = ended(served, headers, sent(served, headers, CSV))
    for more in ("", "/lines", "/receipts"):
        answer = served.client.get(f"{WHERE}/{told['id']}{more}", headers=rival)
        assert (answer.status_code, answer.json()["code"]) == (404, "route_unknown")
    assert served.client.get(WHERE, headers=rival).json()["imports"] == []
    mine = served.client.get(WHERE, headers=headers).json()["imports"]
    assert [one["id"] for one in mine] == [told["id"]]
    assert sent(served, served.key("owner", "create"), CSV).status_code == 403
    assert sent(served, {}, CSV).status_code == 401


@pytest.mark.parametrize(
    ("catalogue", "fields", "status", "code"),
    [
        (b"", {}, 422, "request_malformed"),
        (CSV, {"dry_run": "maybe"}, 422, "request_malformed"),
        (CSV, {"owner": "somebody"}, 422, "request_malformed"),
        (CSV, {"speaks": "everybody"}, 422, "request_malformed"),
        (CSV, {"statement": "authority"}, 422, "request_malformed"),
        (CSV, {"speaks": "party", "claim": "notice_512"}, 422, "request_malformed"),
    ],
)
def test_bad_requests(served: Any, catalogue: Any, fields: dict[str, str], status: int, code: str) -> None:
    answer = sent(served, served.key(), catalogue, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert served.kept() == []


@pytest.mark.parametrize("catalogue", ["\xff\xfe", "nothing\nof\nthis", '{"name": 1}', "\0" * 100, "name\n"])
def test_bad_catalogues_end_as_refused(served: Any, catalogue: str) -> None:
    headers = served.key("careless")
    told = ended(served, headers, sent(served, headers, catalogue.encode("latin-1"), "mine"))
    assert told["state"] == "refused"
    assert told["error"]["message"]


def test_large_and_many(serve: Any) -> None:
    small = serve(max_upload_bytes=4096, max_queue_account=1, workers=0)
    headers = small.key()
    large = sent(small, headers, "name\n" + "Zorblax\n" * 1000)
    assert (large.status_code, large.json()["code"]) == (413, "limit_exceeded")
    assert sent(small, headers, CSV).status_code == 202  # nobody runs it here
    full = sent(small, headers, CSV)
    assert (full.status_code, full.json()["code"]) == (429, "queue_full")
    assert sent(small, small.key("another"), CSV).status_code == 202
    assert len(small.kept()) == 2
    service = small.service
    service.uploads.clean(time.time() + 2e6, service.app.awaited_files())
    assert len(small.kept()) == 2  # they are still to be read


def test_another_process_goes_on_after_the_last_chunk(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importers, "CHUNK", 1)
    monkeypatch.setattr(importing, "PROGRESS_SECONDS", 0.0)
    waiting = serve(workers=0)
    app, headers = waiting.service.app, waiting.key()
    table = "name\n" + "".join(f"Zorblax of Street {number}\n" for number in range(5)) + "the\n"
    made = sent(waiting, headers, table, skip_bad="yes").json()

    def stopped() -> bool:
        run = import_requests.get(app.engine, made["id"]).run_id
        return run is not None and len(lines_of(waiting, headers, made)) >= 2

    running = importing.Importing(app)
    assert running.run_waiting(stopped) == 0
    half = waiting.client.get(f"{WHERE}/{made['id']}", headers=headers).json()
    assert (half["state"], half["counts"]["new"], half["finished_at"]) == ("running", 2, None)
    assert half["progress"]["step"] == "registering"
    assert import_requests.get(app.engine, made["id"]).tries == 0
    assert running.run_waiting(lambda: False) == 1
    whole = waiting.client.get(f"{WHERE}/{made['id']}", headers=headers).json()
    assert (whole["state"], whole["counts"]["new"], whole["counts"]["skipped"]) == ("done", 5, 1)
    assert whole["import"] == half["import"]
    lines = lines_of(waiting, headers, made)
    assert [one["line"] for one in lines] == [2, 3, 4, 5, 6, 7]
    assert "the" in lines[-1]["message"]


def test_a_revoked_key_stops_its_import_before_the_next_chunk(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importers, "CHUNK", 1)
    monkeypatch.setattr(importing, "PROGRESS_SECONDS", 0.0)
    waiting = serve(workers=0)
    app = waiting.service.app
    key, secret = apikeys.create(app.engine, "leaky", "test", ["optout"], now=clock())
    headers = {"Authorization": f"Bearer {secret}"}
    made = sent(
        waiting, headers, "name\nZorblax of Street 1\nZorblax of Street 2\nZorblax of Street 3\n"
    ).json()
    asked = []

    def revoking() -> bool:
        if import_requests.get(app.engine, made["id"]).run_id and not asked:
            asked.append(1)
            apikeys.revoke(app.engine, key.id, why={}, now=clock(), sign_checkpoint=app.signer)
        return False

    assert importing.Importing(app).run_waiting(revoking) == 1
    told = waiting.client.get(f"{WHERE}/{made['id']}", headers=waiting.key("leaky")).json()
    assert (told["state"], told["error"]["code"], told["counts"]["new"]) == ("failed", "key_refused", 1)


def test_an_import_that_dies_again_and_again_ends(serve: Any) -> None:
    waiting = serve(workers=0)
    app, headers = waiting.service.app, waiting.key()
    made = sent(waiting, headers, CSV).json()
    for _ in range(importing.TRIES):
        assert import_requests.begin(app.engine, made["id"], clock()) is not None  # and the process died
    assert importing.Importing(app).run_waiting(lambda: False) == 1
    told = waiting.client.get(f"{WHERE}/{made['id']}", headers=headers).json()
    assert (told["state"], told["error"]["code"]) == ("failed", "import_died")


def test_what_is_told_of_lines_is_forgotten(served: Any) -> None:
    headers = served.key("forgotten")
    told = ended(served, headers, sent(served, headers, CSV + "the;;\n"))
    engine = served.service.app.engine
    served.service.importing.forget()
    assert len(lines_of(served, headers, told)) == 1
    import_requests.forget_told(engine, before="2999-01-01T00:00:00Z")
    assert lines_of(served, headers, told) == []


def test_with_the_client(served: Any, tmp_path: Path) -> None:
    key = served.key("in Python")["Authorization"].removeprefix("Bearer ")
    catalogue = tmp_path / "mine.csv"
    catalogue.write_text(CSV + "the;;\n")
    with Client("http://testserver", key, transport=served.client._transport) as service:
        made = service.import_catalogue(catalogue, skip_bad="yes", name="winter")
        told = service.wait_import(made["id"], seconds=60)
        assert told["counts"]["new"] == 2
        assert [one["line"] for one in service.import_lines(made["id"])] == [2, 3, 4]
        assert [one["line"] for one in service.import_lines(made["id"], problems=True)] == [4]
        assert [one["id"] for one in service.imports()] == [made["id"]]
        with pytest.raises(Problem, match="no such import"):
            service.import_state("nothing")
