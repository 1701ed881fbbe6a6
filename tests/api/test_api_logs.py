"""The log of the service: what a request was, whose job, how long it took; and nothing that is secret."""

import asyncio
import gc
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pipeline import logs
from pipeline.errors import StorageFailed
from pipeline.gate import Gate
from registry.errors import RegistryBusy

SECRET = "s3cret-that-nobody-may-read"
LOGGERS = ("", "countermark", "uvicorn")


@pytest.fixture(name="lines")
def read_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged since the start of the test, as the service logs it."""
    written, handler = io.StringIO(), logging.StreamHandler()
    handler.setStream(written)
    handler.setFormatter(logs.JsonLines())
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel("DEBUG" if name else "WARNING")
    logging.getLogger("countermark").propagate = False
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    for name, level in before.items():
        logging.getLogger(name).removeHandler(handler)
        logging.getLogger(name).setLevel(level)
    logging.getLogger("countermark").propagate = True


def requests(lines: Any) -> list[dict[str, Any]]:
    return [line for line in lines() if line["logger"] == "countermark.access"]


def test_a_request_has_an_id_a_route_a_key_and_milliseconds(served: Any, lines: Any) -> None:
    headers = served.key("studio")
    answer = served.client.get(f"/v1/generations/{SECRET}", headers=headers)
    [line] = requests(lines)
    key = headers["Authorization"].split("_")[1]
    assert line.pop("ms") > 0
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "logger": "countermark.access", "message": "request", "key": key,
        "request": answer.headers["x-request-id"], "method": "GET",
        "route": "/v1/generations/{job_id}", "status": 404,
    }  # fmt: skip
    assert answer.json()["request_id"] == line["request"]


def test_every_answer_has_an_id_of_its_own(served: Any) -> None:
    paths = ("/healthz", "/nowhere", "/verify", "/v1/log/entries/x", "/metrics")
    answers = [served.client.get(path, headers={"X-Request-Id": SECRET}) for path in paths]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == len(paths)
    assert SECRET not in ids


def test_a_job_is_told_with_its_stages(served: Any, lines: Any, clip: Path) -> None:
    made = served.guard(clip, served.key("studio")).json()
    assert [line["job"] for line in requests(lines)] == [made["id"]]
    [ended] = [line for line in lines() if line["message"] == "job"]
    assert (ended["job"], ended["kind"], ended["state"], ended["verdict"]) == (
        made["id"], "guard", "released", "allow",
    )  # fmt: skip
    assert {"accept", "mark/1", "sign", "store"} <= set(ended["stages_ms"])
    assert ended["stages_ms"]["mark/1"] > 0


def test_no_secret_in_the_log(served: Any, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In header, query, path, body and file name; refused, malformed, and where a defect repeats them."""
    client, key = served.client, served.key("studio")
    client.get(f"/nope/{SECRET}?q={SECRET}", headers={"Authorization": f"Bearer {SECRET}"})
    client.get(f"/sign-in?link={SECRET}", headers={"Cookie": f"countermark_session={SECRET}"})
    client.post("/sign-in", content=f"link={SECRET}", headers={"Origin": f"https://{SECRET}"})
    client.post("/v1/moderate/prompt", content=f'{{"prompt": "{SECRET}', headers=key)
    client.post("/v1/verify", files={"file": (f"{SECRET}.mp4", SECRET.encode())})
    client.request(SECRET.upper(), "/healthz")

    def broken(*_: object, **__: object) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError(f"{SECRET} and\n{SECRET}") from error

    monkeypatch.setattr(Gate, "judge_texts", broken)
    answer = client.post("/v1/moderate/prompt", json={"prompt": SECRET}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["x-content-type-options"] == "nosniff"
    told = lines()
    written = json.dumps(told).lower()
    assert SECRET not in written
    assert key["Authorization"].removeprefix("Bearer ").lower() not in written
    [defect] = [line for line in told if "error" in line]
    assert defect["error"] == "ValueError from KeyError"
    assert defect["places"][-1].endswith("in broken")
    assert defect["request"] == answer.json()["request_id"]
    assert [line["status"] for line in requests(lines)][-1] == 500
    assert len(requests(lines)) == 7


def test_a_future_that_nobody_asks_says_only_that(lines: Any) -> None:
    """asyncio shows the error of such a future, with what it says."""

    async def forget() -> None:
        done: Future[None] = Future()
        done.set_exception(ValueError(SECRET))
        await asyncio.wait({asyncio.wrap_future(done)})

    asyncio.run(forget())
    gc.collect()
    [line] = lines()
    assert (line["logger"], line["error"]) == ("asyncio", "ValueError")
    assert SECRET not in json.dumps(line)


def test_what_errors_of_ours_and_of_the_system_say() -> None:
    def told(error: Exception) -> str:
        record = logging.LogRecord("countermark.x", 40, "", 0, "m", (), (type(error), error, None))
        return str(json.loads(logs.JsonLines().format(record))["error"])

    assert told(StorageFailed("the disk is full")) == "StorageFailed (the disk is full)"
    assert told(OSError(28, "No space left on device", SECRET)) == "OSError (No space left on device)"
    assert told(RegistryBusy("later")) == "RegistryBusy (later)"


def test_a_line_is_a_line_in_either_format() -> None:
    hostile = "a\nERROR forged\x1b[2J"
    record = logging.LogRecord("countermark.x", 30, "", 0, hostile, (), None)
    record.fields = {"job": "1"}
    text, line = logs.TextLines().format(record), json.loads(logs.JsonLines().format(record))
    assert line["message"] == "a ERROR forged"
    assert text.endswith("warning countermark.x a ERROR forged job=1")


PROGRAM = """
import logging, logging.config, pathlib, sys
from pipeline import logs
from pipeline.settings import Settings
settings = Settings(home=pathlib.Path("/nowhere"), log_format=sys.argv[1], log_level="warning")
logging.config.dictConfig(logs.config(settings))
logging.getLogger("countermark.x").info("not this")
logging.getLogger("countermark.x").warning("this")
logging.getLogger("some.library").warning("and this")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_settings_decide(form: str) -> None:
    """In a process of its own: this one's loggers are pytest's."""
    command = [sys.executable, "-c", PROGRAM, form]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = done.stderr.splitlines()
    assert [line.startswith("{") for line in lines] == [form == "json"] * 2
    assert "and this" in lines[1]
