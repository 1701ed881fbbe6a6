"""Keys, incidents and webhooks over HTTP, for operators alone."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.client import verify_webhook

WHY = {"why": "found in a repository"}


@dataclass
class Receiver:
    """An address that takes events, or answers otherwise."""

    url: str = ""
    status: int = 204
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture(name="receiver")
def a_receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.seen.append((dict(self.headers.items()), body))
            self.send_response(told.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    told.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module", name="operator")
def an_operators_key(served: Any) -> dict[str, str]:
    headers: dict[str, str] = served.key("operator", "admin")
    return headers


def post(served: Any, path: str, headers: dict[str, str], body: Any = None) -> Any:
    return served.client.post(path, json={} if body is None else body, headers=headers)


def test_a_keys_life(served: Any, operator: dict[str, str]) -> None:
    body = {
        "account": "partner",
        "name": "batch",
        "scopes": ["moderate", "create"],
        "tags": ["press"],
        "days": 7,
    }
    made = post(served, "/v1/keys", operator, body)
    assert made.status_code == 201, made.text
    key = made.json()
    assert (key["account"], key["scopes"], key["tags"]) == ("partner", ["create", "moderate"], ["press"])
    assert key["expires_at"] > key["created_at"]
    mine = {"Authorization": f"Bearer {key['secret']}"}
    prompt = {"prompt": "a fox in the snow"}
    assert served.client.post("/v1/moderate/prompt", json=prompt, headers=mine).status_code == 200
    listed = served.client.get("/v1/keys", params={"account": "partner"}, headers=operator).json()
    assert [one["id"] for one in listed["keys"]] == [key["id"]]
    assert key["secret"].split("_", 2)[2] not in json.dumps(listed)
    gone = post(served, f"/v1/keys/{key['id']}/revoke", operator, WHY).json()
    assert gone["revoked_at"]
    refused = served.client.post("/v1/moderate/prompt", json=prompt, headers=mine)
    assert (refused.status_code, refused.json()["because"]) == (401, "revoked")
    assert post(served, f"/v1/keys/{key['id']}/revoke", operator, WHY).json() == gone


def test_keys_come_in_pages(served: Any, operator: dict[str, str]) -> None:
    for name in ("one", "two", "three"):
        post(served, "/v1/keys", operator, {"account": "paged", "name": name, "scopes": ["verify"]})
    params = {"account": "paged", "limit": 2}
    first = served.client.get("/v1/keys", params=params, headers=operator).json()
    rest = served.client.get("/v1/keys", params=params | {"after": first["after"]}, headers=operator).json()
    assert [len(first["keys"]), len(rest["keys"]), rest["after"]] == [2, 1, None]


@pytest.mark.parametrize(
    "body",
    [
        {"account": "partner", "scopes": []},
        {"account": "partner", "scopes": ["everything"]},
        {"account": "", "scopes": ["create"]},
        {"account": "a\u0000b", "scopes": ["create"]},
        {"account": "partner", "scopes": ["tester", "create"]},
        {"account": "partner", "scopes": ["create"], "days": 0},
        {"account": "partner", "scopes": ["create"], "secret": "x"},
    ],
)
def test_wrong_keys(served: Any, operator: dict[str, str], body: dict[str, Any]) -> None:
    answer = post(served, "/v1/keys", operator, body)
    assert answer.status_code == 422, answer.text
    assert "secret" not in answer.json()


def test_a_leaked_key_is_taken_back_in_one_act(served: Any, operator: dict[str, str], clip: Path) -> None:
    leaky = post(served, "/v1/keys", operator, {"account": "leaky", "scopes": ["guard"]}).json()
    headers = {"Authorization": f"Bearer {leaky['secret']}"}
    job = served.guard(clip, headers).json()
    assert job["state"] == "released"
    where = f"/v1/keys/{leaky['id']}/incident"
    found = served.client.get(where, headers=operator).json()
    assert (found["released"], found["revoked_at"]) == ([job["release"]["id"]], None)
    left = post(served, f"{where}/withdraw", operator, WHY).json()
    assert (left["released"], left["withdrawn"]) == ([], [job["release"]["id"]])
    assert left["revoked_at"]
    assert served.client.get(job["release"]["file"]).status_code == 410
    assert served.guard(clip, headers).status_code == 401


def test_a_webhook_is_tested_told_paused_replayed_and_removed(
    served: Any, operator: dict[str, str], receiver: Receiver
) -> None:
    body = {"url": receiver.url, "kinds": ["key"]}
    made = post(served, "/v1/webhooks", operator, body)
    assert made.status_code == 201, made.text
    hook, where = made.json(), f"/v1/webhooks/{made.json()['id']}"
    assert post(served, f"{where}/test", operator).json() == {"taken": True, "trouble": ""}
    event = verify_webhook(hook["secret"], *receiver.seen[-1])
    assert (event["type"], event["data"]["webhook"]) == ("test", hook["id"])
    receiver.status = 500
    assert post(served, f"{where}/test", operator).json() == {"taken": False, "trouble": "it answered 500"}
    assert post(served, f"{where}/pause", operator).json()["state"] == "paused"
    receiver.status = 204
    listed = served.client.get("/v1/webhooks", headers=operator).json()
    [shown] = [one for one in listed["webhooks"] if one["id"] == hook["id"]]
    assert (shown["cursor"] == hook["cursor"], "secret" in shown, listed["head"] >= hook["cursor"]) == (
        True, False, True,
    )  # fmt: skip
    assert post(served, f"{where}/replay", operator, {"after": 0}).json()["cursor"] == 0
    assert post(served, f"{where}/replay", operator, {"after": 10**9}).status_code == 422
    assert post(served, f"{where}/resume", operator).json()["state"] == "active"
    assert post(served, f"{where}/remove", operator).json()["state"] == "removed"
    assert post(served, f"{where}/test", operator).status_code == 404
    ids = [one["id"] for one in served.client.get("/v1/webhooks", headers=operator).json()["webhooks"]]
    assert hook["id"] not in ids


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"url": "http://169.254.169.254/latest"}, 400),
        ({"url": "http://hooks.example/x"}, 400),
        ({"url": "https://user:secret@hooks.example/x"}, 400),
        ({"url": "file:///etc/passwd"}, 400),
        ({"url": "https://hooks.example/x", "kinds": ["gossip"]}, 422),
        ({"url": "https://hooks.example/x", "after": -1}, 422),
    ],
)
def test_wrong_webhooks(served: Any, operator: dict[str, str], body: dict[str, Any], status: int) -> None:
    answer = post(served, "/v1/webhooks", operator, body)
    assert answer.status_code == status, answer.text


def test_nobody_else_may(served: Any, operator: dict[str, str]) -> None:
    anybody = served.key("anybody")
    paths = ["/v1/keys", "/v1/webhooks", "/v1/keys/x/incident"]
    assert {served.client.get(path, headers=anybody).status_code for path in paths} == {403}
    paths = ["/v1/keys", "/v1/keys/x/revoke", "/v1/keys/x/resume", "/v1/keys/x/incident/withdraw"]
    paths += [
        f"/v1/webhooks{more}" for more in ("", "/x/test", "/x/pause", "/x/resume", "/x/remove", "/x/replay")
    ]
    assert {post(served, path, anybody).status_code for path in paths} == {403}
    unknown = [path for path in paths if "/x/" in path]
    bodies = [{"after": 0} if path.endswith("replay") else {} for path in unknown]
    answers = [post(served, path, operator, body) for path, body in zip(unknown, bodies, strict=True)]
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(404, "route_unknown")}
