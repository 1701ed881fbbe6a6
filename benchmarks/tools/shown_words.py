"""Names that stand in frames of drawn clips, in several sizes; and words of nobody's."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.common import Row, median, once, rate
from benchmarks.tools import fence_world
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.tools.look_cost import Clock, TimedLook
from benchmarks.tools.part_eyes import PartEyes
from classifiers.base import Kind, Picture, Sight
from classifiers.names import NameMatcher
from classifiers.words import check_words
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene
from pipeline import checks
from pipeline.media.types import MediaLimits
from registry.subject_types import NameRow
from registry.subjectset import SubjectSet

SIZE: Final = (854, 480)
RATE: Final = 12.0
SECONDS: Final = 2.0
CRF: Final = 23
HEIGHTS: Final = (48, 24, 16, 12)
"""Pixels of the font's size, of 480 lines."""
EACH: Final = 10
STEP: Final = 4
"""Pixels that the camera goes from one frame to the next."""
STRANGERS: Final = 1000
"""Registered names that no clip shows."""
BRIEF: Final = (0.9, 1.4)
SIGNS: Final = (
    "OPEN 24 HOURS", "No smoking", "Platform 9", "THE END", "Directed by nobody", "Fresh bread daily",
    "Exit", "Chapter one", "Please wait here", "SALE 50 %", "Meanwhile, in the harbour", "fin",
)  # fmt: skip
SEED: Final = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What a clip shows: a text of so many pixels, between two times."""

    text: str
    height: int
    span: tuple[float, float] = (0.0, SECONDS)


def rows(clips: Sequence[Path], words: Any, say: Callable[[str], None]) -> list[Row]:
    """Names found by size, words of nobody's flagged, and what a frame costs."""
    rng = np.random.default_rng(SEED)
    clock = Clock()
    timed = TimedLook("words", words, clock)
    eyes = PartEyes(words=timed)
    names = [f"{fence_world.word(2 * n)} {fence_world.word(2 * n + 1)}" for n in range(EACH)]
    matcher = NameMatcher([_named(name) for name in names + _strangers()])
    made = []
    for height in HEIGHTS:
        say(f"words of {height} pixels")
        found = [_found(Sign(text=name, height=height), name, eyes, matcher, rng) for name in names]
        told = {"height": height, "of lines": SIZE[1], "shown": f"{SECONDS:g} s", "material": "rendered"}
        made.append(rate("names in frames: found", sum(found), len(found), told))
        say(f"  {sum(found)} of {len(found)} found")
    brief = [_found(Sign(text=name, height=24, span=BRIEF), name, eyes, matcher, rng) for name in names]
    told = {"height": 24, "of lines": SIZE[1], "shown": "half a second", "material": "rendered"}
    made.append(rate("names in frames: found", sum(brief), len(brief), told))
    drawn = [_checked(Sign(text=sign, height=24), eyes, matcher, rng) for sign in SIGNS]
    told = {"registered names": len(names) + STRANGERS, "material": "rendered"}
    made.append(rate("other words in frames: flagged", sum(map(bool, drawn)), len(drawn), told))
    shown = [_findings(checks.look(clip, eyes, MediaLimits()).sight, matcher) for clip in clips]
    told = {**told, "material": "real"}
    made.append(rate("other words in frames: flagged", sum(map(bool, shown)), len(shown), told))
    cost = 1000 * clock.spent["words"] / timed.looks
    return [*made, once("reading a frame: CPU time", cost, "ms", {"frames": timed.looks})]


def reading_rows(words: Any) -> list[Row]:
    """What one frame costs by its size and words."""
    made = []
    for width, height, lines in ((480, 270, 0), (1280, 720, 0), (1280, 720, 1), (1280, 720, 20)):
        picture = np.full((height, width, 3), 90, np.uint8)
        for line in range(lines):
            picture = _written(picture, "Meanwhile, in the old harbour", 24, (40, 20 + 34 * line))
        costs = []
        for _ in range(5):
            clock = Clock()
            clock.timed("words", lambda picture=picture: words.look(picture))  # type: ignore[misc]
            costs.append(1000 * clock.spent["words"])
        told: dict[str, Any] = {"frame": f"{width}x{height}", "lines": lines}
        made.append(median("reading a frame: CPU time", costs, "ms", told))
    return made


def _found(sign: Sign, name: str, eyes: Any, matcher: NameMatcher, rng: np.random.Generator) -> bool:
    return any(finding.subject == name for finding in _checked(sign, eyes, matcher, rng))


def _checked(sign: Sign, eyes: Any, matcher: NameMatcher, rng: np.random.Generator) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        write_clip(_frames(sign, rng), file, RATE, CRF)
        looked = checks.look(file, eyes, MediaLimits())
    if looked.unfinished:
        raise RuntimeError(f"the words were not read: {looked.unfinished}")
    return _findings(looked.sight, matcher)


def _findings(sight: Sight, matcher: NameMatcher) -> Any:
    assert sight.of(Kind.WORDS)
    return check_words(sight, SubjectSet([]), matcher).findings


def _frames(sign: Sign, rng: np.random.Generator) -> Iterator[Picture]:
    width, height = SIZE
    place = (int(rng.integers(20, width // 3)), int(rng.integers(20, height - 2 * sign.height)))
    count = round(SECONDS * RATE)
    wide = render_frame(None, random_scene(rng), width=width + STEP * count, height=height, time=0.0).picture
    for number in range(count):
        frame = np.ascontiguousarray(wide[:, STEP * number : STEP * number + width])
        there = sign.span[0] <= number / RATE < sign.span[1]
        yield _written(frame, sign.text, sign.height, place) if there else frame


def _written(frame: Picture, text: str, height: int, place: tuple[int, int]) -> Picture:
    picture = Image.fromarray(frame)
    drawn = ImageDraw.Draw(picture)
    font = ImageFont.load_default(height)
    drawn.text(
        place, text, (250, 250, 246), font, stroke_width=max(1, height // 12), stroke_fill=(16, 16, 20)
    )
    return np.asarray(picture)


def _strangers() -> list[str]:
    return [
        f"{fence_world.word(10_000 + 2 * n)} {fence_world.word(10_001 + 2 * n)}" for n in range(STRANGERS)
    ]


def _named(name: str) -> NameRow:
    return NameRow(subject=name, text=name, tier="block", context=(), kind="official", language="")
