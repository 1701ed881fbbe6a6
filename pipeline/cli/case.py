"""`countermark case`: releases that a person has to look at, and what is decided about them."""

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import output
from pipeline.errors import UsageError
from pipeline.settings import load
from pipeline.telling import line_of

if TYPE_CHECKING:
    from registry.cases import Case

app = typer.Typer(help="Cases: released clips that a person has to look at.", no_args_is_help=True)

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
    """List cases, oldest first."""
    from pipeline.app import open_app
    from registry import cases
    from registry.db import read

    if state not in STATES:
        raise UsageError(f"there is no state {state[:40]!r} of cases; choose one of: {', '.join(STATES)}")
    wanted = None if state == "all" else state
    with open_app(load(home)) as opened, read(opened.engine) as conn:
        found = cases.page(conn, state=wanted, release_id=release, after=after, limit=limit)
    for case in found:
        output.say(f"{case.id}  {case.kind}, {case.state}: release {case.release_id}")
    output.say(f"{len(found)} {'case' if len(found) == 1 else 'cases'}.")
    if as_json:
        output.answer([_document(case) for case in found])
    return output.OK


@app.command("show")
@output.command
def show(case: Number, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Show a case with its reasons."""
    from pipeline.app import open_app
    from registry import cases
    from registry.db import read

    with open_app(load(home)) as opened, read(opened.engine) as conn:
        found = cases.get(conn, case)
    output.say(f"{found.id}: {found.kind} about release {found.release_id}, {found.state}", style="bold")
    for reason in found.reasons:
        output.say(f"  {line_of(reason)}")
    if found.closed_at:
        output.say(
            f"  {found.state} at {found.closed_at} by {found.decided_by}: {found.decision or 'no words'}"
        )
    if as_json:
        output.answer(_document(found))
    return output.OK


@app.command("uphold")
@output.command
def uphold(
    case: Number, why: Why = "", by: By = "", home: output.Home = None, as_json: output.AsJson = False
) -> int:
    """Decide that the release may not be served: it is withdrawn, or stays so."""
    from pipeline.app import open_app
    from pipeline.optouts.order import plain

    with open_app(load(home)) as opened:
        found = opened.uphold(case, _who(by), plain("why", why))
    output.say(f"Upheld: {found.release_id} is not served.", style="bold")
    if as_json:
        output.answer(_document(found))
    return output.OK


@app.command("dismiss")
@output.command
def dismiss(
    case: Number, why: Why = "", by: By = "", home: output.Home = None, as_json: output.AsJson = False
) -> int:
    """Decide that the case is none: the release is served again, if only this case held it back.

    It is compared with what owners wish now first.
    """
    from pipeline.app import open_app
    from pipeline.optouts.order import plain

    with open_app(load(home)) as opened:
        found, release = opened.dismiss(case, _who(by), plain("why", why))
    output.say(f"Dismissed: {release.id} is {release.state}.", style="bold")
    if as_json:
        output.answer(_document(found) | {"release_state": str(release.state)})
    return output.OK


def _who(by: str) -> str:
    from pipeline.optouts.order import plain

    if by:
        return plain("by", by)
    try:
        return plain("by", getpass.getuser())
    except (KeyError, OSError):
        raise UsageError("this machine does not know who you are; say it with --by") from None


def _document(case: "Case") -> dict[str, Any]:
    return {
        "id": case.id, "kind": case.kind, "release": case.release_id, "about": case.about,
        "reasons": list(case.reasons), "state": case.state, "opened_at": case.opened_at,
        "closed_at": case.closed_at, "decided_by": case.decided_by, "decision": case.decision,
    }  # fmt: skip
