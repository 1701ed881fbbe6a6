"""Stills of a clip: at the times that are asked for and at regular ones; blurred unless asked."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.errors import MediaUnreadable
from pipeline.media.types import MediaLimits
from pipeline.stills import BLURRED, LONGEST, MOST, stills_of


def picture(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_times_that_are_asked_for_are_there(tmp_path: Path, make_clip: Any) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 960, 544, 48, fps=24)
    seen = stills_of(clip, [1.0, 1.0, 0.25, 40.0], MediaLimits(), clear=True)
    times = [still.time for still in seen.stills]
    assert times == sorted(set(times))
    assert {0.25, 1.0} <= {round(time, 3) for time in times}
    assert 7 <= len(times) <= 9
    assert seen.duration == pytest.approx(2.0, abs=0.05)
    assert {picture(still.picture).shape for still in seen.stills} == {(363, LONGEST, 3)}


def test_blurred_ones_hold_no_more_than_shapes(tmp_path: Path, make_clip: Any) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 320, 192, 12, fps=12)
    seen = stills_of(clip, [], MediaLimits(), clear=False)
    assert {picture(still.picture).shape for still in seen.stills} == {(12, BLURRED)}


def test_there_are_not_more_than_a_page_holds(tmp_path: Path, make_clip: Any) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 160, 96, 96, fps=24)
    seen = stills_of(clip, [number / 24 for number in range(96)], MediaLimits(), clear=False)
    assert len(seen.stills) <= MOST


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no clip")
    with pytest.raises(MediaUnreadable):
        stills_of(tmp_path / "clip.mp4", [], MediaLimits(), clear=False)
