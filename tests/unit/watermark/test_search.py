from dataclasses import replace

import cv2
import numpy as np
import pytest

from watermark import search, sync
from watermark.keys import DetectionKey
from watermark.lattice import lattice
from watermark.windows import blocks


def windows_of(frames):
    (block,) = blocks(frames)
    return block.windows - block.windows.mean(axis=0)


def reshaped(frames, size, mirrored=False):
    """Frames at `size`, whose short side then is what the detector takes for the whole."""
    for frame in frames:
        luma = cv2.resize(frame.luma, size, interpolation=cv2.INTER_AREA)
        yield frame._replace(luma=np.ascontiguousarray(luma[:, ::-1]) if mirrored else luma)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_is_found_as_a_scale(marked, key, mirrored):
    part = [frame._replace(luma=frame.luma[20:212, 30:286]) for frame in marked]
    frames = search.frames(windows_of(reshaped(part, (256, 192), mirrored)), lattice(key))
    assert len(frames) <= sync.FRAMES_SEARCHED
    best = frames[0]
    assert best.mirrored is mirrored
    assert best.scale_x == pytest.approx(240 / 192, rel=0.004)
    assert best.scale_y == pytest.approx(240 / 192, rel=0.004)


def test_a_stretched_frame_is_found(marked, key):
    frames = search.frames(windows_of(reshaped(marked, (384, 240))), lattice(key))
    assert frames[0].scale_x == pytest.approx(1.2, rel=0.005)
    assert frames[0].scale_y == pytest.approx(1.0, rel=0.005)


def test_a_letterboxed_clip_is_found(marked, key):
    # Half a picture between bars: the pattern's tile is now smaller than half the short side.
    boxed = (
        frame._replace(luma=np.pad(frame.luma, ((60, 60), (80, 80)), constant_values=16)) for frame in marked
    )
    frames = search.frames(windows_of(boxed), lattice(key))
    assert frames[0].scale_x == pytest.approx(240 / 360, rel=0.005)


def test_whitened_power_is_bounded_and_even(marked):
    power = search.whitened_power(windows_of(marked[:24]))
    assert power.shape == (512, 513)  # 256 × 341 windows, padded to 512 × 1024
    assert 0 <= power.min() <= power.max() <= search.CLIP_POWER
    assert power.mean() == pytest.approx(1.0, abs=0.15)


def test_nothing_is_searched_without_warnings(key):
    frames = search.frames(np.zeros((3, 256, 256), np.float32), lattice(key))
    assert 1 <= len(frames) <= sync.FRAMES_SEARCHED


def test_the_right_hypothesis_scores_above_a_wrong_keys(marked, key):
    power = search.whitened_power(windows_of(marked))
    one = np.array([[1.0, 1.0]])
    right = search.score(power, lattice(key), one, mirrored=False)[0]
    for seed in range(1, 6):
        stranger = lattice(DetectionKey(epoch=0, secret=bytes([seed]) * 32))
        assert search.score(power, stranger, one, mirrored=False)[0] < 0.6 * right


def test_hypotheses_beyond_the_spectrum_are_harmless(key):
    power = np.ones((512, 257), np.float32)
    far = np.array([[0.05, 0.05], [0.386, 0.386], [40.0, 40.0]])
    assert search.score(power, lattice(key), far, mirrored=True) == pytest.approx(np.ones(3))


def test_frames_are_kept_apart(unmarked, key):
    frames = search.frames(windows_of(unmarked), lattice(key))
    places = {(frame.scale_x, frame.scale_y, frame.mirrored) for frame in frames}
    assert len(places) == len(frames)
    for frame in frames:
        assert 0.36 < frame.scale_x < 2.8
        assert 0.36 < frame.scale_y < 2.8


def test_the_search_sees_no_phases(marked, key):
    # So the frames handed on are fixed before any phase of the template is drawn, which keeps the
    # presence bound's count small.
    design = lattice(key)
    turned = replace(design, phasors=np.conj(design.phasors), signs=-design.signs)
    windows = windows_of(marked[:24])
    assert search.frames(windows, design) == search.frames(windows, turned)
