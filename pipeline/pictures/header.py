"""What a picture's first bytes say: kind, size, whether it moves, how it has to be turned.

Reads PNG (W3C PNG 3), JPEG (ITU T.81, Exif 2.32) and WebP (RFC 9649) with nothing but `struct`, so that
a bomb is refused before any decoder sees it. It runs in the sandbox child all the same.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import PictureRefused

PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"
TAKEN: Final = "save it as PNG, JPEG or WebP"
CUT: Final = "the end of the file is missing; get the whole file"
DAMAGED: Final = "the file is damaged; save it again as PNG or JPEG"

_HEAD: Final = 12
ORIENTATION_TAG: Final = 0x0112
UPRIGHT: Final = 1
MAX_EXIF_ENTRIES: Final = 512
MAX_CHUNKS: Final = 100_000
JPEG_PRECISION: Final = 8
SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
STANDALONE: Final = frozenset({0x01, SOI, EOI, *range(0xD0, 0xD8)})  # markers without a length
SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
ANIMATION_FLAG: Final = 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """``kind``: png, jpeg or webp; ``width``, ``height`` as stored; ``orientation``: Exif's, 1 to 8."""

    kind: str
    width: int
    height: int
    orientation: int = UPRIGHT


def is_picture(path: Path) -> bool:
    """By its first bytes, whatever it is called; what is no picture that is taken is tried as a clip."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False  # the reader of clips says so
    return head.startswith((PNG, JPEG)) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def read_header(data: bytes) -> Header:
    """Raises: PictureRefused for anything but a whole still PNG, JPEG or WebP."""
    try:
        if data.startswith(PNG):
            return _png(data)
        if data.startswith(JPEG):
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        raise PictureRefused(CUT) from None
    raise PictureRefused(_other(data))


def _other(data: bytes) -> str:
    """What to say of a file that is none of the three kinds."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    known = {
        b"gif8": "a GIF", b"bm": "a BMP", b"ii*\0": "a TIFF", b"mm\0*": "a TIFF", b"%pdf": "a PDF",
        b"<svg": "an SVG drawing", b"<?xml": "an XML or SVG file", b"<!doctype": "a web page",
        b"<html": "a web page", b"\xff\x0a": "a JPEG XL picture",
    }  # fmt: skip
    for magic, name in known.items():
        if start.startswith(magic):
            return f"this is {name}; {TAKEN}"
    if data[4:8] == b"ftyp":
        return f"this is a HEIC or AVIF picture, or a video; {TAKEN}"
    return f"this is not a picture; {TAKEN}" if data else "the file is empty; choose another"


def _png(data: bytes) -> Header:
    size, orientation, whole = None, UPRIGHT, False
    for name, body in _png_chunks(data):
        if (size is None) is not (name == b"IHDR"):  # the first chunk, and no other
            raise PictureRefused(DAMAGED)
        if name == b"IHDR":
            size = struct.unpack_from(">II", body)
        elif name == b"acTL":
            raise _animated()
        elif name == b"eXIf":
            orientation = _orientation(body)
        elif name == b"IEND":
            whole = True
            break
    if size is None or not whole:
        raise PictureRefused(CUT)
    return Header(kind="png", width=size[0], height=size[1], orientation=orientation)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(PNG)
    for _ in range(MAX_CHUNKS):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise PictureRefused(CUT)
        yield name, b"" if name == b"IDAT" else data[position + 8 : end - 4]
        position = end
    raise PictureRefused(DAMAGED)


def _jpeg(data: bytes) -> Header:
    size, orientation = None, UPRIGHT
    for marker, body in _jpeg_segments(data):
        if marker in SIZES:
            precision, height, width = struct.unpack_from(">BHH", body)
            if size is not None or precision != JPEG_PRECISION:
                raise PictureRefused(DAMAGED)
            size = width, height
        elif marker == APP1 and body.startswith(b"Exif\0\0"):
            orientation = _orientation(body[6:])
    if size is None:
        raise PictureRefused(DAMAGED)
    return Header(kind="jpeg", width=size[0], height=size[1], orientation=orientation)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments before the first scan; whether the scans are whole is what the decoder says."""
    position = 2
    for _ in range(MAX_CHUNKS):
        if data[position] != 0xFF:
            raise PictureRefused(DAMAGED)
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker == SOS:
            return
        if marker in STANDALONE:
            raise PictureRefused(DAMAGED)
        (length,) = struct.unpack_from(">H", data, position + 2)
        if position + 2 + length > len(data):
            raise PictureRefused(CUT)
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + length
    raise PictureRefused(DAMAGED)


def _webp(data: bytes) -> Header:
    (declared,) = struct.unpack_from("<I", data, 4)
    if declared + 8 > len(data):
        raise PictureRefused(CUT)
    size, orientation = None, UPRIGHT
    for name, body in _webp_chunks(data, declared + 8):
        if name in (b"ANIM", b"ANMF") or (name == b"VP8X" and body[0] & ANIMATION_FLAG):
            raise _animated()
        if size is None:
            size = _webp_size(name, body)
        if name == b"EXIF":
            orientation = _orientation(body.removeprefix(b"Exif\0\0"))
    if size is None:
        raise PictureRefused(DAMAGED)
    return Header(kind="webp", width=size[0], height=size[1], orientation=orientation)


def _webp_chunks(data: bytes, end: int) -> Iterator[tuple[bytes, bytes]]:
    position, count = 12, 0
    while position + 8 <= end and count < MAX_CHUNKS:
        name, length = struct.unpack_from("<4sI", data, position)
        if position + 8 + length > end:
            raise PictureRefused(CUT)
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
        count += 1


def _webp_size(name: bytes, body: bytes) -> tuple[int, int] | None:
    if name == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if name == b"VP8L":
        (packed,) = struct.unpack_from("<I", body, 1)
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if name == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _orientation(exif: bytes) -> int:
    """Exif's orientation; upright where it is missing or makes no sense, as every viewer does."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for index in range(min(count, MAX_EXIF_ENTRIES)):
            tag, _kind, _number, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * index)
            if tag == ORIENTATION_TAG:
                return int(value) if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT


def _animated() -> PictureRefused:
    return PictureRefused("the picture is animated; save one frame of it as PNG or JPEG")
