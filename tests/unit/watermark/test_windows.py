import tracemalloc

import cv2
import numpy as np
import pytest

from watermark import windows
from watermark.base import Picture
from watermark.windows import (
    BLOCK_SECONDS,
    CHROMA_LINES,
    CLIP_DEVIATIONS,
    LINES,
    RESIDUAL_PIXELS,
    SQUARE,
    WINDOW_SECONDS,
    blocks,
    quieted,
    unexplained,
)


def equalise(luma: np.ndarray) -> np.ndarray:
    """What one frame of luma adds to its window."""
    return windows._planes(Picture(0.0, luma))[0]


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("size", [(320, 240), (240, 426), (64, 64), (1280, 720), (1, 1), (3, 2)])
def test_planes_have_256_lines(size):
    plane = equalise(noise(*size))
    assert min(plane.shape) == LINES
    assert plane.shape[1] / plane.shape[0] == pytest.approx(size[0] / size[1], rel=0.01)
    assert plane.dtype == np.float32
    assert np.isfinite(plane).all()
    assert np.abs(plane).max() <= 3.0


def coloured(index: int, size: tuple[int, int] = (64, 48), seed: int = 0) -> Picture:
    """A frame of noise in 4:2:0, every quarter second."""
    width, height = size
    half = (noise(width // 2, height // 2, 100 * seed + 10 * index + part) for part in (1, 2))
    return Picture(index / 4, noise(width, height, 100 * seed + 10 * index), *half)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_frames_give_nothing(level):
    assert np.abs(equalise(np.full((240, 320), level, np.uint8))).max() < 1e-3


def test_brightness_and_contrast_hardly_matter():
    luma = (noise(320, 240) // 2 + 40).astype(np.uint8)
    dimmed = (luma * 0.6 + 10).astype(np.uint8)
    likeness = np.corrcoef(equalise(luma).ravel(), equalise(dimmed).ravel())[0, 1]
    assert likeness > 0.99


def test_no_frames_give_no_blocks():
    assert list(blocks([])) == []


def test_one_frame_is_a_block():
    (block,) = blocks([Picture(0.0, noise(320, 240))])
    assert block.windows.shape == (1, 256, 341)
    assert (block.frames, block.start, block.end) == (1, 0.0, 0.0)
    assert np.isfinite(block.windows).all()


def test_a_long_clip_becomes_blocks_of_twelve_seconds():
    frames = [Picture(index / 8, noise(32, 24, index % 5)) for index in range(8 * 30)]
    found = list(blocks(frames))
    assert [len(block.windows) for block in found] == [48, 48, 24]
    assert [block.start for block in found] == [0.0, BLOCK_SECONDS, 2 * BLOCK_SECONDS]
    assert [block.end for block in found] == [11.875, 23.875, 29.875]
    assert sum(block.frames for block in found) == len(frames)
    for block in found:
        assert np.allclose(np.diff(block.times), WINDOW_SECONDS)


def test_what_stands_still_goes_and_what_moves_stays():
    moving = [noise(256, 256, index + 1) // 4 for index in range(12)]
    frames = [Picture(index / 12, noise(256, 256) // 2 + moving[index // 3]) for index in range(36)]
    (block,) = blocks(frames)
    assert np.abs(block.windows.mean(axis=0)).mean() < 0.4 * np.abs(block.windows).mean()
    still = equalise(noise(256, 256) // 2)
    for window, own in zip(block.windows, moving, strict=True):
        other = equalise(own)
        assert np.corrcoef(window.ravel(), other.ravel())[0, 1] > 0.5
        assert abs(np.corrcoef(window.ravel(), still.ravel())[0, 1]) < 0.45


def test_frames_of_a_window_count_together_and_once():
    frames = [Picture(index / 12, noise(256, 256, index)) for index in range(9)]
    (block,) = blocks(frames)
    sums = [np.sum([equalise(f.y) for f in frames[i : i + 3]], axis=0) for i in (0, 3, 6)]
    assert np.array_equal(block.windows, quieted(np.stack(sums)))


def test_irregular_times_fall_into_their_windows():
    times = [0.0, 0.01, 0.26, 1.1, 1.2, 7.0]
    (block,) = blocks(Picture(time, noise(32, 24)) for time in times)
    assert block.times.tolist() == [0.125, 0.375, 1.125, 7.125]
    assert block.frames == len(times)


def test_a_clip_that_starts_late_keeps_its_times():
    (block,) = blocks([Picture(100.3, noise(32, 24))])
    assert block.start == 100.25


def test_a_resize_in_the_middle_changes_nothing():
    frames = [Picture(index / 4, noise(320, 240)) for index in range(4)]
    frames += [Picture(1 + index / 4, noise(160, 120)) for index in range(4)]
    (block,) = blocks(frames)
    assert len(block.windows) == 8


def test_another_aspect_in_the_middle_keeps_windows_and_times_together():
    wide, tall = noise(320, 240), noise(240, 320)
    frames = [Picture(index / 4, (wide, tall, wide)[index // 2]) for index in range(6)]
    found = list(blocks(frames))
    seen = {time: block.windows.shape[1:] for block in found for time in block.times}
    for block in found:
        assert len(block.windows) == len(block.times)
    for time, shape in seen.items():
        index = int(time / WINDOW_SECONDS)
        assert shape == equalise(frames[index].y).shape
    assert {0.125, 0.375, 1.125, 1.375} <= set(seen)


@pytest.mark.parametrize("size", [(4096, 16), (16, 4096)])
def test_slivers_do_not_take_the_memory(size):
    tracemalloc.start()
    try:
        plane = equalise(noise(*size))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert min(plane.shape) == LINES
    assert peak < 30e6


def test_times_that_jump_back_and_forth_do_not_take_the_memory():
    luma = noise(64, 64)
    longest = max(len(block.windows) for block in blocks(Picture(index % 2, luma) for index in range(400)))
    assert longest <= 1.2 * BLOCK_SECONDS / WINDOW_SECONDS


def test_colour_is_looked_at_in_fewer_lines():
    (block,) = blocks(coloured(index, (160, 120)) for index in range(6))
    assert block.windows.shape == (6, LINES, 341)
    assert block.chroma is not None
    assert block.chroma.shape == (2, 6, CHROMA_LINES, 171)
    assert block.chroma.dtype == np.float32
    assert np.isfinite(block.chroma).all()
    assert block.aspect == (341 / LINES, 1.0)


def test_luma_does_not_depend_on_colour():
    frames = [coloured(index) for index in range(6)]
    (one,) = blocks(frames)
    (other,) = blocks(Picture(frame.time, frame.y) for frame in frames)
    assert np.array_equal(one.windows, other.windows)
    assert other.chroma is None


@pytest.mark.parametrize("missing", [{"u": None}, {"v": None}, {"u": None, "v": None}])
def test_half_a_colour_is_none(missing):
    (block,) = blocks(coloured(index)._replace(**missing) for index in range(4))
    assert block.chroma is None


def test_colour_of_a_window_is_summed_too_and_in_its_order():
    frames = [coloured(index)._replace(time=index / 12) for index in range(9)]
    (block,) = blocks(frames)
    own = [windows._planes(frame)[1:] for frame in frames]
    u, v, luma = (
        np.stack([np.sum([o[part] for o in own[start : start + 3]], axis=0) for start in (0, 3, 6)])
        for part in range(3)
    )
    wanted = [quieted(plane) for plane in unexplained(u, v, luma)]
    assert np.array_equal(block.chroma, np.stack(wanted))


@pytest.mark.parametrize("first_is_grey", [True, False])
def test_colour_that_comes_or_goes_keeps_windows_and_times_together(first_is_grey):
    frames = [coloured(index) for index in range(8)]
    frames = [
        frame._replace(u=None, v=None) if (index < 4) == first_is_grey else frame
        for index, frame in enumerate(frames)
    ]
    (block,) = blocks(frames)
    # What a block begins with is what it goes on with; the other half says nothing.
    wanted = slice(0, 4)
    assert block.times.tolist() == [(index + 0.5) / 4 for index in range(8)][wanted]
    assert len(block.windows) == len(block.times)
    assert (block.chroma is None) == first_is_grey
    assert block.chroma is None or block.chroma.shape[:2] == (2, len(block.times))
    assert block.frames == 8


def test_colour_of_any_size_is_taken():
    # 4:2:0 and 4:4:4 of the same picture give about the same planes.
    rng = np.random.default_rng(3)
    frames, full = [], []
    for index in range(6):
        y, u, v = (cv2.resize(rng.integers(0, 256, (30, 40), dtype=np.uint8), (320, 240)) for _ in range(3))
        small = (cv2.resize(p, (160, 120), interpolation=cv2.INTER_AREA) for p in (u, v))
        frames.append(Picture(index / 4, y, *small))
        full.append(Picture(index / 4, y, u, v))
    (one,), (other,) = blocks(frames), blocks(full)
    assert one.chroma is not None
    assert other.chroma is not None
    assert np.corrcoef(one.chroma.ravel(), other.chroma.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_colour_gives_nothing(level):
    flat = np.full((60, 80), level, np.uint8)
    (block,) = blocks(coloured(index, (160, 120))._replace(u=flat, v=flat) for index in range(4))
    assert block.chroma is not None
    assert np.abs(block.chroma).max() < 1e-3


def test_windows_are_made_independent_in_time_square_by_square():
    # Something common that moves in one square, and something of its own everywhere.
    rng = np.random.default_rng(6)
    own = rng.standard_normal((12, 128, 160)).astype(np.float32)
    loud, square = own.copy(), slice(SQUARE, 2 * SQUARE)
    common = rng.standard_normal((SQUARE, SQUARE)) * np.linspace(-6, 6, 12)[:, None, None]
    loud[:, square, square] += common.astype(np.float32)
    before = np.corrcoef(loud[:, square, square].reshape(12, -1))
    quiet, mixed = quieted(own.copy()), quieted(loud.copy())
    after = np.corrcoef(mixed[:, square, square].reshape(12, -1))
    assert np.abs(before - np.eye(12)).max() > 0.8
    assert np.abs(after - np.eye(12)).max() < 0.3
    assert np.abs(mixed).max() <= CLIP_DEVIATIONS
    # Beyond the square and the means' reach around it nothing notices.
    far = 2 * SQUARE + RESIDUAL_PIXELS // 2 + 1
    assert np.corrcoef(quiet[:, far:, far:].ravel(), mixed[:, far:, far:].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("shape", [(3, 128, 128), (2, 130, 301), (5, 512, 128)])
def test_squares_that_do_not_fit_lose_nothing(shape):
    stack = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    found = quieted(stack.copy())
    assert found.shape == shape
    assert np.corrcoef(found[:, -20:, -20:].ravel(), stack[:, -20:, -20:].ravel())[0, 1] > 0.8


def test_colour_loses_what_the_other_planes_explain():
    # An edge in all three, and something in each plane that is in no other.
    rng = np.random.default_rng(8)
    edge, *own = (rng.standard_normal((4, 128, 160)).astype(np.float32) for _ in range(4))
    u, v, luma = (weight * edge + part for weight, part in zip((5, -8, 20), own, strict=True))
    left = unexplained(u.copy(), v.copy(), luma.copy())
    for found, plane, part in zip(left, (u, v), own, strict=False):
        assert abs(np.corrcoef(found.ravel(), edge.ravel())[0, 1]) < 0.2
        assert np.corrcoef(plane.ravel(), part.ravel())[0, 1] < 0.3
        assert np.corrcoef(found.ravel(), part.ravel())[0, 1] > 0.8


def test_what_only_one_plane_of_colour_shows_is_kept():
    rng = np.random.default_rng(9)
    u, v, luma = (rng.standard_normal((3, 128, 150)).astype(np.float32) for _ in range(3))
    for found, plane in zip(unexplained(u.copy(), v.copy(), luma.copy()), (u, v), strict=True):
        assert found.shape == plane.shape
        assert np.corrcoef(found.ravel(), plane.ravel())[0, 1] > 0.98


def test_nothing_explains_nothing():
    none = np.zeros((2, 128, 130), np.float32)
    for found in unexplained(none, none.copy(), none.copy()):
        assert not found.any()


@pytest.mark.parametrize("size", [(1200, 16), (16, 1200), (1200, 160)])
def test_slivers_show_luma_and_colour_of_one_piece(size):
    # Of the long side no more is looked at than four short ones, in each plane the same.
    width, height = size
    shades = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
    coarse = noise(-(-width // 8), -(-height // 8)) // 2
    luma = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) + shades // 4
    half = cv2.resize(luma, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    _, u, v, own = windows._planes(Picture(0.0, luma, half, half))
    assert u.shape == own.shape
    assert np.array_equal(u, v)
    assert np.corrcoef(u.ravel(), own.ravel())[0, 1] > 0.4  # another piece would show nothing of it


def test_the_longest_block_does_not_take_the_memory():
    stack = np.random.default_rng(10).standard_normal((48, 128, 512)).astype(np.float32)
    tracemalloc.start()
    try:
        quieted(stack)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60e6
