"""What a mark costs the picture of one clip: PSNR, SSIM, flicker, and VMAF and bytes behind the same encoder.

*Flicker* of a sequence is the mean over pixels of |x(t−1) − 2 x(t) + x(t+1)| in grey levels: nothing for a
still picture and nothing for an even fade, most for what goes back and forth from frame to frame. It is taken
of the change that the mark makes (marked less unmarked, before the encoder), blurred to what the eye still
sees at six picture heights, and of the encoded luma with and without the mark.
"""

import itertools
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.codecs import CODECS, through
from benchmarks.attacks.footage import Footage, Frame, Plane
from benchmarks.tools.quality import has_vmaf, vmaf
from watermark.quality import psnr, squared_error

CRF: Final = 23
BYTES_PER_KBIT: Final = 125
SSIM_EVERY: Final = 5  # frames
SSIM_SIGMA: Final = 1.5
SSIM_CONSTANTS: Final = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)
# At six picture heights a degree is a tenth of the height; contrast over eight cycles a degree is hardly seen
# to flicker, so the blur's sigma is a 480th of the height.
EYE_SIGMA: Final = 1 / 480

Field = NDArray[np.float32]
Figures = dict[str, float]


class Flicker:
    """Mean absolute second difference in time of planes that come one after another."""

    def __init__(self) -> None:
        self._held: deque[Field] = deque(maxlen=3)
        self._total, self._count = 0.0, 0

    def add(self, plane: Field) -> None:
        """The next plane ``float32[h, w]``."""
        self._held.append(plane)
        if len(self._held) == 3:
            before, now, after = self._held
            self._total += float(np.mean(np.abs(before - 2 * now + after)))
            self._count += 1

    @property
    def value(self) -> float:
        """In grey levels; 0 for fewer than three planes."""
        return self._total / self._count if self._count else 0.0


def ssim(first: Plane, second: Plane) -> float:
    """Mean structural similarity of two planes (Wang et al. 2004; Gaussian window of sigma 1.5)."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    c1, c2 = SSIM_CONSTANTS

    def mean(plane: Field) -> Field:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), SSIM_SIGMA), dtype=np.float32)

    ma, mb = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    top = (2 * ma * mb + c1) * (2 * vab + c2)
    return float(np.mean(top / ((ma * ma + mb * mb + c1) * (va + vb + c2))))


def measure(plain: Footage, marked: Footage, scratch: Path) -> Figures:
    """All figures of one clip and its marked copy; `scratch`: an empty folder for the encoded ones.

    ``vmaf loss``: points lost at H.264 crf 23 against the unmarked clip; ``bitrate``: share of bytes added.
    """
    figures = _pixels(plain, marked)
    _write_y4m(plain.play(), scratch / "reference.y4m", plain.rate)
    scores, sizes, flickers = [], [], []
    for name, footage in (("plain", plain), ("marked", marked)):
        packets: list[int] = []
        flicker = Flicker()
        coded = through(footage.play(), CODECS["h264"], rate=footage.rate, crf=CRF, told=packets.append)
        path = scratch / f"{name}.y4m"
        _write_y4m(_seen(coded, flicker), path, footage.rate)
        scores.append(vmaf(scratch / "reference.y4m", path))
        path.unlink()
        sizes.append(sum(packets))
        flickers.append(flicker.value)
    (scratch / "reference.y4m").unlink()
    return figures | {
        "vmaf plain": scores[0], "vmaf loss": scores[0] - scores[1],
        "kbit/s plain": sizes[0] / plain.seconds / BYTES_PER_KBIT,
        "bitrate": sizes[1] / sizes[0] - 1, "flicker encoded plain": flickers[0],
        "flicker encoded marked": flickers[1],
    }  # fmt: skip


def _pixels(plain: Footage, marked: Footage) -> Figures:
    errors, similar, flicker = [], [], Flicker()
    sigma = EYE_SIGMA * plain.height
    for index, (a, b) in enumerate(zip(plain.play(), marked.play(), strict=True)):
        errors.append(squared_error(a.luma, b.luma))
        change = b.luma.astype(np.float32) - a.luma
        flicker.add(np.asarray(cv2.GaussianBlur(change, (0, 0), sigma), dtype=np.float32))
        if index % SSIM_EVERY == 0:
            similar.append(ssim(a.luma, b.luma))
    return {
        "psnr": psnr(float(np.mean(errors))), "ssim": float(np.mean(similar)), "flicker": flicker.value,
    }  # fmt: skip


def _seen(frames: Iterable[Frame], flicker: Flicker) -> Iterator[Frame]:
    for frame in frames:
        flicker.add(frame.luma.astype(np.float32))
        yield frame


def _write_y4m(frames: Iterable[Frame], path: Path, rate: float) -> None:
    """Frames as a YUV4MPEG2 file: raw, and FFmpeg reads it."""
    frames = iter(frames)
    first = next(frames)
    height, width = first.luma.shape
    head = f"YUV4MPEG2 W{width} H{height} F{round(rate * 1000)}:1000 Ip A1:1 C420jpeg\n"
    with path.open("wb") as file:
        file.write(head.encode())
        for frame in itertools.chain([first], frames):
            file.write(b"FRAME\n")
            file.write(np.ascontiguousarray(frame.image).data)


def can_measure() -> bool:
    """Whether the FFmpeg of imageio-ffmpeg is there and has VMAF."""
    try:
        return has_vmaf()
    except (OSError, RuntimeError, subprocess.CalledProcessError):
        return False
