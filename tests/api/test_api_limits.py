"""Limits, media types, malformed requests: each has a problem with its code, and nothing is left on disk."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LIMIT = 2 * 1024 * 1024
TYPE = "multipart/form-data; boundary=b"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"urn:countermark:problem:{code}"
    assert document["detail"]
    return document


def left(served: Any) -> list[Path]:
    root = served.service.settings.home / "uploads"
    return [path for path in root.rglob("*") if path != root / "kept"]


def part(name: str, data: bytes, filename: str | None = None, more: bytes = b"") -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'.encode()
    return head + more + b"\r\n" + data + b"\r\n"


def send(served: Any, body: Any, path: str = "/v1/verify", kind: str = TYPE, **headers: str) -> Any:
    return served.client.post(path, content=body, headers={"Content-Type": kind} | headers)


def test_too_large_by_its_own_word(served: Any) -> None:
    problem(send(served, bytes(LIMIT + 1)), 413, "limit_exceeded")
    assert not left(served)


def test_too_large_whatever_it_says(served: Any) -> None:
    def chunks() -> Iterator[bytes]:
        yield part("file", b"", "a.mp4")[:-2]
        for _ in range(40):
            yield bytes(64 * 1024)

    problem(send(served, chunks()), 413, "limit_exceeded")
    assert not left(served)


def test_json_too_large(served: Any) -> None:
    body = json.dumps({"prompt": "x" * served.service.settings.max_json_bytes})
    for path in ("/v1/moderate/prompt", "/v1/generations"):
        answer = served.client.post(path, content=body, headers=served.key())
        problem(answer, 413, "limit_exceeded")
    fields = part("prompt", b"x" * served.service.settings.max_json_bytes + b"x") + b"--b--\r\n"
    for path in ("/v1/guard", "/v1/generations"):  # forms: what they hold in memory has the same limit
        problem(send(served, fields, path, **served.key()), 413, "limit_exceeded")


def test_a_kind_that_a_request_claims_gives_it_no_room(served: Any) -> None:
    for path in ("/v1/moderate/prompt", "/healthz"):
        body = part("prompt", bytes(served.service.settings.max_json_bytes)) + b"--b--\r\n"
        answer = send(served, body, path, **served.key())
        assert answer.status_code in (405, 413)


def test_too_many_parts(served: Any) -> None:
    body = b"".join(part(f"f{index}", b"x") for index in range(60)) + b"--b--\r\n"
    problem(send(served, body), 413, "limit_exceeded")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing of the kind",
        b"--b\r\n",
        part("file", b"x", "a"),  # no end
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",  # no name
        b"--b\r\nContent-Disposition: attachment; name=file\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\n" + b"X: " + b"y" * 20_000 + b"\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\n" + b"X: y\r\n" * 100 + b"\r\nx\r\n--b--\r\n",
        part("note", b"\xff\xfe") + b"--b--\r\n",  # no UTF-8
        b"--b--\r\n",
        part("file", b"", "empty.mp4") + b"--b--\r\n",
        part("file", b"x", "a") + part("file", b"y", "b") + b"--b--\r\n",
        part("clip", b"x", "a") + b"--b--\r\n",
        part("file", b"x", "a") + part("note", b"x") + b"--b--\r\n",
        part("file", b"x") + b"--b--\r\n",  # a field, no file
    ],
)
def test_malformed_uploads(served: Any, body: bytes) -> None:
    problem(send(served, body), 422, "request_malformed")
    assert not left(served)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json", "multipart/mixed; boundary=b"])
def test_wrong_media_type(served: Any, kind: str) -> None:
    problem(send(served, part("file", b"x", "a") + b"--b--\r\n", kind=kind), 415, "content_unsupported")


def test_no_boundary(served: Any) -> None:
    problem(send(served, b"x", kind="multipart/form-data"), 422, "request_malformed")


@pytest.mark.parametrize(
    "name",
    ["../../keys/marks.json", "/etc/passwd", "..", "C:\\x\\..\\y.mp4", "a\x00b", "\u202egpj.mp4", "x" * 500],
)
def test_a_file_name_is_only_a_word(served: Any, name: str) -> None:
    sent = name.replace("\x00", "%00")
    answer = send(served, part("file", b"no video", sent) + b"--b--\r\n")
    assert answer.status_code == 200
    told = answer.json()["file"]
    assert "/" not in told
    assert "\\" not in told
    assert "\u202e" not in told
    assert len(told) <= 120
    assert answer.json()["verdict"] == "unreadable"
    assert not left(served)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "request_malformed"),
        (b"{", 422, "request_malformed"),
        (b"\xff\xfe", 422, "request_malformed"),
        (b'{"prompt": "\xe9"}', 400, "usage"),
        (b"[" * 100_000, 400, "usage"),
        (b"[]", 422, "request_malformed"),
        (b'{"prompt": 7}', 422, "request_malformed"),
        (b'{"prompt": "\\ud800"}', 400, "usage"),
        (b'{"prompt": "x", "promt": "y"}', 422, "request_malformed"),
        (b'{"prompt": ""}', 400, "usage"),
        (b'{"prompt": "x", "policy": "lax"}', 400, "usage"),
        (b'{"prompt": "x", "history": "y"}', 422, "request_malformed"),
    ],
)
def test_malformed_json(served: Any, body: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"} | served.key()
    answer = served.client.post("/v1/moderate/prompt", content=body, headers=headers)
    problem(answer, status, code)


def test_what_was_wrong_is_named_and_not_repeated(served: Any) -> None:
    body = {"prompt": "x", "seed": "hush-hush"}
    answer = served.client.post("/v1/generations", json=body, headers=served.key())
    document = problem(answer, 422, "request_malformed")
    assert document["errors"][0]["field"] == "body.seed"
    assert "hush" not in answer.text


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "café"])
def test_idempotency_keys(served: Any, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode()), *_raw(served.key())]
    answer = served.client.post("/v1/generations", json={"prompt": "x"}, headers=headers)
    problem(answer, 422, "request_malformed")


@pytest.mark.parametrize("body", [{"seconds": 0}, {"seconds": 1e9}, {"seed": -1}, {"seed": 2**32}])
def test_numbers_out_of_range(served: Any, body: dict[str, Any]) -> None:
    answer = served.client.post("/v1/generations", json={"prompt": "x"} | body, headers=served.key())
    problem(answer, 422, "request_malformed")


def test_unknown_routes_and_methods(served: Any) -> None:
    problem(served.client.get("/v1/nothing"), 404, "route_unknown")
    problem(served.client.get("/v1/releases/"), 404, "route_unknown")
    answer = served.client.delete("/v1/verify")
    problem(answer, 405, "method_unknown")
    assert answer.headers["allow"] == "POST"


def test_a_client_cannot_choose_a_weaker_policy(serve: Any) -> None:
    strict = serve(policy="opt-out")
    body = {"prompt": "x", "policy": "marks-only"}
    answer = strict.client.post("/v1/generations", json=body, headers=strict.key())
    problem(answer, 422, "request_malformed")


def test_uploads_at_a_time(serve: Any) -> None:
    busy = serve(max_uploads=1)
    busy.service.uploads._running = 1
    answer = send(busy, part("file", b"x", "a") + b"--b--\r\n")
    problem(answer, 503, "too_busy")
    assert int(answer.headers["retry-after"]) > 0


def test_every_answer_has_its_headers(served: Any) -> None:
    for answer in (served.client.get("/healthz"), served.client.get("/nope"), served.client.get("/verify")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


def test_the_host_is_not_believed(served: Any) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"}
    for path in ("/", "/verify", "/optout", "/verify/", "/openapi.json", "/nope"):
        answer = served.client.get(path, headers=headers, follow_redirects=False)
        assert "evil" not in answer.text + str(answer.headers)


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def test_one_clip_in_many_forms_is_asked_about_with_a_key_only(
    serve: Any, make_clip: Any, tmp_path: Path
) -> None:
    served = serve(near_queries=2)
    forms = [
        make_clip(tmp_path / f"{crf}.mp4", 320, 180, 24, fps=12, options={"crf": str(crf)}).read_bytes()
        for crf in (18, 22, 26)
    ]

    def ask(content: bytes, **more: Any) -> Any:
        return served.client.post("/v1/verify", files={"file": ("clip.mp4", content)}, **more)

    assert [ask(form).status_code for form in forms[:2]] == [200, 200]
    problem(ask(forms[2]), 429, "asked_too_often")
    assert ask(forms[0]).status_code == 200
    assert ask(forms[2], headers=served.key()).status_code == 200
    page = served.client.post("/verify", files={"file": ("clip.mp4", forms[2])})
    assert page.status_code == 200  # by then its answer has begun: tests/web/test_web_checking.py
    assert "there is no answer" in page.text
    assert "slightly different forms" in page.text
