"""Spaces on the command line: how far a new model has come, and the old one's end."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.app import open_app
from pipeline.cli.main import main
from pipeline.clock import clock
from pipeline.settings import load
from registry import optouts
from registry.subject_types import OptOutDraft, ReferenceDraft, VectorDraft

Run = Callable[..., tuple[int, Any, str]]
DIGEST = "ab" * 32


@pytest.fixture
def spaces(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "argv", ["countermark", "spaces", *arguments, "--json", "--home", str(home)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, json.loads(out), err

    return command


def shown(space: str) -> VectorDraft:
    vector = np.ones(8, "<f2").tobytes()
    return VectorDraft(reference=DIGEST, space=space, kind="picture", polarity=1, vector=vector, dimension=8)


def test_a_space_is_retired_when_the_new_one_has_all_of_it(home: Path, spaces: Run) -> None:
    assert spaces("list")[:2] == (0, [])
    with open_app(load(home)) as app:
        by: dict[str, Any] = {"now": clock(), "sign_checkpoint": app.signer}
        picture = ReferenceDraft(sha256=DIGEST, polarity=1, width=64, height=64)
        draft = OptOutDraft(
            kind="character", name="Zibble", owner="Acme", references=(picture,), vectors=(shown("old"),)
        )
        first = optouts.add(app.engine, draft, **by).subject
        other = OptOutDraft(
            kind="character", name="Zabble", owner="Acme", references=(picture,), vectors=(shown("new"),)
        )
        optouts.add(app.engine, other, **by)
    status, told, words = spaces("list")
    assert status == 0
    assert {(one["id"], one["subjects"], one["lacking"]) for one in told} == {("old", 1, 1), ("new", 1, 1)}
    assert "lacks 1" in words
    assert spaces("lacking", "new")[:2] == (0, [first])
    status, told, words = spaces("retire", "old", "--into", "new")
    assert (status, told["error"]["code"]) == (1, "space_in_use")
    assert "embed them again" in words
    status, told, _ = spaces("retire", "old", "--into", "nowhere")
    assert (status, told["error"]["code"]) == (3, "not_found")
    with open_app(load(home)) as app:
        optouts.extend(app.engine, first, vectors=[shown("new")], now=clock(), sign_checkpoint=app.signer)
    status, told, words = spaces("retire", "old", "--into", "new")
    assert (status, told["space"], told["into"]) == (0, "old", "new")
    assert f"sequence {told['seq']}" in words
    assert {(one["id"], one["into"]) for one in spaces("list")[1]} == {("old", "new"), ("new", "")}
