"""`countermark gate`: what the gate says of prompts. Nothing is written."""

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from pipeline.appeals import appeal
from pipeline.cli import output, use_options
from pipeline.errors import CountermarkError, HomeUnusable, UsageError, describe
from pipeline.policy import PRESETS, Policy, preset
from pipeline.settings import Settings, load
from pipeline.telling import line

if TYPE_CHECKING:
    from pipeline.gate import Gate, Prompt
    from registry.ruling import Ask

STDIN: Final = "-"
BATCH: Final = 32
"""Lines of a file that the models see together; from standard input each line is answered at once."""
MAX_LINE: Final = 4 * 1024 * 1024
"""Characters of a line: a prompt and its turns, escaped."""
DASH: Final = 'a prompt that begins with a dash goes after --: countermark gate -- "-…"'


class GateCommand(TyperCommand):
    """A command that says where a prompt with a dash goes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; an unknown option may have been meant as a prompt."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if type(error).__name__ == "NoSuchOption" and hasattr(error, "message"):
                error.message = f"{error.message}; {DASH}"
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A line of a file: its number, the prompt, or what is wrong with it."""

    line: int
    prompt: "Prompt | None" = None
    error: CountermarkError | None = None


def gate(
    prompt: Annotated[
        str | None,
        typer.Argument(help="The prompt; - reads it from standard input; after -- if it begins with a dash."),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(
            "--jsonl", help='File with {"text", "history"?, "enhanced"?} a line; - for standard input.'
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help=f"Policy preset: {', '.join(PRESETS)}; default: the setting `policy`."),
    ] = None,
    enhanced: use_options.Enhanced = None,
    region: use_options.Region = "",
    purpose: use_options.Purpose = "",
    content: use_options.ContentClass = "",
    tag: use_options.Tags = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Judge a prompt, or many, by who opted out: allowed, to be reviewed or blocked, and why."""
    if (prompt is None) == (jsonl is None):
        raise UsageError(f"name a prompt, or a file with --jsonl FILE; one of the two ({DASH})")
    settings = load(home)
    chosen = preset(policy or settings.policy)
    source = None if jsonl is None else _opened(jsonl)
    text = _read_prompt(settings) if prompt == STDIN else prompt
    if not settings.has_registry:
        raise HomeUnusable(f"{settings.home} has no registry; name a home, or begin one with: optout add")
    from pipeline.gate import open_gate
    from pipeline.orders import LOCAL_ACCOUNT, ask_of, use_json

    use = use_json(use_options.use_of(region, purpose, content, tag))
    ask = ask_of({"account": LOCAL_ACCOUNT, "use": use})
    with open_gate(settings) as opened:
        if source is not None:
            with source:
                batch = BATCH if jsonl != STDIN else 1
                return _many(opened, _lines(source), chosen, ask, appeal(settings.contact), batch)
        from pipeline.gate import Prompt

        asked = Prompt(text=text or "", enhanced=enhanced)
        return _one(opened, asked, chosen, ask, appeal(settings.contact), as_json=as_json)


def _one(gate: "Gate", prompt: "Prompt", policy: Policy, ask: "Ask", objection: str, *, as_json: bool) -> int:
    from pipeline.gate import document

    [judged] = gate.judge_all([prompt], policy=policy, account=ask)
    told = document(judged)
    output.say(f"{told['verdict']}", style="bold")
    for reason in judged.decision.reasons:
        output.say(f"  {line(reason.check, reason.detail, reason.evidence)}")
    if judged.decision.reasons:
        output.say(f"  {objection}")
    for check, state in _mapping(told["checks"]).items():
        if state == "not_configured":
            output.say(f"  {check.replace('_', ' ')}: not configured")
    if as_json:
        output.answer(told | {"appeal": objection if judged.decision.reasons else None})
    return output.OK if told["verdict"] == "allow" else output.FOUND


def _many(
    gate: "Gate", asked: Iterable[Asked], policy: Policy, ask: "Ask", objection: str, batch: int
) -> int:
    """One JSON line for each line, in order; a line that cannot be judged gets an error instead."""
    verdicts: set[str] = set()
    failed = False
    for group in _batches(asked, batch):
        for answer in _answers(gate, group, policy, ask):
            failed |= "error" in answer
            answer |= {"appeal": objection if answer.get("reasons") else None} if "verdict" in answer else {}
            verdicts.add(answer.get("verdict", ""))
            sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    if failed:
        output.say("Some lines could not be judged; each has an error in its place.")
        return output.COULD_NOT
    return output.OK if verdicts <= {"allow"} else output.FOUND


def _answers(gate: "Gate", group: Sequence[Asked], policy: Policy, ask: "Ask") -> Iterator[dict[str, Any]]:
    from pipeline.gate import document

    checked = [_checked(gate, asked) for asked in group]
    prompts = [asked.prompt for asked in checked if asked.prompt is not None]
    judged = iter(gate.judge_all(prompts, policy=policy, account=ask) if prompts else ())
    for asked in checked:
        if asked.error is None:
            yield {"line": asked.line, **document(next(judged))}
        else:
            told = describe(asked.error)
            yield {"line": asked.line, "error": {"code": told.code, "message": told.message}}


def _checked(gate: "Gate", asked: Asked) -> Asked:
    """The line, with an error where its prompt cannot be judged."""
    try:
        if asked.prompt is not None:
            gate.checked(asked.prompt.texts)
    except CountermarkError as error:
        return Asked(line=asked.line, error=error)
    return asked


def _read_prompt(settings: Settings) -> str:
    """Standard input as text; what is no UTF-8 stays as half characters, which no prompt may have.

    Of more than a prompt may have, so much is read that it is refused.
    """
    given = sys.stdin.buffer.read(settings.max_prompt_bytes + 2)
    return given.decode("utf-8", "surrogateescape").removesuffix("\n")


def _batches(asked: Iterable[Asked], size: int) -> Iterator[list[Asked]]:
    lines = iter(asked)
    while group := list(itertools.islice(lines, size)):
        yield group


def _opened(name: str) -> IO[bytes]:
    if name == STDIN:
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise UsageError(f"{name} cannot be read ({error.strerror}); name a file of JSON lines") from None


def _lines(source: IO[bytes]) -> Iterator[Asked]:
    """Every line that is not empty."""
    number = 0
    while line := source.readline(MAX_LINE):
        number += 1
        whole = line.endswith(b"\n") or len(line) < MAX_LINE
        while not line.endswith(b"\n") and (rest := source.readline(MAX_LINE)):
            line = rest
        if not whole:
            told = f"line {number} is longer than {MAX_LINE} bytes; shorten it"
            yield Asked(line=number, error=UsageError(told))
        elif line.strip():
            yield _parsed(number, line)


def _parsed(number: int, line: bytes) -> Asked:
    from pipeline.gate import Prompt

    wrong = f'line {number} is not {{"text": "…", "history": ["…"], "enhanced": "…"}} in UTF-8; mend it'
    try:
        told = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        text, history, enhanced = told["text"], told.get("history") or [], told.get("enhanced")
        if not isinstance(text, str) or not isinstance(history, list):
            raise TypeError
        if not all(isinstance(turn, str) for turn in history):
            raise TypeError
        if enhanced is not None and not isinstance(enhanced, str):
            raise TypeError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Asked(line=number, error=UsageError(wrong))
    return Asked(line=number, prompt=Prompt(text=text, history=tuple(history), enhanced=enhanced))


def _mapping(value: Any) -> dict[str, str]:
    return dict(value)
