"""Pictures without a character of the world: photographs and what is cut from them, figures drawn by others,
figures of the world made into something else, textures, gradients, noise, loose shapes.
"""

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.embedded.world.design import random_design
from generator.embedded.world.render import Rendered, render_frame
from generator.embedded.world.scene import random_scene

Picture = NDArray[np.uint8]
# Photographs that come inside two packages; small patches of them are cut, turned and recoloured.
PACKAGES: Final = (("skimage", "data"), ("sklearn", "datasets/images"))
# Not trained on, for a look at pictures never seen.
HELD_OUT: Final = ("flower", "horse")
SMALLEST: Final = 96
LEAVES: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Photographs ``uint8[h, w, 3]`` and drawn figures with transparency ``uint8[h, w, 4]``."""

    photos: list[Picture]
    figures: list[Picture]


def material(folders: list[Path]) -> Material:
    """What comes inside the installed packages, and what lies in folders."""
    found = Material(photos=[], figures=[])
    for package, inside in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            warnings.warn(f"{package} is not installed: its photographs are missing", stacklevel=2)
            continue
        _gather(Path(spec.origin).parent / inside, found)
    for folder in folders:
        _gather(folder, found)
    return found


def _gather(folder: Path, found: Material) -> None:
    for path in sorted(folder.glob("*.*")):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.suffix in (".png", ".jpg") else None
        if picture is None or path.stem in HELD_OUT or picture.dtype != np.uint8:
            continue
        if picture.ndim == 3 and picture.shape[2] == 4 and (picture[..., 3] < 20).mean() > 0.1:
            found.figures.append(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA), dtype=np.uint8))
        elif min(picture.shape[:2]) >= SMALLEST:
            rgb = (
                cv2.cvtColor(picture[..., :3], cv2.COLOR_BGR2RGB)
                if picture.ndim == 3
                else np.dstack([picture] * 3)
            )
            found.photos.append(np.asarray(rgb, dtype=np.uint8))


def random_other(stock: Material, side: int, rng: np.random.Generator) -> Picture:
    """One picture ``uint8[side, side, 3]`` without a character."""
    makers: tuple[tuple[float, Callable[[], Picture]], ...] = (
        (0.34, lambda: _patch(stock, side, rng)),
        (0.14, lambda: _leaves(stock, side, rng)),
        (0.15, lambda: _silhouette(stock, side, rng)),
        (0.15, lambda: _figure(stock, side, rng)),
        (0.1, lambda: _jigsaw(side, rng)),
        (0.03, lambda: _gradient(side, rng)),
        (0.03, lambda: _noise(side, rng)),
        (0.06, lambda: _shapes(side, rng)),
    )
    shares = [share for share, _ in makers]
    return makers[int(rng.choice(len(makers), p=shares))][1]()


def random_backdrop(stock: Material, side: int, rng: np.random.Generator) -> Picture:
    """Something to stand before, ``uint8[side, side, 3]``: a piece of a photograph, shapes, noise."""
    makers: tuple[Callable[[], Picture], ...] = (
        lambda: _shapes(side, rng), lambda: _gradient(side, rng), lambda: _noise(side, rng),
    )  # fmt: skip
    if stock.photos and rng.random() < 0.6:
        return _patch(stock, side, rng)
    return makers[int(rng.integers(len(makers)))]()


def _patch(stock: Material, side: int, rng: np.random.Generator) -> Picture:
    photo = stock.photos[rng.integers(len(stock.photos))]
    wide, high = (int(rng.uniform(0.2, 1.0) * extent) for extent in (photo.shape[1], photo.shape[0]))
    left, top = (
        int(rng.integers(0, photo.shape[1] - wide + 1)),
        int(rng.integers(0, photo.shape[0] - high + 1)),
    )
    part = photo[top : top + high, left : left + wide]
    part = np.rot90(part, int(rng.integers(4))) if rng.random() < 0.2 else part
    part = part[:, ::-1] if rng.random() < 0.5 else part
    part = np.asarray(cv2.resize(np.ascontiguousarray(part), (side, side), interpolation=cv2.INTER_AREA))
    return _recoloured(part, rng)


def _recoloured(part: NDArray[Any], rng: np.random.Generator) -> Picture:
    if rng.random() < 0.3:
        part = np.asarray(part[..., rng.permutation(3)])
    gain, lift = rng.uniform(0.6, 1.35) * rng.uniform(0.85, 1.15, 3), rng.uniform(-40, 40)
    return np.asarray(np.clip(part * gain + lift, 0, 255), dtype=np.uint8)


def _leaves(stock: Material, side: int, rng: np.random.Generator) -> Picture:
    """Shapes over shapes, each filled from a photograph or a gradient: statistics of natural pictures."""
    picture = _patch(stock, side, rng)
    for _ in range(int(rng.integers(4, LEAVES))):
        mask = np.zeros((side, side), np.uint8)
        centre = tuple(int(value) for value in rng.uniform(0, side, 2))
        axes = tuple(int(value) for value in rng.uniform(3, 0.4 * side, 2))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
        inside = _patch(stock, side, rng) if rng.random() < 0.5 else _gradient(side, rng)
        picture = _over(picture, inside, mask)
    return picture


def _silhouette(stock: Material, side: int, rng: np.random.Generator) -> Picture:
    """A figure's outline filled with something else: neither outline nor place make a character."""
    frame = _rendered(side, rng)
    behind = frame.picture if rng.random() < 0.3 else _patch(stock, side, rng)
    inside = _patch(stock, side, rng) if rng.random() < 0.7 else _shapes(side, rng)
    return _over(behind, inside, frame.cover)


