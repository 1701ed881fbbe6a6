"""Every attack of the suite: it runs, the same seed gives the same frames, it does what its name says."""

import hashlib
import itertools
import os
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks.attacks import footage as reel
from benchmarks.attacks import geometry, photometry, removers, timing
from benchmarks.attacks.catalog import CORE, FOLLOWED, SUITE, chosen
from benchmarks.attacks.codecs import CODECS, through
from benchmarks.attacks.footage import CannotAttack, Footage, Frame, Situation, joined, luma, planes
from benchmarks.trials.schemes import FOREIGN, Countermark

WIDTH, HEIGHT, RATE, COUNT = 160, 112, 25.0, 66
SCHEME = Countermark(44.0)
PLAIN = [name for name in SUITE if not name.endswith(FOLLOWED)]
MOST_HELD = 24  # frames that an attack may keep at once


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> reel.Image:
    """A smooth texture in colour that moves."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = np.sin((columns + 2 * index) / 7) + np.cos((rows - index) / 5) + np.sin((rows + columns) / 3)
    rgb = np.stack([120 + 30 * wave, 110 + 25 * np.roll(wave, 9, 1), 100 - 20 * wave], axis=-1)
    return reel.from_rgb(np.clip(rgb, 0, 255).astype(np.uint8))


def film(count: int = COUNT, width: int = WIDTH, height: int = HEIGHT, rate: float = RATE) -> Footage:
    def play() -> Iterator[Frame]:
        return (Frame(index / rate, picture(index, width, height)) for index in range(count))

    return Footage(width=width, height=height, rate=rate, seconds=count / rate, play=play)


@pytest.fixture(scope="module")
def marked() -> dict[bool, Footage]:
    """The film with the hidden mark, and with both; frames made once."""
    made = {}
    for visible in (False, True):
        embedded = SCHEME.embed(film(), 0, visible=visible).footage
        frames = list(embedded.play())
        made[visible] = replace(embedded, play=lambda frames=frames: iter(frames))
    return made


def situation(seed: int = 1) -> Situation:
    return Situation(seed=seed, remark=lambda shown, n: SCHEME.embed(shown, FOREIGN + n).footage)


def digest(frames: list[Frame]) -> str:
    whole = hashlib.sha256()
    for time, image in frames:
        whole.update(f"{time:.9f} {image.shape}".encode() + np.ascontiguousarray(image).tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize("name", PLAIN)
def test_an_attack_runs_and_its_seed_decides(name: str, marked: dict[bool, Footage]) -> None:
    attack = SUITE[name]
    source = marked[attack.visible]
    attacked = attack.apply(source, situation())
    frames = list(attacked.play())
    assert frames
    assert {frame.image.shape for frame in frames} == {(attacked.height * 3 // 2, attacked.width)}
    assert {str(frame.image.dtype) for frame in frames} == {"uint8"}
    assert attacked.width % 2 == attacked.height % 2 == 0
    times = [frame.time for frame in frames]
    assert times[0] == 0
    assert all(now > before for before, now in itertools.pairwise(times))
    assert times[-1] < attacked.seconds + 1e-6
    assert digest(frames) == digest(list(attack.apply(source, situation()).play()))
    other = digest(list(attack.apply(source, situation(seed=2)).play()))
    assert (other != digest(frames)) == attack.drawn
    unchanged = digest(frames) == digest(list(source.play()))
    assert unchanged == (not attack.parts)


@pytest.mark.parametrize("name", ["none", "crop_0.71", "notch_200", "last_2s"])
def test_played_twice_it_is_the_same(name: str, marked: dict[bool, Footage]) -> None:
    attacked = SUITE[name].apply(marked[False], situation())
    assert digest(list(attacked.play())) == digest(list(attacked.play()))


def test_the_followed_rows_end_in_h264(marked: dict[bool, Footage]) -> None:
    followed = SUITE["crop_0.71" + FOLLOWED]
    assert followed.told.endswith("codec(name h264, crf 26)")
    plain = SUITE["crop_0.71"].apply(marked[False], situation())
    coded = followed.apply(marked[False], situation())
    assert (coded.width, coded.height) == (plain.width, plain.height)
    before, after = list(plain.play()), list(coded.play())
    assert [frame.time for frame in before] == [frame.time for frame in after]
    error = np.abs(before[10].luma.astype(int) - after[10].luma).mean()
    assert 0 < error < 6


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("flip", (160, 112)), ("rotate_90", (160, 112)), ("turn_90", (112, 160)), ("resize_0.55", (88, 62)),
        ("resize_2.0", (320, 224)), ("stretch_0.75", (120, 112)), ("crop_0.71", (114, 80)),
        ("perspective_0.5", (160, 112)), ("letterbox", (160, 140)), ("pip_50", (160, 112)),
        ("long_192_crf_30", (160, 112)), ("combined_40", (114, 80)), ("screen_recording", (128, 90)),
    ],
)  # fmt: skip
def test_sizes(name: str, size: tuple[int, int]) -> None:
    attacked = SUITE[name].apply(film(), situation())
    assert (attacked.width, attacked.height) == size


@pytest.mark.parametrize(
    ("name", "count", "end"),
    [
        ("speed_2.0", 33, 1.32), ("speed_0.5", 132, 5.28), ("speed_1.1", 60, 2.4), ("fps_24", 64, 2.64),
        ("fps_0.8", 53, 2.64), ("first_2s", 50, 2.0), ("last_2s", 50, 2.0), ("drop_50", 66, 2.64),
        ("reorder", 66, 2.64), ("average_3", 66, 2.64),
    ],
)  # fmt: skip
def test_times(name: str, count: int, end: float) -> None:
    attacked = SUITE[name].apply(film(), situation())
    assert attacked.seconds == pytest.approx(end)
    assert len(list(attacked.play())) == count


def test_speed_shows_what_was_there_at_that_time() -> None:
    source = list(film().play())
    fast = list(SUITE["speed_2.0"].apply(film(), situation()).play())
    assert all(np.array_equal(frame.image, source[2 * index].image) for index, frame in enumerate(fast))


def test_the_end_of_a_clip_begins_at_zero() -> None:
    source = list(film().play())
    ended = list(SUITE["last_2s"].apply(film(), situation()).play())
    assert ended[0].time == 0
    assert np.array_equal(ended[0].image, source[16].image)


def test_thinned_frames_keep_their_times() -> None:
    source = {frame.time: frame for frame in film().play()}
    thinned = list(SUITE["thin_50"].apply(film(), situation()).play())
    assert 15 < len(thinned) < 52
    assert all(np.array_equal(source[frame.time].image, frame.image) for frame in thinned)


def test_the_average_is_that_of_the_neighbours() -> None:
    source = [frame.image.astype(float) for frame in film(5).play()]
    averaged = list(timing.average(film(5), situation(), frames=3).play())
    assert len(averaged) == 5
    for index, frame in enumerate(averaged):
        near = source[max(0, index - 1) : index + 2]
        assert np.abs(frame.image - np.mean(near, axis=0)).max() <= 0.5


def test_what_does_not_apply_is_said() -> None:
    with pytest.raises(CannotAttack, match="8 frames per second, no more than 24"):
        SUITE["fps_24"].apply(film(24, rate=8.0), situation())
    with pytest.raises(CannotAttack, match="too few to leave 2 s"):
        SUITE["first_2s"].apply(film(25), situation())
    with pytest.raises(CannotAttack, match="no visible mark"):
        SUITE["inpaint_telea"].apply(film(), situation())
    with pytest.raises(CannotAttack, match="not at hand"):
        SUITE["remark_1"].apply(film(), Situation(seed=1))


@pytest.mark.parametrize("name", ["inpaint_telea", "inpaint_median", "inpaint_delogo"])
def test_painting_over_changes_the_boxes_alone(name: str, marked: dict[bool, Footage]) -> None:
    source = marked[True]
    assert source.boxes
    painted = list(SUITE[name].apply(source, situation()).play())
    for before, after in list(zip(source.play(), painted, strict=True))[::20]:
        changed = np.abs(before.luma.astype(int) - after.luma) > 0
        inside = np.zeros(changed.shape, bool)
        for x0, y0, x1, y1 in source.boxes(before.time):
            assert changed[y0:y1, x0:x1].mean() > 0.5
            inside[max(0, y0 - 4) : y1 + 4, max(0, x0 - 4) : x1 + 4] = True
        assert not changed[~inside].any()


def test_a_held_box_covers_the_plate_all_along(marked: dict[bool, Footage]) -> None:
    source = marked[True]
    assert source.boxes
    painted = list(SUITE["inpaint_held"].apply(source, situation()).play())
    for before, after in list(zip(source.play(), painted, strict=True))[::20]:
        changed = np.abs(before.luma.astype(int) - after.luma) > 0
        for x0, y0, x1, y1 in source.boxes(before.time):
            assert changed[y0:y1, x0:x1].mean() > 0.5


def test_who_expects_one_box_misses_the_second_plate(marked: dict[bool, Footage]) -> None:
    source = marked[True]
    assert source.boxes
    painted = SUITE["inpaint_label"].apply(source, situation())
    before, after = next(source.play()), next(painted.play())
    changed = np.abs(before.luma.astype(int) - after.luma) > 0
    (x0, y0, x1, y1), (left, top, right, bottom) = source.boxes(0.0)
    assert changed[y0:y1, x0:x1].mean() > 0.5
    assert not changed[top:bottom, left:right].any()


def test_a_still_estimate_is_taken_away() -> None:
    """A fixed pattern over a moving scene goes; that is what the attack is there for."""
    random = np.random.default_rng(3)
    pattern = np.rint(random.normal(0, 3, (HEIGHT, WIDTH))).astype(np.int16)

    def stamped(image: reel.Image) -> reel.Image:
        y = np.clip(luma(image).astype(np.int16) + pattern, 0, 255).astype(np.uint8)
        return reel.with_luma(image, y)

    cleaned = removers.subtract_estimate(film().each(stamped), situation(), gain=1.0)
    pairs = zip(cleaned.play(), film().play(), strict=True)
    left = np.mean([after.luma.astype(float) - before.luma for after, before in pairs], axis=0)
    assert np.sum(left * pattern) < 0.2 * np.sum(pattern.astype(float) ** 2)


def test_spectral_lines_are_cut_out() -> None:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    line = np.rint(6 * np.cos(2 * np.pi * (columns * 40 / WIDTH + rows * 28 / HEIGHT))).astype(np.int16)

    def stamped(image: reel.Image) -> reel.Image:
        y = np.clip(luma(image).astype(np.int16) + line, 0, 255).astype(np.uint8)
        return reel.with_luma(image, y)

    cleaned = removers.notch(film(20).each(stamped), situation(), peaks=20)
    frame = next(cleaned.play()).luma.astype(float)
    stamp = next(film(20).each(stamped).play()).luma.astype(float)
    assert abs(np.mean(frame * line)) < 0.1 * abs(np.mean(stamp * line))


def test_photometry_says_what_it_does() -> None:
    image = next(film().play()).image
    rgb = reel.to_rgb(image).astype(float)

    def after(name: str) -> reel.Image:
        return next(SUITE[name].apply(film(), situation()).play()).image

    assert reel.to_rgb(after("brightness_0.5")).mean() == pytest.approx(rgb.mean() / 2, abs=1.5)
    assert reel.to_rgb(after("contrast_0.5")).std() < 0.75 * rgb.std()
    assert all((plane == 128).all() for plane in planes(after("grayscale"))[1:])
    assert np.array_equal(luma(after("grayscale")), luma(image))
    noisy = luma(after("noise_6")).astype(float) - luma(image)
    assert noisy.std() == pytest.approx(6, rel=0.1)
    assert luma(after("blur_9")).std() < luma(image).std()
    assert (
        cv2.Laplacian(luma(after("sharpen_1")), cv2.CV_64F).std()
        > cv2.Laplacian(luma(image), cv2.CV_64F).std()
    )


def test_hue_goes_round() -> None:
    """Four quarter turns are none, but for rounding."""
    whole = film(1)
    for _ in range(4):
        whole = photometry.hue(whole, situation(), turns=0.25)
    before, after = (reel.to_rgb(next(shown.play()).image).astype(int) for shown in (film(1), whole))
    assert np.abs(before - after).mean() < 5


def test_a_warp_keeps_chroma_with_luma() -> None:
    """A shift by four pixels moves luma by four samples and chroma by two."""
    image = picture(0)
    matrix = np.array([[1.0, 0, 4], [0, 1, 0], [0, 0, 1]])
    moved = geometry.warped(image, matrix, cv2.INTER_LINEAR)
    for step, (before, after) in zip((4, 2, 2), zip(planes(image), planes(moved), strict=True), strict=True):
        assert np.array_equal(before[:, :-step], after[:, step:])


@pytest.mark.parametrize(
    "name", [name for name in PLAIN if SUITE[name].family not in ("codec", "chain", "none")]
)
def test_memory_does_not_grow(name: str) -> None:
    """Frames that were played are let go, however long the clip is."""
    alive: list[weakref.ref[reel.Image]] = []
    most = 0
    small = picture(0, 112, 112)

    def play() -> Iterator[Frame]:
        nonlocal most
        for index in range(150):
            image = small.copy()
            alive.append(weakref.ref(image))
            most = max(most, sum(one() is not None for one in alive[-100:]))
            yield Frame(index / RATE, image)
            del image

    source = Footage(
        width=112, height=112, rate=RATE, seconds=6.0, play=play, boxes=lambda _time: ((20, 20, 60, 40),)
    )  # fmt: skip
    for _ in SUITE[name].apply(source, situation()).play():
        pass
    assert most <= MOST_HELD


@pytest.mark.parametrize("name", list(CODECS))
def test_codecs_hold_few_frames(name: str) -> None:
    given_in = 0
    most = 0

    def counted() -> Iterator[Frame]:
        nonlocal given_in
        for index in range(200):
            given_in += 1
            yield Frame(index / RATE, picture(index % 8, 80, 64))

    size: list[int] = []
    coded = through(counted(), CODECS[name], rate=RATE, crf=40, told=size.append)
    for got_out, frame in enumerate(coded, start=1):
        assert frame.time == (got_out - 1) / RATE
        most = max(most, given_in - got_out)
    assert got_out == given_in == 200
    assert most < 120
    assert sum(size) > 100


def test_no_encoder_leaves_the_process_at_real_time() -> None:
    frames = through(film(count=2).play(), CODECS["av1"], rate=RATE, crf=50)
    assert {os.sched_getscheduler(0) for _ in frames} == {os.SCHED_OTHER}


def test_a_lower_quality_costs_fewer_bytes() -> None:
    for name, codec in CODECS.items():
        spent = []
        for crf in (23, 45):
            size: list[int] = []
            list(through(film(12).play(), codec, rate=RATE, crf=crf, told=size.append))
            spent.append(sum(size))
        assert spent[1] < spent[0], name


def test_the_catalog() -> None:
    assert len(CORE) == len(set(CORE)) == 20
    assert [attack.name for attack in chosen("core")] == list(CORE)
    assert chosen("suite") == tuple(SUITE.values())
    assert all(attack.peer for attack in chosen("peer"))
    assert chosen("flip") == (SUITE["flip"],)
    with pytest.raises(KeyError):
        chosen("nonsense")
    for attack in SUITE.values():
        if attack.family in ("geometry", "photometry", "timing", "cover", "removal"):
            base = attack.name.removesuffix(FOLLOWED)
            assert {base, base + FOLLOWED} <= set(SUITE)


def test_the_page_lists_every_attack_with_its_parameters() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/attacks.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()]
    documented = {row[0].strip("`"): row[1:] for row in rows if len(row) == 4 and row[0].startswith("`")}
    sizes = {"1080p", "480p", "256p", "native"}
    wanted = {}
    for name in PLAIN:
        core = "yes" if name in CORE else "followed" if name + FOLLOWED in CORE else ""
        wanted[name] = [SUITE[name].told, "yes" if SUITE[name].peer else "", core]
    assert {name: cells for name, cells in documented.items() if name not in sizes} == wanted


EVEN = st.integers(1, 24).map(lambda half: 2 * half)


@given(width=EVEN, height=EVEN, seed=st.integers(0, 99))
@settings(max_examples=25)
def test_planes_join_again_and_a_flip_undoes_itself(width: int, height: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height * 3 // 2, width)).astype(np.uint8)
    assert np.array_equal(joined(*planes(image)), image)
    once = Footage(width=width, height=height, rate=1, seconds=1, play=lambda: iter([Frame(0.0, image)]))
    twice = geometry.flip(geometry.flip(once, situation()), situation())
    assert np.array_equal(next(twice.play()).image, image)


@given(factor=st.floats(0.3, 3), count=st.integers(1, 40))
@settings(max_examples=40)
def test_any_speed_gives_evenly_spaced_frames_of_the_right_length(factor: float, count: int) -> None:
    small = np.zeros((3, 2), np.uint8)
    source = Footage(
        width=2, height=2, rate=10, seconds=count / 10,
        play=lambda: (Frame(index / 10, small) for index in range(count)),
    )  # fmt: skip
    frames = list(timing.speed(source, situation(), factor=factor).play())
    assert [frame.time for frame in frames] == pytest.approx([index / 10 for index in range(len(frames))])
    assert abs(len(frames) - count / factor) <= 1
