"""From an opt-out to what it stops: before, while and after a clip leaves. Real models, one home for all."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from generator.embedded.world.design import Design, random_design
from generator.embedded.world.render import render_clip, render_frame
from generator.embedded.world.scene import ACTIONS, BACKGROUNDS, STYLES, Scene
from pipeline.app import App, open_app
from pipeline.asking import Question
from pipeline.clock import clock, rfc3339
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.orders import CreateOrder, GuardOrder
from pipeline.pictures.reader import load_picture
from pipeline.policy import Sound, to_json
from pipeline.settings import Settings, load
from pipeline.texts import Texts
from pipeline.types import Decision
from pipeline.workbench import Outcome
from registry import apikeys, optouts, releases, rules, scans, spaces
from registry.db import read
from registry.sights import forget_sights, of
from registry.subject_types import ReferenceDraft, VectorDraft

RATE = Fraction(12)
FOX, OWL, CAT, HEN = (random_design(np.random.default_rng(seed)) for seed in (1, 2, 3, 4))


def draw(design: Design | None, target: Path, seed: int = 9) -> Path:
    scene = Scene(action="dancing", background="forest", camera="pan left", size=0.7, seed=seed)
    info = ClipInfo(width=480, height=288, time_base=1 / RATE, frame_rate=RATE, colour=BT601_LIMITED)
    with ClipWriter(target, info, crf=16, preset="veryfast") as writer:
        frames = render_clip(design, scene, width=480, height=288, frames=24, frame_rate=float(RATE))
        for index, picture in enumerate(frames):
            writer.write(frame_from_rgb(picture, index, index / float(RATE)))
    return target


def pictures(design: Design, folder: Path) -> list[Path]:
    folder.mkdir()
    made = []
    for index in range(6):
        scene = Scene(
            action=ACTIONS[index],
            background=BACKGROUNDS[index],
            style=STYLES[index % 3],
            size=0.72,
            seed=index,
        )
        shown = render_frame(design, scene, width=256, height=256, time=0.3 * index).picture
        path = folder / f"{index}.png"
        cv2.imwrite(str(path), cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
        made.append(path)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judging")


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    return load(folder / "home")


@pytest.fixture(scope="module")
def app(settings: Settings) -> Iterator[App]:
    with open_app(settings) as opened:
        yield opened


def opt_out(app: App, shown: list[Path] | None = None, **order: Any) -> str:
    desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
    made = OptOutOrder(kind="character", owner="Studio", **order)
    return desk.register(made, [load_picture(path) for path in shown or []]).id


def silent(_step: str, _event: str, _value: float) -> None:
    """Nobody watches."""


def guard(app: App, clip: Path, prompt: str | None, **order: Any) -> Outcome:
    asked = GuardOrder(source=clip, policy="opt-out", sound=Sound.ACCEPT, prompt=prompt, **order)
    return app.guard(asked, silent)


def create(app: App, prompt: str, **order: Any) -> Outcome:
    given = {"policy": "opt-out", "generator": "scene", "seconds": 2, "seed": 1, "width": 480, "height": 272}
    return app.create(CreateOrder(prompt=prompt, **given | order), silent)


def codes(outcome: Outcome) -> list[str]:
    return [str(reason["code"]) for reason in outcome.held]


def test_a_harmless_prompt_is_released_and_every_check_is_told(app: App) -> None:
    outcome = create(app, "a quiet landscape at dusk")
    assert outcome.release is not None
    assert outcome.decision is not None
    checks = outcome.decision["checks"]
    assert isinstance(checks, dict)
    required = ("prompt_names", "prompt_descriptions", "unsafe_content", "frames", "likeness", "words")
    assert {checks[check] for check in required} == {"completed"}
    assert checks["unsafe_frames"] == "not_checked"  # no model for it ships, and none is set
    assert outcome.release.facts["prompt"] == "a quiet landscape at dusk"
    with read(app.engine) as conn:
        [rows] = of(conn, [outcome.release.id]).values()
    assert {row.kind for row in rows} == {"prompt", "clause", "unsafe", "frame", "face", "words"}
    assert all(row.sealed == (row.kind == "face") for row in rows)


def test_a_name_is_refused_from_the_next_request_and_no_model_runs(app: App) -> None:
    before = create(app, "Vexmoor Quandle walks by the sea", seed=5)
    assert before.release is not None
    opt_out(app, name="Vexmoor Quandle")
    after = create(app, "Vexm00r Quandle walks by the sea", seed=5)
    assert (after.job.state, codes(after)) == ("refused", ["name_match"])
    assert list(after.stages) == ["gate"]
    turns = create(app, "now let it dance", history=("Vexmoor Quandle by the sea",))
    assert (turns.job.state, codes(turns)) == ("refused", ["name_match"])


def test_a_clip_that_slips_past_the_gate_is_held(app: App, folder: Path) -> None:
    clip = draw(FOX, folder / "fox.mp4")
    opt_out(app, pictures(FOX, folder / "fox"), name="Tarrowick Vane")
    outcome = guard(app, clip, "somebody dances among trees")
    assert (outcome.job.state, outcome.release) == ("held", None)
    assert "picture_match" in codes(outcome)
    told = {reason["code"]: reason for reason in outcome.held}["picture_match"]
    calibration = app.eyes.calibrations.demand(app.eyes.clip.space)
    assert told["evidence"]["calibration"] == calibration.mark
    used = spaces.calibrated(app.engine, calibration.space)
    assert used is not None
    assert used.sha256 == calibration.digest
    without_prompt = guard(app, clip, None)
    assert "picture_match" in codes(without_prompt)
    assert without_prompt.decision is not None
    checks = without_prompt.decision["checks"]
    assert isinstance(checks, dict)
    assert checks["prompt_names"] == "not_applicable"


def test_what_is_out_is_found_again(app: App, folder: Path) -> None:
    clip = draw(OWL, folder / "owl.mp4")
    shown, named = guard(app, clip, "somebody in the woods"), create(app, "Hollowmere Tix sings", seed=8)
    assert shown.release is not None
    assert named.release is not None
    opt_out(app, pictures(OWL, folder / "owl"), name="Hollowmere Tix")
    report = app.retroscan()
    recalled = {one.release: one for one in report.recalled}
    assert set(recalled) >= {shown.release.id, named.release.id}  # and what earlier tests opted out of
    assert recalled[named.release.id].verdict == "block"
    assert recalled[shown.release.id].verdict == "review"
    for release in (shown.release, named.release):
        now = releases.get(app.engine, release.id)
        assert now is not None
        assert now.state == "withdrawn"
    again = app.retroscan()
    assert (again.subjects, again.recalled) == (0, ())


def test_an_opt_out_in_the_middle_of_the_work_meets_the_fence(app: App, folder: Path) -> None:
    clip = draw(CAT, folder / "cat.mp4")

    def meanwhile(step: str, event: str, _value: float) -> None:
        if (step, event) == ("sign", "end"):
            opt_out(app, pictures(CAT, folder / "cat"), name="Brindle Oskarovan")

    order = GuardOrder(source=clip, policy="opt-out", sound=Sound.ACCEPT, prompt="among trees")
    outcome = app.guard(order, meanwhile)
    assert (outcome.job.state, outcome.release) == ("held", None)
    assert codes(outcome) == ["picture_match"]


def test_a_licence_allows_and_its_end_recalls(app: App) -> None:
    subject = opt_out(app, name="Pellimora Frost")
    prompt = "Pellimora Frost in the snow"
    assert create(app, prompt, account="b").job.state == "refused"
    licence = rules.grant_licence(app.engine, subject, "b", now=clock(), sign_checkpoint=app.signer)
    released = create(app, prompt, account="b", seed=2)
    assert released.release is not None
    assert released.decision is not None
    assert released.decision["permits"] == [licence.id]
    assert create(app, prompt, account="c").job.state == "refused"

    def meanwhile(step: str, event: str, _value: float) -> None:
        if (step, event) == ("sign", "end"):
            rules.revoke_licence(app.engine, licence.id, now=clock(), sign_checkpoint=app.signer)

    order = CreateOrder(
        prompt=prompt,
        policy="opt-out",
        generator="scene",
        seconds=2,
        seed=3,
        width=480,
        height=272,
        account="b",
    )
    late = app.create(order, meanwhile)
    assert (late.release, codes(late)) == (None, ["name_match"])
    assert released.release.id in [one.release for one in app.retroscan().recalled]


def test_a_revoked_key_cannot_publish_what_it_began(app: App) -> None:
    key, _ = apikeys.create(app.engine, "d", "test", ["create"], now=clock())

    def meanwhile(step: str, event: str, _value: float) -> None:
        if (step, event) == ("store", "end"):
            apikeys.revoke(app.engine, key.id, why={}, now=clock(), sign_checkpoint=app.signer)

    order = CreateOrder(
        prompt="a landscape", policy="marks-only", generator="scene", seconds=2, seed=4, width=480,
        height=272, account="d", key=key.id,
    )  # fmt: skip
    outcome = app.create(order, meanwhile)
    assert (outcome.release, codes(outcome)) == (None, ["key_revoked"])


def test_permission_first_asks_for_a_licence(app: App) -> None:
    subject = opt_out(app, name="Ozmarelda Pink", mode="allow")
    prompt = "ozmarelda pink by the sea"
    assert create(app, prompt, seed=6).release is not None
    held = create(app, prompt, seed=6, policy="permission-first")
    assert (held.release, codes(held)) == (None, ["name_match"])
    rules.grant_licence(app.engine, subject, "local", now=clock(), sign_checkpoint=app.signer)
    assert create(app, prompt, seed=7, policy="permission-first").release is not None
    unknown = create(app, "a song by Jorund Vekkelstein", seed=6, policy="permission-first")
    assert (unknown.release, codes(unknown)) == (None, ["unregistered_name"])


def test_forgotten_faces_recall_nothing(app: App, settings: Settings) -> None:
    released = create(app, "a quiet meadow", seed=10)
    assert released.release is not None
    tomorrow = rfc3339(datetime.now(UTC) + timedelta(days=1))
    assert forget_sights(app.engine, "face", before=tomorrow) > 0
    opt_out(app, name="Quorrin Dask")
    report = app.retroscan()
    assert (report.recalled, report.unclear) == ((), 0)  # a name says nothing of faces
    subject = opt_out(app, name="Quorrin Desk")
    picture = ReferenceDraft(sha256="b" * 64, polarity=1, width=64, height=64)
    face = VectorDraft(
        reference=picture.sha256, space=app.eyes.faces.space, kind="portrait", polarity=1,
        vector=b"\x00\x2c" * 128, dimension=128,
    )  # fmt: skip
    optouts.extend(
        app.engine, subject, references=[picture], vectors=[face], now=clock(), sign_checkpoint=app.signer
    )
    report = app.retroscan()
    assert report.recalled == ()
    assert report.unclear >= 1
    with read(app.engine) as conn:
        counts = scans.counts(conn, subject)
    assert (counts.matched, counts.unclear, counts.searched) == (0, report.unclear, True)


def test_the_gate_says_the_same_as_a_job(app: App) -> None:
    opt_out(app, name="Tessarine Volk")
    decision = app.judge("Tessarine Volk again", policy="opt-out")
    assert decision.verdict == "block"
    [reason] = decision.reasons
    assert (reason.code, reason.evidence["span"], reason.evidence["owner"]) == (
        "name_match",
        [0, 14],
        "Studio",
    )
    assert json.loads(json.dumps(reason.evidence)) == reason.evidence


def test_prompts_that_are_judged_together_are_judged_as_each_alone(app: App) -> None:
    opt_out(app, name="Tessarine Volk", description="a lighthouse keeper with a green beard and one oar")
    names, whole = Question(policy="opt-out", checks=("prompt_names",)), Question(policy="opt-out")
    loose = Question(policy="marks-only", account="somebody")
    told = [
        (Texts(prompt="Tessarine Volk again"), names),
        (Texts(prompt=""), whole),
        (Texts(prompt="a keeper of a lighthouse, green beard, with one oar"), whole),
        (Texts(prompt="a fox in the snow", history=("it snows",)), whole),
        (Texts(prompt="Tessarine Volk again"), loose),
        (Texts(prompt="a b" * 60_000), names),
    ]
    together = app.asking.judge_all(told)
    assert [type(one).__name__ for one in together] == [
        "Decision", "UsageError", "Decision", "Decision", "Decision", "LimitExceeded",
    ]  # fmt: skip
    for (texts, question), answer in zip(told, together, strict=True):
        if isinstance(answer, Exception):
            with pytest.raises(type(answer), match=re.escape(str(answer))):
                app.asking.judge(texts, question)
        else:
            alone = replace(app.asking.judge(texts, question), decided_at=answer.decided_at)
            assert rounded(to_json(alone)) == rounded(to_json(answer))
    assert app.asking.judge_all([]) == []


def test_what_breaks_for_one_prompt_breaks_for_no_other(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    read = type(app.eyes.minilm).embed_texts

    def breaks(self: Any, texts: Sequence[str]) -> Any:
        if any("volcano" in text for text in texts):
            raise RuntimeError("not enough memory")
        return read(self, texts)

    opt_out(app, name="Tessarine Volk", description="a lighthouse keeper with a green beard and one oar")
    monkeypatch.setattr(type(app.eyes.minilm), "embed_texts", breaks)
    question = Question(policy="opt-out")
    prompts = ("a fox in the snow", "a fox on a volcano", "Tessarine Volk")
    first, broken, last = app.asking.judge_all([(Texts(prompt=one), question) for one in prompts])
    assert isinstance(first, Decision)
    assert first.verdict == "allow"
    assert isinstance(broken, RuntimeError)
    assert isinstance(last, Decision)
    assert last.verdict == "block"


def rounded(told: Any) -> Any:
    """Numbers of models to four places: several texts in one row are summed in another order."""
    if isinstance(told, dict):
        return {name: rounded(value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [rounded(value) for value in told]
    return round(told, 3) if isinstance(told, float) else told
