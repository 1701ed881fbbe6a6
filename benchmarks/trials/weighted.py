"""Peers whose weights cannot ship here, VideoSeal and TrustMark: read from a folder of what they publish.

No weights can be downloaded where this was written: the code is tested on tiny models of the same form.

VideoSeal (and what else its project publishes that way): one TorchScript file, ``*.jit``, with the methods
``embed(imgs, msgs)`` on ``float32[n, 3, h, w]`` in 0 … 1 of any size, and ``detect(imgs)``, whose columns
are a mask and then the bits' logits (facebookresearch/videoseal, docs/torchscript.md).

TrustMark: ``encoder_V.onnx`` and ``decoder_V.onnx`` for a variant V of Q, B, C or P. The encoder takes
256×256 pixels in −1 … 1 and 100 bits and gives the marked pixels; what it adds is cut to ±0.2, enlarged and
added. The decoder's 100 logits are the bits (adobe/trustmark, rust/src). All 100 are used as they are,
without the error correction that the project puts into them: every scheme here is judged on its raw bits.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks.attacks.footage import Image
from benchmarks.trials.packaged import versions
from benchmarks.trials.scheme import Evidence, PeerMissing

SEAL_BITS: Final = 256
MARK_BITS: Final = 100
MARK_SIDE: Final = 256
MOST_ADDED: Final = 0.2
VARIANTS: Final = ("Q", "B", "C", "P")
READ_SIDE: Final = {"P": 224}  # all others as marked
GAIN: Final = {"P": 1.25}  # of the P variant's own
SQUARE_FROM: Final = 2.0  # aspect from which only the middle square is marked; P always
EDGE: Final = 2  # pixels of a square's border that are left out, so that it does not show

Pixels = Any  # float32 arrays and tensors


def only(folder: Path | None, pattern: str, name: str) -> Path:
    """The one file of a folder that fits. Raises: PeerMissing with what to do."""
    if folder is None:
        raise PeerMissing(f"{name} needs its weights: {name}=FOLDER with {pattern}")
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if len(found) != 1:
        told = (
            f"{len(found)} files fit" if found else "there is none" if folder.is_dir() else "no such folder"
        )
        raise PeerMissing(f"{name} needs one file {pattern} in {folder}: {told}")
    return found[0]


def _digest(*files: Path) -> str:
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            whole.update(hashlib.file_digest(opened, "sha256").digest())
    return whole.hexdigest()


class VideoSeal:
    """A TorchScript file that marks and reads pictures of any size; strength scales what it adds."""

    name = "videoseal"
    reads = 8

    def __init__(self, strength: float | None, folder: Path | None) -> None:
        self._versions = versions("torch")
        self._file = only(folder, "*.jit", self.name)
        self._strength = 1.0 if strength is None else strength
        self._digest = _digest(self._file)
        self._model: Any = None
        self.bits = SEAL_BITS

    def fingerprint(self) -> str:
        """Of torch, the weights, frames read and strength."""
        return f"{self._versions} {self._digest} {self.reads} {self._strength}"

    def refuses(self, width: int, height: int) -> str | None:
        """Nothing."""
        return None

    def mark(self, picture: Image, message: Sequence[int]) -> Image:
        """The picture and the scaled difference that the model makes."""
        import torch

        plain = self._pixels(picture)
        with torch.no_grad():
            marked = self._loaded().embed(plain, torch.tensor([list(message)], dtype=torch.float32))
        added = (marked - plain)[0].numpy().transpose(1, 2, 0)[..., ::-1]
        return np.asarray(np.clip(np.rint(picture + 255 * self._strength * added), 0, 255), dtype=np.uint8)

    def read(self, picture: Image) -> Evidence:
        """The logits after the mask."""
        import torch

        with torch.no_grad():
            said = self._loaded().detect(self._pixels(picture))[0, 1:].numpy().astype(np.float64)
        if len(said) != self.bits:
            raise PeerMissing(f"{self._file} reads {len(said)} bits; files of {self.bits} bits are supported")
        return np.asarray(said, dtype=np.float64)

    def _loaded(self) -> Any:
        if self._model is None:
            import torch

            torch.set_num_threads(1)
            self._model = torch.jit.load(str(self._file), map_location="cpu").eval()
        return self._model

    def _pixels(self, picture: Image) -> Pixels:
        import torch

        red_first = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1))
        return torch.from_numpy(red_first)[None].float() / 255


class TrustMark:
    """An ONNX encoder and decoder of fixed size; strength scales what is added."""

    name = "trustmark"
    bits = MARK_BITS
    reads = 8

    def __init__(self, strength: float | None, folder: Path | None) -> None:
        self._versions = versions("onnxruntime")
        self._decoder = only(folder, "decoder_?.onnx", self.name)
        self._variant = self._decoder.stem[-1]
        if self._variant not in VARIANTS:
            raise PeerMissing(f"{self._decoder} is of no known variant; they are {', '.join(VARIANTS)}")
        self._encoder = only(folder, f"encoder_{self._variant}.onnx", self.name)
        self._digest = _digest(self._encoder, self._decoder)
        self._strength = (1.0 if strength is None else strength) * GAIN.get(self._variant, 1.0)
        self._sessions: dict[Path, Any] = {}

    def fingerprint(self) -> str:
        """Of onnxruntime, the weights, frames read and strength."""
        return f"{self._versions} {self._digest} {self.reads} {self._strength}"

    def refuses(self, width: int, height: int) -> str | None:
        """Nothing."""
        return None

    def mark(self, picture: Image, message: Sequence[int]) -> Image:
        """The picture and the enlarged difference that the encoder makes."""
        rows, columns = self._area(picture)
        plain = self._pixels(picture[rows, columns], MARK_SIDE)
        bits = np.array([list(message)], dtype=np.float32)
        marked = self._run(self._encoder, plain, bits)
        added = np.clip((marked - plain)[0], -MOST_ADDED, MOST_ADDED).transpose(1, 2, 0)[..., ::-1]
        height, width = picture[rows, columns].shape[:2]
        if (height, width) != picture.shape[:2]:
            inner = np.zeros_like(added)
            inner[EDGE:-EDGE, EDGE:-EDGE] = added[EDGE:-EDGE, EDGE:-EDGE]
            added = inner
        large = cv2.resize(np.ascontiguousarray(added), (width, height), interpolation=cv2.INTER_LINEAR)
        made = picture.astype(np.float32)
        made[rows, columns] += 127.5 * self._strength * large
        return np.asarray(np.clip(np.rint(made), 0, 255), dtype=np.uint8)

    def read(self, picture: Image) -> Evidence:
        """The decoder's logits."""
        side = READ_SIDE.get(self._variant, MARK_SIDE)
        said = self._run(self._decoder, self._pixels(picture[self._area(picture)], side))[0]
        if said.shape != (self.bits,):
            raise PeerMissing(f"{self._decoder} gives {said.shape}, not {self.bits} logits")
        return np.asarray(said, dtype=np.float64)

    def _area(self, picture: Image) -> tuple[slice, slice]:
        """Rows and columns that are marked: all, or the square in the middle."""
        height, width = picture.shape[:2]
        side = min(height, width)
        if self._variant != "P" and max(height, width) <= SQUARE_FROM * side:
            return slice(0, height), slice(0, width)
        top, left = (height - side) // 2, (width - side) // 2
        return slice(top, top + side), slice(left, left + side)

    def _pixels(self, picture: Image, side: int) -> Pixels:
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        red_first = small[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        return np.ascontiguousarray(red_first / 127.5 - 1)

    def _run(self, file: Path, *inputs: Pixels) -> Pixels:
        """The first output; inputs are named by the model, in its order."""
        import onnxruntime

        if file not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self._sessions[file] = onnxruntime.InferenceSession(file, options)
        session = self._sessions[file]
        named = {entry.name: value for entry, value in zip(session.get_inputs(), inputs, strict=True)}
        return session.run(None, named)[0]


WEIGHTED: Final[dict[str, Callable[[float | None, Path | None], Any]]] = {
    "videoseal": VideoSeal,
    "trustmark": TrustMark,
}
