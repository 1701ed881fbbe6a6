"""How much of the hidden mark is left inside a moving box: taking a plate away leaves a hole in it.

1. Windows of a quarter of a second are multiplied by the pattern that payload, place and time ask for. Summed
   over a box that moves with a plate, over the pattern's own energy there, this is the mark's *gain*.
2. Controls are the same moving box at other places of the frame, clear of every plate: their mean is what an
   untouched box shows, their deviation how much content and codec make that vary.
3. Decoys are the same sums with a pattern that is not there: their deviation is what no mark at all shows.
4. The evidence of a hole is the logarithm of how much likelier the gain is without the mark (and the few
   per cent that painting over leaves of it) than with it, added up over planes.

What is measured depends on the hidden mark only through `fields`; any number of planes of any size will do.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.base import Luma, Picture, TimedLuma
from watermark.carrier import tiles
from watermark.channel import encode
from watermark.clocks import shares
from watermark.framing import Framing, Size
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, lattice, origin
from watermark.visible import VisibleLayout
from watermark.visible_path import Plate
from watermark.windows import Plane, blocks

TILE_PIXELS = 256  # of the rendered pattern, which is sampled bilinearly
DECOYS = ((37, 53), (61, -29))  # shifts (down, right) in pixels of 256 lines
COARSE = 2  # pixels of a plane to a side of what sums are kept of
# Share of the gain that painting over may leave: edges of the box, motion within a window; and in colour what
# is joined to the surroundings, since a period of the pattern there is as large as a plate.
LEFT, LEFT_IN_COLOUR = 0.12, 0.2
LEFT_BY_PLANE = LEFT, LEFT_IN_COLOUR, LEFT_IN_COLOUR
CLEAR = 0.012  # of the frame's height: what controls keep from plates
STEPS = (0.5, 1 / 3)  # of a plate's height and width, between controls
LEAST_SEEN = 0.6  # of the windows in which a control has to lie in the frame
LEAST_CONTROLS = 8
LEAST_WINDOWS = 3
SHOWING = 6.0  # deviations of the controls' mean, if all of them were independent: about six of them are one
CELLS = 5  # along a plate that lies slanted
FAR = 20.0  # frames away: a box there is not there
MOST_EVIDENCE = 60.0  # of one plane: beyond, the model is not believed

Boxes = NDArray[np.float64]
Colour = tuple[Luma, Luma]  # U and V of a frame
Used = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One plane in windows: what is ``seen``, equalised, and the pattern ``expected``; float32[n, h, w].

    ``left``: share of the gain that painting over may leave. More where a period of the pattern is large
    against a plate, since what is painted in is joined to what is around.
    """

    seen: Plane
    expected: Plane
    left: float = LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """``evidence``: natural logarithm of the odds for a hole against an untouched place; 0 where nothing can
    be told. ``left``: share of the hidden mark that is there, about 1 where nothing was done; None untold.
    """

    evidence: float = 0.0
    left: float | None = None


UNTOLD = Hole()


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Equalised planes of a clip's first block, and the middles of their windows in seconds."""

    times: NDArray[np.float64]
    planes: tuple[Plane, ...]


def windows(frames: Sequence[TimedLuma], colours: Sequence[Colour] = ()) -> Windows | None:
    """The first twelve seconds in windows; None where there are too few. `colours`: of the same frames."""
    pictures = (
        Picture(time, luma, *colour)
        for (time, luma), colour in zip(
            frames, colours or itertools.repeat((None, None)), strict=bool(colours)
        )
    )
    block = next(iter(blocks(pictures)), None)
    if block is None or len(block.windows) < LEAST_WINDOWS:
        return None
    return Windows(times=block.times, planes=(block.windows, *(() if block.chroma is None else block.chroma)))


