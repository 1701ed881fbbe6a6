"""A home, a clip, and the command line, as a user has them."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # victims

from generator.base import GenerationRequest
from generator.scene import SceneGenerator
from pipeline.cli.main import main
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter

WIDTH, HEIGHT, FRAMES, RATE = 480, 272, 36, 12
GROUPS = (
    "permission",
    "keys",
    "log",
    "licence",
    "optout",
    "release",
    "case",
    "retroscan",
    "reference",
    "rule",
    "webhook",
    "report",
)


@dataclass(frozen=True)
class Answer:
    """What a command did: exit code, stdout parsed as JSON (None if there is none), stderr."""

    status: int
    document: Any
    words: str


Command = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def draw(path: Path, seconds: float = FRAMES / RATE, seed: int = 3) -> Path:
    """A drawn landscape without sound."""
    path.write_bytes(drawn(seconds, seed))
    return path


@cache
def drawn(seconds: float, seed: int) -> bytes:
    """Its file; most tests ask for the same one."""
    rate = Fraction(RATE)
    request = GenerationRequest(
        prompt="", width=WIDTH, height=HEIGHT, seconds=seconds, frame_rate=rate, seed=seed
    )
    info = ClipInfo(width=WIDTH, height=HEIGHT, time_base=1 / rate, frame_rate=rate, colour=BT601_LIMITED)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with ClipWriter(path, info, crf=16, preset="veryfast") as writer:
            for index, picture in enumerate(SceneGenerator().generate(request).frames):
                writer.write(frame_from_rgb(picture, index, index / RATE))
        return path.read_bytes()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return draw(tmp_path / "clip.mp4")


@pytest.fixture
def make_landscape() -> Callable[..., Path]:
    return draw


@pytest.fixture
def other_clip(tmp_path: Path, make_clip: Any) -> Path:
    """A clip of another composition, of the same size and length.

    Two drawn landscapes would not do: their layout is so much alike that the fingerprint takes them for one.
    """
    return make_clip(tmp_path / "other.mp4", WIDTH, HEIGHT, FRAMES, RATE, seed=40)


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `countermark` in this process on the test's home."""

    def command(*arguments: str | Path, as_json: bool = True) -> Answer:
        monkeypatch.setenv("COUNTERMARK_HOME", str(home))
        extra = ["--json"] if as_json else []
        first, *rest = map(str, arguments)
        monkeypatch.setattr(sys, "argv", ["countermark", first, *extra, *rest])
        if first in GROUPS and rest:
            monkeypatch.setattr(sys, "argv", ["countermark", first, rest[0], *extra, *rest[1:]])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        status = stopped.value.code
        assert isinstance(status, int)
        return Answer(status, json.loads(out) if as_json and out else None, err)

    return command
