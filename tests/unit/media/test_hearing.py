"""Sound of clips as numbers: rate, length, windows, and files that are no good."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import LimitExceeded, MediaUnreadable, MediaUnsupported
from pipeline.media.hearing import RATE, hear
from pipeline.media.types import MediaLimits

LIMITS = MediaLimits()


def test_a_tone_is_heard_as_it_is(tmp_path: Path, make_clip: Any) -> None:
    clip = make_clip(tmp_path / "tone.mp4", frames=48, fps=24, audio=True)
    [heard] = hear(clip, LIMITS, 30.0, 3.0)
    assert heard.dtype == np.float32
    assert abs(len(heard) / RATE - 2.0) < 0.1
    silence, tone = heard[: RATE // 5], heard[RATE // 2 : RATE]
    assert np.abs(silence).max() < 0.02
    spectrum = np.abs(np.fft.rfft(tone))
    assert abs(float(np.argmax(spectrum)) * RATE / len(tone) - 440) < 5
    assert 0.3 < np.abs(tone).max() < 0.7


def test_windows_overlap_and_leave_nothing_out(tmp_path: Path, make_clip: Any) -> None:
    clip = make_clip(tmp_path / "tone.webm", frames=60, fps=24, audio=True, codec="libvpx",
                     audio_codec="libopus")  # fmt: skip
    [whole] = hear(clip, LIMITS, 30.0, 0.0)
    parts = list(hear(clip, LIMITS, 1.0, 0.25))
    assert {len(part) for part in parts[:-1]} == {RATE}
    step = int(0.75 * RATE)
    for number, part in enumerate(parts):
        assert np.array_equal(part, whole[number * step : number * step + len(part)])
    assert (len(parts) - 1) * step + len(parts[-1]) == len(whole)


def test_what_cannot_be_heard_is_said(tmp_path: Path, make_clip: Any) -> None:
    with pytest.raises(MediaUnsupported, match="no track of sound"):
        list(hear(make_clip(tmp_path / "mute.mp4"), LIMITS, 30.0, 3.0))
    clip = make_clip(tmp_path / "tone.mp4", frames=48, fps=24, audio=True)
    with pytest.raises(LimitExceeded, match="longer than 1 s"):
        list(hear(clip, MediaLimits(max_seconds=1.0), 30.0, 3.0))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no clip at all")
    with pytest.raises(MediaUnreadable):
        list(hear(broken, LIMITS, 30.0, 3.0))
