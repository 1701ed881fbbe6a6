"""`countermark create`: a prompt becomes a release, or a refusal with reasons."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import output, use_options
from pipeline.cli.release_words import observer, say_outcome, say_resumed
from pipeline.policy import PRESETS
from pipeline.settings import load

DEFAULT_SECONDS = 3.0


def create(
    prompt: Annotated[
        str, typer.Argument(help="What the clip is to show; after -- if it begins with a dash.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Where the released MP4 goes; default: in the home only."),
    ] = None,
    generator: Annotated[
        str | None,
        typer.Option(help="embedded, scene, or diffusion:FOLDER; default: the setting `generator`."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.5, max=600, help="Length of the clip.")] = DEFAULT_SECONDS,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed draws the same clip.")] = None,
    size: Annotated[str | None, typer.Option(help="Pixels, as 512x512.")] = None,
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
    """Draw a clip, unless the prompt or the clip meets an opt-out; mark it, sign it and release it."""
    from pipeline.app import open_app
    from pipeline.delivery import deliver
    from pipeline.orders import CreateOrder, parse_size

    settings = load(home)
    if out is not None:
        output.check_target(out)
    width, height = parse_size(size)
    order = CreateOrder(
        prompt=prompt, policy=policy or settings.policy, generator=generator or settings.generator,
        seconds=seconds, seed=seed, width=width, height=height, enhanced=enhanced,
        use=use_options.use_of(region, purpose, content, tag),
    )  # fmt: skip
    with open_app(settings) as app, output.bar("opening") as bar:
        observe = observer(bar)
        for resumed in app.resume(observe):
            say_resumed(resumed, settings)
        outcome = app.create(order, observe)
        if outcome.file is not None and out is not None:
            deliver(outcome.file, out)
    return say_outcome(outcome, out, settings, as_json=as_json)
