"""Opt-outs on the command line: in force at once, said in words and in JSON, and never half."""

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene
from pipeline.cli.main import main

Run = Callable[..., tuple[int, list[Any], str]]


@pytest.fixture
def optout(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `countermark optout`; gives exit code, every JSON document on stdout, stderr."""

    def command(act: str, *arguments: str | Path, as_json: bool = True) -> tuple[int, list[Any], str]:
        monkeypatch.setenv("COUNTERMARK_HOME", str(home))
        extra = ["--json"] if as_json else []
        monkeypatch.setattr(sys, "argv", ["countermark", "optout", act, *extra, *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, [json.loads(line) for line in out.splitlines()], err

    return command


def entries(home: Path) -> int:
    """Entries of the log of a home."""
    if not (home / "registry.db").exists():
        return 0
    with sqlite3.connect(home / "registry.db") as db:
        return int(db.execute("SELECT COUNT(*) FROM log_entry").fetchone()[0])


def draw(path: Path, seed: int) -> Path:
    """A small picture of smooth colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (240, 200), interpolation=cv2.INTER_CUBIC))
    return path


def draw_character(path: Path, seed: int) -> Path:
    """A picture of a drawn character."""
    rng = np.random.default_rng(seed)
    shown = render_frame(random_design(rng), random_scene(rng), width=240, height=200, time=0.0).picture
    cv2.imwrite(str(path), cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
    return path


def test_a_name_is_in_force_listed_shown_and_withdrawn(optout: Run, home: Path) -> None:
    status, [made], words = optout(
        "add", "Zorblax the Brave", "--alias", "Zorblax", "--owner", "Studio Example", "--kind", "character"
    )
    assert (status, made["sequence"], made["new"], entries(home)) == (0, 1, True, 1)
    assert set(made["receipt"]) == {"format", "entry", "proof", "checkpoint", "opened"}
    assert f"In force since {made['at'][11:19]} UTC. Registry sequence 1." in words
    assert "Refused from the next request." in words
    status, [listed], words = optout("list")
    assert (status, [one["id"] for one in listed]) == (0, [made["id"]])
    assert "Zorblax the Brave (character, Studio Example)" in words
    assert optout("list", "--owner", "somebody else")[1] == [[]]
    status, [shown], words = optout("show", made["id"])
    assert (status, [name["text"] for name in shown["names"]]) == (0, ["Zorblax the Brave", "Zorblax"])
    assert "Zorblax" in words
    status, [gone], words = optout("withdraw", made["id"], "--why", "by mistake")
    assert (status, gone["id"], gone["sequence"]) == (0, made["id"], 2)
    assert optout("show", made["id"])[1][0]["state"] == "withdrawn"
    assert optout("withdraw", made["id"])[1][0]["new"] is False


def test_words_alone_are_for_people(optout: Run) -> None:
    status, documents, words = optout("add", "Zorblax", as_json=False)
    assert (status, documents) == (0, [])
    assert "Refused from the next request." in words


def test_pictures_are_looked_at_with_the_model_that_ships(optout: Run, tmp_path: Path) -> None:
    pictures = [draw_character(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    status, [made], words = optout(
        "add", "Zorblax", "--picture", pictures[0], "--picture", pictures[1], "--negative", pictures[2]
    )
    assert status == 0, words
    [shown] = optout("show", made["id"])[1]
    assert [(one["name"], one["negative"]) for one in shown["pictures"]] == [
        ("0.png", False), ("1.png", False), ("2.png", True),
    ]  # fmt: skip


def test_a_file_gives_one_line_for_each_subject(optout: Run, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "subjects.ndjson"
    names = ["Zorblax", "Kimbo Larr", "Quimbo Tarr"]
    file.write_text("\n".join(json.dumps({"name": name, "owner": "Studio"}) for name in names))
    status, receipts, words = optout("add", "--from", file, as_json=False)
    assert (status, [made["name"] for made in receipts]) == (0, names)
    assert [made["sequence"] for made in receipts] == [1, 2, 3]
    assert all({"id", "sequence", "receipt"} <= set(made) for made in receipts)
    assert "3 opt-outs in force" in words
    again = optout("add", "--from", file)[1]
    assert [(made["id"], made["new"]) for made in again] == [(made["id"], False) for made in receipts]
    assert entries(home) == 3


def test_a_bad_file_is_told_by_line_and_leaves_nothing(optout: Run, home: Path, tmp_path: Path) -> None:
    secret = draw(tmp_path / "secret.png", 1)
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (folder / "link.png").symlink_to(secret)
    draw(folder / "good.png", 2)
    file = folder / "subjects.ndjson"
    lines = [
        {"name": "Zorblax", "references": ["good.png"]}, {"name": "Kimbo", "references": [str(secret)]},
        {"name": "Quimbo", "references": ["../secret.png"]}, {"name": "Tarr", "references": ["link.png"]},
    ]  # fmt: skip
    file.write_text("\n".join(map(json.dumps, lines)))
    status, problems, words = optout("add", "--from", file)
    assert (status, [problem["line"] for problem in problems]) == (2, [2, 3, 4])
    assert {problem["error"]["code"] for problem in problems} == {"picture_refused"}
    assert "nothing was registered" in words
    file.write_bytes(b'{"name": "Zorblax"}\n{"name": "caf\xe9"}\n{"name": \n')
    status, problems, words = optout("add", "--from", file)
    assert (status, [problem["line"] for problem in problems]) == (2, [2, 3])
    assert entries(home) == 0


def test_names_that_begin_with_a_dash(optout: Run) -> None:
    status, [made], _ = optout("add", "--", "-Zorblax-")
    assert (status, made["name"]) == (0, "-Zorblax-")
    assert optout("add", "-Zorblax-")[0] == 2


STRANGE = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("",), ("  ",), ("Zorblax", "--from", "x.ndjson"), ("Zorblax", "--kind", "song"),
        ("Zorblax", "--mode", "deny"), (STRANGE,), ("Zorblax", "--alias", STRANGE),
        ("Zorblax", "--owner", STRANGE), ("Zorblax", "--description", "a\x07b"), ("x" * 300,),
        ("--from", "nowhere.ndjson"), ("--from", "."), ("--from", "x.ndjson", "--alias", "y"), ("Up",),
        ("Zorblax", "--alias", "Up"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(optout: Run, home: Path, arguments: tuple[str, ...]) -> None:
    status, [document], words = optout("add", *arguments)
    assert (status, set(document)) == (2, {"error"})
    assert len([line for line in words.splitlines() if line.startswith("countermark: ")]) == 1
    assert "\x07" not in words
    assert entries(home) == 0


def test_pictures_that_are_none_leave_nothing(optout: Run, home: Path, tmp_path: Path) -> None:
    words_file = tmp_path / "words.png"
    words_file.write_text("I am a picture")
    for path in (words_file, tmp_path, tmp_path / "missing.png", tmp_path / STRANGE):
        status, [document], words = optout("add", "Zorblax", "--picture", path)
        assert (status, document["error"]["code"]) == (3, "picture_refused")
        assert path.name in words or path.name == STRANGE
    assert entries(home) == 0


def test_what_is_not_there(optout: Run) -> None:
    for act in ("show", "withdraw"):
        for subject in ("nothing", STRANGE, ""):
            status, [document], _ = optout(act, subject)
            assert (status, document["error"]["code"]) == (3, "not_found")
    for arguments in (("list", "--owner", STRANGE), ("withdraw", "x", "--why", STRANGE)):
        status, [document], words = optout(*arguments)
        assert (status, document["error"]["code"]) == (2, "usage"), words


def test_a_home_that_cannot_be_used(optout: Run, home: Path) -> None:
    home.write_text("a file")
    for arguments in (("add", "Zorblax"), ("list",)):
        status, [document], _ = optout(*arguments)
        assert (status, document["error"]["code"]) == (3, "home_unusable")
