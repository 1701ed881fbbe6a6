"""Wishes about training, from files to evidence."""

import hashlib
import json
from pathlib import Path

import pytest
from import_builders import importer_in
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.errors import ImportRefused
from pipeline.imports.importer import Importer
from pipeline.imports.training import import_training
from registry import merkle, training
from registry.checkpoint import parse_note

TABLE = (
    "claimant;work;url;sha256;cawg.ai_training;cawg.data_mining;constraint_info\n"
    "Studio A;Zorblax;https://example.org/z;;notAllowed;constrained;ask us\n"
    f"Studio A;;;{'ab' * 32};notAllowed;;\n"
)
LINE = {"claimant": "Studio A", "sha256": "ab" * 32, "entries": {"cawg.ai_training": {"use": "notAllowed"}}}


def read(importer: Importer, path: Path) -> list[bool]:
    done = import_training(importer.engine, path, clock=importer.clock, signer=importer.signer)
    return [one.new for one in done]


def test_tables_and_lines_say_the_same(tmp_path: Path) -> None:
    importer = importer_in(tmp_path)
    table, lines = tmp_path / "wishes.csv", tmp_path / "wishes.ndjson"
    table.write_text(TABLE, encoding="utf-8-sig")
    lines.write_text(json.dumps(LINE), encoding="utf-8")
    assert read(importer, table) == [True, True]
    assert read(importer, lines) == [False]
    assert read(importer, table) == [False, False]
    [first] = training.answer(importer.engine, url="https://example.org/z")
    assert first.wish.uses == {
        "cawg.ai_training": {"use": "notAllowed"},
        "cawg.data_mining": {"use": "constrained", "constraint_info": "ask us"},
    }
    importer.engine.dispose()


def test_every_wrong_line_is_told_and_nothing_is_recorded(tmp_path: Path) -> None:
    importer, path = importer_in(tmp_path), tmp_path / "wishes.csv"
    path.write_text(
        TABLE + "Studio B;;;;notAllowed;;\nStudio C;;https://x.org/;;never;;\nD;;;xyz;allowed;;\n"
    )
    with pytest.raises(ImportRefused) as caught:
        read(importer, path)
    assert [problem.line for problem in caught.value.problems] == [4, 5, 6]
    assert training.list_wishes(importer.engine) == []
    importer.engine.dispose()


def test_the_commands_answer_with_evidence(tmp_path: Path) -> None:
    runner, home = CliRunner(), ["--home", str(tmp_path / "home"), "--json"]
    film, path = tmp_path / "film.mp4", tmp_path / "wishes.ndjson"
    film.write_bytes(b"a film")
    digest = hashlib.sha256(b"a film").hexdigest()
    path.write_text(json.dumps(LINE | {"sha256": digest}), encoding="utf-8")
    made = runner.invoke(app, ["training", "import", str(path), *home])
    [recorded] = json.loads(made.stdout)
    assert recorded["new"]
    document = json.loads(runner.invoke(app, ["training", "answer", "--file", str(film), *home]).stdout)
    assert (document["format"], document["in_force"]) == ("countermark-training-evidence/1", 1)
    [told] = document["wishes"]
    receipt, entry = told["receipt"], told["receipt"]["entry"].encode()
    note = parse_note(receipt["checkpoint"])
    merkle.verify_inclusion(
        merkle.leaf_hash(entry), receipt["proof"]["sequence"] - 1, note.size,
        [bytes.fromhex(node) for node in receipt["proof"]["path"]], note.root,
    )  # fmt: skip
    (tmp_path / "receipt.json").write_text(json.dumps(receipt))
    assert runner.invoke(app, ["log", "verify", str(tmp_path / "receipt.json"), *home]).exit_code == 0
    assert json.loads(told["opening"]["private"])["sha256"] == digest
    assert [one["id"] for one in json.loads(runner.invoke(app, ["training", "list", *home]).stdout)] == [
        told["id"]
    ]
    assert runner.invoke(app, ["training", "withdraw", told["id"], *home]).exit_code == 0
    ended = json.loads(runner.invoke(app, ["training", "answer", "--sha256", digest, *home]).stdout)
    assert (ended["in_force"], ended["wishes"][0]["ended"]) == (0, 2)
    nothing = runner.invoke(app, ["training", "answer", "--url", "https://example.org/", *home])
    assert json.loads(nothing.stdout)["wishes"] == []
    assert runner.invoke(app, ["training", "answer", *home]).exit_code == 2
    path.write_text("{}")
    assert runner.invoke(app, ["training", "import", str(path), *home]).exit_code == 2
