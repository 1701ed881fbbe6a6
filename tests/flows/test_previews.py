"""A job that is looked at while it is drawn: what stops it, what people see of it, and how it goes on."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "unsafe"))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "generator"))
import tiny_models
from tiny_pictures import save_classifier

from classifiers.thresholds import Calibration, Layer, dump, file_name
from classifiers.unsafe.check import SURE
from classifiers.unsafe.pictures import open_classifier
from pipeline.app import App, open_app
from pipeline.asking import Question
from pipeline.clock import clock
from pipeline.eyes import Eyes
from pipeline.judging import Judge
from pipeline.media.limits import media_limits
from pipeline.media.reader import open_clip
from pipeline.media.rgb import rgb
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.orders import CreateOrder
from pipeline.pictures.reader import load_picture
from pipeline.release import generation
from pipeline.release.staging import Staging
from pipeline.settings import load
from pipeline.workbench import LetGo, Outcome
from registry.ids import new_id
from registry.types import JobState

PENGUIN = "Frostwick waving by the sea"  # half a name: nothing to the gate, a character to the model
SEXUAL = "unsafe_clip_sexual"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A home where somebody registered what the embedded model draws of a penguin, by pictures and a name."""
    folder = tmp_path_factory.mktemp("previews")
    with open_app(load(folder / "home")) as opened:
        order = generation.GenerationOrder(
            prompt=PENGUIN, generator="embedded", seconds=1, seed=1, width=256, height=256
        )
        generation.generate(order, folder / "penguin.mp4", lambda _: None)
        pictures = []
        with open_clip(folder / "penguin.mp4", limits=media_limits(opened.settings)) as clip:
            for number, frame in enumerate(clip.frames()):
                if number in (0, 4, 8):
                    path = folder / f"{number}.png"
                    cv2.imwrite(str(path), cv2.cvtColor(rgb(frame, clip.info.colour), cv2.COLOR_RGB2BGR))
                    pictures.append(load_picture(path))
        desk = Desk(engine=opened.engine, eyes=opened.eyes, signer=opened.signer, clock=clock)
        made = OptOutOrder(kind="character", owner="Studio", name="Vexmoor Quandle")
        desk.register(made, pictures)
        yield opened


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pipeline of random weights, which draws noise."""
    return f"diffusion:{tiny_models.saved('ltx', tmp_path_factory.mktemp('models'))}"


def under(app: App, **settings: Any) -> App:
    """The same home and the same loaded models, with other settings."""
    bench = app._bench
    return App(replace(bench, settings=bench.settings.model_copy(update=settings)))


def create(app: App, prompt: str = PENGUIN, observe: Any = lambda *_: None, **order: Any) -> Outcome:
    given = {
        "policy": "opt-out",
        "generator": "embedded",
        "seconds": 1,
        "seed": 1,
        "width": 256,
        "height": 256,
    }
    return app.create(CreateOrder(prompt=prompt, **given | order), observe)


def reason(outcome: Outcome) -> dict[str, Any]:
    [one] = outcome.held
    return dict(one)


def test_what_is_registered_stops_early_and_goes_on_when_people_say_so(app: App) -> None:
    outcome = create(app)
    assert outcome.job.state is JobState.HELD
    assert "look" not in outcome.stages
    found = reason(outcome)
    assert (found["code"], found["check"]) == ("picture_match", "frames")
    assert found["detail"].startswith("The clip looks like Vexmoor Quandle (Studio). The owner opted out.")
    assert found["detail"].endswith(" Seen in a preview, after step 7 of 12.")
    evidence = found["evidence"]
    assert (evidence["origin"], evidence["step"], evidence["steps"], evidence["times"]) == (
        "preview",
        7,
        12,
        [],
    )
    assert evidence["boxes"]
    [case] = app.reviews.waiting()
    shown = app.reviews.clip(case["id"])
    assert shown is not None
    with open_clip(shown, limits=media_limits(app.settings)) as clip:
        assert [frame.y.shape for frame in clip.frames()] == [(128, 128)]  # not enlarged yet
    app.reviews.release(case["id"], "Ada", "the owner's own studio asked for it")
    [resumed] = app.resume(lambda *_: None)
    again = resumed.outcome
    assert again is not None
    assert again.job.state is JobState.HELD  # a frame on the way was let pass, the clip was not
    assert {"generate", "look"} <= again.stages.keys()
    found = reason(again)
    assert (found["code"], found["evidence"].get("origin")) == ("picture_match", None)
    [case] = app.reviews.waiting()
    assert app.reviews.clip(case["id"]) not in (None, shown)


def test_an_ordinary_prompt_is_not_stopped_and_the_look_is_noted(app: App) -> None:
    outcome = create(app, "a blue robot jumping in a forest")
    assert outcome.release is not None
    told: Any = outcome.release.facts["preview"]
    assert (told["state"], told["step"], told["steps"], told["why"]) == ("completed", 7, 12, "")
    assert told["checks"] == {"frames": "completed", "likeness": "completed"}
    assert outcome.decision is not None
    assert "preview" not in outcome.decision["checks"]  # type: ignore[operator]


def test_no_time_is_spent_where_a_look_can_stop_nothing(app: App) -> None:
    refusing, off = under(app, preview="refuse"), under(app, preview="off")
    inputs = {"policy": "opt-out", "key": None, "account": "local", "prompt": PENGUIN}
    for one, asked in ((app, True), (refusing, False), (off, False)):
        judge = Judge(one._bench, inputs, Staging(one._bench.store, new_id(clock())))
        assert judge.previews is asked
        assert not one.asking.previews(Question(policy="opt-out"))  # a guarded pipeline has nothing to resume
    judge = Judge(app._bench, inputs | {"policy": "marks-only"}, Staging(app._bench.store, new_id(clock())))
    assert not judge.previews


def test_a_look_that_fails_stops_nothing_and_the_clip_is_still_found(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = generation.memory_of(app._bench.settings)
    vae = generation._opened("embedded", memory).pipeline.vae  # type: ignore[attr-defined]
    real, calls = vae.decode, list[int]()

    def not_at_first(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of memory")
        return real(*args, **kwargs)

    monkeypatch.setattr(vae, "decode", not_at_first)
    outcome = create(app, history=("it is cold",))
    assert len(calls) == 2
    assert outcome.job.state is JobState.HELD
    assert "origin" not in reason(outcome)["evidence"]
    made: Any = app._bench.jobs.recorded(outcome.job.id, "generate")
    assert made["preview"]["state"] == "skipped"
    assert "out of memory" in made["preview"]["why"]


def test_an_eye_that_fails_neither_stops_nor_passes(
    app: App, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.eyes.clip._model, "encode_image", lambda *_, **__: 1 / 0)
    outcome = create(app, "a quiet beach", generator=tiny, seconds=0.5, width=128, height=128, seed=3)
    assert outcome.job.state is JobState.HELD
    assert "look" in outcome.stages
    assert (reason(outcome)["code"], reason(outcome)["check"]) == ("check_unfinished", "frames")
    made: Any = app._bench.jobs.recorded(outcome.job.id, "generate")
    assert made["preview"]["state"] == "skipped"
    assert made["preview"]["checks"] == {"frames": "failed", "likeness": "completed"}


def test_a_crash_after_the_look_was_recorded_ends_it_without_drawing_again(app: App) -> None:
    def die(step: str, event: str, _value: float) -> None:
        if (step, event) == ("preview", "end"):
            raise LetGo

    with pytest.raises(LetGo):
        create(app, observe=die, history=("it is late",))
    [resumed] = app.resume(lambda *_: None)
    assert resumed.outcome is not None
    assert resumed.outcome.job.state is JobState.HELD
    assert not {"generate", "look"} & resumed.outcome.stages.keys()
    assert reason(resumed.outcome)["evidence"]["origin"] == "preview"


@pytest.fixture
def judged(app: App, tmp_path: Path) -> Callable[[float], App]:
    """The home with a judge of frames for which everything is sexual, surely so from a number on."""
    folder = save_classifier(tmp_path / "nsfw", ["nsfw", "normal"])
    space = open_classifier(str(folder)).space

    def made(sure: float) -> App:
        layers = {SEXUAL: Layer(threshold=-100.0, slope=1.0, intercept=0.0)}
        numbers = {SURE.format(layer=SEXUAL): sure}
        calibration = Calibration(
            space=space, version=1, made={"command": "test"}, layers=layers, numbers=numbers
        )
        place = app.settings.home / "calibrations"
        place.mkdir(exist_ok=True)
        (place / file_name(space)).write_bytes(dump(calibration))
        changed = under(app, frame_classifier=str(folder), preview="refuse")
        return App(replace(changed._bench, eyes=Eyes.of(changed.settings)))

    return made


def test_what_is_refused_outright_is_refused_early_and_can_be_appealed_against(
    judged: Callable[[float], App], tiny: str
) -> None:
    app = judged(-100.0)
    asked = {"generator": tiny, "seconds": 0.5, "width": 128, "height": 128}
    outcome = create(app, "a quiet beach", **asked)
    assert outcome.job.state is JobState.REFUSED
    assert "look" not in outcome.stages
    assert reason(outcome)["code"] == SEXUAL
    assert "Seen in a preview, after step 16 of 30." in reason(outcome)["detail"]
    appeal = app.reviews.appeals.make("local", "it is a beach", job=outcome.job.id)
    for person in ("Ada", "Ben"):  # what is sexual takes two
        app.reviews.release(appeal.appeal.id, person, "a beach indeed")
    job = app._bench.jobs.get(str(app.reviews.appeals.find(appeal.appeal.id, "local").job))
    taken = app.take()
    assert taken is not None
    assert taken.id == job.id

    def until_marked(step: str, _event: str, _value: float) -> None:
        if step.startswith("mark"):
            raise LetGo

    with pytest.raises(LetGo):
        app.run(taken, until_marked)
    made: Any = app._bench.jobs.recorded(job.id, "generate")
    assert made["preview"]["state"] == "completed"
    decided: Any = app._bench.jobs.recorded(job.id, "decide")
    assert (decided["verdict"], decided["cleared"]) == ("allow", [SEXUAL])


def test_what_is_not_sure_stops_nothing_where_only_refusals_do(
    judged: Callable[[float], App], tiny: str
) -> None:
    asked = {"generator": tiny, "seconds": 0.5, "width": 128, "height": 128, "seed": 2}
    outcome = create(judged(1000.0), "a quiet beach", **asked)
    assert outcome.job.state is JobState.HELD
    assert "look" in outcome.stages
    made: Any = outcome.held[0]["evidence"]
    assert "origin" not in made
