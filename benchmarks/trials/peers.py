"""Watermarks of others as schemes: a picture watermark put on every frame, and read from some of them.

The rules for all of them:
1. A peer sees 8-bit BGR pictures, as OpenCV gives them to its users, and its pictures are rounded to 4:2:0.
2. It is read as received: no size, crop or rotation is told. What it cannot know blindly but needs, the step
   of its quantiser, it is told, which is in its favour.
3. Evidence is the mean over the frames read of what each says of a bit. A peer has no rule that accepts:
   it always returns bits. Its score is the correlation with the embedded bits; for bits drawn independently
   of the clip, P(score ≥ t) ≤ exp(−t²/2) for any content (Hoeffding 1963), the same law as our mark's.
4. Strength is a multiple of what the peer published: of its quantiser's step, or of what it adds.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from benchmarks.attacks.footage import Footage, Frame, Image, from_rgb, to_rgb
from benchmarks.trials.packaged import PACKAGED
from benchmarks.trials.scheme import CannotMark, Evidence, Marked, Reading, Record, Scheme
from benchmarks.trials.weighted import WEIGHTED

PRESENT: Final = 6.44  # exp(−t²/2) = 10⁻⁹ for one known message


class Method(Protocol):
    """A watermark of single pictures ``uint8[h, w, 3]``, blue first."""

    name: str
    bits: int
    reads: int
    """Frames of a clip that are read: all that this takes on two cores within the hour."""

    def fingerprint(self) -> str:
        """Of the packages, weights and settings that can change a reading."""
        ...

    def refuses(self, width: int, height: int) -> str | None:
        """Why a picture of this size cannot be marked or read, None where it can."""
        ...

    def mark(self, picture: Image, message: Sequence[int]) -> Image:
        """The picture with the bits in it."""
        ...

    def read(self, picture: Image) -> Evidence:
        """For each bit, positive for 1; all zero where nothing can be said."""
        ...


class Peer:
    """A method as a scheme."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self.name = method.name

    def fingerprint(self, *, visible: bool = True) -> str:
        """Of this file, the method's, and its packages and settings."""
        files = (__file__, str(sys.modules[type(self._method).__module__].__file__))
        code = b"".join(Path(file).read_bytes() for file in files)
        return hashlib.sha256(code + self._method.fingerprint().encode()).hexdigest()

    def payload(self, key: int) -> int:
        """Bits drawn by name and key."""
        drawn = hashlib.shake_256(f"countermark benchmark {self.name} {key}".encode()).digest(32)
        return int.from_bytes(drawn) >> (256 - self._method.bits)

    def embed(self, footage: Footage, key: int, *, visible: bool = False) -> Marked:
        """Every frame by itself; there is no visible mark. Raises: CannotMark."""
        if visible:
            raise CannotMark(f"{self.name} has no visible mark")
        if reason := self._method.refuses(footage.width, footage.height):
            raise CannotMark(reason)
        message = bits_of(self.payload(key), self._method.bits)

        def play() -> Iterator[Frame]:
            for time, image in footage.play():
                yield Frame(time, bgr_to_image(self._method.mark(image_to_bgr(image), message)))

        return Marked(footage=replace(footage, play=play), record={})

    def detect(self, frames: Iterable[Frame], key: int, record: Record | None = None) -> Reading:
        """Some frames, evenly spread; the score is for the key's message, the bits are whatever comes out."""
        method, said, reason = self._method, [], None
        for _, image in spread(frames, method.reads):
            picture = image_to_bgr(image)
            reason = method.refuses(picture.shape[1], picture.shape[0])
            said.append(np.zeros(method.bits) if reason else method.read(picture))
        evidence = np.mean(said, axis=0) if said else np.zeros(method.bits)
        score = correlation(evidence, bits_of(self.payload(key), method.bits))
        read = int("".join("1" if value > 0 else "0" for value in evidence), 2)
        return Reading(
            payload=None if reason else read, present=score >= PRESENT, score=score,
            details={"refused": reason, "frames read": len(said)},
            evidence=tuple(float(value) for value in evidence),
        )  # fmt: skip


def bits_of(number: int, count: int) -> tuple[int, ...]:
    """The bits of a number, first the highest."""
    return tuple(number >> place & 1 for place in reversed(range(count)))


def correlation(evidence: Evidence, message: Sequence[int]) -> float:
    """Σ eᵢ·(±1) / ‖e‖, at most √bits; 0 where the evidence says nothing."""
    length = float(np.linalg.norm(evidence))
    return float(evidence @ (2.0 * np.asarray(message) - 1)) / length if length > 0 else 0.0


def spread(frames: Iterable[Frame], most: int) -> list[Frame]:
    """At most `most` frames, evenly spread over a stream of unknown length; twice as many are held."""
    held: list[Frame] = []
    step = 1
    for index, frame in enumerate(frames):
        if index % step == 0:
            held.append(frame)
        if len(held) == 2 * most:
            held, step = held[::2], 2 * step
    picked = np.linspace(0, len(held) - 1, min(most, len(held))).round().astype(int)
    return [held[index] for index in picked]


def image_to_bgr(image: Image) -> Image:
    """``uint8[h, w, 3]``, blue first, of an I420 image."""
    return np.ascontiguousarray(to_rgb(image)[..., ::-1])


def bgr_to_image(picture: Image) -> Image:
    """An I420 image of ``uint8[h, w, 3]``, blue first."""
    return from_rgb(np.ascontiguousarray(picture[..., ::-1]))


def _packaged(make: Callable[[float | None], Method]) -> Callable[[float | None, Path | None], Scheme]:
    return lambda strength, _weights: Peer(make(strength))


def _weighted(make: Callable[[float | None, Path | None], Method]) -> Callable[..., Scheme]:
    return lambda strength, weights: Peer(make(strength, weights))


PEERS: Final[dict[str, Callable[[float | None, Path | None], Scheme]]] = {
    **{name: _packaged(make) for name, make in PACKAGED.items()},
    **{name: _weighted(make) for name, make in WEIGHTED.items()},
}
"""By name: a function of the strength and of a folder of weights."""
