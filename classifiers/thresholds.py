"""Calibrations: what a score means in one embedding space, measured once and kept as a versioned file.

Scores of two models are never comparable, so a threshold belongs to one space, and a space without a
calibration is missing: nothing is looked at with it. A calibration says how it was made.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
MAX_BINS: Final = 100
MARK_DIGITS: Final = 16
HOW: Final = "countermark calibrate"
HOW_PROMPTS: Final = "python -m benchmarks.calibrate_prompts"
HOW_FACES: Final = "countermark calibrate --kind faces --material FOLDER"
HOW_CONCEPTS: Final = "python -m training concepts"
HOW_JUDGES: Final = "python -m training safety --judge MODEL --out HOME/calibrations"
JUDGES_OF_FRAMES: Final = ("concepts-", "pictures-")
JUDGES_OF_PROMPTS: Final = ("judge-", "labels-")
"""How the names of the spaces begin in which frames are judged."""
FACES: Final = "-face-"
"""Part of the name of every space of faces."""

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
class Bin:
    """Scores whose probability lies between ``low`` and the next bin: what was said, and what was so.

    ``count``: scores; ``weight``: their share of all, both sides weighing the same; ``probability``: the mean
    that the curve gives them; ``share``: of them that are of the registered subject.
    """

    low: float
    count: int
    weight: float
    probability: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How well a layer's threshold and curve do on scores that they were not fitted on.

    ``own``, ``strangers``: how many scores; ``found`` and ``passed``: how many of each reach the threshold;
    ``ece``: the expected calibration error, the mean distance between probability and share over the bins
    (Guo et al. 2017); ``brier``: the mean squared error of the probability (Brier 1950).
    """

    own: int
    strangers: int
    found: int
    passed: int
    ece: float
    brier: float
    bins: tuple[Bin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All that was measured of one space.

    ``made``: command, date, data, figures, as text. ``numbers``: what else a layer's score needs.
    ``cohort``: unit vectors ``float32[n, d]`` of pictures of nobody who is registered; n may be 0.
    ``whitening``: ``float32[1 + d, d]``, the mean of ordinary vectors and a symmetric matrix that makes every
    direction vary as much as any other; without rows where there is none (`whitened`).
    ``reliability``: of the layers that it was measured for. ``digest``: SHA-256 of the file that it was read
    from, empty for one that was not.
    """

    space: str
    version: int
    made: Mapping[str, str]
    layers: Mapping[str, Layer]
    numbers: Mapping[str, float] = field(default_factory=dict)
    cohort: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    whitening: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    digest: str = ""

    def whitened(self, vectors: Vectors) -> Vectors:
        """Unit vectors ``float32[n, d]`` less what they have in common with all others, of unit length again;
        zero vectors stay zero.

        Whitening sentence vectors: Su et al. 2021, "Whitening sentence representations".
        """
        if not len(vectors):
            return vectors
        moved = (vectors - self.whitening[0]) @ self.whitening[1:]
        moved[~vectors.any(axis=1)] = 0  # a text of which nothing is known stays near nothing
        return np.asarray(moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9), np.float32)

    @property
    def mark(self) -> str:
        """What a decision says of the calibration that it was made with: space, version, digest."""
        return f"{self.space}/{self.version}/{self.digest[:MARK_DIGITS] or 'unsaved'}"

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


def how_of(space: str) -> str:
    """The command that calibrates a space."""
    if space.startswith(JUDGES_OF_FRAMES):
        return HOW_CONCEPTS
    if space.startswith(JUDGES_OF_PROMPTS):
        return HOW_JUDGES
    return HOW_FACES if FACES in space else HOW


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
            f"there is no calibration of {space}, so its scores mean nothing; make one with {how_of(space)}"
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
        **_measured(calibration),
        **({"whitening": _packed(calibration.whitening)} if len(calibration.whitening) else {}),
        "cohort": _packed(calibration.cohort),
    }  # fmt: skip
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode()


def _measured(calibration: Calibration) -> dict[str, Any]:
    """Nothing where nothing was measured: files of before have no such part."""
    told = {name: asdict(found) for name, found in calibration.reliability.items()}
    return {"reliability": told} if told else {}


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
            cohort=_unpacked(told["cohort"]), whitening=_whitening(told),
            reliability={str(name): _reliable(one) for name, one in told.get("reliability", {}).items()},
            digest=hashlib.sha256(document).hexdigest(),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CalibrationUnusable(
            f"the calibration of {space[:60]} is damaged, or of another format or space; "
            f"make it again with {HOW}"
        ) from None


def _whitening(told: Any) -> Vectors:
    if "whitening" not in told:
        return np.zeros((0, 0), np.float32)
    found = _unpacked(told["whitening"])
    if len(found) != found.shape[1] + 1:
        raise ValueError
    return found


def _layer(told: Any) -> Layer:
    return Layer(
        threshold=_finite(told["threshold"]), slope=_finite(told["slope"]),
        intercept=_finite(told["intercept"]),
    )  # fmt: skip


def _reliable(told: Any) -> Reliability:
    if len(told["bins"]) > MAX_BINS:
        raise ValueError
    return Reliability(
        own=int(told["own"]), strangers=int(told["strangers"]), found=int(told["found"]),
        passed=int(told["passed"]), ece=_finite(told["ece"]), brier=_finite(told["brier"]),
        bins=tuple(
            Bin(
                low=_finite(one["low"]), count=int(one["count"]), weight=_finite(one["weight"]),
                probability=_finite(one["probability"]), share=_finite(one["share"]),
            )
            for one in told["bins"]
        ),
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
