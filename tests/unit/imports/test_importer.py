"""Imports: the whole file or nothing, in a dry run as in earnest, and killed anywhere they go on."""

import base64
import hashlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked
import import_child
import numpy as np
import pytest
from desk_builders import PUBLIC
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_builders import CountingEyes, catalogue, importer_in, order, pictures_in, rows
from picture_builders import drawing, saved

from pipeline.errors import ImportRefused, UsageError
from pipeline.imports import importer as importers
from pipeline.imports import reports
from pipeline.imports.importer import Importer
from pipeline.imports.staging import open_staging
from pipeline.optouts.desk import Desk
from registry import import_runs, log, merkle, optouts, verify_log
from registry.checkpoint import parse_note, verifier_key
from registry.db import read
from registry.errors import ImportMoved, OptOutInvalid

FOX: dict[str, Any] = {
    "name": "Zorblax the Brave", "member": "Studio Example", "references": ["0.png", "1.png"],
    "negatives": ["2.png"], "description": "a purple fox", "names": {"ja": ["ゾーブラックス"]},
}  # fmt: skip
KIMBO: dict[str, Any] = {"name": "Kimbo Larr", "references": ["1.png"]}


@pytest.fixture
def importer(tmp_path: Path) -> Iterator[Importer]:
    made = importer_in(tmp_path)
    yield made
    made.engine.dispose()


def head(importer: Importer) -> int:
    with read(importer.engine) as conn:
        return log.head(conn)


def looks(importer: Importer) -> int:
    eyes = importer.eyes
    assert isinstance(eyes, CountingEyes)
    return eyes.clip.seen + eyes.faces.seen


def test_a_dry_run_says_what_the_run_then_does(importer: Importer, tmp_path: Path) -> None:
    asked = order(
        catalogue(tmp_path, FOX, KIMBO, FOX | {"aliases": ["Blaxy Zor"]}, FOX), pictures_in(tmp_path)
    )
    plans = importer.plan(asked)
    assert [(one.line, one.outcome) for one in plans] == [
        (1, "new"), (2, "new"), (3, "extends"), (4, "unchanged")
    ]  # fmt: skip
    assert head(importer) == 0
    assert looks(importer) == 3  # pictures 0, 1 and 2, each once
    report = importer.run(asked)
    assert looks(importer) == 3  # the dry run's are still there
    assert not list((tmp_path / "imports").glob("*/"))
    run = report.run
    assert (run.state, run.made, run.extended, run.unchanged) == ("done", 2, 1, 1)
    told = list(reports.lines(importer.engine, run))
    assert [line["outcome"] for line in told] == [one.outcome for one in plans]
    record = optouts.get(importer.engine, str(told[0]["id"]))
    assert record is not None
    assert (record.owner, len(record.names), len(record.vectors)) == ("Studio Example", 3, 6)
    assert {plan.outcome for plan in importer.plan(asked)} == {"unchanged"}
    again = importer.run(asked).run
    assert (again.unchanged, again.id != run.id) == (4, True)
    assert looks(importer) == 6  # what was seen is forgotten with the end of an import


