"""A marked clip over its release: changes that a platform makes are forgiven, other pictures are not."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.credentials.fingerprint import Alignment
from pipeline.credentials.moments import QUERY, STORED, Moments, Sampling, Taker
from pipeline.verify.content import UNKNOWN, Content, ContentMatch, compare
from pipeline.verify.ladder import FingerprintMatch
from pipeline.verify.matching import content_match, fingerprint_match
from watermark.base import Geometry

HEIGHT, WIDTH, RATE, SECONDS = 180, 320, 8, 4
SHORT = HEIGHT
Picture = NDArray[np.uint8]
Edit = Callable[[Picture, float], Picture]


@lru_cache(maxsize=8)
def world(seed: int, layout: int = 0) -> Picture:
    """A colourful picture three times as wide as a frame; its coarse layout does not depend on the seed."""
    random, coarse = np.random.default_rng(seed), np.random.default_rng([99, layout])
    noise = [cv2.GaussianBlur(random.normal(0, s * s, (HEIGHT, 3 * WIDTH, 3)), (0, 0), s) for s in (2.0, 5.0)]
    wide = cv2.GaussianBlur(coarse.normal(0, 1, (HEIGHT, 3 * WIDTH, 3)), (0, 0), 40)
    whole = sum(part * amount / part.std() for part, amount in zip((*noise, wide), (12, 14, 30), strict=True))
    return np.clip(whole + 120, 20, 235).astype(np.uint8)


def scene(
    seed: int, start: float = 0.0, seconds: float = SECONDS, layout: int = 0
) -> Iterator[tuple[float, Picture]]:
    """A camera that goes along the picture, RGB."""
    picture = world(seed, layout)
    for index in range(round(seconds * RATE)):
        left = round((start + index / RATE) * 27)
        yield index / RATE, picture[:, left : left + WIDTH]


def moments(
    frames: Iterator[tuple[float, Picture]], sampling: Sampling = QUERY, edit: Edit | None = None
) -> Moments:
    taker = Taker(sampling=sampling)
    for time, picture in frames:
        changed = edit(picture, time) if edit else picture
        size = (changed.shape[1] // 2 * 2, changed.shape[0] // 2 * 2)
        planes = cv2.cvtColor(np.ascontiguousarray(changed[: size[1], : size[0]]), cv2.COLOR_RGB2YUV_I420)
        y, rest = planes[: size[1]], planes[size[1] :].reshape(2, size[1] // 2, size[0] // 2)
        taker.add(time, y, rest[0], rest[1])
    return taker.finish()


RELEASE = Moments.from_bytes(moments(scene(1), STORED).to_bytes())


def noisy(picture: Picture, time: float) -> Picture:
    noise = np.random.default_rng(int(time * 100)).normal(0, 10, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def grey(picture: Picture) -> Picture:
    luma = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return np.asarray(np.stack([luma] * 3, axis=2), np.uint8)


def turned(picture: Picture, degrees: float) -> Picture:
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, 1)
    return cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT)).astype(np.uint8)


def turned_geometry(degrees: float) -> Geometry:
    """What the mark says of a picture turned about its middle: where its corner came to lie."""
    angle = np.deg2rad(degrees)
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([WIDTH, HEIGHT]) / 2 / SHORT
    shift = -(middle - back @ middle) % 0.5
    return Geometry(rotation=degrees, shift=(float(shift[0]), float(shift[1])))


SAME: dict[str, tuple[Edit, Geometry]] = {
    "as it is": (lambda p, _: p, Geometry()),
    "noise": (noisy, Geometry()),
    "blurred": (lambda p, _: cv2.GaussianBlur(p, (0, 0), 2), Geometry()),
    "smaller": (lambda p, _: cv2.resize(p, (160, 90), interpolation=cv2.INTER_AREA), Geometry()),
    "stretched": (lambda p, _: cv2.resize(p, (WIDTH, round(1.3 * HEIGHT))), Geometry(scale=0.877)),
    "darker": (lambda p, _: (p * 0.6).astype(np.uint8), Geometry()),
    "gamma": (lambda p, _: (255 * (p / 255) ** 1.4).astype(np.uint8), Geometry()),
    "grey": (lambda p, _: grey(p), Geometry()),
    "less colour": (lambda p, _: cv2.addWeighted(p, 0.5, grey(p), 0.5, 0).astype(np.uint8), Geometry()),
    "mirrored": (lambda p, _: p[:, ::-1], Geometry(mirrored=True)),
    "cropped": (
        lambda p, _: p[40:150, 60:270],
        Geometry(scale=SHORT / 110, shift=(-60 / SHORT % 0.5, -40 / SHORT % 0.5)),
    ),
    "bars": (
        lambda p, _: cv2.copyMakeBorder(p, 40, 40, 0, 0, cv2.BORDER_CONSTANT),
        Geometry(scale=SHORT / (SHORT + 80), shift=(0.0, 40 / SHORT)),
    ),
    "turned": (lambda p, _: turned(p, 4), turned_geometry(4)),
}  # fmt: skip


@pytest.mark.parametrize("change", SAME)
def test_a_copy_is_the_same(change: str) -> None:
    edit, geometry = SAME[change]
    found = compare(moments(scene(1), edit=edit), RELEASE, geometry)
    assert found.content is Content.SAME, found


@pytest.mark.parametrize("share", [0.98, 0.99, 0.995, 1.01, 1.02])
def test_a_mark_that_says_the_size_only_roughly_is_near_enough(share: float) -> None:
    """The pictures say the place exactly, always the same one, of hard edges too."""
    top, left, height, width = 6, 8, round(0.93 * HEIGHT), round(0.93 * WIDTH)
    release = Moments.from_bytes(moments(boxes(), STORED).to_bytes())
    cut = moments(boxes(), edit=lambda p, _: p[top : top + height, left : left + width])
    shift = (-left / SHORT % 0.5, -top / SHORT % 0.5)
    found = compare(cut, release, Geometry(scale=SHORT / height * share, shift=shift))
    assert found.content is Content.SAME
    assert found.structure == pytest.approx(0.993, abs=0.005)
    assert found.differs == pytest.approx(0.42, abs=0.05)


def test_a_copy_that_was_cut_a_little_may_bear_a_mark_that_says_it_was_not() -> None:
    cut = moments(boxes(), edit=lambda p, _: p[6:-6, 10:-10])
    assert (
        compare(cut, Moments.from_bytes(moments(boxes(), STORED).to_bytes()), Geometry()).content
        is Content.SAME
    )


@pytest.mark.parametrize("seconds", [0.25, 0.3, 0.4, 0.5, 0.6, 0.65, 1.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_camera_is_not_followed_to_another_moment(seed: int, seconds: float) -> None:
    release = Moments.from_bytes(moments(scene(seed), STORED).to_bytes())
    found = compare(moments(scene(seed, start=seconds)), release, Geometry())
    assert found.content is not Content.SAME, found


@pytest.mark.parametrize("seconds", [0.4, 0.5, 0.65, 1.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nor_is_it_in_a_cut_copy(seed: int, seconds: float) -> None:
    release = Moments.from_bytes(moments(scene(seed), STORED).to_bytes())
    edit, where = SAME["cropped"]
    found = compare(moments(scene(seed, start=seconds), edit=edit), release, where)
    assert found.content is not Content.SAME, found


@pytest.mark.parametrize("frames", [-3, -2, 2, 3])
@pytest.mark.parametrize("speed", [27, 50])
def test_a_clock_that_is_some_frames_off_does_not_bend_the_place(speed: int, frames: int) -> None:
    """A cut copy of a pan of 24 frames a second, 27 or 50 pixels a second fast."""

    def pan() -> Iterator[tuple[float, Picture]]:
        for index in range(96):
            left = round(index / 24 * speed)
            yield index / 24, world(2)[:, left : left + WIDTH]

    edit, where = SAME["cropped"]
    release = Moments.from_bytes(moments(pan(), STORED).to_bytes())
    geometry = replace(where, time_offset=frames / 24 % 4)
    assert compare(moments(pan(), edit=edit), release, geometry).content is Content.SAME


@pytest.mark.parametrize("speed", [0.98, 1.02])
def test_a_copy_at_the_right_speed_may_bear_a_mark_that_is_a_fiftieth_off(speed: float) -> None:
    """Over ten seconds that makes a fifth of a second, which no clock of one start can follow."""
    edit, where = SAME["cropped"]
    release = Moments.from_bytes(moments(scene(3, seconds=10), STORED).to_bytes())
    geometry = replace(where, speed=speed, time_offset=(5 * (1 - speed)) % 4)
    assert compare(moments(scene(3, seconds=10), edit=edit), release, geometry).content is Content.SAME


@pytest.mark.parametrize(("seconds", "rate"), [(100, 8), (130, 8), (6, 1), (6, 2), (6, 3)])
def test_moments_that_lie_far_apart_are_compared(seconds: int, rate: int) -> None:
    """Those of a long clip, or of one of few frames."""

    def pan() -> Iterator[tuple[float, Picture]]:
        for index in range(seconds * rate):
            left = index * 4 // rate
            yield index / rate, world(1)[:, left : left + WIDTH]

    release = Moments.from_bytes(moments(pan(), STORED).to_bytes())
    assert compare(moments(pan()), release, Geometry()).content is Content.SAME


def test_two_moments_next_to_each_other_raise_nothing() -> None:
    two = moments(itertools.islice(((time / 2, picture) for time, picture in scene(1)), 2))
    assert compare(two, RELEASE, Geometry()).content is not Content.OTHER


def boxes() -> Iterator[tuple[float, Picture]]:
    """The scene with boxes of one colour in it."""
    for time, picture in scene(1):
        drawn, left = picture.copy(), round(time * 27)
        for index in range(60):
            random = np.random.default_rng(index)
            x, y = int(random.integers(0, 3 * WIDTH)) - left, int(random.integers(0, HEIGHT))
            width, height = (int(side) for side in random.integers(6, 40, 2))
            colour = [int(value) for value in random.integers(20, 235, 3)]
            cv2.rectangle(drawn, (x, y), (x + width, y + height), colour, -1)
        yield time, drawn


def test_a_trimmed_and_sped_up_copy_is_the_same() -> None:
    late = compare(moments(scene(1, start=1.5, seconds=2.5)), RELEASE, Geometry(time_offset=1.5))
    assert late.content is Content.SAME
    assert late.moments >= 3
    fast = moments((time / 1.25, picture) for time, picture in scene(1))
    assert compare(fast, RELEASE, Geometry(speed=1.25)).content is Content.SAME


def test_a_trim_by_whole_periods_is_found_by_what_the_fingerprint_says() -> None:
    release = moments(scene(1, seconds=14), STORED)
    found = compare(moments(scene(1, start=8, seconds=3)), release, Geometry(), [8.0])
    assert found.content is Content.SAME


def patched(picture: Picture, _time: float) -> Picture:
    changed = picture.copy()
    changed[100:126, 130:156] = 235
    return changed


def recoloured(picture: Picture, _time: float) -> Picture:
    """One thing in another colour of the same luma."""
    changed = picture.astype(np.float32)
    changed[66:100, 130:172] += np.array([70.0, -40.0, 20.0])
    return np.clip(changed, 0, 255).astype(np.uint8)


NOT_SAME: dict[str, Callable[[], Moments]] = {
    "the same layout, other things": lambda: moments(scene(2)),
    "half a second later": lambda: moments(scene(1, start=0.5)),
    "something in it is changed": lambda: moments(scene(1), edit=patched),
    "something has another colour": lambda: moments(scene(1), edit=recoloured),
    "the second half is another clip's": lambda: moments(
        (time, ours if time < SECONDS / 2 else theirs)
        for (time, ours), (_, theirs) in zip(scene(1), scene(2), strict=True)
    ),
    "next to no contrast": lambda: moments(scene(2), edit=lambda p, _: (120 + p * 0.1).astype(np.uint8)),
}  # fmt: skip


@pytest.mark.parametrize("clip", NOT_SAME)
def test_what_is_not_the_same_is_not_called_so(clip: str) -> None:
    assert compare(NOT_SAME[clip](), RELEASE, Geometry()).content is not Content.SAME


def test_other_pictures_under_a_mark_that_was_not_moved_are_another_clips() -> None:
    found = compare(moments(scene(2, layout=5)), RELEASE, Geometry())
    assert found.content is Content.OTHER
    moved = Geometry(scale=1.4, shift=(0.1, 0.2))  # there may be more to how it lies than the mark says
    assert compare(moments(scene(2, layout=5)), RELEASE, moved).content is Content.UNDECIDED


@pytest.mark.parametrize("edit", [patched, recoloured])
def test_a_part_that_was_changed_is_told(edit: Edit) -> None:
    found = compare(moments(scene(1), edit=edit), RELEASE, Geometry())
    assert found.alike
    assert found.differs is not None
    assert found.differs >= 1


def test_flat_clips_and_single_moments_are_not_decided() -> None:
    flat = moments((index / RATE, np.full((HEIGHT, WIDTH, 3), 90, np.uint8)) for index in range(24))
    assert compare(flat, flat, Geometry()) == UNKNOWN
    short = moments(scene(1, seconds=0.3))
    assert compare(short, RELEASE, Geometry()).content is Content.UNDECIDED


ALIKE = (Alignment(distance=0.1, offset=0, step=0.5, mirrored=False),)
UNLIKE = (Alignment(distance=0.4, offset=0, step=0.5, mirrored=False),)
BETWEEN = (Alignment(distance=0.26, offset=0, step=0.5, mirrored=False),)


def test_a_fingerprint_that_is_alike_does_not_make_it_the_same() -> None:
    assert fingerprint_match(ALIKE) is FingerprintMatch.SAME
    assert fingerprint_match(BETWEEN) is fingerprint_match(()) is FingerprintMatch.UNDECIDED
    for found in (None, UNKNOWN):
        assert content_match(found, FingerprintMatch.SAME, in_place=True) is FingerprintMatch.UNDECIDED


def test_moments_count_before_the_fingerprint() -> None:
    same, other = ContentMatch(content=Content.SAME), ContentMatch(content=Content.OTHER)
    assert content_match(same, FingerprintMatch.OTHER, in_place=True) is FingerprintMatch.SAME
    assert content_match(other, FingerprintMatch.SAME, in_place=True) is FingerprintMatch.OTHER
    assert fingerprint_match(UNLIKE) is FingerprintMatch.OTHER
    assert content_match(UNKNOWN, FingerprintMatch.OTHER, in_place=True) is FingerprintMatch.OTHER
    assert content_match(UNKNOWN, FingerprintMatch.OTHER, in_place=False) is FingerprintMatch.UNDECIDED
