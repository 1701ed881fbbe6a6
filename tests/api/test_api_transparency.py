"""The log over HTTP: the same files as an export, which the verifier takes; proofs; numbers."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.api import shapes
from pipeline.api.counted import Counted
from registry import verify_log
from registry.checkpoint import parse_note
from registry.db import read
from registry.export import export
from registry.receipts import written
from registry.tables import checkpoint
from registry.tiles import tiles


@pytest.fixture(scope="module", name="known")
def a_service_with_a_log(serve: Any, clip: Path) -> Any:
    """A service in which something happened."""
    served = serve()
    headers = served.key("studio")
    for name in ("Zorblax", "Wibble"):
        served.client.post("/v1/optouts", files={"name": (None, name)}, headers=headers)
    assert served.guard(clip, headers).json()["state"] == "released"
    return served


def fetched(known: Any, folder: Path) -> Path:
    note = known.client.get("/log/checkpoint")
    assert note.headers["content-type"].startswith("text/plain")
    (folder / "checkpoint").write_bytes(note.content)
    for tile in tiles(parse_note(note.text).size):
        answer = known.client.get(f"/log/{tile.path}")
        assert answer.status_code == 200
        assert ("immutable" in answer.headers["cache-control"]) == tile.full
        place = folder / tile.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(answer.content)
    return folder


def test_the_verifier_takes_what_is_served(known: Any, tmp_path: Path) -> None:
    told = known.client.get("/v1/log").json()
    shapes.LogAnswer.model_validate(told)
    code, words = verify_log.run(told["key"], [fetched(known, tmp_path)])
    assert code == 0, words


def test_it_is_what_an_export_writes(known: Any, tmp_path: Path) -> None:
    served, exported = tmp_path / "served", tmp_path / "exported"
    served.mkdir()
    fetched(known, served)
    with read(known.service.app.engine) as conn:
        export(conn, exported)
    files = sorted(file.relative_to(exported) for file in exported.rglob("*") if file.is_file())
    assert files == sorted(file.relative_to(served) for file in served.rglob("*") if file.is_file())
    assert all((exported / file).read_bytes() == (served / file).read_bytes() for file in files)


def test_single_proofs(known: Any, tmp_path: Path) -> None:
    key = known.client.get("/v1/log").json()["key"]
    first = known.client.get("/v1/log/entries/1")
    shapes.EntryAnswer.model_validate(first.json())
    assert first.json()["opened"] is None
    with read(known.service.app.engine) as conn:
        sizes = sorted(conn.execute(select(checkpoint.c.tree_size)).scalars())
    both = known.client.get(f"/v1/log/consistency?old={sizes[0]}&new={sizes[-1]}").json()
    shapes.ConsistencyAnswer.model_validate(both)
    assert both["path"]
    for name, document in (("receipt", first.json()), ("consistency", both)):
        (tmp_path / name).write_bytes(written(document))
    code, words = verify_log.run(key, [tmp_path / "receipt", tmp_path / "consistency"])
    assert code == 0, words


@pytest.mark.parametrize(
    "path",
    [
        "/log/tile/0/999", "/log/tile/0/x999/x999/x999/x999/x999/x999/x999/999", "/log/tile/63/000",
        "/log/tile/0/000.p/255", "/log/tile/0/000.p/0", "/log/tile/entries/..%2f..", "/log/tile/entries/%00",
        "/v1/log/entries/9007199254740992", "/v1/log/consistency?old=2&new=9007199254740992", "/log/tile/",
        "/v1/log/consistency?old=9&new=1",
    ],
)  # fmt: skip
def test_what_is_not_there(known: Any, path: str) -> None:
    answer = known.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "route_unknown")


@pytest.mark.parametrize("path", ["/v1/log/entries/0", "/v1/log/entries/x", "/v1/log/consistency?old=1"])
def test_what_is_malformed(known: Any, path: str) -> None:
    assert known.client.get(path).status_code == 422


def test_an_empty_log(serve: Any) -> None:
    client = serve().client
    assert client.get("/log/checkpoint").status_code == 404
    assert client.get("/v1/log").json()["checkpoint"] is None
    assert client.get("/transparency").status_code == 200


def test_numbers(known: Any) -> None:
    told = known.client.get("/v1/transparency").json()
    shapes.TransparencyAnswer.model_validate(told)
    assert told["opt_outs"] == {"character": 2}
    assert told["releases"] == {"released": 1}
    [month] = told["decisions"].values()
    assert month == {"allow": 1}
    assert told["held_in_vain"] == {"count": 0, "of": 0}
    text = known.client.get("/transparency").text
    assert "Zorblax" not in text
    assert "none decided yet" in text
    assert text.count("<rect") == 1


def test_while_somebody_counts_others_are_told_what_was_counted(known: Any) -> None:
    counts = Counted(known.service.app.engine, seconds=0)
    last = counts.now()
    with counts._guard:  # as if a thread were counting
        assert counts.now() is last


def test_they_are_counted_now_and_then(known: Any) -> None:
    slow, quick = Counted(known.service.app.engine), Counted(known.service.app.engine, seconds=0)
    before = slow.now(), quick.now()
    known.client.post("/v1/optouts", files={"name": (None, "Quux")}, headers=known.key("studio"))
    assert slow.now() is before[0]
    assert quick.now().opt_outs["character"] == before[1].opt_outs["character"] + 1
