"""The sandbox child's task: decode pictures one after the other, a message for each, in their order."""

import base64
import os
import sys
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PictureRefused
from pipeline.pictures.header import CUT, DAMAGED, Header, read_header
from pipeline.pictures.types import MESSAGE, PICTURE, REFUSED, PictureLimits

BACKGROUND: Final = 128  # behind what is transparent: black and white drawings both stay visible
PLAIN: Final = 3.0  # standard deviation, of 255, under which a picture shows nothing but a colour
PLAIN_SENTENCE: Final = "it shows only one colour and would match every plain frame; choose another"
LIBJPEG_CUT: Final = b"premature end"
PIPE_BYTES: Final = 65536
REDUCTIONS: Final = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4),
                     (2, cv2.IMREAD_REDUCED_COLOR_2))  # fmt: skip

Pixels = NDArray[np.uint8]


def read_pictures(request: dict[str, Any]) -> None:
    """Request: ``pictures`` (base64 each), ``limits`` (`PictureLimits` as a document)."""
    limits = PictureLimits(**request["limits"])
    cv2.setNumThreads(1)
    complaints = _hear_complaints()
    for encoded in request["pictures"]:
        try:
            size, rgb = _read(base64.b64decode(encoded), limits, complaints)
        except (PictureRefused, MemoryError, cv2.error) as error:
            sentence = str(error) if isinstance(error, PictureRefused) else DAMAGED
            _send(MESSAGE.pack(REFUSED, 0, 0, 0, len(sentence.encode())) + sentence.encode())
        else:
            _send(MESSAGE.pack(PICTURE, *size, rgb.shape[1], rgb.shape[0]))
            _send(rgb.tobytes())


def _read(data: bytes, limits: PictureLimits, complaints: int) -> tuple[tuple[int, int], Pixels]:
    """Width and height before reducing, and the pixels.

    1. The header: kind, declared size against the limits. 2. Decoding; what came out is as declared.
    3. Nothing is missing. 4. Eight bits, no transparency, upright, reduced. 5. It shows something.
    """
    header = read_header(data)  # 1
    check_size(header, limits)
    _drain(complaints)  # of the picture before
    pixels = _decode(data, header, limits.longest)  # 2
    if LIBJPEG_CUT in _drain(complaints):  # 3
        raise PictureRefused(CUT)
    rgb = _reduced(_upright(_opaque(_eight_bits(pixels)), header.orientation), limits.longest)  # 4
    if not limits.plain and float(cv2.meanStdDev(rgb)[1].max()) < PLAIN:  # 5
        raise PictureRefused(PLAIN_SENTENCE)
    turned = header.orientation > 4
    return (header.height, header.width) if turned else (header.width, header.height), rgb


def check_size(header: Header, limits: PictureLimits) -> None:
    """Raises: PictureRefused for a size outside `limits`."""
    width, height = header.width, header.height
    if width * height > limits.pixels:
        most = limits.pixels // 1_000_000
        raise PictureRefused(f"too large: {width} × {height} pixels; make it {most} megapixels or less")
    if min(width, height) < limits.shortest:
        raise PictureRefused(f"too small: {min(width, height)} px; needs {limits.shortest}")
    if max(width, height) > limits.ratio * min(width, height):
        raise PictureRefused(f"too narrow: {width} × {height}; crop it to whom or what you protect")


def _decode(data: bytes, header: Header, longest: int) -> NDArray[Any]:
    """Grey, BGR or BGRA of 8 or 16 bits; a JPEG at half, a quarter or an eighth where that is enough."""
    mode, factor = cv2.IMREAD_UNCHANGED, 1
    if header.kind == "jpeg":  # in colour, so that CMYK is converted
        size = max(header.width, header.height)
        reductions = [pair for pair in REDUCTIONS if size >= longest * pair[0]]
        factor, mode = reductions[0] if reductions else (1, cv2.IMREAD_COLOR)
        mode |= cv2.IMREAD_IGNORE_ORIENTATION
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    if pixels is None:
        raise PictureRefused(DAMAGED)
    expected = -(-header.height // factor), -(-header.width // factor)
    if pixels.shape[:2] != expected or pixels.dtype not in (np.uint8, np.uint16):
        raise PictureRefused(DAMAGED)
    return pixels


def _eight_bits(pixels: NDArray[Any]) -> Pixels:
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels


def _opaque(pixels: Pixels) -> Pixels:
    """RGB of grey, BGR or BGRA."""
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 3:
        return pixels[..., ::-1]
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = pixels[..., 2::-1] * alpha + BACKGROUND * (255 - alpha) + 127
    return (mixed // 255).astype(np.uint8)


def _upright(rgb: Pixels, orientation: int) -> Pixels:
    """Undo what Exif's orientation says of how the picture was stored."""
    if orientation > 4:
        rgb = rgb.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)


def _reduced(rgb: Pixels, longest: int) -> Pixels:
    height, width = rgb.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return rgb
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _hear_complaints() -> int:
    """Standard error becomes a pipe: libjpeg fills what is missing with grey and says so only there."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    os.dup2(write, 2)
    return read


def _drain(complaints: int) -> bytes:
    heard = b""
    try:
        while part := os.read(complaints, PIPE_BYTES):
            heard += part
    except BlockingIOError:
        pass
    return heard


def _send(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