def fields(
    seen: Windows, key: DetectionKey, payload: int, marked: Size, framing: Framing
) -> tuple[Field, ...]:
    """What is seen beside what the payload's pattern would be, plane by plane. The one place that knows how
    the hidden mark is made.

    `marked`: width and height of the marked clip in pixels.
    """
    shift, begun = origin(key, payload)
    codeword = encode(payload)
    amounts = shares(seen.times, np.array([(framing.speed, framing.start + begun)]))[0].T
    made = []
    for plane, pattern, left in zip(seen.planes, lattice(key).patterns, LEFT_BY_PLANE, strict=False):
        drawn = tiles(*pattern.coefficients(codeword), TILE_PIXELS, shift)
        states = _laid(drawn, plane.shape[2], plane.shape[1], marked, framing)
        expected = np.tensordot(amounts, states, axes=1).astype(np.float32)
        expected -= expected.mean(axis=0)  # as the windows lost their mean
        made.append(Field(seen=plane, expected=expected, left=left))
    return tuple(made)


def _laid(drawn: Plane, width: int, height: int, marked: Size, framing: Framing) -> Plane:
    """The pattern's states ``float32[8, height, width]`` as they lie in a plane of the clip."""
    back = np.asarray(cv2.invertAffineTransform(framing.pixels(marked, (width, height))), np.float64)
    back = back * (2 * TILE_PIXELS / min(marked))
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    # Samples of a tile sit at pixel centres.
    x, y = ((row[0] * columns + row[1] * rows + row[2] - 0.5) % TILE_PIXELS for row in back)
    x, y = x.astype(np.float32), y.astype(np.float32)
    wrap = cv2.BORDER_WRAP
    return np.stack([cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=wrap) for tile in drawn])


class PathHoles:
    """The hidden mark inside the plates of one clip, wherever the clip may lie."""

    def __init__(
        self,
        frames: Sequence[TimedLuma],
        layout: VisibleLayout,
        key: DetectionKey,
        payload: int,
        colours: Sequence[Colour] = (),
    ) -> None:
        self._frames, self._layout, self._key, self._payload = frames, layout, key, payload
        self._colours = colours
        self._marked = (layout.width, layout.height)
        self._windows: Windows | None = None
        self._carriers: dict[Framing, LocalCarrier] = {}

    def at(self, framing: Framing, plate: Plate, spans: Sequence[tuple[float, float]]) -> Hole:
        """Inside one plate's boxes in these seconds of the clip."""
        self._windows = self._windows or windows(self._frames, self._colours)
        if self._windows is None:
            return UNTOLD
        times = self._windows.times.tolist()
        inside = [any(first <= time <= last for first, last in spans) for time in times]
        boxes = [
            [_cells(box, self._marked, framing) for box in self._layout.boxes(framing.marked_time(time))]
            for time in times
        ]
        return self._carrier(framing, self._windows).hole(np.array(boxes), plate, np.array(inside))

    def _carrier(self, framing: Framing, seen: Windows) -> "LocalCarrier":
        """Kept for every place: a whole period later the pattern is the same."""
        same = framing.begun(framing.start % PERIOD_SECONDS)
        if same not in self._carriers:
            planes = fields(seen, self._key, self._payload, self._marked, same)
            self._carriers[same] = LocalCarrier(planes, same)
        return self._carriers[same]


def together(holes: Iterable[Hole]) -> Hole:
    """What several plates say at once; those that say nothing do not count."""
    told = [hole for hole in holes if hole.left is not None]
    if not told:
        return UNTOLD
    left = sum(hole.left for hole in told if hole.left is not None) / len(told)
    return Hole(evidence=sum(hole.evidence for hole in told), left=left)


def _cells(box: tuple[int, int, int, int], marked: Size, framing: Framing) -> list[tuple[float, ...]]:
    """A plate's box in shares of the clip; in several cells along it, so that a slanted box stays small."""
    if framing.whole:
        return [framing.box(marked, box)]
    x0, y0, x1, y1 = box
    edges = np.linspace(x0, x1, CELLS + 1).tolist()
    return [framing.box(marked, (left, y0, right, y1)) for left, right in itertools.pairwise(edges)]


