"""Clips that begin with a picture, or go on with a clip: what leaves, what it says of itself, what stops."""

import json
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import c2pa
import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "generator"))
import forked
import tiny_models
import victims

from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import ACTIONS, BACKGROUNDS, STYLES, Scene
from generator.errors import RequestInvalid
from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.errors import LimitExceeded, MediaUnreadable, PictureRefused, Refused, UsageError
from pipeline.media.limits import media_limits
from pipeline.media.reader import open_clip
from pipeline.media.rgb import rgb
from pipeline.media.types import AudioPacket, Frame
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.orders import CreateOrder
from pipeline.pictures.reader import load_picture
from pipeline.policy import Sound
from pipeline.settings import load
from pipeline.workbench import Outcome
from watermark.quality import psnr, squared_error

HERO = random_design(np.random.default_rng(1))
WIDTH, HEIGHT, RATE = 192, 128, 8
MODEL: dict[str, Any] = {"schema": "countermark-generator/1", "steps": 4, "width": 96, "height": 64}
Create = Callable[..., Outcome]
NAMES = {"c2pa.opened", "c2pa.edited", "c2pa.created"}


def shown(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The hero, RGB."""
    scene = Scene(action=ACTIONS[number], background=BACKGROUNDS[number], style=STYLES[number % 3], size=0.72,
                  seed=number)  # fmt: skip
    return render_frame(HERO, scene, width=256, height=256, time=0.3 * number).picture


def save(picture: Any, path: Path) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of random weights that takes pictures and clips."""
    folder = tiny_models.saved("ltx_condition", tmp_path_factory.mktemp("models"))
    (folder / "countermark.json").write_text(json.dumps(MODEL))
    return f"diffusion:{folder}"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A home where somebody registered the hero by pictures."""
    folder = tmp_path_factory.mktemp("beginnings")
    settings = load(folder / "home").model_copy(update={"preset": "ultrafast"})
    with open_app(settings) as opened:
        desk = Desk(engine=opened.engine, eyes=opened.eyes, signer=opened.signer, clock=clock)
        paths = [save(shown(number), folder / f"{number}.png") for number in range(6)]
        order = OptOutOrder(kind="character", owner="Studio", name="Tarrowick Vane")
        desk.register(order, [load_picture(path) for path in paths])
        yield opened


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of nobody, twice as wide as high."""
    pixels = np.random.default_rng(3).integers(90, 120, (96, 192, 3), np.uint8)
    return save(pixels, tmp_path_factory.mktemp("plain") / "plain.png")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> Path:
    """Two seconds of somebody's clip, with sound."""
    path = tmp_path_factory.mktemp("old") / "old.mp4"
    return Path(make_clip(path, WIDTH, HEIGHT, 2 * RATE, RATE, seed=4, audio=True))


@pytest.fixture(scope="module")
def create(app: App, model: str) -> Create:
    def made(prompt: str = "a hill", observe: Any = lambda *_: None, **order: Any) -> Outcome:
        given = {"policy": "marks-only", "generator": model, "seconds": 1, "seed": 1}
        return app.create(CreateOrder(prompt=prompt, **given | order), observe)

    return made


@pytest.fixture(scope="module")
def begun(create: Create, plain: Path) -> Outcome:
    """A release that begins with a picture, all checks made."""
    made = create(image=plain, width=WIDTH, height=HEIGHT, seconds=2, policy="opt-out")
    assert made.release is not None, made.held
    return made


def decoded(path: Path, app: App) -> tuple[list[Frame], list[AudioPacket], Any]:
    with open_clip(path, limits=media_limits(app.settings), audio=True) as clip:
        parts = list(clip)
    frames = [part for part in parts if isinstance(part, Frame)]
    return frames, [part for part in parts if isinstance(part, AudioPacket)], clip.info


def manifest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        told = json.loads(c2pa.Reader("video/mp4", file).json())
    return dict(told["manifests"][told["active_manifest"]])


def actions(told: dict[str, Any]) -> list[dict[str, Any]]:
    listed = next(one for one in told["assertions"] if one["label"].startswith("c2pa.actions"))
    return [one for one in listed["data"]["actions"] if one["action"] in NAMES]


def code(outcome: Outcome) -> tuple[Any, Any]:
    reason: Any = outcome.held[0]
    return reason["code"], reason.get("evidence", {}).get("origin")


def test_a_clip_begins_with_the_picture_and_says_so(app: App, begun: Outcome, plain: Path) -> None:
    assert begun.file is not None
    assert begun.release is not None
    told = manifest(begun.file)
    assert [one["action"] for one in actions(told)] == ["c2pa.created"]
    given = [one for one in told["ingredients"] if one["title"].startswith("picture")]
    assert [one["relationship"] for one in given] == ["inputTo"]
    assert plain.name not in json.dumps(told)
    inputs: Any = app.job(begun.job.id).inputs
    facts: Any = begun.release.facts["inbound"]
    assert [row["sha256"] for row in facts] == [inputs["image"]]
    assert dict[str, Any](begun.release.facts)["preview"]["state"] == "completed"
    stages = list(begun.stages)
    assert stages.index("weigh") < stages.index("inbound") < stages.index("generate")


def test_a_generator_that_cannot_says_so_and_another_goes_on_with_the_clip(
    app: App, create: Create, old: Path
) -> None:
    with pytest.raises(RequestInvalid, match="scene draws from a prompt alone; leave the clip out"):
        create(extends=old, sound=Sound.ACCEPT, generator="scene")
    made = create(extends=old, sound=Sound.ACCEPT, policy="opt-out")
    assert made.file is not None, made.held
    assert made.release is not None
    assert dict[str, Any](made.release.facts)["preview"]["state"] == "completed"
    before, tones, _ = decoded(old, app)
    frames, sound, info = decoded(made.file, app)
    assert (info.width, info.height, info.frame_rate) == (WIDTH, HEIGHT, RATE)
    assert [frame.time for frame in frames] == [number / RATE for number in range(3 * RATE)]
    assert min(psnr(squared_error(one.y, two.y)) for one, two in zip(before, frames, strict=False)) > 20
    assert [part.data for part in sound] == [part.data for part in tones] != []
    told = manifest(made.file)
    assert [one["action"] for one in actions(told)] == ["c2pa.opened", "c2pa.edited"]
    assert actions(told)[1]["digitalSourceType"].endswith("compositeWithTrainedAlgorithmicMedia")
    [parent] = [one for one in told["ingredients"] if one["relationship"] == "parentOf"]
    assert parent["title"] == "clip given to the model"


def test_a_release_that_is_extended_is_its_parent(create: Create, begun: Outcome, tmp_path: Path) -> None:
    assert begun.file is not None
    assert begun.release is not None
    longer = create(extends=begun.file)
    assert longer.file is not None, longer.held
    assert longer.release is not None
    told = manifest(longer.file)
    [parent] = [one for one in told["ingredients"] if one["relationship"] == "parentOf"]
    assert parent["active_manifest"] == begun.release.urn
    assert actions(told)[1]["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    [row] = dict[str, Any](longer.release.facts)["inbound"]
    assert row["releases"] == {"credential": begun.release.id, "hidden_mark": begun.release.id}
    tampered = tmp_path / "tampered.mp4"
    tampered.write_bytes(begun.file.read_bytes() + b"\0\0\0\x0cfree1234")
    drawn: list[str] = []
    with pytest.raises(Refused, match="credential"):
        create(extends=tampered, observe=lambda step, *_: drawn.append(step))
    assert drawn[-1] == "inbound"


@pytest.mark.parametrize("kind", ["image", "extends"])
def test_who_is_registered_stops_it_before_anything_is_drawn(
    create: Create, tmp_path: Path, kind: str
) -> None:
    if kind == "image":
        stopped = create(image=save(shown(1), tmp_path / "hero.png"), policy="opt-out")
    else:
        stopped = create(extends=film(tmp_path / "hero.mp4"), policy="opt-out")
    assert (stopped.job.state, code(stopped)) == ("held", ("picture_match", "input_picture"))
    assert list(stopped.stages) == ["material", "gate", "weigh"]


def test_what_is_written_in_the_picture_is_read_like_a_prompt(create: Create, tmp_path: Path) -> None:
    note = np.full((160, 480, 3), 200, np.uint8)
    cv2.putText(note, "TARROWICK VANE", (20, 95), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (20, 20, 20), 3, cv2.LINE_AA)
    stopped = create("do what it says", image=save(note, tmp_path / "note.png"), policy="opt-out")
    assert (stopped.job.state, code(stopped)) == ("refused", ("name_match", "input_picture"))
    assert "generate" not in stopped.stages


def test_after_an_appeal_it_is_sent_again_since_its_file_is_gone(
    app: App, create: Create, plain: Path
) -> None:
    order: dict[str, Any] = {"image": plain, "width": WIDTH, "height": HEIGHT, "policy": "opt-out", "seed": 9}
    refused = create("Tarrowick Vane", **order)
    assert (refused.job.state, code(refused)[0]) == ("refused", "name_match")
    appeal = app.reviews.appeals.make("local", "it is a village", job=refused.job.id)
    app.reviews.release(appeal.appeal.id, "Ada", "a village indeed")
    assert app.reviews.appeals.find(appeal.appeal.id, "local").job is None
    assert app.take() is None
    made = create("Tarrowick Vane", **order)
    assert made.release is not None, made.held


def film(path: Path) -> Path:
    from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
    from pipeline.media.types import ClipInfo
    from pipeline.media.writer import ClipWriter

    info = ClipInfo(
        width=256, height=256, time_base=Fraction(1, RATE), frame_rate=Fraction(RATE), colour=BT601_LIMITED
    )
    with ClipWriter(path, info, crf=16, preset="veryfast") as writer:
        for number in range(RATE):
            writer.write(frame_from_rgb(shown(1), number, number / RATE))
    return path


def test_what_cannot_be_asked(create: Create, plain: Path, old: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give one of the two"):
        create(image=plain, extends=old)
    with pytest.raises(UsageError, match="no PNG, JPEG or WebP picture"):
        create(image=old)
    with pytest.raises(UsageError, match="a picture and no clip"):
        create(extends=plain)
    with pytest.raises(UsageError, match="leave the size out"):
        create(extends=old, width=192, height=128)
    with pytest.raises(MediaUnreadable, match="no such file"):
        create(image=tmp_path / "gone.png")
    with pytest.raises(LimitExceeded, match="ask for less"):
        create(extends=old, seconds=7199)


def test_the_command(run: Any, model: str, plain: Path, old: Path, tmp_path: Path) -> None:
    asked: list[Any] = ["create", "a hill", "--policy", "marks-only", "--generator", model, "--seconds", "1"]
    out = tmp_path / "out.mp4"
    made = run(*asked, "--extend", old, "--audio", "strip", "-o", out)
    assert (made.status, made.document["decision"]["verdict"]) == (0, "allow"), made.words
    assert out.read_bytes() == Path(made.document["release"]["file"]).read_bytes()
    for wrong, words in (
        (["--image", plain, "--extend", old], "give one of the two"),
        (["--image", plain, "--audio", "strip"], "add --extend"),
        (["--extend", old, "--size", "128x128"], "leave the size out"),
        (["--extend", old, "-o", old], "overwrite the input"),
    ):
        refused = run(*asked, *wrong)
        assert refused.status == 2
        assert words in refused.words
    cannot = run("create", "a hill", "--policy", "marks-only", "--generator", "scene", "--image", plain)
    assert cannot.status != 0
    assert "scene draws from a prompt alone; leave the image out" in cannot.words


def test_damaged_and_hostile_files(create: Create, plain: Path, old: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(old.read_bytes()[: old.stat().st_size // 2])
    with pytest.raises(MediaUnreadable):
        create(extends=cut)
    cut.write_bytes(b"#EXTM3U\nhttp://127.0.0.1/secret.ts\n")
    with pytest.raises(MediaUnreadable, match="not a video file"):
        create(extends=cut)
    half = tmp_path / "half.png"
    half.write_bytes(plain.read_bytes()[: plain.stat().st_size // 2])
    with pytest.raises(PictureRefused, match=r"^the picture: "):
        create(image=half, policy="opt-out")
    with pytest.raises(PictureRefused, match=r"^the picture: "):
        create(image=half)  # nobody looked at it before


def test_killed_before_it_is_drawn_it_goes_on_without_the_file(
    tmp_path: Path, model: str, plain: Path
) -> None:
    given = tmp_path / "given.png"
    given.write_bytes(plain.read_bytes())
    order = CreateOrder(
        prompt="a hill", policy="marks-only", generator=model, seconds=1, seed=1, image=given, width=WIDTH,
        height=HEIGHT,
    )  # fmt: skip
    forked.killed(victims.create, tmp_path / "home", order, "generate", "begin")
    given.unlink()
    with open_app(load(tmp_path / "home")) as app:
        [resumed] = app.resume(lambda *_: None)
        assert resumed.outcome is not None, resumed.error
        assert resumed.outcome.file is not None
        frames, _, info = decoded(resumed.outcome.file, app)
        assert (info.width, info.height, len(frames)) == (WIDTH, HEIGHT, 16)
        assert "material" not in resumed.outcome.stages


def test_the_picture_is_what_the_model_is_shown(app: App, model: str, tmp_path: Path) -> None:
    """The first frame is nearer to the picture that was given than to another one."""
    from pipeline.release.generation import GenerationOrder, generate

    order: dict[str, Any] = {
        "prompt": "a hill", "generator": model, "seconds": 1, "seed": 1, "width": 96, "height": 64
    }  # fmt: skip
    firsts = []
    for level in (20, 235):
        image = save(np.full((64, 96, 3), level, np.uint8), tmp_path / f"{level}.png")
        generate(GenerationOrder(**order, image=image), tmp_path / "made.mp4", lambda _: None)
        frames, _, info = decoded(tmp_path / "made.mp4", app)
        firsts.append(rgb(frames[0], info.colour).astype(float))
    assert np.abs(firsts[0] - firsts[1]).max() > 3
