"""The peers that PyPI has with all they need: invisible-watermark's three methods, and blind-watermark.

Both ask for the package `opencv-python`, which overwrites the files of the `opencv-python-headless` that this
project uses, so they are installed without what they ask for (`INSTALL`). invisible-watermark imports torch
whatever the method; its two ONNX sessions are made here, since its own take every processor.
"""

import math
import multiprocessing
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.attacks.footage import Image
from benchmarks.trials.scheme import Evidence, PeerMissing

INSTALL: Final = (
    "pip install -e '.[peers]' && pip install --no-deps 'invisible-watermark==0.2.0' 'blind-watermark==0.4.4'"
)
FREE_BITS: Final = 64
"""Bits embedded where the method takes any number: as many as a user of ours has."""
STEP: Final = 36.0
SECOND_STEP: Final = 20.0
LEAST_PIXELS: Final = 256 * 256  # invisible-watermark refuses less
RIVA_BITS: Final = 32
RIVA_THRESHOLD: Final = 0.52  # of RivaWatermark's own decoder
RESIDUALS: Final = 24  # kept, so that trying strengths embeds once


def versions(*packages: str) -> str:
    """What of these is installed. Raises: PeerMissing for one that is not."""
    try:
        return " ".join(f"{name} {version(name)}" for name in packages)
    except PackageNotFoundError as error:
        raise PeerMissing(f"the package {error.name} is not installed; {INSTALL}") from None


def too_small(name: str, width: int, height: int) -> str | None:
    """Why invisible-watermark refuses a size."""
    if width * height < LEAST_PIXELS:
        return f"{name} refuses pictures of less than {LEAST_PIXELS} pixels, this one has {width}×{height}"
    return None


class Wavelet:
    """invisible-watermark's dwtDct and dwtDctSvd: a quantiser on 4×4 blocks of one chroma plane."""

    bits = FREE_BITS
    reads = 24

    def __init__(self, name: str, strength: float | None) -> None:
        self._versions = versions("invisible-watermark", "PyWavelets")
        self.name = name
        self._scales = [0, STEP * (strength or 1.0), STEP * (strength or 1.0)]

    def fingerprint(self) -> str:
        """Of versions, bits and steps."""
        return f"{self._versions} {self.name} {self.bits} {self.reads} {self._scales}"

    def refuses(self, width: int, height: int) -> str | None:
        """Small pictures."""
        return too_small(self.name, width, height)

    def mark(self, picture: Image, message: Sequence[int]) -> Image:
        """The package's own picture."""
        marker = _wavelet(self.name)(list(message), wmLen=self.bits, scales=self._scales)
        return np.asarray(marker.encode(picture), dtype=np.uint8)

    def read(self, picture: Image) -> Evidence:
        """The share of blocks that say 1, less one half: what the package decides a bit by."""
        reader = _wavelet(self.name)(wmLen=self.bits, scales=self._scales)
        reader.decode(picture)
        return np.array([float(np.mean(said)) if said else 0.5 for said in reader.said]) - 0.5


@lru_cache(maxsize=2)
def _wavelet(name: str) -> Any:
    """The package's class, which also keeps what each block said, since its answer is rounded to bits."""
    module, kind = {
        "dwtDct": ("imwatermark.maxDct", "EmbedMaxDct"),
        "dwtDctSvd": ("imwatermark.dwtDctSvd", "EmbedDwtDctSvd"),
    }[name]
    base = getattr(import_module(module), kind)

    class Kept(base):  # type: ignore[misc, valid-type]
        """Keeps the votes."""

        def decode_frame(self, frame: Any, scale: Any, scores: list[list[int]]) -> list[list[int]]:
            said: list[list[int]] = super().decode_frame(frame, scale, scores)
            self.said = said
            return said

    return Kept