class LocalCarrier:
    """The sums behind every hole of one clip, lying in one way on the marked one."""

    def __init__(self, planes: Sequence[Field], framing: Framing) -> None:
        self._planes = [_Plane(field, framing) for field in planes]

    def hole(self, boxes: Boxes, plate: int, used: Used) -> Hole:
        """What one plate's boxes say in the windows `used` (bool[n]).

        `boxes`: ``float64[n, plates, cells, 4]``, (x0, y0, x1, y1) in shares of the clip's frame in each
        window: where every plate is, in one or more cells.
        """
        return together([plane.hole(boxes, plate, used) for plane in self._planes])


class _Plane:
    """Integral images of products and energies of one plane, window by window."""

    def __init__(self, field: Field, framing: Framing) -> None:
        seen, expected, self._left = field.seen, field.expected, field.left
        height, width = seen.shape[1:]
        self._height, self._width = -(-height // COARSE), -(-width // COARSE)
        inside = _inside(self._width, self._height, framing)
        self._inside = np.asarray(cv2.integral(inside, sdepth=cv2.CV_32F))
        size = (self._width, self._height)
        self._products = _integrals(zip(seen, expected, strict=True), size)
        self._energies = _integrals(zip(expected, expected, strict=True), size)
        scale = min(height, width) / 256
        self._decoys = [
            _integrals(
                ((one, np.roll(other, (round(down * scale), round(right * scale)), axis=(0, 1)))
                 for one, other in zip(seen, expected, strict=True)), size,
            )
            for down, right in DECOYS
        ]  # fmt: skip

    def hole(self, boxes: Boxes, plate: int, used: Used) -> Hole:
        """Evidence of this plane."""
        limits = np.array([self._width, self._height] * 2)
        cells = np.rint(np.clip(boxes, -FAR, FAR) * limits).astype(int)
        own = cells[:, plate]
        there = used & self._lies(own)
        own = np.clip(own, 0, limits)
        if there.sum() < LEAST_WINDOWS:
            return UNTOLD
        gain = self._gain(self._products, own[None], there[None])[0]
        moved, seen = self._controls(cells, plate, there)
        if len(moved) < LEAST_CONTROLS:
            return UNTOLD
        controls = self._gain(self._products, moved, seen)
        nothing = np.concatenate([self._gain(decoy, moved, seen) for decoy in self._decoys])
        return _judged(float(gain), controls, nothing, self._left)

    def _gain(self, products: Plane, cells: NDArray[np.int_], seen: Used) -> NDArray[np.float64]:
        """Products over energy, ``float64[k]``, of cells ``int[k, n, c, 4]`` in windows ``bool[k, n]``."""
        over = (_summed(products, cells) * seen).sum(axis=1)
        under = (_summed(self._energies, cells) * seen).sum(axis=1)
        return np.asarray(over / (under + 1e-9))

    def _lies(self, cells: NDArray[np.int_]) -> Used:
        """Whether cells ``int[..., c, 4]`` lie in the frame and in what it shows of the marked one."""
        x0, y0, x1, y1 = np.moveaxis(cells, -1, 0)
        inside = (x0 >= 0) & (y0 >= 0) & (x1 <= self._width) & (y1 <= self._height) & (x1 > x0) & (y1 > y0)
        x0, x1 = (np.clip(x, 0, self._width) for x in (x0, x1))
        y0, y1 = (np.clip(y, 0, self._height) for y in (y0, y1))
        table = self._inside
        covered = table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]
        enough = covered >= 0.98 * (x1 - x0) * (y1 - y0)
        return np.asarray((inside & enough).all(axis=-1))

    def _controls(self, cells: NDArray[np.int_], plate: int, there: Used) -> tuple[NDArray[np.int_], Used]:
        """The plate's cells all over the frame, ``int[k, n, c, 4]``, and where they may be looked at."""
        own = cells[:, plate]
        size = np.median(own[..., 2:].max(axis=1) - own[..., :2].min(axis=1), axis=0)
        rows = np.arange(-self._height, self._height, max(2, round(STEPS[0] * size[1])))
        columns = np.arange(-self._width, self._width, max(2, round(STEPS[1] * size[0])))
        shifts = np.array([(column, row, column, row) for row in rows for column in columns])
        # Where a plate moved by a shift is out of the frame most of the time, nothing more has to be asked.
        middle = np.median(own.mean(axis=1), axis=0)
        middles = (middle[:2] + middle[2:]) / 2 + shifts[:, :2]
        shifts = shifts[np.all((middles >= 0) & (middles <= (self._width, self._height)), axis=1)]
        moved = own[None] + shifts[:, None, None, :]
        seen = self._lies(moved) & there & ~self._covered(moved, cells)
        enough = seen.sum(axis=1) >= max(LEAST_WINDOWS, LEAST_SEEN * there.sum())
        return np.clip(moved[enough], 0, [self._width, self._height] * 2), seen[enough]

    def _covered(self, moved: NDArray[np.int_], cells: NDArray[np.int_]) -> Used:
        """Whether moved cells ``int[k, n, c, 4]`` touch any plate, ``bool[k, n]``."""
        apart = round(CLEAR * self._height)
        low, high = moved[..., :2].min(axis=2), moved[..., 2:].max(axis=2)
        touched = np.zeros(low.shape[:2], bool)
        for other in range(cells.shape[1]):
            for cell in range(cells.shape[2]):
                box = cells[:, other, cell]
                near = (low < box[:, 2:] + apart) & (high > box[:, :2] - apart)
                touched |= near.all(axis=-1)
        return touched


