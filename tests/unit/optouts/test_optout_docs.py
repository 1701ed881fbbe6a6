"""The page for rights holders says what the code does."""

import json
import re
import shlex
from pathlib import Path

from typer.main import get_command

from pipeline.cli.optout import app
from pipeline.optouts import lines, order
from pipeline.optouts.order import OptOutLine
from pipeline.pictures.types import LIMITS, MIB

PAGE = Path(__file__).parents[3] / "docs" / "opt-outs.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_command_of_the_page_is_one() -> None:
    examples = re.findall(r"^countermark optout ((?:.*\\\n)*.*)", TEXT, re.MULTILINE)
    assert len(examples) >= 4
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for example in examples:
        act, *arguments = shlex.split(example.replace("\\\n", " "))
        commands[act].make_context(act, arguments)
    known = {option for command in commands.values() for one in command.params for option in one.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_the_line_of_the_page_is_one() -> None:
    [example] = re.findall(r"```json\n(.*)\n```", TEXT)
    assert set(json.loads(example)) == set(OptOutLine.model_fields)
    OptOutLine.model_validate_json(example)


def test_the_limits_of_the_page_are_the_limits() -> None:
    for said in (
        f"{LIMITS.bytes // MIB} MiB and {LIMITS.pixels // 1_000_000} megapixels",
        f"shorter side has {LIMITS.shortest} pixels",
        f"At most {lines.MAX_LINES:,} lines of {lines.MAX_LINE_BYTES // MIB} MiB,",
        f" {order.MAX_NAMES} names and",
        f"{order.MAX_PICTURES}\nreferences",
    ):
        assert said in TEXT, said
    assert LIMITS.ratio == 6
    for kind in OptOutLine.model_fields["kind"].annotation.__args__:  # type: ignore[union-attr]
        assert f"`{kind}`" in TEXT
