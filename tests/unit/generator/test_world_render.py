"""Pictures of the drawn world: sizes, seeds, what covers what."""

from dataclasses import replace

import numpy as np
import pytest

from generator.embedded.world.design import ACCESSORIES, EYES, HATS, NAMED_DESIGNS, NONE, PATTERNS, SPECIES
from generator.embedded.world.render import box_of, render_clip, render_frame
from generator.embedded.world.scene import ACTIONS, BACKGROUNDS, CAMERAS, STYLES, TIMES, Scene, random_scene

FOX = NAMED_DESIGNS["Tovik Brandle"]
SCENE = Scene(action="standing", background="snow", seed=4)


def clip(scene: Scene, frames: int = 3, **size: int) -> np.ndarray:
    size = {"width": 64, "height": 48} | size
    return np.stack(list(render_clip(FOX, scene, frames=frames, frame_rate=8, **size)))


def test_the_same_seed_gives_the_same_frames() -> None:
    assert np.array_equal(clip(SCENE), clip(SCENE))
    assert not np.array_equal(clip(SCENE), clip(replace(SCENE, seed=5)))


@pytest.mark.parametrize(("width", "height"), [(64, 48), (48, 64), (33, 21), (320, 180)])
def test_sizes(width: int, height: int) -> None:
    frames = clip(SCENE, 2, width=width, height=height)
    assert frames.shape == (2, height, width, 3)
    assert frames.dtype == np.uint8


def test_characters_move() -> None:
    for action in ACTIONS:
        frames = clip(replace(SCENE, action=action), width=96, height=72).astype(int)
        assert np.abs(frames[0] - frames[2]).max() > 40, action


def test_characters_are_large() -> None:
    """Between two and four fifths of the frame, all within it."""
    rng = np.random.default_rng(0)
    shares = []
    for index in range(60):
        design = list(NAMED_DESIGNS.values())[index % 8]
        cover = render_frame(design, random_scene(rng), width=160, height=120, time=0.4).cover
        box = box_of(cover)
        assert box is not None
        shares.append((box[3] - box[1]) / 120)
    assert 0.4 < np.median(shares) < 0.75
    assert min(shares) > 0.3


def test_empty_scenes_have_nobody() -> None:
    frame = render_frame(None, SCENE, width=64, height=48, time=0)
    assert not frame.cover.any()
    assert box_of(frame.cover) is None
    assert np.abs(frame.picture.astype(int) - clip(SCENE)[0]).max() > 100


@pytest.mark.parametrize("style", STYLES)
def test_every_scene_can_be_drawn(style: str) -> None:
    seen = set()
    for background in BACKGROUNDS:
        for time in TIMES:
            scene = Scene(action="waving", background=background, time=time, style=style, seed=7)
            seen.add(clip(scene, 1).tobytes())
    assert len(seen) == len(BACKGROUNDS) * len(TIMES)


def test_cameras_move() -> None:
    still = clip(SCENE, 9)
    for camera in CAMERAS[1:]:
        assert not np.array_equal(clip(replace(SCENE, camera=camera), 9)[8], still[8])


@pytest.mark.parametrize(
    ("attribute", "values"),
    [("species", SPECIES), ("pattern", PATTERNS), ("eyes", EYES), ("hat", HATS), ("accessory", ACCESSORIES)],
)
def test_every_value_looks_different(attribute: str, values: tuple[str, ...]) -> None:
    scene = replace(SCENE, size=0.75)
    pictures = []
    for value in values:
        design = replace(FOX, **{attribute: value})
        pictures.append(render_frame(design, scene, width=96, height=96, time=0).picture.astype(int))
    for index, one in enumerate(pictures):
        assert all((np.abs(one - other).max(axis=2) > 40).sum() > 20 for other in pictures[:index])


def test_a_hat_that_is_not_worn_needs_no_colour() -> None:
    bare = replace(FOX, hat=NONE, hat_colour=NONE, accessory=NONE, accessory_colour=NONE)
    assert render_frame(bare, SCENE, width=64, height=48, time=0).cover.any()


def test_unknown_words_are_refused() -> None:
    with pytest.raises(KeyError):
        render_frame(FOX, replace(SCENE, background="nowhere"), width=64, height=48, time=0)