def _judged(
    gain: float, controls: NDArray[np.float64], nothing: NDArray[np.float64], share_left: float
) -> Hole:
    """Two normal models of the gain: without the mark, and with it."""
    usual, varying = float(controls.mean()), float(controls.std())
    noise = float(np.sqrt(np.mean(nothing * nothing)))
    if usual <= SHOWING * noise / np.sqrt(len(controls)) or noise <= 0:  # the mark does not show here at all
        return UNTOLD
    left = share_left * usual
    empty = np.hypot(noise, left)
    whole = max(varying, noise)
    without = -0.5 * ((gain - left) / empty) ** 2 - np.log(empty)
    with_it = -0.5 * ((gain - usual) / whole) ** 2 - np.log(whole)
    evidence = float(np.clip(without - with_it, -MOST_EVIDENCE, MOST_EVIDENCE))
    return Hole(evidence=evidence, left=gain / usual)


def _integrals(pairs: Iterable[tuple[Plane, Plane]], size: Size) -> Plane:
    """Integral images ``float32[n, h + 1, w + 1]`` of products, at this width and height."""
    return np.stack([
        cv2.integral(cv2.resize(one * other, size, interpolation=cv2.INTER_AREA), sdepth=cv2.CV_32F)
        for one, other in pairs
    ])  # fmt: skip


def _summed(tables: Plane, cells: NDArray[np.int_]) -> NDArray[np.float64]:
    """Sums over cells ``int[k, n, c, 4]`` of integral images: ``float64[k, n]``."""
    x0, y0, x1, y1 = np.moveaxis(cells, -1, 0)
    window = np.arange(len(tables))[None, :, None]
    total = tables[window, y1, x1] - tables[window, y0, x1] - tables[window, y1, x0] + tables[window, y0, x0]
    return np.asarray(total.sum(axis=-1), np.float64)


def _inside(width: int, height: int, framing: Framing) -> NDArray[np.uint8]:
    """1 where a plane of this size shows the marked frame."""
    if framing.whole:
        return np.ones((height, width), np.uint8)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    rows = np.array(framing.rows)
    placed = (corners @ rows[:, :2].T + rows[:, 2]) * (width, height)
    shown = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(shown, np.rint(np.clip(placed, -1e4, 1e4)).astype(np.int32), 1)
    return shown
