"""Tiny real pictures, whole and broken."""

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]
WIDTH, HEIGHT = 128, 112


def drawing(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Smooth colours, RGB ``uint8[h, w, 3]``; no two sides or corners alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def saved(rgb: Pixels, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as Pillow writes it."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind, **options)
    return file.getvalue()


def deep_png(rgb: Pixels) -> bytes:
    """The picture with 16 bits a channel."""
    return bytes(cv2.imencode(".png", rgb[..., ::-1].astype(np.uint16) * 257)[1])


def cmyk(rgb: Pixels) -> bytes:
    """The picture as a CMYK JPEG."""
    file = io.BytesIO()
    Image.fromarray(rgb).convert("CMYK").save(file, "JPEG", quality=95)
    return file.getvalue()


def oriented(rgb: Pixels, kind: str, orientation: int) -> bytes:
    """The picture stored as it is, with Exif's word on how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(rgb, kind, exif=exif, **({} if kind == "PNG" else {"quality": 100}))


def animated(kind: str) -> bytes:
    """Two frames."""
    file = io.BytesIO()
    first, second = (Image.fromarray(drawing(seed)) for seed in (1, 2))
    first.save(file, kind, save_all=True, append_images=[second])
    return file.getvalue()


def with_size(png: bytes, width: int, height: int) -> bytes:
    """A PNG whose header declares another size, with the right checksum."""
    body = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


def two_headers(png: bytes, width: int, height: int) -> bytes:
    """A PNG with a second header, of another size, before its end; decoders go by the first."""
    return png[:-12] + with_size(png, width, height)[8:33] + png[-12:]


def cut_jpeg(jpeg: bytes, share: float) -> bytes:
    """A JPEG that ends too early but with its end marker: decoders fill the rest with grey."""
    return jpeg[: int(len(jpeg) * share)] + b"\xff\xd9"
