"""Who may do what: every way in which a key can be wrong has its code, on every route that needs one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.clock import clock
from pipeline.logs import JsonLines
from registry import apikeys

PROMPT = {"prompt": "a fox in the snow"}
ANY = "01890000-0000-7000-8000-000000000000"
ROUTES = (
    ("POST", "/v1/generations", "create"),
    ("GET", f"/v1/generations/{ANY}", "create"),
    ("POST", "/v1/guard", "guard"),
    ("POST", "/v1/moderate/prompt", "moderate"),
    ("POST", "/v1/optouts", "optout"),
    ("GET", f"/v1/optouts/{ANY}", "optout"),
    ("POST", f"/v1/optouts/{ANY}/withdraw", "optout"),
)


def ask(served: Any, method: str, path: str, headers: dict[str, str]) -> Any:
    body = {"json": PROMPT} if path in ("/v1/generations", "/v1/moderate/prompt") else {}
    return served.client.request(method, path, headers=headers, **body)


def refused(answer: Any, because: str, status: int = 401) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["because"]) == ("key_refused", because)
    assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)


@pytest.fixture(scope="module", name="wrong")
def every_wrong_key(served: Any, serve: Any) -> dict[str, dict[str, str]]:
    soon = (datetime.now(UTC) + timedelta(seconds=0.4)).isoformat(timespec="milliseconds")
    expired = served.key(expires_at=soon.replace("+00:00", "Z"))
    revoked, app = served.key(), served.service.app
    key_id = revoked["Authorization"].split("_")[1]
    apikeys.revoke(app.engine, key_id, why={}, now=clock(), sign_checkpoint=app.signer)
    good = served.key()["Authorization"]
    while clock() <= soon:
        pass
    return {
        "missing": {}, "expired": expired, "revoked": revoked,
        "unknown": serve().key(),  # another service's
        "malformed": {"Authorization": good[:-1]},
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
@pytest.mark.parametrize("because", ["missing", "malformed", "unknown", "expired", "revoked"])
def test_wrong_keys(
    served: Any, wrong: dict[str, dict[str, str]], method: str, path: str, scope: str, because: str
) -> None:
    refused(ask(served, method, path, wrong[because]), because)


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_wrong_scope(served: Any, method: str, path: str, scope: str) -> None:
    others = {"create", "guard", "moderate", "verify", "optout"} - {scope}
    if method == "GET" and "generations" in path:
        others -= {"guard"}  # it tells of both kinds of jobs
    refused(ask(served, method, path, served.key("studio", *others)), "scope", 403)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer " + "x" * 400, "cmk_1_2"])
def test_malformed_headers(served: Any, header: str) -> None:
    refused(ask(served, "POST", "/v1/moderate/prompt", {"Authorization": header}), "malformed")


def test_two_headers(served: Any) -> None:
    key = served.key()["Authorization"]
    headers = [("Authorization", key), ("Authorization", key)]
    refused(served.client.get(f"/v1/generations/{ANY}", headers=headers), "malformed")


def test_a_key_that_comes_must_be_good(served: Any, wrong: dict[str, dict[str, str]]) -> None:
    refused(served.client.post("/v1/verify", headers=wrong["revoked"]), "revoked")
    refused(served.client.post("/v1/verify", headers=served.key("studio", "create")), "scope", 403)


def test_no_secret_in_the_log(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    headers = served.key()
    with caplog.at_level("DEBUG"):
        served.client.get(f"/v1/generations/{ANY}?key=hush", headers=headers)
        served.client.get("/healthz", headers={"Authorization": "Bearer cmk_wrong"})
    write = JsonLines().format
    told = "".join(write(record) for record in caplog.records if "httpx" not in record.name)
    assert "/v1/generations/" in told
    for secret in (headers["Authorization"].split()[1], "cmk_wrong", "hush"):
        assert secret not in told
