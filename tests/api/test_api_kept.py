"""What was accepted keeps its files and its tries, whatever goes wrong when it is sent or run again."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline import importing
from registry import import_requests
from registry.db import write
from registry.errors import RegistryBusy

CSV = "name\n" + "".join(f"Zorblax of Street {number}\n" for number in range(3))
NUL = "\0"


def send(served: Any, headers: dict[str, str], where: str, field: str, name: str, data: bytes) -> Any:
    return served.client.post(where, files={field: (name, data)}, headers=headers)


@pytest.mark.parametrize("sent", ["/v1/imports", "/v1/guard"])
def test_it_is_sent_again_while_the_registry_is_busy(
    sent: str, serve: Any, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = serve(workers=0)
    headers = waiting.key() | {"Idempotency-Key": "one"}
    part = (
        ("clip", "c.mp4", clip.read_bytes()) if sent == "/v1/guard" else ("catalogue", "m.csv", CSV.encode())
    )
    first = send(waiting, headers, sent, *part)
    assert first.status_code == 202, first.text
    before = waiting.kept()
    monkeypatch.setattr("registry.db.BUSY_SECONDS", 0.2)
    with write(waiting.service.app.engine):
        busy = send(waiting, headers, sent, *part)
    assert (busy.status_code, busy.json()["code"]) == (503, "registry_busy")
    assert waiting.kept() == before != []
    assert send(waiting, headers, sent, *part).json()["id"] == first.json()["id"]
    assert waiting.kept() == before


def test_an_import_ends_however_often_the_registry_went_away(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = serve(workers=0)
    app, headers = waiting.service.app, waiting.key()
    made = send(waiting, headers, "/v1/imports", "catalogue", "m.csv", CSV.encode()).json()
    monkeypatch.setattr("registry.db.BUSY_SECONDS", 0.1)
    running = importing.Importing(app)
    for _ in range(importing.TRIES + 1):
        with ExitStack() as stack:
            asked: list[int] = []

            def gone(stack: ExitStack = stack, asked: list[int] = asked) -> bool:
                """Once it is begun nobody can write, and this process is to stop."""
                asked.append(1)
                if len(asked) > 1:
                    stack.enter_context(write(app.engine))
                return len(asked) > 1

            with pytest.raises(RegistryBusy):
                running.run_waiting(gone)
        assert import_requests.get(app.engine, made["id"]).tries == 1
        assert importing.Importing(app).run_waiting(lambda: True) == 0  # another has nothing to give back
    assert running.run_waiting(lambda: False) == 1
    told = waiting.client.get(f"/v1/imports/{made['id']}", headers=headers).json()
    assert (told["state"], told["counts"]["new"]) == ("done", 3)


@pytest.mark.parametrize(
    "where", ["generations", "imports", "optouts", "cases", "keys", "keys?account", "claims"]
)
def test_no_id_has_what_postgresql_does_not_take(served: Any, where: str) -> None:
    headers = served.key("operator", "admin", "review", "optout", "guard")
    asked = "account" if where == "keys?account" else "after"
    answer = served.client.get(f"/v1/{where.partition('?')[0]}", params={asked: NUL}, headers=headers)
    assert answer.status_code == 422, answer.text


def test_what_cannot_be_deleted_ends_no_thread_that_runs_jobs(serve: Any, clip: Path, pause_at: Any) -> None:
    one = serve(workers=1)
    headers = one.key()
    signing, moved = pause_at(one.service, "sign")
    first = send(one, headers, "/v1/guard", "clip", "c.mp4", clip.read_bytes()).json()
    assert signing.wait(60)
    [upload] = one.kept()
    upload.unlink()
    upload.mkdir()  # an unlink fails from now on
    moved.set()
    again = one.guard(clip, headers, prompt="another order").json()
    told = one.client.get(f"/v1/generations/{first['id']}", headers=headers).json()
    assert told["state"] == "released"
    assert again["state"] == "released"
