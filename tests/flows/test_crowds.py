"""A clip with more faces than are compared is held, and it is said why."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from classifiers.base import Picture
from pipeline.app import App, open_app
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load
from pipeline.workbench import Outcome

data = pytest.importorskip("skimage.data")
RATE = Fraction(12)
SIDE = 48  # pixels of a head


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with open_app(load(tmp_path_factory.mktemp("crowds") / "home")) as opened:
        yield opened


def crowd(rows: int, columns: int) -> Picture:
    head = np.asarray(data.astronaut(), np.uint8)[20:200, 130:310]
    small = cv2.resize(head, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.tile(np.asarray(small, np.uint8), (rows, columns, 1))


def guarded(app: App, path: Path, picture: Picture) -> Outcome:
    height, width = picture.shape[:2]
    info = ClipInfo(width=width, height=height, time_base=1 / RATE, frame_rate=RATE, colour=BT601_LIMITED)
    with ClipWriter(path, info, crf=12, preset="veryfast") as writer:
        for index in range(6):
            writer.write(frame_from_rgb(picture, index, index / float(RATE)))
    order = GuardOrder(source=path, policy="opt-out", sound=Sound.STRIP, prompt="a quiet square")
    return app.guard(order, lambda *_: None)


def test_more_faces_than_are_compared_hold_and_it_is_said(app: App, tmp_path: Path) -> None:
    outcome = guarded(app, tmp_path / "crowd.mp4", crowd(7, 10))
    assert outcome.release is None
    [reason] = outcome.held
    assert (reason["code"], reason["check"]) == ("check_unfinished", "likeness")
    assert "faces; 64 are compared" in str(reason["detail"])
