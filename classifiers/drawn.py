"""A second space of faces, in which a person stays near when drawn, blurred, small, relit or turned.

Drawing moves the vector of a face as far as another person would: pencil strokes look alike whoever is drawn.
Blur, darkness and few pixels move it too, only less.
1. A linear map, learnt from faces and how they look otherwise (`training.drawn_faces`), shrinks the
   directions in which one person differs. Applied to a vector of the source space it gives one of unit
   length in a space of its own, with a calibration of its own; no picture is looked at again.
2. Of a portrait, what three filters draw of it is registered in that space as well. Two drawings are alike
   whoever is drawn, so each counts only from nearer on: vectors have one number more, which is nought but
   in what is drawn at registration, and sets that apart from whatever is seen.
3. The source space stays what it is: what was seen or registered in it before is compared there as ever,
   from a stricter threshold on.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Protocol

import cv2
import numpy as np

from classifiers.base import Box, Kind, Picture, Seen, Vectors
from classifiers.errors import ModelUnusable

if TYPE_CHECKING:
    from classifiers.faces import Face

FILE: Final = "drawn_faces.safetensors"
MAP, MIDDLE, APART, SOURCE = "map", "middle", "apart", "source"
"""Names in the file: ``float32[d, d]``, ``float32[d]``, ``float32[1]``, the letters of the source space."""
SIDE: Final = 130
"""Pixels of a face that is drawn: strokes have a width."""
ROOM: Final = 0.8
"""What is drawn around a face, as a share of its longer side."""
MARK: Final = "-drawn-"


class Faces(Protocol):
    """Finds faces in RGB pictures."""

    @property
    def space(self) -> str: ...  # noqa: D102
    def look(self, picture: Picture) -> "Sequence[Face]": ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnSpace:
    """The map from vectors of the space ``source`` into ``space``; ``apart``: what the square of a distance
    to what is drawn at registration is lengthened by.
    """

    source: str
    space: str
    map: Vectors
    middle: Vectors
    apart: float

    def moved(self, vectors: Vectors) -> Vectors:
        """``float32[n, d + 1]`` of those of the source space: of unit length, and nought at the end."""
        return self._moved(vectors, 0.0)

    def moved_drawings(self, vectors: Vectors) -> Vectors:
        """The same of what is drawn of a portrait: set apart at the end."""
        return self._moved(vectors, self.apart**0.5)

    def _moved(self, vectors: Vectors, last: float) -> Vectors:
        moved = (vectors - self.middle) @ self.map.T
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        units = moved / np.maximum(lengths, np.finfo(np.float32).tiny)
        return np.column_stack([units, np.full(len(units), last)]).astype(np.float32)


def drawn_space(space: str) -> DrawnSpace | None:
    """The space of what is drawn of the faces of `space`; None where none was learnt.

    Raises: ModelUnusable for a damaged file.
    """
    found = _shipped()
    return found if found.source == space else None


def spaces_of(space: str) -> tuple[str, ...]:
    """The spaces in which faces of `space` are compared: itself, and that of its drawings."""
    drawn = drawn_space(space)
    return (space,) if drawn is None else (space, drawn.space)


def with_drawn(seen: Seen) -> tuple[Seen, ...]:
    """The faces that were seen, in each of `spaces_of`."""
    drawn = drawn_space(seen.space) if seen.kind is Kind.FACE else None
    if drawn is None:
        return (seen,)
    vectors = drawn.moved(seen.vectors)
    return seen, Seen(kind=seen.kind, space=drawn.space, vectors=vectors, times=seen.times, boxes=seen.boxes)


def of_portrait(picture: Picture, face: "Face", faces: Faces) -> dict[str, Vectors]:
    """By space, the vectors of a portrait's `face`: itself, and where there is a space of drawings, it and
    what filters draw of it.
    """
    found = {faces.space: face.vector[None]}
    drawn = drawn_space(faces.space)
    if drawn is not None:
        looks = (faces.look(drawing) for drawing in drawings(picture, face.box))
        views = [max(look, key=_area).vector for look in looks if look]
        own = drawn.moved(face.vector[None])
        found[drawn.space] = np.concatenate([own, drawn.moved_drawings(np.stack(views))]) if views else own
    return found


def _area(face: "Face") -> float:
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def drawings(picture: Picture, box: Box) -> Iterator[Picture]:
    """The face at `box` of a picture, with some room around it, as each of `FILTERS` draws it."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    size = max(1.0, right - left, bottom - top)
    room = ROOM * size
    rows = slice(max(0, round(top - room)), round(bottom + room))
    head = picture[rows, max(0, round(left - room)) : round(right + room)]
    factor = SIDE / size
    if min(head.shape[:2]) * factor < 1:
        return
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    sized = np.asarray(cv2.resize(head, None, fx=factor, fy=factor, interpolation=how), np.uint8)
    for draw in FILTERS:
        yield draw(sized)


def inked(picture: Picture) -> Picture:
    """Smooth areas with dark outlines (Gastal and Oliveira 2011, as OpenCV has it)."""
    return _in_bgr(picture, lambda bgr: cv2.stylization(bgr, sigma_s=60, sigma_r=0.45))


def pencilled(picture: Picture) -> Picture:
    """Grey strokes on white paper (the same)."""
    grey = cv2.pencilSketch(np.ascontiguousarray(picture[..., ::-1]), sigma_s=60, sigma_r=0.07)[0]
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def painted(picture: Picture) -> Picture:
    """Soft areas without detail, edges kept (the same, strongly)."""
    return _in_bgr(picture, lambda bgr: cv2.edgePreservingFilter(bgr, flags=2, sigma_s=60, sigma_r=0.7))


FILTERS: Final[tuple[Callable[[Picture], Picture], ...]] = (inked, pencilled, painted)
"""What is drawn of a portrait when it is registered."""


def _in_bgr(picture: Picture, change: Callable[[Picture], object]) -> Picture:
    changed = np.asarray(change(np.ascontiguousarray(picture[..., ::-1])), np.uint8)
    return np.ascontiguousarray(changed[..., ::-1])


@cache
def _shipped() -> DrawnSpace:
    try:
        data = files("classifiers").joinpath(FILE).read_bytes()
    except OSError as error:
        raise ModelUnusable(f"{FILE} cannot be read ({error.strerror}); install countermark again") from None
    return parse(data)


def parse(data: bytes) -> DrawnSpace:
    """Read what `training.drawn_faces` writes. Raises: ModelUnusable."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
        linear, middle, apart = tensors[MAP], tensors[MIDDLE], tensors[APART]
        size = len(middle)
        source = bytes(tensors[SOURCE]).decode()
    except (SafetensorError, KeyError, UnicodeDecodeError, TypeError):
        raise ModelUnusable(f"{FILE} is damaged; install countermark again") from None
    finite = all(np.isfinite(one).all() for one in (linear, middle, apart))
    if linear.shape != (size, size) or apart.shape != (1,) or not finite or apart[0] < 0:
        raise ModelUnusable(f"{FILE} is damaged; install countermark again")
    return DrawnSpace(
        source=source, space=f"{source}{MARK}{hashlib.sha256(data).hexdigest()[:8]}",
        map=linear.astype(np.float32), middle=middle.astype(np.float32), apart=float(apart[0]),
    )  # fmt: skip
