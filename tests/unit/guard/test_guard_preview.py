"""`guard(pipe)` and a look on the way: what is refused outright stops the call, nothing else does."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "unsafe"))
from tiny_pictures import save_classifier

from classifiers.thresholds import Calibration, Layer, dump, file_name
from classifiers.unsafe.check import SURE
from classifiers.unsafe.pictures import open_classifier
from pipeline import guard
from pipeline.errors import Refused, UsageError
from pipeline.guarded import GuardedPipeline
from registry import jobs
from registry.types import JobState

PROMPT = "a quiet beach"
SIZE: dict[str, Any] = {
    "height": 128, "width": 192, "num_frames": 9, "num_inference_steps": 6, "frame_rate": 12,
}  # fmt: skip
SEXUAL = "unsafe_clip_sexual"


@pytest.fixture(scope="module")
def inner() -> Any:
    pipe = tiny_models.ltx()
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("models") / "nsfw", ["nsfw", "normal"])


@pytest.fixture
def judged(
    inner: Any, classifier: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[..., GuardedPipeline]:
    """The pipeline guarded by a judge for whom everything is sexual, surely so from a number on."""

    def made(sure: float, **settings: str) -> GuardedPipeline:
        space = open_classifier(str(classifier)).space
        layers = {SEXUAL: Layer(threshold=-100.0, slope=1.0, intercept=0.0)}
        calibration = Calibration(
            space=space, version=1, made={"command": "test"}, layers=layers,
            numbers={SURE.format(layer=SEXUAL): sure},
        )  # fmt: skip
        place = tmp_path / "home" / "calibrations"
        place.mkdir(parents=True, exist_ok=True)
        (place / file_name(space)).write_bytes(dump(calibration))
        told = {"frame_classifier": str(classifier)} | settings
        lines = [f'{name} = "{value}"' for name, value in told.items()]
        (tmp_path / "home" / "settings.toml").write_text("\n".join(lines))
        pipe = guard(inner, home=tmp_path / "home", policy="opt-out")
        request.addfinalizer(pipe.close)
        return pipe

    return made


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def all_jobs(pipe: GuardedPipeline) -> list[Any]:
    return jobs.of_account(pipe._opened().engine, "local")


def test_what_is_refused_outright_stops_the_call_and_is_recorded(judged: Any) -> None:
    pipe, steps = judged(-100.0), list[int]()

    def watch(_pipe: Any, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        assert list(tensors) == ["prompt_embeds"]  # what it asked for, and nothing that the preview needs
        return {}

    watched = {"callback_on_step_end": watch, "callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
    with pytest.raises(
        Refused, match=r"nudity or sexual acts. Seen in a preview, after step 3 of 6\."
    ) as caught:
        pipe(PROMPT, **SIZE, generator=seeded(), **watched)
    assert steps == [0, 1]
    [job] = all_jobs(pipe)
    assert job.state is JobState.REFUSED
    assert job.id in str(caught.value)
    assert job.inputs["preview"] == {"step": 3, "steps": 6}
    [reason] = job.result["reasons"]
    assert (reason["code"], reason["evidence"]["origin"], reason["evidence"]["step"]) == (
        SEXUAL,
        "preview",
        3,
    )
    with pytest.raises(
        Refused, match="Seen in a preview"
    ):  # the same call is refused again, as a job of its own
        pipe(PROMPT, **SIZE, generator=seeded())
    assert [one.state for one in all_jobs(pipe)] == [JobState.REFUSED] * 2


def test_people_may_let_the_frame_pass_and_the_finished_clip_is_judged_by_itself(judged: Any) -> None:
    pipe = judged(-100.0)
    app = pipe._opened()
    with pytest.raises(Refused, match="Seen in a preview"):
        pipe(PROMPT, **SIZE, generator=seeded())
    [job] = all_jobs(pipe)
    appeal = app.reviews.appeals.make("local", "it is a beach", job=job.id)
    for person in ("Ada", "Ben"):
        app.reviews.release(appeal.appeal.id, person, "a beach indeed")
    with pytest.raises(Refused) as caught:
        pipe(PROMPT, **SIZE, generator=seeded())
    assert "preview" not in str(caught.value)
    assert [("preview" in one.inputs, one.state) for one in all_jobs(pipe)] == [
        (True, JobState.REFUSED), (False, JobState.REFUSED),
    ]  # fmt: skip


def test_what_is_not_sure_is_drawn_to_its_end_and_held(judged: Any) -> None:
    pipe = judged(1000.0)
    with pytest.raises(Refused) as caught:
        pipe(PROMPT, **SIZE, generator=seeded())
    assert "preview" not in str(caught.value)
    [job] = all_jobs(pipe)
    assert (job.state, "preview" in job.inputs) == (JobState.HELD, False)


def test_without_a_preview_the_finished_clip_is_refused(judged: Any) -> None:
    pipe = judged(-100.0, preview="off")
    with pytest.raises(Refused) as caught:
        pipe(PROMPT, **SIZE, generator=seeded())
    assert "preview" not in str(caught.value)


def test_a_frame_that_was_recorded_and_not_ended_is_never_released(
    judged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = judged(-100.0)
    app = pipe._opened()

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app._bench.jobs, "finish", dies)
    with pytest.raises(KeyboardInterrupt):
        pipe(PROMPT, **SIZE, generator=seeded())
    monkeypatch.undo()
    [resumed] = app.resume(lambda *_: None)
    assert resumed.outcome is None
    assert app.job(resumed.job.id).state is JobState.FAILED
    assert "nothing of it is released" in str(resumed.error)


def test_a_callback_may_still_not_change_the_clip(judged: Any) -> None:
    def change(_pipe: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        return {"latents": torch.zeros_like(tensors["latents"])}

    with pytest.raises(UsageError, match="may look and stop"):
        judged(1000.0)(PROMPT, **SIZE, callback_on_step_end=change)
