"""What a generator is given, and what it gives back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from generator.errors import RequestInvalid

Picture = NDArray[np.uint8]
Kind = Literal["text", "image", "clip"]
"""What a clip is made from besides its prompt: nothing, its first frame, the clip that it goes on with."""
Progress = Callable[[int, int], None]
"""Told (steps done, steps in all); what it raises stops the generation and reaches the caller."""

MIN_SIDE, MAX_SIDE = 64, 4096
MAX_SECONDS: Final = 600.0
MAX_RATE: Final = 120
MAX_PROMPT: Final = 10_000
MAX_SEED: Final = 2**63 - 1
MAX_STEPS: Final = 1000
MAX_GUIDANCE: Final = 100.0
MAX_CLIP_FRAMES: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # pictures cannot be compared by ==
class GenerationRequest:
    """One request: the prompt, the size in pixels, the length in seconds, frames per second, the seed.

    ``negative_prompt``: what not to show; ``steps``, ``guidance``: None for the model's own. A generator
    that has no use for one of the three ignores it.
    ``image``: the first frame, RGB ``uint8[h, w, 3]``. ``clip``: frames RGB ``uint8[n, h, w, 3]`` at
    ``frame_rate``, which the new clip goes on with; what is made are the new frames alone, ``seconds`` of
    them, so that the old ones stay as they are. At most one of the two; both may be of any size, and are
    brought to the model's, cut to its proportions. A generator that cannot do it refuses.
    """

    prompt: str
    width: int
    height: int
    seconds: float
    frame_rate: Fraction
    seed: int
    negative_prompt: str | None = None
    steps: int | None = None
    guidance: float | None = None
    image: Picture | None = None
    clip: Picture | None = None

    @property
    def kind(self) -> Kind:
        """What the clip is made from."""
        return "clip" if self.clip is not None else "image" if self.image is not None else "text"

    @property
    def frame_count(self) -> int:
        """How many frames the clip has, at least one."""
        return max(1, round(self.seconds * float(self.frame_rate)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """What is seen after ``step`` of ``steps``: RGB ``uint8[h, w, 3]``, or None and why nothing is."""

    picture: Picture | None
    step: int
    steps: int
    skipped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Asks for one look. ``shown`` is told once; what it raises stops the generation and reaches the caller.

    ``share``: of the steps, over 0 and under 1.
    """

    shown: Callable[[Peek], None]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A generated clip: RGB frames ``uint8[h, w, 3]``, made one at a time, and who made it."""

    frames: Iterator[Picture]
    width: int
    height: int
    frame_rate: Fraction
    generator: str
    version: str


class Generator(Protocol):
    """Makes a clip from a request."""

    name: str
    version: str

    def generate(
        self, request: GenerationRequest, progress: Progress | None = None, preview: Preview | None = None
    ) -> Clip:
        """Start generating; frames are drawn from ``Clip.frames``. The same request, the same frames.

        `preview` asks for a look on the way; a generator that has none to show tells nothing.
        """
        ...


def check_request(request: GenerationRequest) -> None:
    """Refuse what no generator can make. Raises: RequestInvalid."""
    _check_pictures(request)
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (request.width, request.height)):
        raise RequestInvalid(f"sides must be {MIN_SIDE} to {MAX_SIDE} pixels")
    if not 0 < request.seconds <= MAX_SECONDS:
        raise RequestInvalid(f"the length must be over 0 and at most {MAX_SECONDS:g} s")
    if not 0 < request.frame_rate <= MAX_RATE:
        raise RequestInvalid(f"the rate must be over 0 and at most {MAX_RATE} frames a second")
    if not 0 <= request.seed <= MAX_SEED:
        raise RequestInvalid("the seed must be 0 or more and under 2^63")
    if request.steps is not None and not 1 <= request.steps <= MAX_STEPS:
        raise RequestInvalid(f"the steps must be 1 to {MAX_STEPS}")
    if request.guidance is not None and not 0 <= request.guidance <= MAX_GUIDANCE:
        raise RequestInvalid(f"the guidance must be 0 to {MAX_GUIDANCE:g}")
    for text in (request.prompt, request.negative_prompt or ""):
        _check_text(text)


def demand_text(request: GenerationRequest, name: str) -> None:
    """Refuse a first frame or a clip for a generator of prompts. Raises: RequestInvalid."""
    if request.kind != "text":
        raise RequestInvalid(f"{name} draws from a prompt alone; leave the {request.kind} out")


def _check_pictures(request: GenerationRequest) -> None:
    if request.image is not None and request.clip is not None:
        raise RequestInvalid("a clip begins with an image or goes on with a clip; give one of the two")
    for name, given, axes in (("image", request.image, 3), ("clip", request.clip, 4)):
        if given is None:
            continue
        if given.dtype != np.uint8 or given.ndim != axes or given.shape[-1] != 3 or not given.size:
            shape = "[frames, height, width, 3]" if axes == 4 else "[height, width, 3]"
            raise RequestInvalid(f"the {name} must be RGB uint8{shape}, not {given.dtype}{list(given.shape)}")
        if max(given.shape[-3:-1]) > MAX_SIDE:
            raise RequestInvalid(f"the {name} has sides over {MAX_SIDE} pixels; make it smaller")
        if axes == 4 and len(given) > MAX_CLIP_FRAMES:
            raise RequestInvalid(f"the clip has over {MAX_CLIP_FRAMES} frames; give its last ones")


def _check_text(text: str) -> None:
    if len(text) > MAX_PROMPT:
        raise RequestInvalid(f"the prompt has {len(text)} characters; at most {MAX_PROMPT} are read")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RequestInvalid("the prompt is not valid Unicode; type it again") from None
