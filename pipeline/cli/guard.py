"""`countermark guard`: a clip made elsewhere becomes a release."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import output, use_options
from pipeline.cli.release_words import observer, say_outcome, say_resumed
from pipeline.policy import PRESETS, Sound
from pipeline.settings import load


def guard(
    clip: Annotated[Path, typer.Argument(help="The clip: MP4, MOV, WebM, MKV or GIF.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Where the released MP4 goes; default: in the home only."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help=f"Policy preset: {', '.join(PRESETS)}; default: the setting `policy`."),
    ] = None,
    audio: Annotated[
        Sound | None,
        typer.Option(help="What to do with sound that no check listens to; default: the setting `sound`."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="The prompt that the clip was made from, if known.")
    ] = None,
    enhanced: use_options.Enhanced = None,
    material: Annotated[
        list[Path] | None,
        typer.Option("--from-file", help="A picture or clip that it was made from; once for each."),
    ] = None,
    region: use_options.Region = "",
    purpose: use_options.Purpose = "",
    content: use_options.ContentClass = "",
    tag: use_options.Tags = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Mark a clip visibly and invisibly, sign it, and release it, or say why not."""
    from pipeline.app import open_app
    from pipeline.delivery import deliver
    from pipeline.orders import GuardOrder

    settings = load(home)
    if out is not None:
        output.check_target(out, clip)
    with open_app(settings) as app, output.bar("opening") as bar:
        observe = observer(bar)
        for resumed in app.resume(observe):
            say_resumed(resumed, settings)
        order = GuardOrder(
            source=clip, policy=policy or settings.policy, sound=audio or Sound(settings.sound),
            prompt=prompt, enhanced=enhanced, material=tuple(material or ()),
            use=use_options.use_of(region, purpose, content, tag),
        )  # fmt: skip
        outcome = app.guard(order, observe)
        if outcome.file is not None and out is not None:
            deliver(outcome.file, out)
    return say_outcome(outcome, out, settings, as_json=as_json)
