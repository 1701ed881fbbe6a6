"""Makes calibrations: material through gauges, scores to thresholds, one calibration for each space.

1. What was asked for is measured; what a space's calibration in force says of other kinds stays in it.
2. The version is one more than that of the calibration in force, so that decisions can tell them apart.
3. Too little material makes no calibration, and nothing is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import numpy as np

from classifiers.base import Embedder, Picture, TextEmbedder, Vectors
from classifiers.drawn import spaces_of
from classifiers.fitting import Scores, Target, demand, fitted, reliability
from classifiers.thresholds import Calibration
from pipeline.calibrating.gauges import Frames, Gauge, Likeness, Portraits, Prompts, Sentences
from pipeline.calibrating.material import Group, Material
from pipeline.checks import Faces
from pipeline.errors import UsageError

LEAST_COHORT: Final = 20
"""Fewer pictures of nobody are no cohort."""

Say = Callable[[str], None]
Before = Callable[[str], Calibration | None]
"""The calibration in force of a space."""


class Measured(StrEnum):
    """What can be measured."""

    FRAMES = "frames"
    PROMPTS = "prompts"
    SENTENCES = "sentences"
    FACES = "faces"


class Models(Protocol):
    """The models that are calibrated (`pipeline.eyes.Eyes`); each is loaded when it is asked for."""

    @property
    def clip(self) -> Embedder: ...  # noqa: D102
    @property
    def minilm(self) -> TextEmbedder: ...  # noqa: D102
    @property
    def faces(self) -> Faces: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to measure, on what, for which shares, and what the record says beside (`made`)."""

    kinds: Sequence[Measured]
    material: Material
    target: Target
    made: Mapping[str, str]


def measure(order: Order, models: Models, before: Before, say: Say) -> list[Calibration]:
    """A calibration for each space that `order` is about. Raises: TooFewScores, UsageError, and what reading
    the material raises.
    """
    gauges = _gauges(order, models, before)
    eyes = _Eyes(order.kinds, models)
    for number, group in enumerate(order.material.groups(), start=1):
        say(f"group {number}: {len(group.registered)} subjects")
        _take(group, gauges, eyes)
    made = []
    for space in dict.fromkeys(gauge.space for gauge in gauges):
        mine = [gauge for gauge in gauges if gauge.space == space]
        made.append(_calibration(space, mine, order, before(space)))
    return made


def _gauges(order: Order, models: Models, before: Before) -> list[Gauge]:
    ordinary = order.material.ordinary
    made: list[Gauge] = []
    if Measured.FRAMES in order.kinds:
        made.append(Frames(models.clip, _cohort(order.material.cohort(), models.clip)))
    if Measured.PROMPTS in order.kinds:
        made.append(Prompts(models.clip, ordinary))
    if Measured.SENTENCES in order.kinds:
        known = before(models.minilm.space)
        if known is None:
            raise UsageError(
                f"there is no calibration of {models.minilm.space} whose weights of clauses could be kept"
            )
        made.append(Sentences(models.minilm, known, ordinary))
    if Measured.FACES in order.kinds:
        portraits = Portraits(models.faces)
        made += [Likeness(portraits, space) for space in spaces_of(models.faces.space)]
    return made


def _cohort(pictures: Sequence[Picture], clip: Embedder) -> Vectors:
    if len(pictures) < LEAST_COHORT:
        return np.zeros((0, 0), np.float32)
    vectors = clip.embed_images(list(pictures))
    return np.asarray(vectors.astype(np.float16), dtype=np.float32)  # as the file keeps it


def _take(group: Group, gauges: Sequence[Gauge], eyes: "_Eyes") -> None:
    for gauge in gauges:
        gauge.register(group)
    for subject in group.registered:
        for show in subject.shows if eyes.looks else ():
            sight = show.seen(eyes)
            for gauge in gauges:
                gauge.show(sight, subject.name)
        for show in subject.alike if eyes.looks else ():
            sight = show.seen(eyes)
            for gauge in gauges:
                gauge.show(sight, subject.name, alike=True)
        for gauge in gauges:
            gauge.say(subject.prompts, subject.name)
    for show in group.shows if eyes.looks else ():
        sight = show.seen(eyes)
        for gauge in gauges:
            gauge.show(sight, None)
    for gauge in gauges:
        gauge.say(group.prompts, None)


def _calibration(space: str, gauges: Sequence[Gauge], order: Order, known: Calibration | None) -> Calibration:
    layers = dict(known.layers) if known else {}
    numbers = dict(known.numbers) if known else {}
    measured = dict(known.reliability) if known else {}
    cohort = known.cohort if known else np.zeros((0, 0), np.float32)
    whitening = known.whitening if known else np.zeros((0, 0), np.float32)
    told: dict[str, str] = {}
    for gauge in gauges:
        for layer, scores in gauge.scores(order.target).items():
            demand(scores, layer, order.target)
            layers[layer] = fitted(scores, order.target)
            measured[layer] = reliability(scores, order.target)
            told |= _told(layer, scores, layers[layer].threshold)
        numbers |= gauge.numbers(order.target)
        cohort = gauge.cohort if isinstance(gauge, Frames) else cohort
        if isinstance(gauge, Likeness) and gauge.faceless:
            told["clips and pictures without a face"] = str(gauge.faceless)
    return Calibration(
        space=space, version=known.version + 1 if known else 1,
        made={**order.made, "data": order.material.told, "threshold": _aim(order.target), **told},
        layers=layers, numbers=numbers, cohort=cohort, whitening=whitening, reliability=measured,
    )  # fmt: skip


def _told(layer: str, scores: Scores, threshold: float) -> dict[str, str]:
    """Shares over the threshold on all that it was fitted on; `reliability` has them on what it was not."""
    sides = {"found": scores.own, "look-alikes held": scores.alike, "ordinary held": scores.ordinary}
    return {
        f"{layer} {name}": f"{np.mean(np.array(values) >= threshold):.3f} of {len(values)}"
        for name, values in sides.items()
        if values
    }


def _aim(target: Target) -> str:
    aim = f"{target.strangers:g} of strangers held, with all subjects of a group registered"
    return aim + (f"; at most {target.alike:g} of look-alikes" if target.alike is not None else "")


class _Eyes:
    """The models, of which only those look that something is measured of."""

    def __init__(self, kinds: Sequence[Measured], models: Models) -> None:
        self.looks = Measured.FRAMES in kinds or Measured.FACES in kinds
        self.clip: Embedder = models.clip if Measured.FRAMES in kinds else Unasked()
        self.faces: Faces = models.faces if Measured.FACES in kinds else Unasked()
        self.words = Unasked()


class Unasked:
    """Stands where nothing is measured: it sees nothing, and what it saw is compared with nothing."""

    space = "unasked"
    dimension = 1

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        """A vector of zero each."""
        return np.zeros((len(images), 1), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """A vector of zero each."""
        return np.zeros((len(texts), 1), np.float32)

    def look(self, _picture: Picture) -> tuple[()]:
        """No face."""
        return ()
