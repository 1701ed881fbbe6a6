"""What is taken as a picture, and what comes of it."""

import struct
from dataclasses import dataclass
from typing import Final

from classifiers.base import Picture

MIB: Final = 1024 * 1024

# How the child answers, one message for each picture: a tag, width and height before reducing, width and
# height of what follows (little endian), then the body.
MESSAGE: Final = struct.Struct("<c4I")
PICTURE: Final = b"P"  # RGB, a byte per channel, rows without gaps
REFUSED: Final = b"R"  # the sentence, UTF-8; the numbers are 0 but the last, its bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLimits:
    """What is taken in. `pixels` is compared with what the header declares, before anything is decoded.

    ``shortest``: pixels of the shorter side; the embedded CLIP looks at 96 × 96, and less would have to be
    made up. ``ratio``: longer to shorter side; more is a banner, of which no crop shows the subject.
    ``longest``: pixels to which the longer side is reduced; ``plain``: whether one that shows only one colour
    is taken, which as a reference would match every plain frame.
    """

    bytes: int = 20 * MIB
    pixels: int = 50_000_000
    shortest: int = 96
    ratio: float = 6.0
    longest: int = 1024
    plain: bool = False


LIMITS: Final = PictureLimits()
GIVEN: Final = PictureLimits(shortest=16, ratio=40.0, longest=1280, plain=True)
"""Of pictures that a clip is made from: they are not compared with, so all kinds are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """The bytes of a file that claims to be a picture, and what to call it when speaking of it."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPicture:
    """A decoded picture: upright RGB ``uint8[h, w, 3]``, its longer side reduced to `PictureLimits.longest`.

    ``sha256``: of the file's bytes; ``width``, ``height``: upright, before it was reduced.
    """

    name: str
    sha256: str
    width: int
    height: int
    rgb: Picture
