"""`countermark calibrate`: thresholds for a false-positive rate, as a versioned file with a plot."""

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.errors import UsageError
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.calibrating.files import Written
    from pipeline.calibrating.material import Material
    from pipeline.settings import Settings

KINDS: Final = ("frames", "prompts", "sentences", "faces")
USUAL: Final = ("frames", "prompts")
DRAWN: Final = ("frames", "prompts", "sentences")
"""The project draws no faces."""
GROUPS: Final = 10
MAX_GROUPS: Final = 500


def calibrate(
    model: Annotated[
        str, typer.Option(help="open_clip model by folder, name or hub id; default: that of the settings.")
    ] = "",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What to measure: {', '.join(KINDS)}. Default: {' and '.join(USUAL)}. Repeatable."
        ),
    ] = None,
    material: Annotated[
        Path | None, typer.Option(help="Folder of labelled material; without: designs that are drawn.")
    ] = None,
    ordinary: Annotated[
        Path | None, typer.Option(help="Prompts that mean nobody, one a line, beside drawn material.")
    ] = None,
    false_positives: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Share of strangers that may be held.")
    ] = 0.01,
    look_alikes: Annotated[
        float | None, typer.Option(min=0.0001, max=0.99, help="Share of look-alikes that may be held.")
    ] = None,
    groups: Annotated[
        int, typer.Option(min=1, max=MAX_GROUPS, help="Groups of twenty designs that are drawn.")
    ] = GROUPS,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the files; default: calibrations in the home.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a calibration that is there.")] = False,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Fit the thresholds of a model, and write them with figures of how far they can be believed."""
    settings = load(home)
    kinds = _kinds(kind or list(USUAL), material)
    given = _material(material, ordinary, groups, settings)
    folder = out or settings.home / "calibrations"
    command = _command(kinds, material, false_positives, look_alikes, groups)
    written = _made(settings, model, kinds, given, (false_positives, look_alikes), folder, command, force)
    for one in written:
        _say(one)
    if as_json:
        output.answer([_document(one) for one in written])
    return output.OK


def _kinds(asked: list[str], material: Path | None) -> list[str]:
    for name in asked:
        if name not in KINDS:
            raise UsageError(f"{name[:40]!r} cannot be measured; choose from {', '.join(KINDS)}")
        if material is None and name not in DRAWN:
            raise UsageError(f"the project draws no {name}; name a folder of your own with --material")
    return list(dict.fromkeys(asked))


def _material(folder: Path | None, ordinary: Path | None, groups: int, settings: "Settings") -> "Material":
    from pipeline.calibrating.drawn import DrawnMaterial
    from pipeline.calibrating.folder import FolderMaterial, lines
    from pipeline.media.limits import media_limits

    if ordinary is not None and not ordinary.is_file():
        raise UsageError(f"{ordinary} is not a file; name one with a prompt a line")
    if folder is None:
        return DrawnMaterial(count=groups, ordinary=lines(ordinary) if ordinary else ())
    if ordinary is not None:
        raise UsageError("with --material, ordinary prompts come from its ordinary/prompts.txt")
    return FolderMaterial(folder, media_limits(settings))


def _made(
    settings: "Settings", model: str, kinds: list[str], material: "Material",
    shares: tuple[float, float | None], folder: Path, command: str, force: bool,
) -> "list[Written]":  # fmt: skip
    from classifiers.fitting import Target
    from pipeline.calibrating.files import in_force, refuse_to_overwrite, write
    from pipeline.calibrating.measure import Measured, Order, measure
    from pipeline.clock import clock
    from pipeline.eyes import Eyes

    named = settings.model_copy(update={"clip_model": model, "clip_sha256": None} if model else {})
    eyes = Eyes.of(named)
    for space in _spaces(kinds, eyes):
        refuse_to_overwrite(folder, space, force=force)
    order = Order(
        kinds=[Measured(name) for name in kinds], material=material,
        target=Target(strangers=shares[0], alike=shares[1]),
        made={
            "command": command, "date": clock()[:10], "model": _model_name(kinds, eyes),
            "countermark": importlib.metadata.version("countermark"),
        },
    )  # fmt: skip
    folders = [folder, settings.home / "calibrations"]
    made = measure(order, eyes, lambda space: in_force(space, folders, damaged=force), output.say)
    return [write(calibration, folder, force=force) for calibration in made]


def _spaces(kinds: list[str], eyes: Any) -> list[str]:
    from classifiers.drawn import spaces_of

    of = {"frames": "clip", "prompts": "clip", "sentences": "minilm", "faces": "faces"}
    spaces = [str(getattr(eyes, of[name]).space) for name in kinds]
    return list(dict.fromkeys(one for space in spaces for one in spaces_of(space)))


def _model_name(kinds: list[str], eyes: Any) -> str:
    """What the record calls the model; folders of this machine are nobody's business."""
    name = str(eyes.clip.name) if {"frames", "prompts"} & set(kinds) else ", ".join(kinds)
    return Path(name).name if Path(name).is_absolute() else name


def _command(
    kinds: list[str], material: Path | None, strangers: float, alike: float | None, groups: int
) -> str:
    told = ["countermark calibrate", *(f"--kind {name}" for name in kinds)]
    told += [f"--false-positives {strangers:g}", *([f"--look-alikes {alike:g}"] if alike is not None else [])]
    return " ".join([*told, "--material FOLDER" if material else f"--groups {groups}"])


def _say(written: "Written") -> None:
    made = written.calibration
    output.say(f"{made.space}, calibration {made.version}: {written.file}")
    for name, found in made.reliability.items():
        output.say(
            f"  {name}: from {made.layers[name].threshold:.4f} on; of what was left out, found {found.found} "
            f"of {found.own}, strangers {found.passed} of {found.strangers}; ECE {found.ece:.3f}, "
            f"Brier {found.brier:.3f}"
        )
    output.say(f"  diagram: {written.plot}")


def _document(written: "Written") -> dict[str, Any]:
    from dataclasses import asdict

    made = written.calibration
    return {
        "space": made.space, "version": made.version, "sha256": made.digest, "file": str(written.file),
        "plot": str(written.plot), "made": dict(made.made),
        "layers": {name: asdict(layer) for name, layer in made.layers.items()},
        "reliability": {name: asdict(found) for name, found in made.reliability.items()},
    }  # fmt: skip
