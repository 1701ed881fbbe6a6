"""`countermark optout extend`: more names and pictures for an opt-out, or pictures of what is not meant."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import optout, output, speaking
from pipeline.errors import UsageError
from pipeline.settings import load


def extend(
    subject: Annotated[str, typer.Argument(metavar="ID", help="The opt-out's number.")],
    alias: Annotated[optout.Many, typer.Option(help="Another name; may be repeated.")] = None,
    picture: Annotated[
        list[Path] | None, typer.Option(help="A PNG, JPEG or WebP that shows it; may be repeated.")
    ] = None,
    negative: Annotated[
        list[Path] | None, typer.Option(help="A picture of what looks alike and is not meant.")
    ] = None,
    context: Annotated[
        optout.Many, typer.Option(help="A word that stands near an alias where it is meant; may be repeated.")
    ] = None,
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Add names or pictures to an opt-out, or pictures of look-alikes that are not meant."""
    from pipeline.app import open_app
    from pipeline.optouts.desk import more_of

    if not (alias or picture or negative):
        raise UsageError("say what to add: --alias NAME, --picture FILE or --negative FILE")
    with open_app(load(home)) as opened:
        desk = optout.desk_of(opened)
        more = more_of(desk.show(subject), alias or (), context or ())
        with output.bar("looking at the pictures", "pictures") as bar:
            who = speaking.party_of(opened.engine, by)
            made = desk.extend(subject, more, picture or (), negative or (), bar.at, by=who)
        for note in (*made.notes, *(name.sentence() for name in made.names)):
            output.say(f"  {note}")
        said = "extended" if made.new else "was registered before with all of this: nothing changed"
        output.say(f"{made.name} {said}. Registry sequence {made.sequence:,}.", style="bold")
        if as_json:
            output.answer(made.to_json())
        return optout.look_back(opened)