def test_an_import_does_what_the_desk_does(importer: Importer, tmp_path: Path) -> None:
    person = {"name": "Jane Q. Sample", "kind": "person", "references": ["red.png"]}
    rgb = drawing(3, 400, 200) // 2
    rgb[50:150, 10:90] = (255, 0, 0)
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(saved(drawing(seed)))
    (tmp_path / "red.png").write_bytes(saved(rgb))
    importer.run(order(catalogue(tmp_path, FOX, person)))
    (tmp_path / "other").mkdir()
    other = importer_in(tmp_path / "other")
    desk = Desk(engine=other.engine, eyes=other.eyes, signer=other.signer, clock=other.clock)
    lines = {key: value for key, value in FOX.items() if key != "member"} | {"owner": FOX["member"]}
    desk.register_file(catalogue(tmp_path, lines, person, name="desk.ndjson"))
    for table, columns in (
        ("embedding", "reference_sha256, space, kind, polarity, vector"),
        ("reference", "sha256, polarity, name"),
        ("name", "normal, tier, kind, language"), ("subject", "name, kind, mode, description"),
    ):  # fmt: skip
        assert rows(tmp_path / "registry.db", table, columns) == rows(
            tmp_path / "other" / "registry.db", table, columns
        )
    other.engine.dispose()


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "picture": (
        {"references": ["0.png", "words.png"]},
        "picture_refused",
        "words.png: this is not a picture",
    ),
    "missing": ({"references": ["9.png"]}, "picture_refused", "no such file"),
    "outside": ({"references": ["../0.png"]}, "picture_refused", "'..'"),
    "faceless": ({"references": ["0.png"], "kind": "person"}, "picture_refused", "no face"),
    "both": ({"references": ["0.png"], "negatives": ["./0.png"]}, "picture_refused", "cannot be both"),
    "name": ({"aliases": ["Up"]}, "name_refused", "context"),
    "unknown digest": ({"references": [f"sha256:{'0' * 64}"]}, "picture_refused", "not known here"),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_bad_line_keeps_the_file_out_or_is_passed_over(
    importer: Importer, tmp_path: Path, name: str
) -> None:
    wrong, code, word = WRONG[name]
    lines = [FOX, FOX | {"name": "Quimbo Tarr", "negatives": []} | wrong, KIMBO]
    asked = order(catalogue(tmp_path, *lines), pictures_in(tmp_path))
    with pytest.raises(ImportRefused) as caught:
        importer.run(asked)
    [problem] = caught.value.problems
    assert (problem.line, problem.code) == (2, code)
    assert word in problem.message
    assert head(importer) == 0
    assert [plan.outcome for plan in importer.plan(asked)] == ["new", "problem", "new"]
    report = importer.run(order(asked.file, asked.pictures, skip_bad=True))
    assert [one.line for one in report.skipped] == [2]
    told = import_runs.lines(importer.engine, report.run.id)
    assert [(one.line, one.outcome, one.code) for one in told] == [
        (1, "new", None), (2, "skipped", code), (3, "new", None)
    ]  # fmt: skip


def test_what_contradicts_the_registry_is_told_before_anything_is_written(
    importer: Importer, tmp_path: Path
) -> None:
    pictures = pictures_in(tmp_path)
    importer.run(order(catalogue(tmp_path, FOX), pictures))
    before = head(importer)
    turned = FOX | {"references": ["0.png", "2.png"], "negatives": []}
    with pytest.raises(ImportRefused) as caught:
        importer.run(order(catalogue(tmp_path, KIMBO, turned), pictures))
    assert [(one.line, one.code) for one in caught.value.problems] == [(2, "opt_out_invalid")]
    assert head(importer) == before


def test_killed_after_any_step_the_same_call_goes_on(tmp_path: Path) -> None:
    lines = [{"name": f"Zorblax {number}xyz", "references": [f"{number % 4}.png"]} for number in range(7)]
    for steps in range(2, 99, 4):
        folder = tmp_path / str(steps)
        folder.mkdir()
        catalogue(folder, *lines)
        pictures_in(folder)
        importer_in(folder).engine.dispose()
        ended = forked.run(import_child.go_on, folder, steps)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        assert forked.run(import_child.go_on, folder, 0) == 0
        run_id, resumed_at, seen = (folder / import_child.REPORT).read_text().split()
        assert exactly_once(folder, run_id) == len(lines)
        if int(resumed_at) > 1:
            assert seen == "0"  # nothing that was seen is looked at again
    assert steps > 12  # before the first line, between lines, and after the last


def exactly_once(folder: Path, run_id: str) -> int:
    """How many lines an import has, after asking that each did one thing once."""
    database = folder / "registry.db"
    told = rows(database, "import_line", "line, outcome, run_id")
    assert {line[2] for line in told} == {run_id}
    assert [line[:2] for line in told] == [(number, "new") for number in range(1, len(told) + 1)]
    assert len(rows(database, "subject")) == len(rows(database, "embedding")) == len(told)
    entries = [json.loads(entry[0])["kind"] for entry in rows(database, "log_entry", "entry, seq")]
    assert sorted(entries) == ["import"] * 2 + ["opt-out"] * len(told)
    return len(told)