class RivaGan:
    """invisible-watermark's rivaGan: a trained network; strength scales what it adds."""

    name = "rivaGan"
    bits = RIVA_BITS
    reads = 3

    def __init__(self, strength: float | None) -> None:
        self._versions = versions("invisible-watermark", "onnxruntime")
        self._strength = 1.0 if strength is None else strength

    def fingerprint(self) -> str:
        """Of versions, frames read and strength."""
        return f"{self._versions} {self.reads} {self._strength}"

    def refuses(self, width: int, height: int) -> str | None:
        """Small pictures, as the package does."""
        return too_small(self.name, width, height)

    def mark(self, picture: Image, message: Sequence[int]) -> Image:
        """The picture and the scaled difference that the network makes."""
        added = _riva_residual(picture.tobytes(), picture.shape, tuple(message))
        return np.asarray(np.clip(np.rint(picture + self._strength * added), 0, 255), dtype=np.uint8)

    def read(self, picture: Image) -> Evidence:
        """The decoder's output less the package's threshold."""
        frame = (picture.astype(np.float32) / 127.5 - 1.0).transpose(2, 0, 1)[None, :, None]
        said = _riva().decoder.run(None, {"frame": frame})[0][0]
        return np.asarray(said, dtype=np.float64) - RIVA_THRESHOLD


@lru_cache(maxsize=1)
def _riva() -> Any:
    """The package's class with sessions of one thread."""
    import onnxruntime
    import torch

    torch.set_num_threads(1)
    module = import_module("imwatermark.rivaGan")
    folder = Path(str(module.__file__)).parent
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for part in ("encoder", "decoder"):
        session = onnxruntime.InferenceSession(folder / f"rivagan_{part}.onnx", options)
        setattr(module.RivaWatermark, part, session)
    return module.RivaWatermark


@lru_cache(maxsize=RESIDUALS)
def _riva_residual(data: bytes, shape: tuple[int, ...], message: tuple[int, ...]) -> Any:
    picture = np.frombuffer(data, np.uint8).reshape(shape)
    marked = _riva()(list(message), RIVA_BITS).encode(picture)
    return marked.astype(np.int16) - picture


class BlindWatermark:
    """blind-watermark: a quantiser on shuffled 4×4 blocks of all three planes."""

    name = "blind-watermark"
    bits = FREE_BITS
    reads = 8

    def __init__(self, strength: float | None) -> None:
        self._versions = versions("blind-watermark", "PyWavelets")
        self._strength = 1.0 if strength is None else strength

    def fingerprint(self) -> str:
        """Of versions, bits, frames read and strength."""
        return f"{self._versions} {self.bits} {self.reads} {self._strength}"

    def refuses(self, width: int, height: int) -> str | None:
        """Pictures with fewer blocks than bits."""
        blocks = (width // 8) * (height // 8)
        return None if blocks > self.bits else f"{width}×{height} pixels have no room for {self.bits} bits"

    def mark(self, picture: Image, message: Sequence[int]) -> Image:
        """The package's own picture, rounded as OpenCV rounds it into a file."""
        marker = self._package()
        marker.read_img(img=picture)
        marker.read_wm(np.array(message, dtype=bool), mode="bit")
        return np.asarray(np.clip(np.rint(marker.embed()), 0, 255), dtype=np.uint8)

    def read(self, picture: Image) -> Evidence:
        """The mean of a bit's blocks, less the middle between the two groups that the package finds."""
        reader = self._package()
        reader.wm_size = self.bits
        means = np.asarray(reader.bwm_core.extract(img=picture, wm_shape=self.bits), dtype=np.float64)
        if math.isclose(float(means.min()), float(means.max())):
            return np.zeros(self.bits)
        ones = np.asarray(import_module("blind_watermark.bwm_core").one_dim_kmeans(means), dtype=bool)
        middle = (means[ones].mean() + means[~ones].mean()) / 2 if ones.any() and not ones.all() else 0.5
        return np.asarray(reader.extract_decrypt(means - middle), dtype=np.float64)

    def _package(self) -> Any:
        made = _blind_watermark().WaterMark()
        made.bwm_core.d1, made.bwm_core.d2 = STEP * self._strength, SECOND_STEP * self._strength
        return made


@lru_cache(maxsize=1)
def _blind_watermark() -> Any:
    """The package. It sets the start method of multiprocessing when imported, which fails where that is set
    already, as in every process that was started for us; its welcome is left out.
    """
    told = multiprocessing.set_start_method
    multiprocessing.set_start_method = lambda *_arguments, **_named: None
    try:
        package = import_module("blind_watermark")
    finally:
        multiprocessing.set_start_method = told
    package.bw_notes.close()
    return package


PACKAGED: Final[dict[str, Callable[[float | None], Any]]] = {
    "dwtDct": lambda strength: Wavelet("dwtDct", strength),
    "dwtDctSvd": lambda strength: Wavelet("dwtDctSvd", strength),
    "rivaGan": RivaGan,
    "blind-watermark": BlindWatermark,
}
