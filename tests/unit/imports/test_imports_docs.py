"""The page about imports says what the code does."""

import io
import json
import re
import shlex
from pathlib import Path

from typer.main import get_command

from pipeline.cli.main import app
from pipeline.imports import archive, importer, training
from pipeline.imports.catalogue import read_catalogue
from pipeline.imports.line import CatalogueLine
from pipeline.imports.table import COLUMNS, NAMED, read_table
from pipeline.optouts import lines
from registry.planning import Outcome
from registry.training import CHOICES, USES

PAGE = Path(__file__).parents[3] / "docs" / "imports.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_command_of_the_page_is_one() -> None:
    known: dict[str, object] = get_command(app).commands  # type: ignore[attr-defined]
    options = set()
    for example in re.findall(r"^countermark (.*?)(?: > .*)?$", TEXT, re.MULTILINE):
        command, *words = shlex.split(example)
        made = known[command]
        if hasattr(made, "commands"):
            made = made.commands[words.pop(0)]
        made.make_context(command, words)  # type: ignore[attr-defined]
        options |= {option for one in made.params for option in one.opts}  # type: ignore[attr-defined]
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= options


def test_the_columns_of_the_page_are_the_columns(tmp_path: Path) -> None:
    [rows] = re.findall(r"\| column \|.*?\n\n", TEXT, re.DOTALL)
    told = {
        cell for row in rows.strip().splitlines()[2:] for cell in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    assert {cell for cell in told if not cell.startswith(NAMED)} == set(COLUMNS)
    catalogue, wishes = re.findall(r"```csv\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "catalogue.csv"
    path.write_text(catalogue, encoding="utf-8")
    read = read_catalogue(path)
    assert (len(read.entries), read.problems) == (2, ())
    assert read.entries[0].line.aliases == ("Zorblax", "Blaxy the Fox")
    [(_, document)] = read_table(io.BytesIO(wishes.encode()), training.COLUMNS)
    assert isinstance(document, dict)
    assert set(training.TrainingLine.model_validate(document).draft().uses) == set(USES)


def test_the_line_of_the_page_is_one() -> None:
    [example] = re.findall(r"```json\n(.*)\n```", TEXT)
    assert set(json.loads(example)) - {"member"} == set(CatalogueLine.model_fields) - {"owner"}
    CatalogueLine.model_validate_json(example)


def test_outcomes_and_limits_are_those_of_the_code() -> None:
    [rows] = re.findall(r"\| a line \|.*?\n\n", TEXT, re.DOTALL)
    assert re.findall(r"^\| `(\w+)`", rows, re.MULTILINE) == [*map(str, Outcome), "skipped"]
    for said in (
        f"chunks of {importer.CHUNK} ", f"{lines.MAX_LINES:,} lines", f"than {archive.MAX_RATIO} times",
        f"{archive.MAX_ENTRIES:,} files and {archive.MAX_ARCHIVE_BYTES >> 30} GiB",
        *(f"`{choice}`" for choice in CHOICES),
    ):  # fmt: skip
        assert said in " ".join(TEXT.split()), said
