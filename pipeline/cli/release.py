"""`countermark release`: what is out, stop serving it, serve it again."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import output
from pipeline.settings import load

if TYPE_CHECKING:
    from registry.types import Release

app = typer.Typer(help="Releases: show one, stop serving it, serve it again.", no_args_is_help=True)

Number = Annotated[str, typer.Argument(metavar="ID", help="The release's number.", show_default=False)]
Why = Annotated[str, typer.Option(help="The reason; it is kept, and not public.")]


@app.command("show")
@output.command
def show(release: Number, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Show a release: whether it is served, what stands against it, what it was made from, its cases."""
    from pipeline.app import open_app
    from registry import cases, parents, recalls
    from registry.db import read
    from registry.release_rows import demand

    with open_app(load(home)) as opened, read(opened.engine) as conn:
        found = demand(conn, release)
        document = _document(found) | {
            "stops": [asdict(stop) for stop in recalls.standing(conn, release)],
            "parents": [asdict(parent) for parent in parents.of(conn, release)],
            "made_from_it": sorted(parents.descendants(conn, release)),
            "cases": [
                {"id": case.id, "kind": case.kind, "state": case.state}
                for case in cases.page(conn, state=None, release_id=release)
            ],
        }
    output.say(f"{found.id}: {found.state}, published {found.published_at}", style="bold")
    for stop in document["stops"]:
        output.say(f"  stopped since log entry {stop['since_seq']}: {stop['cause']} {stop['about']}".rstrip())
    for parent in document["parents"]:
        output.say(f"  made from {parent['release']} ({parent['relation']}, by its {parent['evidence']})")
    for case in document["cases"]:
        output.say(f"  case {case['id']}: {case['kind']}, {case['state']}")
    if as_json:
        output.answer(document)
    return output.OK


@app.command("withdraw")
@output.command
def withdraw(release: Number, why: Why = "", home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Stop serving a release. What was made from it becomes cases."""
    from pipeline.app import open_app
    from pipeline.optouts.order import plain

    with open_app(load(home)) as opened:
        found = opened.withdraw(release, plain("why", why))
    output.say(f"{found.id} is not served any more.", style="bold")
    if as_json:
        output.answer(_document(found))
    return output.OK


@app.command("reinstate")
@output.command
def reinstate(
    release: Number, why: Why = "", home: output.Home = None, as_json: output.AsJson = False
) -> int:
    """Serve a withdrawn release again, if nothing that its owners wish forbids it now.

    It is compared with every opt-out first. What was made from it comes back in the same way.
    """
    from pipeline.app import open_app
    from pipeline.optouts.order import plain

    with open_app(load(home)) as opened:
        found = opened.reinstate(release, plain("why", why))
    output.say(f"{found.id} is served again.", style="bold")
    if as_json:
        output.answer(_document(found))
    return output.OK


def _document(release: "Release") -> dict[str, Any]:
    return {
        "id": release.id, "state": str(release.state), "published_at": release.published_at,
        "urn": release.urn, "payload": release.payload, "file_sha256": release.file_sha256,
        "log_seq": release.log_seq, "state_seq": release.state_seq,
        "account": release.facts.get("account", ""),
    }  # fmt: skip
