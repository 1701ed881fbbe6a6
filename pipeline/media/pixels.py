"""From a decoded picture to 8-bit 4:2:0 planes as they are shown: turned, flipped, padded to even."""

import struct
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.sidedata.sidedata import SideData

from pipeline.errors import MediaUnreadable, MediaUnsupported
from pipeline.media.protocol import FRAME_TIMES, frame_bytes
from pipeline.media.types import BT709_LIMITED, Colour, Plane

UNSPECIFIED: Final = 2
LIMITED, FULL = 1, 2  # FFmpeg's numbers for the range
ITU709: Final = 1  # swscale's number for the BT.709 matrix
PQ, HLG = 16, 18
NEUTRAL_CHROMA: Final = 128
NOT_RIGHT_ANGLE: Final = "the video is turned by an angle that is not a multiple of 90 degrees; turn it first"
# Planes that can be passed on as they are; yuvj420p is the old name for full range.
PLAIN: Final = frozenset({"yuv420p", "yuvj420p", "yuva420p", "gray"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A display matrix in multiples of 90 degrees: first transpose, then flip."""

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, plane: Plane) -> Plane:
        """The plane as it is shown; a view, nothing is copied."""
        shown = plane.T if self.transposed else plane
        return shown[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    @property
    def mirrored(self) -> bool:
        """Whether left and right are swapped, besides any rotation."""
        return self.transposed ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Degrees clockwise, applied after mirroring left and right where `mirrored`."""
        if self.transposed:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0


def turn_of(frame: av.VideoFrame) -> Turn:
    """What the display matrix of the frame asks for.

    Raises: MediaUnsupported for a rotation that is not a multiple of 90 degrees.
    """
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # a kind of side data that PyAV has no name for, such as the view of a 3D video
        return _turn_by(frame.rotation)
    if matrix is None:
        return Turn()
    assert isinstance(matrix, SideData)  # noqa: S101 - for the type checker
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    return _turn_from(a, b, c, d)


def _turn_by(degrees_anticlockwise: int) -> Turn:
    turns = {
        0: Turn(),
        90: Turn(transposed=True, flip_y=True),
        180: Turn(flip_x=True, flip_y=True),
        270: Turn(transposed=True, flip_x=True),
    }
    turn = turns.get(degrees_anticlockwise % 360)
    if turn is None:
        raise MediaUnsupported(NOT_RIGHT_ANGLE)
    return turn


def _turn_from(a: int, b: int, c: int, d: int) -> Turn:
    # A point (x, y) is shown at (a x + c y, b x + d y).
    if a and d and not b and not c:
        return Turn(flip_x=a < 0, flip_y=d < 0)
    if b and c and not a and not d:
        return Turn(transposed=True, flip_x=c < 0, flip_y=b < 0)
    raise MediaUnsupported(NOT_RIGHT_ANGLE)


def check_sound(frame: av.VideoFrame) -> None:
    """Refuse what 8-bit 4:2:0 cannot hold. Raises: MediaUnsupported, MediaUnreadable."""
    if frame.color_trc in (PQ, HLG):
        raise MediaUnsupported("the video is HDR, which is not supported; convert it to 8-bit SDR first")
    depth = max(component.bits for component in frame.format.components)
    if depth > 8:
        raise MediaUnsupported(f"the video has {depth} bits per sample; convert it to 8 bits first")
    if frame.is_corrupt:
        raise MediaUnreadable("a picture of the video is damaged; use an intact copy")


def colour_of(frame: av.VideoFrame) -> Colour:
    """The tags of the planes that `Shaper` makes of such frames; nonsense becomes "unspecified"."""
    if _is_rgb(frame):
        return BT709_LIMITED
    return Colour(
        range=FULL if frame.format.name.startswith("yuvj") else _known(frame.color_range, (LIMITED, FULL), 0),
        primaries=_known(frame.color_primaries, (1, *range(4, 13), 22), UNSPECIFIED),
        transfer=_known(frame.color_trc, (1, *range(4, 19)), UNSPECIFIED),
        matrix=_known(frame.colorspace, (1, *range(4, 15)), UNSPECIFIED),
    )


def _known(tag: int, known: tuple[int, ...], otherwise: int) -> int:
    return int(tag) if tag in known else otherwise


def _is_rgb(frame: av.VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.has_palette


class Shaper:
    """Writes each frame of one clip into one buffer that is used again and again.

    ``width``/``height``: pixels that come out. ``message``: times and planes, the body of a frame message.
    """

    def __init__(self, first: av.VideoFrame, planes: str) -> None:
        self.turn = turn_of(first)
        self.source = (first.width, first.height)
        shown = self.source[::-1] if self.turn.transposed else self.source
        self.width, self.height = (side + side % 2 for side in shown)
        self.padded = (self.width, self.height) != shown
        self.message = bytearray(FRAME_TIMES.size + frame_bytes(self.width, self.height, planes))
        self._targets = self._carve(planes)
        self._reformatter = av.video.reformatter.VideoReformatter()

    def _carve(self, planes: str) -> list[Plane]:
        whole = np.frombuffer(self.message, np.uint8, offset=FRAME_TIMES.size)
        luma = self.width * self.height
        targets = [whole[:luma].reshape(self.height, self.width)]
        if planes != "y":
            half = (self.height // 2, self.width // 2)
            targets += [part.reshape(half) for part in np.split(whole[luma:], 2)]
        return targets

    def shape(self, frame: av.VideoFrame, pts: int, duration: int) -> memoryview:
        """Fill `message` with one frame.

        Raises: MediaUnsupported when the size differs from the first frame's, or as `check_sound`.
        """
        check_sound(frame)
        if (frame.width, frame.height) != self.source:
            raise MediaUnsupported("the picture size changes within the video; split it at the change first")
        planar = frame if frame.format.name in PLAIN else self._to_420(frame)
        for target in self._targets[len(planar.planes) :]:
            target[:] = NEUTRAL_CHROMA
        for target, plane in zip(self._targets, planar.planes, strict=False):
            self._copy(plane, target)
        FRAME_TIMES.pack_into(self.message, 0, pts, duration)
        return memoryview(self.message)

    def _copy(self, plane: av.video.plane.VideoPlane, target: Plane) -> None:
        stored = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            : plane.height, : plane.width
        ]
        shown = self.turn.apply(stored)
        height, width = shown.shape
        target[:height, :width] = shown
        target[height:, :width] = target[height - 1 : height, :width]
        target[:, width:] = target[:, width - 1 : width]

    def _to_420(self, frame: av.VideoFrame) -> av.VideoFrame:
        if _is_rgb(frame):
            return self._reformatter.reformat(
                frame, format="yuv420p", dst_colorspace=ITU709, src_color_range=FULL, dst_color_range=LIMITED
            )
        kept = FULL if colour_of(frame).range == FULL else LIMITED
        return self._reformatter.reformat(frame, format="yuv420p", src_color_range=kept, dst_color_range=kept)
