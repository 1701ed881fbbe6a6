"""A small release in a home, made once for the tests of the house."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from generator.base import GenerationRequest
from generator.scene import SceneGenerator
from pipeline.app import open_app
from pipeline.delivery import deliver
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import Settings

ROOT = Path(__file__).parents[3]
RATE = Fraction(12)


@dataclass(frozen=True)
class Released:
    """A home and the file of its one release."""

    home: Path
    file: Path


@pytest.fixture(scope="session")
def root() -> Path:
    """The source checkout."""
    return ROOT


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """Three seconds of a drawn landscape, guarded."""
    folder = tmp_path_factory.mktemp("house")
    drawn, target = folder / "drawn.mp4", folder / "released.mp4"
    request = GenerationRequest(prompt="", width=480, height=272, seconds=3, frame_rate=RATE, seed=3)
    info = ClipInfo(width=480, height=272, time_base=1 / RATE, frame_rate=RATE, colour=BT601_LIMITED)
    with ClipWriter(drawn, info, crf=16, preset="veryfast") as writer:
        for index, picture in enumerate(SceneGenerator().generate(request).frames):
            writer.write(frame_from_rgb(picture, index, index / float(RATE)))
    order = GuardOrder(source=drawn, policy="marks-only", sound=Sound.ACCEPT)
    with open_app(Settings(home=folder / "home")) as app:
        outcome = app.guard(order, lambda *_: None)
    assert outcome.file is not None
    deliver(outcome.file, target)
    return Released(folder / "home", target)
