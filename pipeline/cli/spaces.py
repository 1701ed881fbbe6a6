"""`countermark spaces`: which models' vectors the registry has, and the way from one to the next."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from pipeline.cli import output
from pipeline.settings import load

app = typer.Typer(
    help="Spaces of vectors: what each model's has, and retiring an old one.", no_args_is_help=True
)

Space = Annotated[str, typer.Argument(help="The space, as `spaces list` shows it.", show_default=False)]


@app.command("list")
@output.command
def list_spaces(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """All spaces, and how many subjects each has and lacks."""
    from pipeline.app import open_app
    from registry import spaces

    with open_app(load(home)) as opened:
        found = spaces.list_spaces(opened.engine)
    for one in found:
        state = f"retired for {one.into}" if one.into else f"lacks {one.lacking}"
        used = (
            f"calibration {one.calibration_version}, {one.calibration[:16]}" if one.calibration else "unused"
        )
        output.say(
            f"  {one.id} ({', '.join(one.kinds) or 'empty'}): {one.subjects} subjects, {state}; {used}"
        )
    if as_json:
        rows: list[dict[str, Any]] = [asdict(one) | {"kinds": list(one.kinds)} for one in found]
        output.answer(rows)
    return output.OK


@app.command("lacking")
@output.command
def lacking(
    space: Space,
    after: Annotated[str, typer.Option(help="The last id of the page before.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Ids of subjects that have to be embedded again: with vectors elsewhere that this space lacks."""
    from pipeline.app import open_app
    from registry import spaces

    with open_app(load(home)) as opened:
        found = spaces.lacking(opened.engine, space, after=after, limit=limit)
    for subject in found:
        output.say(f"  {subject}")
    if as_json:
        output.answer(found)
    return output.OK


@app.command("retire")
@output.command
def retire(
    space: Space,
    into: Annotated[str, typer.Option(help="The space that has all of it.")],
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Compare no longer with a space, once another has all of it; refused as long as anybody is missing."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import spaces

    with open_app(load(home)) as opened:
        seq = spaces.retire(opened.engine, space, into=into, now=clock(), sign_checkpoint=opened.signer)
    output.say(f"Retired. Registry sequence {seq}; {into} serves alone.")
    if as_json:
        output.answer({"space": space, "into": into, "seq": seq})
    return output.OK
