"""A service that judges frames: what it refuses, holds and releases. Its tiny model takes red for sexual."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "unsafe"))
from tiny_pictures import save_classifier

from classifiers.base import Picture, Sight
from classifiers.errors import CalibrationMissing, ModelUnusable
from classifiers.thresholds import Calibration, Layer, dump, file_name
from classifiers.unsafe.check import SURE
from classifiers.unsafe.heads import Head, Linear
from classifiers.unsafe.heads import dump as dump_head
from classifiers.unsafe.pictures import open_classifier
from classifiers.unsafe.taxonomy import Category
from pipeline.app import App, open_app
from pipeline.asking import Question
from pipeline.checks import look_at_pictures
from pipeline.errors import Refused
from pipeline.eyes import Eyes
from pipeline.judging import Judge
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.release.staging import Staging
from pipeline.settings import Settings, load
from pipeline.starting import required_eyes
from pipeline.workbench import Outcome
from registry.db import read
from registry.ids import new_id
from registry.sights import of

RATE = Fraction(12)
SEXUAL = "unsafe_clip_sexual"


def tinted(colour: tuple[int, int, int], seed: int) -> Picture:
    """A texture of one tint; marks cannot be hidden in a plain area."""
    grain = np.random.default_rng(seed).integers(0, 60, (17, 30, 1), np.uint8)
    shades = cv2.resize(grain, (480, 272), interpolation=cv2.INTER_CUBIC)[..., None].astype(np.int16)
    return np.clip(np.array(colour, np.int16) - shades, 0, 255).astype(np.uint8)


def clip_of(path: Path, *colour: int) -> Path:
    info = ClipInfo(width=480, height=272, time_base=1 / RATE, frame_rate=RATE, colour=BT601_LIMITED)
    picture = tinted((colour[0], colour[1], colour[2]), 5)
    with ClipWriter(path, info, crf=16, preset="veryfast") as writer:
        for index in range(24):
            writer.write(frame_from_rgb(np.roll(picture, 4 * index, axis=1), index, index / float(RATE)))
    return path


def calibrate(home: Path, space: str, codes: tuple[str, ...] = (SEXUAL,)) -> None:
    layers = {code: Layer(threshold=0.5, slope=1.0, intercept=0.0) for code in codes}
    numbers = {SURE.format(layer=SEXUAL): 20.0}
    (home / "calibrations").mkdir(parents=True, exist_ok=True)
    made = Calibration(space=space, version=1, made={"command": "test"}, layers=layers, numbers=numbers)
    (home / "calibrations" / file_name(space)).write_bytes(dump(made))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("models") / "nsfw", ["nsfw", "normal"])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Settings:
    home = tmp_path_factory.mktemp("judged") / "home"
    calibrate(home, open_classifier(str(folder)).space)
    return load(home).model_copy(update={"frame_classifier": str(folder), "unsafe_frames": "required"})


@pytest.fixture(scope="module")
def app(settings: Settings) -> Iterator[App]:
    with open_app(settings, required_eyes(settings)) as opened:
        yield opened


def guard(app: App, clip: Path) -> Outcome:
    order = GuardOrder(source=clip, policy="opt-out", sound=Sound.STRIP, prompt="a quiet beach")
    return app.guard(order, lambda *_: None)


def checks_of(outcome: Outcome) -> Any:
    assert outcome.decision is not None
    return outcome.decision["checks"]


def test_what_a_classifier_finds_is_held_with_time(app: App, tmp_path: Path) -> None:
    outcome = guard(app, clip_of(tmp_path / "red.mp4", 255, 60, 60))
    assert outcome.release is None
    assert checks_of(outcome)["unsafe_frames"] == "completed"
    [reason] = outcome.held
    assert (reason["code"], reason["check"]) == (SEXUAL, "unsafe_frames")
    detail = str(reason["detail"])
    assert detail.startswith("The clip seems to show nudity or sexual acts at 0.0 s.")
    assert reason["evidence"]["times"][0] == 0  # type: ignore[index,call-overload]
    assert str(reason["evidence"]["calibration"]).startswith("pictures-")  # type: ignore[index,call-overload]


def test_what_it_does_not_find_is_released_and_what_it_said_is_kept(app: App, tmp_path: Path) -> None:
    outcome = guard(app, clip_of(tmp_path / "blue.mp4", 60, 60, 255))
    assert outcome.release is not None
    assert checks_of(outcome)["unsafe_frames"] == "completed"
    with read(app.engine) as conn:
        [rows] = of(conn, [outcome.release.id]).values()
    [row] = [row for row in rows if row.kind == "unsafe_frame"]
    assert (row.space[:9], row.sealed) == ("pictures-", False)


def test_pictures_that_a_clip_is_made_from_are_judged(app: App, tmp_path: Path) -> None:
    for name, colour in (("red", (255, 60, 60)), ("blue", (60, 60, 255))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.cvtColor(tinted(colour, 6), cv2.COLOR_RGB2BGR))
    question = Question(policy="opt-out")
    assert app.asking.demand_material([tmp_path / "blue.png"], question) == ()
    with pytest.raises(Refused, match=r"nudity or sexual acts.*is made from"):
        app.asking.demand_material([tmp_path / "red.png"], question)


def test_a_clip_that_could_not_be_judged_is_held(app: App, folder: Path, tmp_path: Path) -> None:
    broken = save_classifier(tmp_path / "broken", ["nsfw", "normal"])
    from safetensors.torch import load_file, save_file

    tensors = load_file(broken / "model.safetensors")
    tensors["classifier.bias"].fill_(float("nan"))
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    home = app.settings.home
    calibrate(home, open_classifier(str(broken)).space)
    settings = app.settings.model_copy(update={"frame_classifier": str(broken)})
    other = App(replace(app._bench, settings=settings, eyes=Eyes.of(settings)))
    outcome = guard(other, clip_of(tmp_path / "grey.mp4", 128, 140, 128))
    assert outcome.release is None
    assert checks_of(outcome)["unsafe_frames"] == "failed"
    assert [(reason["code"], reason["check"]) for reason in outcome.held] == [
        ("check_unfinished", "unsafe_frames")
    ]


@pytest.mark.parametrize("check", ["frames", "unsafe_frames"])
def test_what_was_seen_of_material_does_not_stand_in_for_the_clip(app: App, check: str) -> None:
    bench = app._bench
    inputs = {
        "policy": "opt-out", "sound": "strip", "prompt": None, "key": None, "account": "local",
        "history": [], "use": {},
    }  # fmt: skip
    judge = Judge(bench, inputs, Staging(bench.store, new_id(bench.clock())))
    seen = look_at_pictures([tinted((60, 60, 255), 7)], bench.eyes).sight
    of_material = {"sight": judge._keep(seen), "words": [], "unfinished": {}}
    of_clip = {"sight": judge._keep(Sight(seen=())), "unfinished": {check: "failed"}}
    told = {"state": None, "detail": None}
    decision = judge.decide([of_material, of_clip], has_sound=False, heard=told)
    assert decision["verdict"] == "review"
    assert decision["checks"][check] == "failed"  # type: ignore[index,call-overload]
    whole = judge.decide([of_material, {**of_material}], has_sound=False, heard=told)
    assert whole["verdict"] == "allow"


def test_a_service_without_what_it_requires_does_not_start(settings: Settings) -> None:
    nothing = settings.model_copy(update={"frame_classifier": None})
    with pytest.raises(ModelUnusable, match=r"unsafe_frames requires .* frame_head or frame_classifier"):
        required_eyes(nothing)
    gone = settings.model_copy(update={"frame_head": settings.home / "gone.safetensors"})
    with pytest.raises(ModelUnusable, match="cannot be read"):
        required_eyes(gone)


def test_a_head_that_nobody_calibrated_or_only_in_part_does_not_start(
    settings: Settings, tmp_path: Path
) -> None:
    eyes = Eyes("embedded", None, tmp_path)
    layer = Linear(weight=np.zeros((2, eyes.clip.dimension), np.float32), bias=np.zeros(2, np.float32))
    head = Head(space=eyes.clip.space, categories=(Category.SEXUAL, Category.GORE), layers=(layer,))
    path = tmp_path / "concepts.safetensors"
    path.write_bytes(dump_head(head))
    told = settings.model_copy(update={"home": tmp_path, "frame_head": path, "frame_classifier": None})
    with pytest.raises(CalibrationMissing, match=r"no calibration of concepts-.*python -m training concepts"):
        Eyes.of(told).frame_judges()
    from classifiers.unsafe.heads import load as load_head
    from classifiers.unsafe.heads import space_of

    calibrate(tmp_path, space_of(load_head(path)))
    with pytest.raises(ModelUnusable, match="has no threshold for gore"):
        Eyes.of(told).frame_judges()
    calibrate(tmp_path, space_of(load_head(path)), (SEXUAL, "unsafe_clip_gore"))
    assert Eyes.of(told).frame_judges().head is not None
    path.write_bytes(dump_head(replace(head, space="clip-other")))
    with pytest.raises(ModelUnusable, match="belongs to clip-other"):
        Eyes.of(told).frame_judges()
