"""`countermark create`: a prompt becomes a release, or a refusal with reasons; what it is to begin with comes
as a file.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import output, use_options
from pipeline.cli.release_words import observer, say_outcome, say_resumed
from pipeline.errors import UsageError
from pipeline.policy import PRESETS, Sound
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
    image: Annotated[
        Path | None,
        typer.Option(help="A picture that the clip begins with: PNG, JPEG or WebP.", show_default=False),
    ] = None,
    extend: Annotated[
        Path | None,
        typer.Option(help="A clip to go on with; the release holds it and then the new part."),
    ] = None,
    audio: Annotated[
        Sound | None,
        typer.Option(
            help="With --extend: what becomes of the old clip's sound; default: the setting `sound`."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.5, max=600, help="Length of the clip; with --extend, of the new part.")
    ] = DEFAULT_SECONDS,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed draws the same clip.")] = None,
    size: Annotated[
        str | None, typer.Option(help="Pixels, as 512x512; not with --extend, which keeps the clip's own.")
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
    """Draw a clip, unless the prompt or the clip meets an opt-out; mark it, sign it and release it."""
    from pipeline.app import open_app
    from pipeline.delivery import deliver
    from pipeline.orders import CreateOrder, parse_size

    settings = load(home)
    if out is not None:
        output.check_target(out, *(path for path in (image, extend) if path is not None))
    width, height = parse_size(size)
    order = CreateOrder(
        prompt=prompt, policy=policy or settings.policy, generator=generator or settings.generator,
        seconds=seconds, seed=seed, width=width, height=height, enhanced=enhanced,
        image=image, extends=extend, sound=_sound(audio, extend, settings.sound),
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


def _sound(asked: Sound | None, extend: Path | None, default: str) -> Sound:
    """What becomes of sound; what a model draws has none. Raises: UsageError."""
    if extend is None:
        if asked is not None:
            raise UsageError("--audio is about the sound of a clip that is gone on with; add --extend")
        return Sound.HOLD
    return asked or Sound(default)