class StopError(Exception):
    """Somebody pulls the plug."""


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from(["Zorblax", "ZORBLAX", "Kimbo Larr", "Up", ""]), min_size=1, max_size=8),
    stops=st.lists(st.integers(1, 30), max_size=3), chunk=st.integers(1, 3),
)  # fmt: skip
def test_interrupted_or_not_an_import_comes_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], stops: list[int], chunk: int
) -> None:
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importers, "CHUNK", chunk)
        for interruptions in ([], stops):
            folder = tmp_path_factory.mktemp("import")
            importer = importer_in(folder)
            asked = order(catalogue(folder, *({"name": name} for name in names)), skip_bad=True)
            if all(stopped(importer, asked, stop) for stop in interruptions):
                importer.run(asked)
            [run] = import_runs.list_runs(importer.engine)
            lines = import_runs.lines(importer.engine, run.id)
            told.append([(one.line, one.outcome, one.code) for one in lines])
            assert (run.state, len(optouts.list_subjects(importer.engine))) == ("done", run.made)
            importer.engine.dispose()
    assert told[0] == told[1]
    assert [line[0] for line in told[0]] == list(range(1, len(names) + 1))


def stopped(importer: Importer, asked: Any, after: int, step: str = "") -> bool:
    """Interrupt an import after so many steps (of one kind); False if it ends before."""
    left = after

    def progress(told: str, _done: int, _all: int) -> None:
        nonlocal left
        left -= told.startswith(step)
        if left == 0:
            raise StopError

    try:
        importer.run(asked, progress)
    except StopError:
        return True
    return False


def test_resume_only_goes_on_with_what_was_begun(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importers, "CHUNK", 1)
    file = catalogue(tmp_path, {"name": "Zorblax"}, {"name": "Kimbo Larr"}, {"name": "Quimbo Tarr"})
    with pytest.raises(UsageError, match="no import of this file"):
        importer.run(order(file, resume=True))
    assert stopped(importer, order(file), 2, "registering")
    [run] = import_runs.list_runs(importer.engine)
    assert run.done == 2
    report = importer.run(order(file, resume=True))
    assert (report.run.id, report.resumed_at) == (run.id, run.next_line)


