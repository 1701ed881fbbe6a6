"""Vectors that the operator brings for pictures that were looked at elsewhere.

Only whoever runs the command may: a vector is believed, and a wrong one would stop everybody's clips or none.
One JSON object a line: ``sha256``, ``width``, ``height``, ``kind`` (picture | portrait), ``space``,
``vectors`` (float16, little endian, base64), ``name`` where the catalogue names the picture by its digest.
"""

import base64
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import CountermarkError, ImportRefused, Problem, UsageError
from pipeline.imports.sights import GIVEN, PORTRAIT, picture_key
from pipeline.imports.staging import Staging
from pipeline.optouts.imports import problem_of
from pipeline.optouts.lines import MAX_PROBLEMS, opened, parse_object, raw_lines
from pipeline.optouts.looking import PERSON, Seen
from pipeline.optouts.order import MAX_NAME_CHARS, complaint, written
from registry.drafts import DIMENSION_MAX, PIXELS_A_SIDE_MAX, VECTOR_DTYPE

MAX_VECTORS: Final = 16
BATCH: Final = 500

Side = Annotated[int, Field(gt=0, le=PIXELS_A_SIDE_MAX)]


class GivenPicture(BaseModel):
    """A picture that was looked at elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    width: Side
    height: Side
    space: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
    kind: Literal["picture", "portrait"]
    vectors: Annotated[tuple[str, ...], Field(min_length=1, max_length=MAX_VECTORS)]
    name: Annotated[str, Field(max_length=MAX_NAME_CHARS), AfterValidator(written)] = ""


def take_vectors(path: Path, staging: Staging, calibrated: Callable[[str], bool]) -> int:
    """Put the vectors of a file into the staging, and say how many pictures they are of.

    ``calibrated``: whether vectors of this space mean anything here. Raises: ImportRefused with every line
    that is wrong; UsageError, LimitExceeded.
    """
    problems: list[Problem] = []
    count = 0
    with opened(path) as file:
        rows = _seen(raw_lines(file, None), calibrated, problems)
        while batch := list(islice(rows, BATCH)):
            staging.put(batch)
            count += len(batch)
    if problems:
        raise ImportRefused.of(problems)
    return count


def _seen(
    lines: Iterator[tuple[int, bytes]], calibrated: Callable[[str], bool], problems: list[Problem]
) -> Iterator[tuple[str, Seen]]:
    for number, raw in lines:
        try:
            yield _one(raw, calibrated)
        except CountermarkError as error:
            problems.append(problem_of(number, error))
            if len(problems) == MAX_PROBLEMS:
                return


def _one(raw: bytes, calibrated: Callable[[str], bool]) -> tuple[str, Seen]:
    try:
        told = GivenPicture.model_validate(parse_object(raw))
    except ValidationError as error:
        raise UsageError(complaint(error)) from None
    if not calibrated(told.space):
        raise UsageError(f"space: no check here compares in {told.space!r}; embed with the model in use")
    kind = PERSON if told.kind == PORTRAIT else ""
    seen = Seen(
        name=told.name, sha256=told.sha256, width=told.width, height=told.height, space=told.space,
        kind=told.kind, vectors=tuple(map(_vector, told.vectors)),
    )  # fmt: skip
    return picture_key(told.sha256, kind, GIVEN), seen


def _vector(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
        values = np.frombuffer(data, VECTOR_DTYPE)
    except ValueError:
        raise UsageError("vectors: not float16 in base64; write them so") from None
    if not 0 < values.size <= DIMENSION_MAX or not np.isfinite(values).all() or not values.any():
        raise UsageError("vectors: one of them is not a direction; embed the picture again")
    return data
