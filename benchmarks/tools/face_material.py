"""Whose faces are measured: photographs named after who is shown, one that ships, and strangers that ship."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifiers.base import Picture, Vectors
from classifiers.drawn import of_portrait
from classifiers.faces import Face, FaceFinder

SUFFIXES: Final = (".jpg", ".jpeg", ".png")
SHIPPED: Final = "astronaut"
STRANGERS: Final = 100
LEARNT_FROM: Final = 50
"""Of them, the first, from whom the map of `classifiers.drawn` was learnt."""
STRANGER_SIDE, STRANGER_EDGE = 110, 50
"""Pixels to which a stranger's 25 are enlarged, and of border, since the crops are tight."""

PROMINENT: Final = 2.0
"""A photograph is of the one whose face is so many times as large as any other, as for a portrait."""
GREY: Final = 12
"""Levels of 255 that the colours of a grey picture differ by at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A photograph of one person: ``box``: of the face, in pixels; ``portraits``: by space, what is
    registered of it; ``grey``: whether it has no colours.
    """

    who: str
    name: str
    picture: Picture
    box: tuple[int, int, int, int]
    portraits: Mapping[str, Vectors]
    grey: bool


def photographs(folder: Path | None, faces: FaceFinder) -> list[Photograph]:
    """Those of the folder, by the letters that their names begin with, and NASA's portrait of scikit-image.

    Raises: FileNotFoundError for a folder without any. One without a face, or with several as large, is left
    out.
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
    face = alone(faces.look(picture))
    if face is None:
        return None
    return Photograph(
        who=who, name=name, picture=picture, box=_pixels(face, picture),
        portraits=of_portrait(picture, face, faces),
        grey=int(np.ptp(picture.astype(np.int16), axis=2).max()) <= GREY,
    )  # fmt: skip


def alone(found: Sequence[Face]) -> Face | None:
    """The face that a photograph shows; None where another is nearly as large: nobody can say whose it is."""
    sure = sorted((face for face in found if face.certainty >= 0), key=_area, reverse=True) or list(found[:1])
    if not sure or (len(sure) > 1 and _area(sure[1]) * PROMINENT > _area(sure[0])):
        return None
    return sure[0]


def _area(face: Face) -> float:
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def _pixels(face: Face, picture: Picture) -> tuple[int, int, int, int]:
    height, width = picture.shape[:2]
    left, top, right, bottom = face.box
    return round(left * width), round(top * height), round(right * width), round(bottom * height)
