"""Pictures and clips among a pipeline's arguments: taken only as what can be looked at, and copied.

1. PIL pictures, and lists of them as clips; nothing that a pipeline may read otherwise than a person sees it:
   no tensors (a pipeline may take them for latents), no arrays, no file names.
2. The pipeline is given copies in plain RGB, the same pixels that are looked at: nothing shows only where
   transparency is ignored, and nobody changes a picture after it was judged.
3. Every picture of a clip is looked at as a clip is, by `pipeline.material`.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UsageError
from watermark.quality import psnr, squared_error

PICTURES: Final = ("image", "last_image")
CLIPS: Final = ("video",)
CONDITIONS: Final = "conditions"
NAMES: Final = frozenset({*PICTURES, *CLIPS, CONDITIONS})
SETTINGS: Final = frozenset({"strength", "frame_index", "image_cond_noise_scale"})
"""Numbers that say how material is used; they bring nothing in."""
CONDITION: Final = "LTXVideoCondition"
MAX_CLIP: Final = 2000  # pictures of a clip
SAME_PICTURE: Final = 25.0  # dB of small pictures: what a video model's autoencoder keeps of a frame
SMALL: Final = 64  # pixels a side
CLIP_RATE: Final = Fraction(24)  # of clips whose rate nobody says: it only places what is found in time

Frames = NDArray[np.uint8]


class WriteClip(Protocol):
    """Writes RGB frames ``uint8[n, h, w, 3]`` as a clip."""

    def __call__(self, made: Frames, rate: Fraction, target: Path) -> None: ...  # noqa: D102


@dataclasses.dataclass(slots=True)
class Given:
    """The copies that a pipeline gets, and what is to be looked at: single pictures, and clips."""

    arguments: dict[str, Any]
    pictures: list[Frames]
    clips: list[list[Frames]]

    def write(self, folder: Path, write_clip: WriteClip) -> tuple[Path, ...]:
        """All of it as files, for the checks."""
        from PIL import Image

        files = []
        for number, picture in enumerate(self.pictures):
            files.append(folder / f"picture-{number}.png")
            Image.fromarray(picture).save(files[-1])
        for number, frames in enumerate(self.clips):
            files.append(folder / f"clip-{number}.mp4")
            write_clip(np.stack(frames), CLIP_RATE, files[-1])
        return tuple(files)

    def continued(self, made: Frames) -> int | None:
        """Which of the files of `write` is a clip that `made` ``uint8[n, h, w, 3]`` goes on with: it begins
        with all frames of that clip, as far as a model gives frames back, and is longer.
        """
        for number, clip in enumerate(self.clips):
            if len(clip) < len(made) and _least_psnr(clip, made) >= SAME_PICTURE:
                return len(self.pictures) + number
        return None


def taken(given: dict[str, Any], most: int) -> Given:
    """The material in a call's arguments, at most so many pictures and clips.

    Raises: UsageError for what cannot be looked at.
    """
    found = Given(arguments={}, pictures=[], clips=[])
    for name in sorted(NAMES & given.keys()):
        value = given[name]
        if value is None:
            continue
        if name == CONDITIONS:
            conditions = value if isinstance(value, (list, tuple)) else [value]
            found.arguments[name] = [_condition(one, found) for one in conditions]
        else:
            found.arguments[name] = (_pictures if name in PICTURES else _clip)(name, value, found)
    for name in SETTINGS & given.keys():
        _demand_numbers(name, given[name])
    if len(found.pictures) + len(found.clips) > most:
        raise UsageError(f"a clip is made from at most {most} pictures and clips; give fewer")
    return found


def _least_psnr(clip: Sequence[Frames], made: Frames) -> float:
    """The worst PSNR in dB of the clip's frames against those with which `made` begins, both made small."""
    worst = 0.0
    for given, own in zip(clip, made, strict=False):
        one, other = (_small(frame) for frame in (given, own))
        worst = max(worst, squared_error(one, other))
    return psnr(worst)


def _small(frame: Frames) -> Frames:
    small = cv2.resize(frame, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _pictures(name: str, value: Any, found: Given) -> Any:
    """A picture, or a list of pictures, each on its own."""
    if isinstance(value, (list, tuple)):
        return [_picture(name, one, found.pictures) for one in value]
    return _picture(name, value, found.pictures)


def _clip(name: str, value: Any, found: Given) -> Any:
    """A list of pictures of one size, or a list with that list alone."""
    if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], (list, tuple)):
        return [_clip(name, value[0], found)]
    if not isinstance(value, (list, tuple)) or not value or len(value) > MAX_CLIP:
        raise UsageError(f"{name} is a list of 1 to {MAX_CLIP} PIL pictures, so that each can be looked at")
    frames: list[Frames] = []
    copies = [_picture(name, one, frames) for one in value]
    if len({frame.shape for frame in frames}) > 1:
        raise UsageError(f"the pictures of {name} are of several sizes; make them one")
    found.clips.append(frames)
    return copies


def _condition(condition: Any, found: Given) -> Any:
    if type(condition).__name__ != CONDITION or not dataclasses.is_dataclass(condition):
        raise UsageError(f"{CONDITIONS} are {CONDITION}s of diffusers, so that they can be looked at")
    image, video = getattr(condition, "image", None), getattr(condition, "video", None)
    for name in ("frame_index", "strength"):
        _demand_numbers(name, getattr(condition, name, None))
    changed: Any = {
        "image": None if image is None else _pictures("image", image, found),
        "video": None if video is None else _clip("video", video, found),
    }
    return dataclasses.replace(condition, **changed)  # type: ignore[type-var]


def _picture(name: str, value: Any, seen: list[Frames]) -> Any:
    """A copy of a picture in RGB; its pixels go to `seen`."""
    from PIL import Image

    if not isinstance(value, Image.Image):
        raise UsageError(
            f"{name} may carry content that no check sees; give it as PIL pictures, which are looked at"
        )
    try:
        pixels = np.array(value.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{name} holds a picture that cannot be read ({error}); use another") from None
    seen.append(pixels)
    return Image.fromarray(pixels)


def _demand_numbers(name: str, value: Any) -> None:
    values: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    if not all(one is None or isinstance(one, (int, float)) for one in values):
        raise UsageError(f"{name} is a number; anything else may carry content that no check sees")
