"""Marks that are estimated from marked clips and pasted on others.

The attacker knows the scheme (how long a state of the carrier lasts, how wide a tile is), not the key. What
he takes for the mark is, by name:

- `original`: the release less the very clip it was made from, frame by frame: nobody can do better;
- `smooth`: each frame of the release less its blurred self;
- `still`: one frame of the release less its denoised self;
- `average`: the mean, tile by tile and state by state, of the fine detail of many frames or clips.

All of it in the three planes, so that marks in colour go along.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.footage import Footage, Frame, Image, joined, planes
from watermark.lattice import PERIOD_SECONDS, STATE_SECONDS, STATES

Field = NDArray[np.float32]
Parts = tuple[Field, Field, Field]

SIGMA: Final = 2.0  # pixels: what is finer than this counts as "not the picture"
MOST: Final = 8.0  # levels: a mark is fainter, so what is more is the picture
DENOISED_AT: Final = 1.1  # seconds
DENOISE: Final = (6.0, 5, 11)  # strength, template and window of non-local means
PASTED_RMS: Final = 1.61  # levels, of a pasted average at gain 1: that of a mark at 44 dB
FADE: Final = 0.16  # seconds at a state's end that belong to the next one too


def difference(marked: Footage, plain: Footage) -> Iterator[tuple[float, Parts]]:
    """What was added to each frame; the frames of both are the same ones."""
    for ours, theirs in zip(marked.play(), plain.play(), strict=False):
        yield (
            ours.time,
            _limited(a - b for a, b in zip(_parts(ours.image), _parts(theirs.image), strict=True)),
        )


def smooth(marked: Footage) -> Iterator[tuple[float, Parts]]:
    """The fine detail of each frame."""
    return ((frame.time, _fine(frame.image)) for frame in marked.play())


def still(marked: Footage) -> Iterator[tuple[float, Parts]]:
    """The noise of one frame, for all times."""
    strength, template, window = DENOISE
    for frame in marked.play():
        if frame.time >= DENOISED_AT - 1e-6:
            noise = (
                plane.astype(np.float32)
                - np.asarray(cv2.fastNlMeansDenoising(plane, None, strength, template, window), np.float32)
                for plane in (np.ascontiguousarray(part) for part in planes(frame.image))
            )
            yield 0.0, _limited(noise)
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """An average: for each plane the tile of each state, ``float32[8, side, side]``."""

    parts: Parts

    def at(self, time: float, shape: tuple[int, int]) -> Parts:
        """What is pasted on a frame of `shape` (rows, columns of its luma) at `time` seconds."""
        state = int((time % PERIOD_SECONDS) / STATE_SECONDS) % STATES
        loud = float(np.sqrt(np.mean(self.parts[0] ** 2))) or 1.0
        made = []
        for index, tiles in enumerate(self.parts):
            rows, columns = shape if index == 0 else (shape[0] // 2, shape[1] // 2)
            side = tiles.shape[1]
            whole = np.tile(tiles[state], (-(-rows // side), -(-columns // side)))[:rows, :columns]
            made.append(np.asarray(whole * np.float32(PASTED_RMS / loud), np.float32))
        return made[0], made[1], made[2]


def average(clips: Iterable[Footage], frames: int = 0) -> Tiles:
    """The mean fine detail of the frames of `clips`, all of one short side; of `frames` of each, if given."""
    totals: list[Field] = []
    counts: list[Field] = []
    for clip in clips:
        side = min(clip.width, clip.height) // 2
        if not totals:
            totals = [np.zeros((STATES, side // part, side // part), np.float32) for part in (1, 2, 2)]
            counts = [np.full_like(total, 1e-6) for total in totals]
        for frame in _some(clip, frames):
            state = _state(frame.time)
            if state is None:
                continue
            for total, count, detail in zip(totals, counts, _fine(frame.image), strict=True):
                _fold(total[state], count[state], detail)
    return Tiles(parts=tuple(t / c for t, c in zip(totals, counts, strict=True)))  # type: ignore[arg-type]


def _some(clip: Footage, frames: int) -> Iterator[Frame]:
    step = max(1, round(clip.seconds * clip.rate / frames)) if frames else 1
    return (frame for index, frame in enumerate(clip.play()) if index % step == 0)


def _state(time: float) -> int | None:
    """The state that is shown alone at `time`, None within a fade."""
    position = (time % PERIOD_SECONDS) / STATE_SECONDS
    into = (position - int(position)) * STATE_SECONDS
    return None if into > STATE_SECONDS - FADE else int(position) % STATES


def _fold(total: Field, count: Field, detail: Field) -> None:
    side = len(total)
    for top in range(0, detail.shape[0], side):
        for left in range(0, detail.shape[1], side):
            part = detail[top : top + side, left : left + side]
            total[: part.shape[0], : part.shape[1]] += part
            count[: part.shape[0], : part.shape[1]] += 1


def pasted(
    host: Footage, estimate: Tiles | Callable[[], Iterator[tuple[float, Parts]]], gain: float
) -> Footage:
    """The host with the estimate laid over it `gain` times; where it is smaller, over its upper left part."""

    def play() -> Iterator[Frame]:
        looking = None if isinstance(estimate, Tiles) else _Nearest(estimate())
        for time, image in host.play():
            parts = looking.at(time) if looking else estimate.at(time, (host.height, host.width))  # type: ignore[union-attr]
            yield Frame(time, _laid(image, parts, gain))

    return Footage(width=host.width, height=host.height, rate=host.rate, seconds=host.seconds, play=play)


class _Nearest:
    """Goes along a stream of estimates and holds the one for the time that is asked for."""

    def __init__(self, stream: Iterator[tuple[float, Parts]]) -> None:
        self._stream = stream
        self._held = next(stream)
        self._coming: tuple[float, Parts] | None = next(stream, None)

    def at(self, time: float) -> Parts:
        while self._coming and abs(self._coming[0] - time) <= abs(self._held[0] - time):
            self._held, self._coming = self._coming, next(self._stream, None)
        return self._held[1]


def _laid(image: Image, parts: Sequence[Field], gain: float) -> Image:
    changed = []
    for plane, part in zip(_parts(image), parts, strict=True):
        rows, columns = min(plane.shape[0], part.shape[0]), min(plane.shape[1], part.shape[1])
        plane[:rows, :columns] += np.float32(gain) * part[:rows, :columns]
        changed.append(np.clip(np.rint(plane), 0, 255).astype(np.uint8))
    return joined(changed[0], changed[1], changed[2])


def _fine(image: Image) -> Parts:
    return _limited(plane - cv2.GaussianBlur(plane, (0, 0), SIGMA) for plane in _parts(image))


def _parts(image: Image) -> Parts:
    y, u, v = (plane.astype(np.float32) for plane in planes(image))
    return y, u, v


def _limited(parts: Iterable[Field]) -> Parts:
    y, u, v = (np.asarray(np.clip(part, -MOST, MOST), np.float32) for part in parts)
    return y, u, v
