"""Whose faces are measured: photographs named after who is shown, one that ships, and strangers that ship."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifiers.base import Picture, Vectors
from classifiers.drawn import drawings, drawn_space
from classifiers.faces import Face, FaceFinder

SUFFIXES: Final = (".jpg", ".jpeg", ".png")
SHIPPED: Final = "astronaut"
STRANGERS: Final = 100
LEARNT_FROM: Final = 50
"""Of them, the first, from whom the map of `classifiers.drawn` was learnt."""
STRANGER_SIDE, STRANGER_EDGE = 110, 50
"""Pixels to which a stranger's 25 are enlarged, and of border, since the crops are tight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A photograph of one person: ``box``: of the face, in pixels; ``portraits``: by space, what is
    registered of it.
    """

    who: str
    name: str
    picture: Picture
    box: tuple[int, int, int, int]
    portraits: Mapping[str, Vectors]


def photographs(folder: Path | None, faces: FaceFinder) -> list[Photograph]:
    """Those of the folder, by the letters that their names begin with, and NASA's portrait of scikit-image.

    Raises: FileNotFoundError for a folder without any. One without a face is left out.
    """
    found = list(_read(folder)) if folder else []
    if folder and not found:
        raise FileNotFoundError(f"{folder} has no file ending in {', '.join(SUFFIXES)}")
    made = [_photograph(who, name, picture, faces) for who, name, picture in [*found, _shipped()]]
    return [one for one in made if one is not None]


def stranger_pictures() -> list[Picture]:
    """Persons in scikit-image's part of Labeled Faces in the Wild: 25 grey pixels, enlarged."""
    import skimage.data

    crops = skimage.data.lfw_subset()[:STRANGERS]  # type: ignore[no-untyped-call]
    return [_enlarged(crop) for crop in np.asarray(crops)]


def strangers(faces: FaceFinder) -> list[Photograph]:
    """Those of them from whom nothing was learnt and in whom a face is found; nobody registers them."""
    pictures = enumerate(stranger_pictures()[LEARNT_FROM:])
    made = (_photograph(f"stranger {n}", f"stranger {n}", picture, faces) for n, picture in pictures)
    return [one for one in made if one is not None]


def _enlarged(crop: NDArray[np.float64]) -> Picture:
    large = cv2.resize(crop, (STRANGER_SIDE, STRANGER_SIDE), interpolation=cv2.INTER_CUBIC)
    edge, grey = STRANGER_EDGE, np.clip(large * 255, 0, 255).astype(np.uint8)
    framed = cv2.copyMakeBorder(grey, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(framed, cv2.COLOR_GRAY2RGB), np.uint8)


def _read(folder: Path) -> Iterator[tuple[str, str, Picture]]:
    for path in sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES):
        loaded = cv2.imread(str(path))
        if loaded is None:
            raise FileNotFoundError(f"{path} is no picture")
        who = re.match(r"[a-zA-Z]+", path.stem)
        picture = np.asarray(cv2.cvtColor(loaded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        yield (who.group() if who else path.stem), path.stem, picture


def _shipped() -> tuple[str, str, Picture]:
    import skimage.data

    return SHIPPED, SHIPPED, np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def _photograph(who: str, name: str, picture: Picture, faces: FaceFinder) -> Photograph | None:
    look = faces.look(picture)
    if not look:
        return None
    face = look[0]
    portraits = {faces.space: face.vector[None]}
    drawn = drawn_space(faces.space)
    if drawn is not None:
        looks = (faces.look(drawing) for drawing in drawings(picture, face.box))
        portraits[drawn.space] = drawn.moved(
            np.stack([face.vector, *(one[0].vector for one in looks if one)])
        )
    return Photograph(who=who, name=name, picture=picture, box=_pixels(face, picture), portraits=portraits)


def _pixels(face: Face, picture: Picture) -> tuple[int, int, int, int]:
    height, width = picture.shape[:2]
    left, top, right, bottom = face.box
    return round(left * width), round(top * height), round(right * width), round(bottom * height)