def test_a_failure_is_recorded_and_the_import_goes_on_later(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = order(catalogue(tmp_path, KIMBO | {"references": []}, FOX), pictures_in(tmp_path))
    whole = import_runs.write_chunk

    def changed(*_: Any, **__: Any) -> Any:
        raise OptOutInvalid("The registry changed.", 1)

    monkeypatch.setattr(import_runs, "write_chunk", changed)
    with pytest.raises(ImportRefused, match=r"line 2: The registry changed.*before it are in force"):
        importer.run(asked)
    [run] = import_runs.list_runs(importer.engine)
    assert (run.state, run.error) == ("failed", "import_refused")
    monkeypatch.setattr(import_runs, "write_chunk", whole)
    assert importer.run(asked).run.id == run.id


def test_one_process_at_a_time_imports_a_file(importer: Importer, tmp_path: Path) -> None:
    asked = order(catalogue(tmp_path, {"name": "Zorblax"}))
    digest = importers._digests(asked).seen
    with open_staging(tmp_path / "imports", digest, 0.0), pytest.raises(ImportMoved):
        importer.run(asked)
    assert importer.run(asked).run.made == 1


def test_every_line_has_a_receipt_against_the_same_checkpoint(importer: Importer, tmp_path: Path) -> None:
    lines = [{"name": f"Zorblax {number}xyz"} for number in range(9)] + [{"name": "Up"}]
    run = importer.run(order(catalogue(tmp_path, *lines), skip_bad=True)).run
    told = list(reports.receipts(importer.engine, run))
    assert [line["line"] for line in told] == list(range(1, 11))
    assert "receipt" not in told.pop()
    assert len({line["receipt"]["checkpoint"] for line in told}) == 1  # type: ignore[index,call-overload]
    for line in json.loads(json.dumps(told)):
        proof, entry = line["receipt"]["proof"], line["receipt"]["entry"].encode()
        note = parse_note(line["receipt"]["checkpoint"])
        path = [bytes.fromhex(node) for node in proof["path"]]
        merkle.verify_inclusion(merkle.leaf_hash(entry), proof["sequence"] - 1, note.size, path, note.root)
        assert json.loads(entry)["public"]["subject"] == line["id"]
        stranger = verify_log.Verifier(verifier_key("test", PUBLIC))
        assert "is in the log" in stranger.check(line["receipt"])  # as it is, by who has nothing of ours


def given_vectors(folder: Path, *pictures: dict[str, Any]) -> Path:
    return catalogue(folder, *pictures, name="vectors.ndjson")


def given_picture(data: bytes, **changes: Any) -> dict[str, Any]:
    vector = base64.b64encode(np.arange(1, 9, dtype="<f2").tobytes()).decode()
    made = {
        "sha256": hashlib.sha256(data).hexdigest(), "width": 640, "height": 480, "space": "colours-1",
        "kind": "picture", "vectors": [vector],
    }  # fmt: skip
    return made | changes


def test_vectors_that_the_operator_brings_are_not_made_again(importer: Importer, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"elsewhere").hexdigest()
    vectors = given_vectors(tmp_path, given_picture(b"words"), given_picture(b"elsewhere", name="front.png"))
    line = {"name": "Zorblax", "references": ["words.png", f"sha256:{digest}"]}
    asked = order(catalogue(tmp_path, line), pictures_in(tmp_path), vectors=vectors)
    importer.run(asked)
    assert looks(importer) == 0
    assert rows(tmp_path / "registry.db", "reference", "name, width") == [
        ("front.png", 640),
        ("words.png", 640),
    ]
    bare = order(catalogue(tmp_path, line | {"references": [f"sha256:{digest}"]}), asked.pictures)
    assert [plan.outcome for plan in importer.plan(bare)] == ["unchanged"]  # it is registered here


@pytest.mark.parametrize(
    "change",
    [{"space": "unknown"}, {"vectors": ["no base64"]}, {"vectors": ["AAAA"]}, {"vectors": ["AAA="]},
     {"width": 0}, {"kind": "song"}, {"sha256": "x"}, {"more": 1}, {"vectors": []}],
)  # fmt: skip
def test_wrong_vectors_are_told_by_their_line(
    importer: Importer, tmp_path: Path, change: dict[str, Any]
) -> None:
    vectors = given_vectors(tmp_path, given_picture(b"words"), given_picture(b"x", **change))
    with pytest.raises(ImportRefused) as caught:
        importer.run(order(catalogue(tmp_path, {"name": "Zorblax"}), vectors=vectors))
    assert [(one.line, one.code) for one in caught.value.problems] == [(2, "usage")]
    assert head(importer) == 0


def test_a_damaged_staging_is_begun_anew(importer: Importer, tmp_path: Path) -> None:
    asked = order(catalogue(tmp_path, FOX), pictures_in(tmp_path))
    importer.plan(asked)
    [file] = (tmp_path / "imports").glob("*/seen.db")
    file.write_bytes(b"no database" * 100)
    assert importer.run(asked).run.made == 1
    assert looks(importer) == 6


def test_what_was_left_a_day_ago_goes(importer: Importer, tmp_path: Path) -> None:
    importer.plan(order(catalogue(tmp_path, FOX), pictures_in(tmp_path)))
    [folder] = (tmp_path / "imports").glob("*/")
    with open_staging(tmp_path / "imports", "other", folder.stat().st_mtime + 3600):
        assert folder.exists()
    with open_staging(tmp_path / "imports", "other", folder.stat().st_mtime + 25 * 3600):
        assert not folder.exists()
