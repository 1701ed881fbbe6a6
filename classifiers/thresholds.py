"""Calibrations: what a score means in one embedding space, measured once and kept as a versioned file.

Scores of two models are never comparable, so a threshold belongs to one space, and a space without a
calibration is missing: nothing is looked at with it. A calibration says how it was made.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.base import Vectors
from classifiers.errors import CalibrationMissing, CalibrationUnusable

FORMAT: Final = "countermark-calibration/1"
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_COHORT: Final = 4096
SUFFIX: Final = ".json"
HOW: Final = "python -m benchmarks.calibrate"
HOW_PROMPTS: Final = "python -m benchmarks.calibrate_prompts"

FRAME_PICTURE: Final = "frame_picture"
PROMPT_PICTURE: Final = "prompt_picture"
PROMPT_DESCRIPTION: Final = "prompt_description"
FACE_PORTRAIT: Final = "face_portrait"
"""Names of layers: what was seen, what it is compared with. Other checks may add their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One kind of comparison: a score counts from ``threshold`` on.

    ``slope``, ``intercept``: the logistic curve from score to probability, fitted on as many clips or
    prompts of registered subjects as of others: an even prior, not that of a service.
    """

    threshold: float
    slope: float
    intercept: float

    def probability(self, score: float) -> float:
        """The probability of a match, 0 to 1, at even prior odds."""
        exponent = min(max(self.slope * score + self.intercept, -60.0), 60.0)
        return 1 / (1 + math.exp(-exponent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All that was measured of one space.

    ``made``: command, date, data, figures, as text. ``numbers``: what else a layer's score needs.
    ``cohort``: unit vectors ``float32[n, d]`` of pictures of nobody who is registered; n may be 0.
    """

    space: str
    version: int
    made: Mapping[str, str]
    layers: Mapping[str, Layer]
    numbers: Mapping[str, float] = field(default_factory=dict)
    cohort: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def layer(self, name: str) -> Layer:
        """The layer called `name`. Raises: CalibrationMissing when this space was not calibrated for it."""
        found = self.layers.get(name)
        if found is None:
            raise CalibrationMissing(
                f"the calibration of {self.space} says nothing about {name}; make it again with {HOW}"
            )
        return found


def load(space: str, folders: Sequence[Path] = ()) -> Calibration:
    """The calibration of `space`: from the first of `folders` that has one, else the one that ships.

    Raises: CalibrationMissing, CalibrationUnusable for a file that is damaged or of another space.
    """
    name = file_name(space)
    for folder in folders:
        path = folder / name
        if path.is_file():
            return parse(_read(path), space)
    return _shipped(space)


def file_name(space: str) -> str:
    """The name of a space's file. Raises: CalibrationMissing for what is no space."""
    if not space or not all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in space):
        raise CalibrationMissing(
            f"{space[:60]!r} is not the name of an embedding space; name a model's space"
        )
    return space + SUFFIX


@cache
def _shipped(space: str) -> Calibration:
    source = files("classifiers").joinpath("calibrations", file_name(space))
    if not source.is_file():
        raise CalibrationMissing(
            f"there is no calibration of {space}, so its scores mean nothing; make one with {HOW}"
        )
    return parse(source.read_bytes(), space)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CalibrationUnusable(f"{path.name} is larger than 16 MiB; make it again with {HOW}")
        return path.read_bytes()
    except OSError as error:
        raise CalibrationUnusable(f"{path} cannot be read ({error.strerror}); check it") from None


def dump(calibration: Calibration) -> bytes:
    """The file of a calibration."""
    document = {
        "format": FORMAT, "space": calibration.space, "version": calibration.version,
        "made": dict(calibration.made),
        "layers": {
            name: {"threshold": layer.threshold, "slope": layer.slope, "intercept": layer.intercept}
            for name, layer in calibration.layers.items()
        },
        "numbers": dict(calibration.numbers),
        "cohort": _packed(calibration.cohort),
    }  # fmt: skip
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode()


def parse(document: bytes, space: str) -> Calibration:
    """Read `dump`'s file, which must be that of `space`. Raises: CalibrationUnusable."""
    try:
        told = json.loads(document)
        if told["format"] != FORMAT or told["space"] != space:
            raise ValueError
        return Calibration(
            space=space, version=int(told["version"]),
            made={str(key): str(value) for key, value in told["made"].items()},
            layers={str(name): _layer(layer) for name, layer in told["layers"].items()},
            numbers={str(name): _finite(value) for name, value in told["numbers"].items()},
            cohort=_unpacked(told["cohort"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CalibrationUnusable(
            f"the calibration of {space[:60]} is damaged, or of another format or space; "
            f"make it again with {HOW}"
        ) from None


def _layer(told: Any) -> Layer:
    return Layer(
        threshold=_finite(told["threshold"]), slope=_finite(told["slope"]),
        intercept=_finite(told["intercept"]),
    )  # fmt: skip


def _finite(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool | str) or not math.isfinite(number):
        raise ValueError
    return number


def _packed(cohort: Vectors) -> dict[str, Any]:
    values = base64.b64encode(cohort.astype("<f2").tobytes()).decode()
    return {"count": len(cohort), "dimension": int(cohort.shape[1]), "float16": values}


def _unpacked(told: Any) -> Vectors:
    count, dimension = int(told["count"]), int(told["dimension"])
    if not 0 <= count <= MAX_COHORT or dimension < 0:
        raise ValueError
    try:
        packed = base64.b64decode(told["float16"], validate=True)
    except binascii.Error:
        raise ValueError from None
    vectors = np.frombuffer(packed, "<f2").astype(np.float32).reshape(count, dimension)
    if not np.isfinite(vectors).all():
        raise ValueError
    return vectors
