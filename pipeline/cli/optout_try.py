"""`countermark optout try`: what an opt-out would stop, before it is made. Nothing is registered."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli import optout, output
from pipeline.settings import load


def try_optout(
    name: Annotated[str, typer.Argument(help="Whom or what to protect; after -- if it begins with a dash.")],
    kind: Annotated[str, typer.Option(help="character, person, logo, artwork or portfolio.")] = "character",
    alias: Annotated[optout.Many, typer.Option(help="Another name; may be repeated.")] = None,
    picture: Annotated[list[Path] | None, typer.Option(help="A picture that shows it; repeatable.")] = None,
    negative: Annotated[list[Path] | None, typer.Option(help="A picture of what is not meant.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who says no.")] = None,
    description: Annotated[str, typer.Option(help="What it looks like, in a sentence.")] = "",
    attribute: Annotated[optout.Many, typer.Option(help="One thing to tell it by; may be repeated.")] = None,
    context: Annotated[optout.Many, typer.Option(help="A word that stands near the name.")] = None,
    mode: Annotated[str, typer.Option(help="block, ask or allow.")] = "block",
    prompt: Annotated[optout.Many, typer.Option(help="A prompt to try it on; may be repeated.")] = None,
    clip: Annotated[list[Path] | None, typer.Option(help="A clip to try it on; may be repeated.")] = None,
    policy: Annotated[str | None, typer.Option(help="The policy preset; default: the setting.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Say what an opt-out would stop: ordinary prompts, given prompts and clips, what is out already."""
    from pipeline.app import open_app
    from pipeline.optouts.order import parse_order

    told = {"aliases": alias, "attributes": attribute, "context": context, "owner": owner}
    values: dict[str, Any] = {key: value for key, value in told.items() if value}
    values |= {"kind": kind, "name": name, "description": description, "mode": mode}
    order = parse_order(values)
    with open_app(load(home)) as opened:
        trial = opened.try_out(optout.desk_of(opened), policy)
        answer = trial.run(order, picture or (), negative or (), prompt or (), clip or ())
    _say(answer)
    if as_json:
        output.answer(answer)
    return output.OK if answer["refused"] is None else output.FOUND


def _say(answer: Any) -> None:
    for one in answer["names"]:
        if "why" in one:
            output.say(f"  {one['text']}: refused. {one['why']}")
        else:
            output.say(
                f"  {one['text']}: {one['tier']}, in {one['hits']} of {one['prompts']} ordinary prompts"
            )
    if answer["refused"] is not None:
        output.say(f"It would not be registered: {answer['refused']}", style="bold")
        return
    for note in answer["notes"]:
        output.say(f"  {note}")
    for one in (*answer["prompts"], *answer["clips"]):
        whom = one.get("prompt") or one.get("clip")
        output.say(f"  {one['now']} → {one['with_it']}: {whom}")
    for one in answer["alike"]:
        output.say(
            f"  {one['what']} {one['mine'][:20]} is too much like that of {one['name']} ({one['subject']})"
        )
    past = answer["past"]
    output.say(
        f"Of {past['compared']} releases {past['withdrawn']} would be withdrawn and {past['held_back']} held "
        "back. Nothing was registered.", style="bold",
    )  # fmt: skip
