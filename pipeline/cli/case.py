"""`countermark case`: clips and releases that a person has to look at, and what is decided about them."""

import getpass
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import output
from pipeline.cli.release_words import observer, say_resumed
from pipeline.errors import UsageError
from pipeline.settings import load
from pipeline.telling import line_of

if TYPE_CHECKING:
    from pipeline.app import App

app = typer.Typer(help="Cases: held clips and releases that a person has to look at.", no_args_is_help=True)

STATES = ("open", "upheld", "dismissed", "all")

Number = Annotated[str, typer.Argument(metavar="ID", help="The case's number.", show_default=False)]
Why = Annotated[str, typer.Option(help="The reason; it is kept, and not public.")]
By = Annotated[str, typer.Option(help="Who decides; default: the user of this machine.")]


@app.command("list")
@output.command
def list_cases(
    state: Annotated[str, typer.Option(help="open, upheld, dismissed or all.")] = "open",
    release: Annotated[str | None, typer.Option(help="Only those of this release.")] = None,
    after: Annotated[str, typer.Option(help="Only those after this case.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """List cases, oldest first: clips that are held, and releases. Closed ones: of releases only."""
    from pipeline.app import open_app
    from registry import cases
    from registry.db import read

    if state not in STATES:
        raise UsageError(f"there is no state {state[:40]!r} of cases; choose one of: {', '.join(STATES)}")
    wanted = None if state == "all" else state
    with open_app(load(home)) as opened:
        if state == cases.OPEN and release is None:
            told = opened.reviews.waiting(after=after, limit=limit)
        else:
            with read(opened.engine) as conn:
                page = cases.page(conn, state=wanted, release_id=release, after=after, limit=limit)
            told = [opened.reviews.show(case.id) for case in page]
    for case in told:
        output.say(f"{case['id']}  {case['kind']}, {case['state']}: {_about(case)}")
    output.say(f"{len(told)} {'case' if len(told) == 1 else 'cases'}.")
    if as_json:
        output.answer(told)
    return output.OK


@app.command("next")
@output.command
def next_case(by: By = "", home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Take the oldest case that you may decide; for ten minutes nobody else gets it."""
    from pipeline.app import open_app

    with open_app(load(home)) as opened:
        told = opened.reviews.take_next(who(by))
    if told is None:
        output.say("No case waits for you.")
    else:
        _say(told)
    if as_json:
        output.answer(told)
    return output.OK


@app.command("show")
@output.command
def show(case: Number, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Show a case with its reasons."""
    from pipeline.app import open_app

    with open_app(load(home)) as opened:
        told = opened.reviews.show(case)
    _say(told)
    if as_json:
        output.answer(told)
    return output.OK


@app.command("uphold")
@output.command
def uphold(
    case: Number, why: Why = "", by: By = "", home: output.Home = None, as_json: output.AsJson = False
) -> int:
    """Decide that it may not be out: the held clip is refused, the release stays withdrawn."""
    from pipeline.app import open_app
    from pipeline.optouts.order import plain

    with open_app(load(home)) as opened:
        done = opened.reviews.block(case, who(by), plain("why", why))
        told = opened.reviews.show(case)
    output.say(f"Upheld: {_about(told)} is {done.about}.", style="bold")
    if as_json:
        output.answer(told | _now(told, done.about))
    return output.OK


@app.command("dismiss")
@output.command
def dismiss(
    case: Number, why: Why = "", by: By = "", home: output.Home = None, as_json: output.AsJson = False
) -> int:
    """Decide that what was found is none: the held clip is judged anew and goes on, the release is served
    again if only this case held it back. Where somebody's likeness is in it, two people have to agree.
    """
    from pipeline.app import open_app
    from pipeline.optouts.order import plain
    from registry.cases import OPEN

    with open_app(load(home)) as opened:
        done = opened.reviews.release(case, who(by), plain("why", why))
        now = _go_on(opened, done.job) if done.job and done.state != OPEN else done.about
        told = opened.reviews.show(case)
    waits = ", and waits for a second person" if done.state == OPEN else ""
    output.say(f"Dismissed: {_about(told)} is {now}{waits}.", style="bold")
    if as_json:
        output.answer(told | _now(told, now))
    return output.OK


@app.command("ask")
@output.command
def ask(
    case: Number,
    subject: Annotated[
        list[str] | None, typer.Option(help="Only about this subject; several times for several.")
    ] = None,
    by: By = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Ask the holders of what was found in a held clip, whatever their wish: a no refuses it, after a yes or
    without an answer in time people decide.
    """
    from pipeline.app import open_app

    with open_app(load(home)) as opened:
        opened.reviews.ask(case, who(by), subject or ())
        told: Any = opened.reviews.show(case)
    for one in told["asked"]:
        output.say(f"Asked about {one['name']} ({one['owner']}), until {one['due_at']}.", style="bold")
    if as_json:
        output.answer(told)
    return output.OK


def _go_on(opened: "App", job_id: str) -> str:
    """Go on with what is open, as `create` does first; the state of this job then."""
    with output.bar("going on") as bar:
        for resumed in opened.resume(observer(bar)):
            say_resumed(resumed, opened.settings)
    return str(opened.job(job_id).state)


def _now(case: Mapping[str, Any], state: str) -> dict[str, str]:
    return {"release_state" if case["release"] else "job_state": state}


def _about(case: Mapping[str, Any]) -> str:
    return f"release {case['release']}" if case["release"] else f"job {case['job']}"


def _say(case: Mapping[str, Any]) -> None:
    output.say(f"{case['id']}: {case['kind']} about {_about(case)}, {case['state']}", style="bold")
    for text in case["texts"]:
        output.say(f"  “{text}”")
    for reason in case["reasons"]:
        output.say(f"  {line_of(reason)}")
    for vote in case["votes"]:
        output.say(f"  {vote['decision']} said {vote['by']} at {vote['at']}: {vote['why'] or 'no words'}")
    for one in case["asked"]:
        output.say(f"  asked about {one['name']} ({one['owner']}) at {one['asked_at']}: {one['state']}")
    if case["needed"] > 1 and case["state"] == "open":
        output.say(f"  {case['needed']} people have to agree before it may leave.")
    if case["decided_by"]:
        words = case["decision"] or "no words"
        output.say(f"  {case['state']} at {case['closed_at']} by {case['decided_by']}: {words}")


def who(by: str) -> str:
    """Who decides: as it was said, or the user of this machine. Raises: UsageError."""
    from pipeline.optouts.order import plain

    if by:
        return plain("by", by)
    try:
        return plain("by", getpass.getuser())
    except (KeyError, OSError):
        raise UsageError("this machine does not know who you are; say it with --by") from None
