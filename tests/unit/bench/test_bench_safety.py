"""`countermark bench safety`: its parts are found by their files, and what is missing is said plainly."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks import safety
from benchmarks.tools.given import Given, Missing


def test_every_part_is_found_by_its_file_and_can_measure() -> None:
    assert "names" in safety.parts()
    assert all(callable(safety.part(name)) for name in safety.parts())


def test_a_missing_folder_or_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="name the folder that has it: --prompts DIR"):
        Given().file("benign.jsonl")
    with pytest.raises(Missing, match="there is no .*benign.jsonl"):
        Given(prompts=tmp_path).lines("benign.jsonl")


def test_the_command_ends_with_the_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["safety", "--parts", "names", "--prompts", str(tmp_path)])
    assert safety.main() == 2
    assert "--prompts names the folder" in capsys.readouterr().err
