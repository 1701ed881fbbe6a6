"""What happens to frames on their way: other backgrounds and finishes, our visible mark, coarse H.264."""

from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from generator.embedded.world.finish import FINISHES, finished
from generator.embedded.world.render import Rendered
from training.clip.others import Material, random_backdrop
from watermark.visible import MIN_SHORT_SIDE, VisibleMark

Picture = NDArray[np.uint8]

BEHIND_SHARE: Final = 0.25
FINISH_SHARE: Final = 0.3
MARK_SHARE: Final = 0.15
CODED_SHARE: Final = 0.4
# libx264's constant rate factor: 23 is usual, 40 is what much forwarded clips look like.
CRF: Final = (24, 41)
# Pixels by which the frame before lies beside, so that the coder has motion to code.
MOTION: Final = 4
# Marks are dear to make: so many paths for each size, kept for so many sizes.
PATHS, KEPT = 6, 64
MARK_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What happens to the frames of one scene. A finish of "" is none, so is a mark of -1 and a crf of 0."""

    behind: bool
    finish: str
    mark: int
    time: float
    crf: int
    seed: int


class Wear:
    """Wears frames out at random; the same random numbers give the same frames."""

    def __init__(self, stock: Material) -> None:
        self._stock = stock
        self._marks: OrderedDict[tuple[int, int, int], VisibleMark] = OrderedDict()

    def plan(self, rng: np.random.Generator) -> Way:
        """What happens to all frames of one scene."""
        return Way(
            behind=rng.random() < BEHIND_SHARE,
            finish=str(rng.choice(FINISHES)) if rng.random() < FINISH_SHARE else "",
            mark=int(rng.integers(PATHS)) if rng.random() < MARK_SHARE else -1,
            time=float(rng.uniform(0, MARK_SECONDS)),
            crf=int(rng.integers(*CRF)) if rng.random() < CODED_SHARE else 0,
            seed=int(rng.integers(2**31)),
        )

    def worn(self, frame: Rendered, way: Way) -> Picture:
        """The frame ``uint8[h, w, 3]`` after all of it."""
        rng = np.random.default_rng(way.seed)
        if way.behind:
            share = np.asarray(frame.cover[..., None], dtype=np.float32) / 255
            height, width = frame.cover.shape
            behind = cv2.resize(random_backdrop(self._stock, max(height, width), rng), (width, height))
            mixed = np.asarray(behind * (1 - share) + frame.picture * share, dtype=np.uint8)
            frame = Rendered(picture=mixed, cover=frame.cover)
        picture = finished(frame, way.finish) if way.finish else frame.picture
        if way.mark >= 0 and min(picture.shape[:2]) // 2 * 2 >= MIN_SHORT_SIDE:
            picture = self._marked(picture, way)
        return coded(picture, way.crf, rng) if way.crf else picture

    def _marked(self, picture: Picture, way: Way) -> Picture:
        high, wide = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        planes = cv2.cvtColor(np.ascontiguousarray(picture[:high, :wide]), cv2.COLOR_RGB2YUV_I420)
        flat = np.asarray(planes, dtype=np.uint8).ravel()
        luma, area = flat[: high * wide].reshape(high, wide), high * wide
        first = flat[area : area + area // 4].reshape(high // 2, wide // 2)
        second = flat[area + area // 4 :].reshape(high // 2, wide // 2)
        self._mark(wide, high, way.mark).draw(luma, first, second, way.time)
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420), dtype=np.uint8)

    def _mark(self, width: int, height: int, path: int) -> VisibleMark:
        name = (width, height, path)
        if name not in self._marks:
            key = bytes([path + 1]) * 32
            self._marks[name] = VisibleMark(key, 1000 + path, path, width, height, full_range=False)
            if len(self._marks) > KEPT:
                self._marks.popitem(last=False)
        self._marks.move_to_end(name)
        return self._marks[name]


def coded(picture: Picture, crf: int, rng: np.random.Generator) -> Picture:
    """The picture as the second frame of a clip coded by libx264; odd sides lose a pixel."""
    high, wide = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    picture = picture[:high, :wide]
    shift = rng.integers(-MOTION, MOTION + 1, 2)
    before = np.roll(picture, tuple(int(value) for value in shift), axis=(0, 1))
    maker = av.CodecContext.create("libx264", "w")
    maker.width, maker.height, maker.pix_fmt = wide, high, "yuv420p"
    maker.time_base, maker.thread_count = Fraction(1, 12), 1
    maker.options = {"crf": str(crf), "preset": "superfast", "tune": "zerolatency"}
    reader = av.CodecContext.create("h264", "r")
    reader.thread_count = 1
    frames = []
    for part in (before, picture, None):
        frame = (
            None if part is None else av.VideoFrame.from_ndarray(np.ascontiguousarray(part), format="rgb24")
        )
        for packet in maker.encode(frame):
            frames += reader.decode(packet)
    frames += reader.decode(None)
    return np.asarray(frames[-1].to_ndarray(format="rgb24"), dtype=np.uint8)
