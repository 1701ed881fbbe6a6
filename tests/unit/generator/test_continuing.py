"""First frames, and clips that are gone on with: by tiny models of the LTX family."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from generator.base import GenerationRequest
from generator.calls import call_of
from generator.catalog import open_generator
from generator.continuing import FADING, Pass, joined, last_frames, noise_levels, passes
from generator.conventions import CONVENTIONS, DEFAULTS_FILE, SCHEMA, Defaults
from generator.diffusion import DiffusionGenerator
from generator.errors import RequestInvalid
from generator.frames import covering, fitted

REQUEST = GenerationRequest(
    prompt="a fox in the snow", width=64, height=64, seconds=0.5, frame_rate=Fraction(12), seed=5, steps=2
)
FRAMES = 6


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def frames(generator: DiffusionGenerator, request: GenerationRequest) -> np.ndarray:
    return np.stack(list(generator.generate(request).frames))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.saved("ltx_condition", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def condition(folder: Path) -> DiffusionGenerator:
    return DiffusionGenerator(str(folder))


@pytest.fixture(scope="module")
def ltx(tmp_path_factory: pytest.TempPathFactory) -> DiffusionGenerator:
    return DiffusionGenerator(str(tiny_models.saved("ltx", tmp_path_factory.mktemp("models"))))


def test_the_same_weights_take_text_a_picture_and_a_clip(condition: DiffusionGenerator) -> None:
    told = frames(condition, REQUEST)
    begun = frames(condition, replace(REQUEST, image=noise(50, 80)))
    gone_on = frames(condition, replace(REQUEST, clip=noise(20, 50, 80)))
    assert told.shape == begun.shape == gone_on.shape == (FRAMES, 64, 64, 3)
    assert len({made.tobytes() for made in (told, begun, gone_on)}) == 3
    assert np.array_equal(begun, frames(condition, replace(REQUEST, image=noise(50, 80))))


def test_the_picture_and_the_last_frames_reach_the_model(condition: DiffusionGenerator) -> None:
    other = noise(64, 64, seed=1)
    for change in ({"image": noise(64, 64)}, {"clip": noise(9, 64, 64)}):
        first = frames(condition, replace(REQUEST, **change))
        name, given = next(iter(change.items()))
        seen = given.copy()
        seen[...] = other
        assert not np.array_equal(first, frames(condition, replace(REQUEST, **{name: seen})))
    long = noise(40, 64, 64)
    later = long.copy()
    later[:3] = other  # further back than the model is shown
    one, same = (frames(condition, replace(REQUEST, clip=clip)) for clip in (long, later))
    assert np.array_equal(one, same)


def test_a_model_of_one_length_goes_on_again_and_again(folder: Path) -> None:
    import json

    own = {"schema": SCHEMA, "frames": 9, "width": 64, "height": 64, "rate": 12, "history": 5, "steps": 2}
    (folder / DEFAULTS_FILE).write_text(json.dumps(own))
    try:
        generator = open_generator(f"diffusion:{folder}")
    finally:
        (folder / DEFAULTS_FILE).unlink()
    seen: list[tuple[int, int]] = []
    request = replace(REQUEST, seconds=1.5, clip=noise(7, 64, 64))
    made = np.stack(list(generator.generate(request, lambda *told: seen.append(told)).frames))
    assert made.shape == (18, 64, 64, 3)  # 4 new frames a pass: 5 passes
    assert seen == [(step, 10) for step in range(1, 11)]
    assert len({frame.tobytes() for frame in made}) == 18  # nothing goes forth and back


def test_noise_on_old_frames_as_the_model_says(condition: DiffusionGenerator) -> None:
    pipeline, kind = condition._pipeline, CONVENTIONS["LTXConditionPipeline"]
    named = "image_cond_noise_scale"
    assert named not in call_of(pipeline, kind, Defaults(), REQUEST).arguments
    assert call_of(pipeline, kind, Defaults(noise=0), REQUEST).arguments[named] == 0
    other = CONVENTIONS["LTXPipeline"]
    assert named not in call_of(pipeline, other, Defaults(noise=0), REQUEST).arguments


def test_classes_of_the_same_weights(ltx: DiffusionGenerator) -> None:
    begun = frames(ltx, replace(REQUEST, image=noise(64, 64)))
    assert begun.shape == (FRAMES, 64, 64, 3)
    assert not np.array_equal(begun, frames(ltx, replace(REQUEST, image=noise(64, 64, seed=1))))
    with pytest.raises(RequestInvalid, match=r"goes on with another; take a model of LTXConditionPipeline$"):
        ltx.generate(replace(REQUEST, clip=noise(9, 64, 64)))


def test_generators_of_prompts_refuse_pictures() -> None:
    for change in ({"image": noise(64, 64)}, {"clip": noise(9, 64, 64)}):
        with pytest.raises(RequestInvalid, match="prompt alone"):
            open_generator("scene").generate(replace(REQUEST, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"image": noise(64, 64), "clip": noise(9, 64, 64)},
        {"image": noise(64, 64)[..., :2]},
        {"image": noise(64, 64).astype(np.float32)},
        {"image": noise(9, 64, 64)},
        {"image": noise(2, 4097)},
        {"clip": noise(64, 64)},
        {"clip": noise(0, 64, 64)},
        {"clip": noise(1, 1, 1).repeat(2001, axis=0)},
    ],
    ids=["both", "channels", "floats", "clip", "large", "picture", "empty", "long"],
)
def test_pictures_that_are_none(change: dict[str, np.ndarray]) -> None:
    with pytest.raises(RequestInvalid):
        open_generator("scene").generate(replace(REQUEST, **change))


def test_passes() -> None:
    assert list(passes(40, 12, step=8, history=17, fixed=None, longest=97)) == [Pass(past=17, total=33)]
    assert list(passes(3, 9, step=8, history=17, fixed=None, longest=97)) == [Pass(past=1, total=17)]
    each = list(passes(4, 20, step=4, history=17, fixed=13, longest=97))
    assert [(one.past, one.total) for one in each] == [(1, 13), (9, 13), (9, 13)]
    each = list(passes(40, 100, step=4, history=17, fixed=None, longest=97))
    assert [(one.past, one.total) for one in each] == [(17, 97), (17, 37)]
    with pytest.raises(RequestInvalid, match="cannot go on"):
        list(passes(4, 20, step=8, history=17, fixed=1, longest=97))


@given(changed=st.integers(-40, 40), fresh=st.integers(1, 12), past=st.integers(1, 9))
def test_what_the_model_changed_in_the_last_frame_makes_no_jump(changed: int, fresh: int, past: int) -> None:
    ramp = np.arange(past + fresh, dtype=np.uint8) * 3 + 90  # moves by 3 levels a frame
    made = np.broadcast_to(ramp[:, None, None, None], (past + fresh, 4, 6, 3))
    last = (made[past - 1].astype(int) + changed).astype(np.uint8)
    new = joined(made, fresh, last)
    assert (new[0].astype(int) - last == 3).all()
    steps = np.abs(np.diff(np.concatenate([last[None], new]).astype(int)[:, 0, 0, 0]) - 3)
    assert steps.max() <= abs(changed) / FADING + 1
    assert np.array_equal(new[FADING:], made[past:][FADING:])


def test_what_cannot_be_compared_is_left() -> None:
    made = noise(5, 8, 8)
    assert np.array_equal(joined(made, 5, made[0]), made)
    assert np.array_equal(joined(made, 3, noise(1, 16, 8)[0]), made[2:])


def test_noise_levels() -> None:
    assert noise_levels(4, even=True) == [1000, 750, 500, 250]
    for steps in (1, 2, 4, 30):
        own = noise_levels(steps, even=False)
        assert len(own) == steps
        assert own[0] == 1000
        assert own == sorted(own, reverse=True)
        assert own[-1] > 0
    assert own[1] > 990


@given(
    available=st.integers(1, 60), wanted=st.integers(1, 300), step=st.sampled_from([4, 6, 8]),
    history=st.integers(1, 200), cells=st.integers(1, 12), whole=st.booleans(),
)  # fmt: skip
def test_passes_make_what_is_wanted(
    available: int, wanted: int, step: int, history: int, cells: int, whole: bool
) -> None:
    most = cells * step + 1
    fixed = most if whole else None
    made = 0
    for one in passes(available, wanted, step=step, history=history, fixed=fixed, longest=most):
        assert made < wanted  # none too many
        assert 1 <= one.past <= min(available + made, max(history, 1))
        assert one.past % step == 1 == one.total % step
        assert one.fresh > 0
        assert one.total == most if whole else one.total <= most
        made += one.fresh
    assert made >= wanted


@pytest.mark.parametrize(
    ("rate", "wanted", "kept"), [(8, 8.0, [5, 6, 7]), (16, 8.0, [3, 5, 7]), (8, 16.0, [6, 7, 7])]
)
def test_the_last_frames_at_the_rate_of_the_model(rate: int, wanted: float, kept: list[int]) -> None:
    clip = np.stack([np.full((8, 8, 3), number, np.uint8) for number in range(8)])
    shown = last_frames(clip, rate=Fraction(rate), wanted=wanted, count=3, width=4, height=4)
    assert [int(frame[0, 0, 0]) for frame in shown] == kept
    assert shown[0].shape == (4, 4, 3)


def test_what_was_fitted_comes_back() -> None:
    """A model's square frame on a wide surround, cut out again as the frame that it was."""
    square = noise(8, 8).repeat(32, axis=0).repeat(32, axis=1)
    request = replace(REQUEST, width=480, height=256, seconds=0.05)
    wide = next(fitted(square[None], 12.0, request))
    assert wide.shape == (256, 480, 3)
    assert np.array_equal(covering(wide, 256, 256), square)