def _figure(stock: Material, side: int, rng: np.random.Generator) -> Picture:
    """One to three drawn figures by others, over a photograph or an empty scene of the world."""
    empty = rng.random() < 0.6
    scene = random_scene(rng)
    picture = _patch(stock, side, rng)
    if empty:
        picture = render_frame(None, scene, width=side, height=side, time=0.0).picture
    for _ in range(int(rng.integers(1, 4)) if stock.figures else 0):
        figure = stock.figures[rng.integers(len(stock.figures))]
        share = rng.uniform(0.3, 0.9) * side / max(figure.shape[:2])
        size = max(4, round(figure.shape[1] * share)), max(4, round(figure.shape[0] * share))
        small = cv2.resize(figure, size, interpolation=cv2.INTER_AREA)
        left, top = int(rng.integers(0, side - size[0] + 1)), int(rng.integers(0, side - size[1] + 1))
        layer, mask = np.zeros_like(picture), np.zeros((side, side), np.uint8)
        layer[top : top + size[1], left : left + size[0]] = _recoloured(small[..., :3], rng)
        mask[top : top + size[1], left : left + size[0]] = small[..., 3]
        picture = _over(picture, layer, mask)
    return picture


def _jigsaw(side: int, rng: np.random.Generator) -> Picture:
    """A character in pieces that were put together wrongly."""
    picture = _rendered(side, rng).picture
    cells = int(rng.choice([3, 4, 6]))
    size = side // cells
    starts = range(0, cells * size, size)
    pieces = [picture[y : y + size, x : x + size] for y in starts for x in starts]
    order = rng.permutation(len(pieces))
    rows = [
        np.hstack([pieces[order[row * cells + column]] for column in range(cells)]) for row in range(cells)
    ]
    return np.asarray(cv2.resize(np.vstack(rows), (side, side)), dtype=np.uint8)


def _rendered(side: int, rng: np.random.Generator) -> Rendered:
    return render_frame(
        random_design(rng), random_scene(rng), width=side, height=side, time=float(rng.uniform(0, 2))
    )


def _over(behind: Picture, layer: Picture, mask: Picture) -> Picture:
    share = mask[..., None].astype(np.float32) / 255
    return np.asarray(behind * (1 - share) + layer * share, dtype=np.uint8)


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
