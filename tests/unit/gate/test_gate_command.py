"""The gate: what it refuses to judge, and what the command prints."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.app import open_app
from pipeline.cli.main import app
from pipeline.clock import clock
from pipeline.errors import LimitExceeded, UsageError
from pipeline.gate import Gate, Prompt, document, open_gate
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.policy import DESCRIPTIONS, NAMES, preset
from pipeline.settings import load

ORDERS = (
    OptOutOrder(name="Spider-Man", owner="a studio"),
    OptOutOrder(name="Link", context=("Hyrule",), owner="a house"),
    OptOutOrder(name="Wobblekin", owner="an estate", mode="ask"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate") / "home"
    with open_app(load(folder)) as opened:
        desk = Desk(engine=opened.engine, eyes=opened.eyes, signer=opened.signer, clock=clock)
        for order in ORDERS:
            desk.register(order)
    return folder


@pytest.fixture(scope="module")
def gate(home: Path) -> Iterator[Gate]:
    with open_gate(load(home)) as opened:
        yield opened


def judged(gate: Gate, text: str, *history: str) -> dict[str, Any]:
    return document(gate.judge(text, history, policy=preset("opt-out")))


def test_a_name_is_blocked_with_words_subject_and_owner(gate: Gate) -> None:
    text = "watch Sp1der-M4n swing"
    told = judged(gate, text)
    [reason] = told["reasons"]
    assert told["verdict"] == "block"
    assert (reason["code"], reason["layer"], reason["owner"]) == ("name_match", "prompt_names", "a studio")
    assert text[slice(*reason["span"])] == reason["quote"] == "Sp1der-M4n"
    assert (reason["subject_name"], reason["reference"]) == ("Spider-Man", "Spider-Man")
    assert reason["score"] >= reason["threshold"]
    assert told["checks"]["unsafe_content"] == "completed"
    assert told["scores"]["prompt_names"] == 1
    assert told["registry_seq"] == len(ORDERS)


def test_verdicts_follow_the_owner_and_the_context(gate: Gate) -> None:
    assert judged(gate, "a dog in the snow")["verdict"] == "allow"
    assert judged(gate, "a link in a chain")["verdict"] == "allow"
    assert judged(gate, "Link in Hyrule")["verdict"] == "block"
    assert judged(gate, "and now he jumps", "Link in Hyrule")["verdict"] == "block"
    assert judged(gate, "a Wobblekin in the snow")["verdict"] == "review"
    assert judged(gate, "a Woblekin in the snow")["verdict"] == "review"


def test_where_a_job_looks_at_nothing_the_gate_says_the_same(gate: Gate, home: Path) -> None:
    told = document(gate.judge("Spider-Man swings", policy=preset("marks-only")))
    assert (told["verdict"], told["reasons"]) == ("allow", [])
    assert set(told["checks"].values()) == {"not_configured"}  # type: ignore[union-attr]
    with open_app(load(home)) as opened:
        assert opened.judge("Spider-Man swings", policy="marks-only").verdict == "allow"


def test_permission_first_holds_unregistered_names(gate: Gate) -> None:
    told = document(gate.judge("a walk with Zoltan Kovacs", policy=preset("permission-first")))
    assert told["verdict"] == "review"
    assert [reason["code"] for reason in told["reasons"]] == ["unregistered_name"]


@pytest.mark.parametrize(
    ("text", "error"),
    [("", UsageError), (" \n", UsageError), ("a\0b", UsageError), ("\ud800", UsageError),
     ("x" * 100_001, LimitExceeded), ("é" * 60_000, LimitExceeded)],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(gate: Gate, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        gate.checked(Prompt(text=text).texts)
    with pytest.raises(error):
        gate.checked(Prompt(text="a dog", history=(text,)).texts)


def test_too_many_turns_are_refused(gate: Gate) -> None:
    with pytest.raises(UsageError, match="turns"):
        gate.checked(Prompt(text="x", history=("y",) * 33).texts)


def test_descriptions_and_names_are_judged_together(tmp_path: Path) -> None:
    settings = load(tmp_path / "home")
    described = OptOutOrder(
        name="Wobblekin", owner="an estate", description="a violet heron with nine brass wings",
        attributes=("violet heron", "nine brass wings", "plays the bassoon"),
    )  # fmt: skip
    with open_app(settings) as opened:
        desk = Desk(engine=opened.engine, eyes=opened.eyes, signer=opened.signer, clock=clock)
        desk.register(described)
    with open_gate(settings) as gate:
        found = judged(gate, "a violet heron with nine brass wings plays the bassoon")
        assert found["verdict"] in ("review", "block")
        assert [reason["code"] for reason in found["reasons"]] == ["description_match"]
        assert found["scores"]["prompt_fused"] >= found["reasons"][0]["threshold"]
        assert judged(gate, "a dog in the snow")["verdict"] == "allow"
        # Nor do turns about other things thin out what one of them describes.
        others = [f"a quiet lake with trees, and the camera pans left past house {n}" for n in range(6)]
        told = "a violet heron with nine brass wings plays the bassoon"
        said = judged(gate, "now make it rain", *others[:2], told, *others[2:])
        assert said["verdict"] != "allow"
        [reason] = said["reasons"]
        assert (reason["origin"], reason["turn"], reason["quote"]) == ("turn", 2, told)
        assert reason["span"] == [0, len(told)]
        assert judged(gate, "now make it rain", *others)["verdict"] == "allow"
        # Too long to be compared: held, not passed in part.
        held = judged(gate, "dog " * 24_999)
        assert held["verdict"] == "review"
        assert [(reason["code"], reason["layer"]) for reason in held["reasons"]] == [
            ("check_unfinished", "prompt_descriptions"), ("check_unfinished", "unsafe_content"),
        ]  # fmt: skip


def test_where_only_names_are_registered_nothing_is_compared(gate: Gate) -> None:
    names_only = preset("opt-out").only([NAMES, DESCRIPTIONS])
    told = document(gate.judge("dog " * 24_999, policy=names_only))
    assert (told["verdict"], told["checks"]["prompt_descriptions"]) == ("allow", "completed")
    held = judged(gate, "dog " * 24_999)  # nobody judges so long a prompt, so it is held
    assert (held["verdict"], held["checks"]["unsafe_content"]) == ("review", "skipped")


def run(*arguments: str, stdin: bytes = b"") -> Any:
    return CliRunner().invoke(app, ["gate", *arguments], input=stdin)


def test_the_command_answers_each_line_in_order(home: Path, tmp_path: Path) -> None:
    lines = [
        b'{"text": "a dog"}', b"{not json", b'{"text": "Spider-Man"}', b"", b'{"text": 5}', b'{"text": ""}',
        b'\xff\xfe{"text": "a"}', b'["text"]', b'{"text": "man", "history": ["a spider"]}',
        b'{"text": "a", "history": "b"}', b'{"text": "half \\ud800 a pair"}', b'{"text": "a cat"}',
    ]  # fmt: skip
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(b"\n".join(lines))
    answer = run("--jsonl", str(file), "--home", str(home))
    told = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.exit_code == 3
    assert [one["line"] for one in told] == [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]
    verdicts = {one["line"]: one.get("verdict", "error") for one in told}
    assert [line for line, verdict in verdicts.items() if verdict == "error"] == [2, 5, 6, 7, 8, 10, 11]
    assert (verdicts[1], verdicts[3], verdicts[9], verdicts[12]) == ("allow", "block", "block", "allow")
    assert "line 2" in told[1]["error"]["message"]


def test_the_command_reads_standard_input(home: Path) -> None:
    answer = run("--jsonl", "-", "--home", str(home), stdin=b'{"text": "a dog"}\n')
    assert (answer.exit_code, json.loads(answer.stdout)["verdict"]) == (0, "allow")
    answer = run("-", "--json", "--home", str(home), stdin=b"Spider-Man\n")
    assert (answer.exit_code, json.loads(answer.stdout)["verdict"]) == (1, "block")
    answer = run("-", "--json", "--home", str(home), stdin=b"\xff\xfe a dog")
    assert (answer.exit_code, json.loads(answer.stdout)["error"]["code"]) == (2, "usage")


def test_the_command_says_by_which_check_where_and_how_to_object(home: Path) -> None:
    answer = run("a dog and Spider-Man", "--json", "--home", str(home))
    told = json.loads(answer.stdout)
    assert told["appeal"].startswith("To object, write to the operator of this service")
    assert told["appeal"] in answer.stderr
    assert "names Spider-Man (a studio)" in answer.stderr
    assert "[prompt_names, characters 11 to 20 of the prompt]" in answer.stderr
    assert json.loads(run("a dog", "--json", "--home", str(home)).stdout)["appeal"] is None


def test_no_prompt_on_standard_input_is_read_in_part(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERMARK_MAX_PROMPT_BYTES", "5000000")
    long = b"Spider-Man " + b"x" * 5_100_000
    answer = run("-", "--json", "--home", str(home), stdin=long)
    assert (answer.exit_code, json.loads(answer.stdout)["error"]["code"]) == (3, "limit_exceeded")


def test_a_prompt_that_begins_with_a_dash(home: Path) -> None:
    answer = run("--json", "--home", str(home), "--", "-Spider-Man swings")
    assert json.loads(answer.stdout)["reasons"][0]["span"] == [1, 11]
    answer = run("--home", str(home), "-Spider-Man swings")
    assert answer.exit_code == 2
    assert "after" in answer.stderr
    assert "--" in answer.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["a dog", "--jsonl", "x"], ["--jsonl", "no/such/file"], ["a", "--policy", "x"]]
)
def test_wrong_usage(home: Path, arguments: list[str]) -> None:
    assert run(*arguments, "--home", str(home)).exit_code == 2


def test_a_home_without_a_registry(tmp_path: Path) -> None:
    answer = run("a dog", "--home", str(tmp_path), "--json")
    assert answer.exit_code == 3
    assert json.loads(answer.stdout)["error"]["code"] == "home_unusable"


def test_what_an_enhancer_brings_in_is_found_and_told(gate: Gate) -> None:
    policy = preset("opt-out")
    brought = document(gate.judge("a hero swings over roofs", enhanced="Spider-Man swings", policy=policy))
    [reason] = brought["reasons"]
    assert (brought["verdict"], reason["origin"], reason["turn"]) == ("block", "enhanced_prompt", 1)
    assert "the enhancement of the prompt brought it in" in reason["detail"]
    asked = document(gate.judge("Spider-Man", ("hello",), enhanced="a hero", policy=policy))
    assert [(one["origin"], one["turn"]) for one in asked["reasons"]] == [("prompt", 1)]
    both = document(gate.judge("Spider-Man", enhanced="Spider-Man on a roof", policy=policy))
    assert [one["origin"] for one in both["reasons"]] == ["prompt", "enhanced_prompt"]
    assert "brought it in" not in both["reasons"][1]["detail"]
    assert document(gate.judge("a dog", enhanced="a big dog", policy=policy))["verdict"] == "allow"
    with pytest.raises(UsageError):
        gate.judge("a dog", enhanced=" ", policy=policy)
    with pytest.raises(LimitExceeded):
        gate.judge("a dog", enhanced="x" * 100_001, policy=policy)


def test_the_command_takes_enhanced_prompts(home: Path, tmp_path: Path) -> None:
    run = CliRunner()
    told = run.invoke(app, ["gate", "a dog", "--enhanced-prompt", "Wobblekin", "--home", str(home), "--json"])
    assert json.loads(told.stdout)["reasons"][0]["origin"] == "enhanced_prompt"
    file = tmp_path / "prompts.jsonl"
    lines = ({"text": "a dog", "enhanced": "Spider-Man"}, {"text": "a dog", "enhanced": 3})
    file.write_text("\n".join(map(json.dumps, lines)))
    told = run.invoke(app, ["gate", "--jsonl", str(file), "--home", str(home)])
    first, second = map(json.loads, told.stdout.splitlines())
    assert (first["verdict"], second["error"]["code"]) == ("block", "usage")
