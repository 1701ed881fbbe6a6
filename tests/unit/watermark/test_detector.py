import tracemalloc

import cv2
import numpy as np
import pytest

from pipeline.media.trial import through_h264
from watermark.base import Picture
from watermark.detector import HiddenMarkDetector
from watermark.keys import DetectionKey, MintingKey
from watermark.payload import PayloadCodec

STRANGER = DetectionKey(epoch=9, secret=b"\x01" * 32)
CODEC = PayloadCodec(MintingKey(secret=b"\x02" * 32))


def read(frames, *keys, accepts=None):
    return HiddenMarkDetector(keys, accepts).detect(frames)


def cut(part, top, left, bottom, right):
    """A piece of a plane, in pixels of 320×240."""
    height, width = part.shape
    rows, columns = (
        slice(top * height // 240, bottom * height // 240),
        slice(left * width // 320, right * width // 320),
    )
    return part[rows, columns]


def sized(part, width, height):
    """A plane resized as a whole frame of 320×240 would be to `width` × `height`."""
    size = width * part.shape[1] // 320, height * part.shape[0] // 240
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)


def assert_nothing(found, frames):
    assert (found.payload, found.span, found.geometry, found.key_epoch) == (None, None, None, None)
    assert found.log10_chance == 0.0
    assert -1.0 < found.presence_log10_chance <= 0.0
    assert found.frames == frames


def test_a_marked_clip_is_read(marked, key, payload):
    found = read(marked, key)
    assert found.payload == payload
    assert found.log10_chance < -100
    assert found.presence_log10_chance < -20
    assert found.key_epoch == key.epoch
    assert found.frames == len(marked)
    assert found.span == pytest.approx((0.0, marked[-1].time))
    assert found.geometry is not None
    assert found.geometry.scale == 1.0
    assert not found.geometry.mirrored


def test_the_same_clip_gives_the_same_answer(marked, key):
    assert read(marked, key) == read(iter(marked), key)


def test_an_unmarked_clip_has_nothing(unmarked, key):
    assert_nothing(read(unmarked, key), len(unmarked))


def test_another_key_finds_nothing(marked):
    assert_nothing(read(marked, STRANGER), len(marked))


@pytest.mark.parametrize("crf", [28, 34])
def test_h264(film, mark, key, payload, crf):
    marked = list(mark(film(pan=0.0), key, payload))
    decoded = through_h264((frame[1:] for frame in marked), crf=crf)
    frames = [Picture(frame.time, *planes) for frame, planes in zip(marked, decoded, strict=True)]
    assert read(frames, key).payload == payload


def test_a_clip_made_grey_is_read_by_its_luma(marked, grey, key, payload):
    found = read(grey(marked), key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.untouched


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_clip_without_saturation_is_read_by_its_luma(marked, key, payload, level):
    frames = [f._replace(u=np.full_like(f.u, level), v=np.full_like(f.v, level)) for f in marked]
    found = read(frames, key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.untouched


def test_a_clip_made_grey_and_cropped_is_found(marked, grey, changed, key, payload):
    found = read(changed(grey(marked), lambda part: cut(part, 20, 30, 212, 286)), key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.scale == pytest.approx(1.25, abs=0.005)


def test_flat_luma_is_read_by_colour(marked, key, payload):
    found = read([frame._replace(y=np.full_like(frame.y, 90)) for frame in marked], key)
    assert found.payload == payload


def hue_turned(picture, degrees):
    angle, around = np.radians(degrees), [part.astype(float) - 128 for part in (picture.u, picture.v)]
    u = np.cos(angle) * around[0] - np.sin(angle) * around[1]
    v = np.sin(angle) * around[0] + np.cos(angle) * around[1]
    return picture._replace(
        **{n: np.clip(np.rint(p + 128), 0, 255).astype(np.uint8) for n, p in (("u", u), ("v", v))}
    )


@pytest.mark.parametrize("degrees", [20, -20, 90, 180])
def test_another_hue(marked, key, payload, degrees):
    found = read([hue_turned(frame, degrees) for frame in marked], key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.untouched


@pytest.mark.parametrize("saturation", [0.3, 1.5])
def test_another_saturation(marked, key, payload, saturation):
    def changed_by(part):
        return np.clip((part.astype(float) - 128) * saturation + 128, 0, 255).astype(np.uint8)

    frames = [frame._replace(u=changed_by(frame.u), v=changed_by(frame.v)) for frame in marked]
    assert read(frames, key).payload == payload


@pytest.mark.parametrize("full", [False, True])
def test_colour_of_another_sampling(marked, key, payload, full):
    # 4:4:4, and colour at a quarter of luma's size, as old formats have it.
    factor = 2.0 if full else 0.5
    frames = [
        frame._replace(
            u=cv2.resize(frame.u, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR),
            v=cv2.resize(frame.v, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR),
        )
        for frame in marked
    ]
    assert read(frames, key).payload == payload


@pytest.mark.parametrize("size", [(160, 120), (216, 160), (640, 480)])
def test_resized(marked, changed, key, payload, size):
    found = read(changed(marked, lambda part: sized(part, *size)), key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.scale == 1.0


def test_mirrored(marked, changed, key, payload):
    found = read(changed(marked, lambda part: part[:, ::-1]), key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.mirrored
    assert not found.geometry.untouched


def test_cropped_to_four_fifths(marked, changed, key, payload):
    found = read(changed(marked, lambda part: cut(part, 20, 30, 212, 286)), key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.scale == pytest.approx(1.25, abs=0.005)
    assert not found.geometry.untouched
    # The pattern's origin lies 30 pixels left of and 20 above the crop's corner; 240 is the short side.
    for got, want in zip(found.geometry.shift, (-30 / 240, -20 / 240), strict=True):
        assert min((got - want) % 0.5, (want - got) % 0.5) < 0.005


def test_cropped_and_mirrored(marked, changed, key, payload):
    found = read(changed(marked, lambda part: cut(part, 20, 30, 212, 286)[:, ::-1]), key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.mirrored


def turned(part: np.ndarray, degrees: float) -> np.ndarray:
    height, width = part.shape
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1.0)
    return cv2.warpAffine(part, turn, (width, height), flags=cv2.INTER_LINEAR)


@pytest.mark.parametrize("degrees", [-10.0, 3.0])
def test_rotated(marked, changed, key, payload, degrees):
    found = read(changed(marked, lambda part: turned(part, degrees)), key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.rotation == pytest.approx(degrees, abs=0.3)
    assert found.geometry.scale == pytest.approx(1.0, abs=0.01)
    assert not found.geometry.untouched


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_by_quarters(marked, changed, key, payload, quarters):
    found = read(changed(marked, lambda part: np.rot90(part, quarters)), key)
    assert found.payload == payload
    assert found.geometry is not None
    off = (found.geometry.rotation - 90 * quarters + 180) % 360 - 180
    assert off == pytest.approx(0.0, abs=0.3)
    assert not found.geometry.mirrored
    assert not found.geometry.untouched


def seen_from_the_side(part: np.ndarray) -> np.ndarray:
    height, width = part.shape
    corners = np.array([[0, 0], [320, 0], [320, 240], [0, 240]], np.float32)
    seen = np.array([[10, 6], [316, 0], [309, 235], [2, 240]], np.float32)
    scale = np.float32([width / 320, height / 240])
    # From the middle of one pixel to that of another.
    view = cv2.getPerspectiveTransform(corners * scale - np.float32(0.5), seen * scale - np.float32(0.5))
    return cv2.warpPerspective(part, view, (width, height))


def test_seen_from_the_side(marked, changed, key, payload):
    found = read(changed(marked, seen_from_the_side), key)
    assert found.payload == payload


def test_seen_from_the_side_in_grey(marked, grey, changed, key, payload):
    found = read(changed(grey(marked), seen_from_the_side), key)
    assert found.payload == payload


@pytest.mark.parametrize("speed", [0.75, 1.3])
def test_played_at_another_speed(film, mark, key, payload, speed):
    frames = [f._replace(time=f.time / speed) for f in mark(film(6), key, payload)]
    found = read(frames, key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.speed == pytest.approx(speed, rel=0.05)
    assert not found.geometry.upright


def test_in_a_corner_of_another_clip(film, marked, key, payload):
    frames = []
    for frame, other in zip(marked, film(seed=3), strict=True):
        planes = [part.copy() for part in other[1:]]
        for part, own in zip(planes, frame[1:], strict=True):
            cut(part, 60, 70, 240, 310)[:] = sized(own, 240, 180)
        frames.append(Picture(frame.time, *planes))
    found = read(frames, key)
    assert found.payload == payload
    assert found.geometry is not None
    assert found.geometry.scale == pytest.approx(0.75, abs=0.01)


def test_between_bars(marked, changed, key, payload):
    def barred(part):
        bar = part.shape[0] // 6
        return np.pad(part, ((bar, bar), (0, 0)), constant_values=16 if len(part) == 240 else 128)

    assert read(changed(marked, barred), key).payload == payload


def test_times_that_jump(marked, key):
    rng = np.random.default_rng(9)
    times = rng.choice([0.0, -3.7, 1e6, 2.2, 1e-9], len(marked))
    frames = [frame._replace(time=float(time)) for frame, time in zip(marked, times, strict=True)]
    assert read(frames, key).frames == len(marked)


def test_a_sliver_and_a_huge_frame(key):
    rng = np.random.default_rng(10)
    for size in ((2160, 3840), (16, 1200), (1200, 16)):
        frames = [
            Picture(i / 4, *(rng.integers(0, 256, size, dtype=np.uint8) for _ in range(3))) for i in range(3)
        ]
        assert_nothing(read(frames, key), 3)


@pytest.mark.parametrize("cut", [7, 14, 24])
def test_a_trimmed_start(marked, key, payload, cut):
    found = read([frame._replace(time=frame.time - cut / 12) for frame in marked[cut:]], key)
    assert found.payload == payload
    assert found.geometry is not None
    # 0.125 s steps; half of one off, and half a fade.
    assert found.geometry.time_offset == pytest.approx(cut / 12, abs=0.2)


def test_variable_frame_times(unmarked, mark, key, payload):
    rng = np.random.default_rng(5)
    times = np.sort(rng.uniform(0, 4, len(unmarked)))
    frames = (frame._replace(time=float(time)) for time, frame in zip(times, unmarked, strict=True))
    assert read(mark(frames, key, payload), key).payload == payload


def test_dropped_frames(marked, key, payload):
    keep = np.random.default_rng(6).random(len(marked)) < 0.5
    found = read([frame for frame, kept in zip(marked, keep, strict=True) if kept], key)
    assert found.payload == payload
    assert found.frames == keep.sum()


def test_dimmed_and_noisy(marked, changed, key, payload):
    rng = np.random.default_rng(7)
    frames = changed(
        marked, lambda part: np.clip(0.6 * part + 40 + rng.normal(0, 4, part.shape), 0, 255).astype(np.uint8)
    )
    assert read(frames, key).payload == payload


def test_the_right_epoch_is_named(marked, key, payload):
    found = read(marked, STRANGER, key)
    assert (found.payload, found.key_epoch) == (payload, key.epoch)
    assert found.presence_log10_chance < -20


def test_a_static_scene_is_read_because_the_carrier_moves(film, mark, key, payload):
    still = next(film())
    frames = [still._replace(time=index / 12) for index in range(48)]
    assert_nothing(read(frames, key), 48)
    assert read(mark(frames, key, payload), key).payload == payload


@pytest.mark.parametrize("level", [0, 16, 128, 255])
@pytest.mark.parametrize("colour", [True, False])
def test_flat_clips(mark, key, payload, level, colour):
    half = np.full((60, 80), level, np.uint8) if colour else None
    flat = [Picture(index / 12, np.full((120, 160), level, np.uint8), half, half) for index in range(36)]
    assert_nothing(read(flat, key), 36)
    if level not in (0, 255):
        assert read(mark(flat, key, payload), key).payload == payload


def test_no_frames(key):
    assert_nothing(read([], key), 0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_clip_within_one_window(marked, key, count):
    assert_nothing(read(marked[:count], key), count)


def test_a_tiny_frame(key):
    noise = np.random.default_rng(8)
    frames = [
        Picture(i / 8, *(noise.integers(0, 256, size, dtype=np.uint8) for size in ((3, 5), (1, 2), (1, 2))))
        for i in range(8)
    ]
    assert_nothing(read(frames, key), 8)


def test_a_resize_in_the_middle(marked, changed, key, payload):
    frames = marked[:24] + changed(marked[24:], lambda part: sized(part, 160, 120))
    assert read(frames, key).payload == payload


def test_another_aspect_in_the_middle(marked, changed, key, payload):
    # Two thirds stay as they were; the piece of another shape must not put the rest out of time.
    frames = marked[:16] + changed(marked[16:32], lambda part: cut(part, 0, 60, 240, 260)) + marked[32:]
    found = read(frames, key)
    assert found.payload == payload
    assert found.frames == len(marked)


def test_only_the_second_block_is_marked(film, mark, key, payload):
    plain = list(film(16, 160, 120))
    frames = plain[:144] + list(mark(plain[144:], key, payload))
    found = read(frames, key)
    assert found.payload == payload
    assert found.span == pytest.approx((12.0, frames[-1].time))


def test_the_span_ends_where_the_mark_ends(film, mark, key, payload):
    plain = list(film(28, 160, 120))
    frames = list(mark(plain[:144], key, payload)) + plain[144:]
    found = read(frames, key)
    assert found.span == pytest.approx((0.0, 143 / 12))
    assert found.frames == len(plain)


def test_a_long_clip_in_constant_memory(film, mark, key, payload):
    def peak(seconds: float) -> tuple[int, tuple[float, float] | None]:
        tracemalloc.start()
        try:
            found = read(mark(film(seconds, 160, 120), key, payload), key)
            return tracemalloc.get_traced_memory()[1], found.span
        finally:
            tracemalloc.stop()

    peak(1)  # caches of the key and of the code
    short, _ = peak(13)
    long, span = peak(40)
    assert span == pytest.approx((0.0, 40 - 1 / 12))
    assert long < 1.3 * short
