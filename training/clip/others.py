"""Pictures without a character of the world: photographs, textures, gradients, noise, loose shapes."""

import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
# Photographs that come inside two packages; small patches of them are cut, turned and recoloured.
PACKAGES = (("skimage", "data"), ("sklearn", "datasets/images"))
# Not trained on, for a look at pictures never seen.
HELD_OUT = ("astronaut", "flower", "horse")
SMALLEST = 96


def photographs() -> list[Picture]:
    """RGB photographs ``uint8[h, w, 3]`` of the packages that are installed, without those held out."""
    import importlib.util

    found = []
    for package, folder in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            warnings.warn(f"{package} is not installed: its photographs are missing", stacklevel=2)
            continue
        for path in sorted((Path(spec.origin).parent / folder).glob("*.*")):
            picture = cv2.imread(str(path)) if path.suffix in (".png", ".jpg") else None
            if picture is not None and path.stem not in HELD_OUT and min(picture.shape[:2]) >= SMALLEST:
                found.append(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8))
    return found


def random_other(photos: list[Picture], side: int, rng: np.random.Generator) -> Picture:
    """One picture ``uint8[side, side, 3]`` without a character."""
    kind = rng.random()
    if photos and kind < 0.55:
        return _patch(photos[rng.integers(len(photos))], side, rng)
    if kind < 0.65:
        return _gradient(side, rng)
    if kind < 0.75:
        return _noise(side, rng)
    return _shapes(side, rng)


def _patch(photo: Picture, side: int, rng: np.random.Generator) -> Picture:
    size = int(rng.uniform(0.25, 1.0) * min(photo.shape[:2]))
    top, left = (int(rng.integers(0, extent - size + 1)) for extent in photo.shape[:2])
    part = photo[top : top + size, left : left + size]
    part = np.rot90(part, int(rng.integers(4))) if rng.random() < 0.3 else part
    part = np.asarray(cv2.resize(np.ascontiguousarray(part), (side, side), interpolation=cv2.INTER_AREA))
    if rng.random() < 0.5:
        part = np.asarray(part[..., rng.permutation(3)])
    gain, lift = rng.uniform(0.6, 1.3, 3), rng.uniform(-30, 30)
    return np.asarray(np.clip(part * gain + lift, 0, 255), dtype=np.uint8)


def _gradient(side: int, rng: np.random.Generator) -> Picture:
    one, other = rng.uniform(0, 255, (2, 3))
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.linspace(-0.5, 0.5, side)
    share = np.clip(0.5 + axis[None, :] * np.cos(angle) + axis[:, None] * np.sin(angle), 0, 1)[..., None]
    return np.asarray(one * (1 - share) + other * share, dtype=np.uint8)


def _noise(side: int, rng: np.random.Generator) -> Picture:
    cells = int(rng.choice([3, 6, 12, 24, side]))
    coarse = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(smooth, 0, 255), dtype=np.uint8)


def _shapes(side: int, rng: np.random.Generator) -> Picture:
    """Loose ovals, boxes and lines in strong colours: cartoonish, yet nobody."""
    picture = _gradient(2 * side, rng)
    for _ in range(int(rng.integers(3, 14))):
        colour = tuple(float(value) for value in rng.uniform(0, 255, 3))
        x, y = (int(value) for value in rng.uniform(0, 2 * side, 2))
        wide, high = (int(value) for value in rng.uniform(4, 0.7 * side, 2))
        if rng.random() < 0.5:
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(picture, (x, y), (wide, high), turn, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(picture, (x - wide, y - high), (x + wide, y + high), colour, -1)
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)
