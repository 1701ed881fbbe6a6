"""What goes into a clip besides its prompt: enhanced prompts, pictures, spoken words, rewriting; and testers.

Real models but those that write and listen: those are tiny, and do what they were made to do.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "generator"))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "classifiers"))
import tiny_speech
import tiny_writers

from generator.embedded.world.design import Design, random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import ACTIONS, BACKGROUNDS, STYLES, Scene
from pipeline.app import App, open_app
from pipeline.clock import clock, rfc3339
from pipeline.errors import CountermarkError
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.orders import MAX_TURNS, CreateOrder, GuardOrder
from pipeline.pictures.reader import load_picture
from pipeline.policy import Sound
from pipeline.settings import load
from pipeline.workbench import Outcome
from registry import apikeys, optouts, releases
from registry.db import read
from registry.sights import of
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft

FOX = random_design(np.random.default_rng(1))


def picture(design: Design, path: Path, number: int = 0) -> Path:
    scene = Scene(action=ACTIONS[number], background=BACKGROUNDS[number], style=STYLES[number % 3], size=0.72,
                  seed=number)  # fmt: skip
    shown = render_frame(design, scene, width=256, height=256, time=0.3 * number).picture
    cv2.imwrite(str(path), cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with open_app(load(tmp_path_factory.mktemp("entrance") / "home")) as opened:
        yield opened


def under(app: App, **settings: Any) -> App:
    """The same home and the same loaded models, with other settings."""
    bench = app._bench
    return App(replace(bench, settings=bench.settings.model_copy(update=settings)))


def opt_out(app: App, shown: list[Path] | None = None, **order: Any) -> None:
    desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
    desk.register(
        OptOutOrder(kind="character", owner="Studio", **order), [load_picture(path) for path in shown or []]
    )


def silent(_step: str, _event: str, _value: float) -> None:
    """Nobody watches."""


def create(app: App, prompt: str, **order: Any) -> Outcome:
    given = {"policy": "opt-out", "generator": "scene", "seconds": 2, "seed": 1, "width": 480, "height": 272}
    return app.create(CreateOrder(prompt=prompt, **given | order), silent)


def guard(app: App, clip: Path, prompt: str | None = None, **order: Any) -> Outcome:
    given: dict[str, Any] = {"policy": "opt-out", "sound": Sound.STRIP}
    return app.guard(GuardOrder(source=clip, prompt=prompt, **given | order), silent)


def told(outcome: Outcome) -> list[tuple[Any, Any]]:
    """Code and origin of each reason."""
    reasons: list[dict[str, Any]] = list(outcome.held)  # type: ignore[arg-type]
    return [(one["code"], one.get("evidence", {}).get("origin")) for one in reasons]


def test_both_forms_of_a_prompt_are_judged_kept_and_found_again(app: App) -> None:
    opt_out(app, name="Mossa Pondry")
    stopped = create(app, "an otter in the rain", enhanced="Mossa Pondry, an otter, in the rain")
    assert (stopped.job.state, told(stopped)) == ("refused", [("name_match", "enhanced_prompt")])
    assert list(stopped.stages) == ["gate"]
    made = create(app, "a hill", enhanced="a hill, the Hill of Brindlemoor Tave, at dusk")
    assert made.release is not None
    assert made.release.facts["prompt"] == "a hill"
    assert made.release.facts["enhanced_prompt"] == "a hill, the Hill of Brindlemoor Tave, at dusk"
    opt_out(app, name="Brindlemoor Tave")
    assert made.release.id in {one.release for one in app.retroscan().recalled}


def test_what_an_enhancer_writes_is_judged_before_it_is_drawn(app: App, tmp_path: Path) -> None:
    named = tiny_writers.chat(tmp_path / "named", "Mossa Pondry dances")
    stopped = create(under(app, enhancer=str(named)), "an otter dances on the roof")
    assert (stopped.job.state, told(stopped)) == ("refused", [("name_match", "enhanced_prompt")])
    assert list(stopped.stages) == ["gate", "enhance", "gate/enhanced"]
    assert "brought it in" in str(stopped.held[0]["detail"])
    plain = tiny_writers.chat(tmp_path / "plain", "a wide green valley under clouds")
    made = create(under(app, enhancer=str(plain)), "a valley")
    assert made.release is not None
    assert made.release.facts["enhanced_prompt"] == "a wide green valley under clouds"


def test_what_is_seen_of_as_many_turns_as_may_be_is_kept(app: App) -> None:
    turns = tuple(f"wave number {number} rolls in" for number in range(MAX_TURNS))
    made = create(app, "a harbour", history=turns, enhanced="a harbour at dusk")
    assert made.release is not None, told(made)
    with read(app.engine) as conn:
        [rows] = of(conn, [made.release.id]).values()
    assert [row.kind for row in rows].count("clause") == MAX_TURNS + 4


def test_what_a_clip_is_made_from_is_looked_at_first(app: App, tmp_path: Path, make_clip: Any) -> None:
    opt_out(app, [picture(FOX, tmp_path / f"{n}.png", n) for n in range(6)], name="Tarrowick Vane")
    clip = make_clip(tmp_path / "clip.mp4", 480, 272, 24, 12)
    shown = picture(FOX, tmp_path / "given.png", 1)
    stopped = guard(app, clip, "a walk", material=(shown,))
    assert stopped.job.state == "held"
    assert ("picture_match", "input_picture") in told(stopped)
    assert "this one is made from" in str(stopped.held[0]["detail"])
    # The clip is taken in at the end: a person may let it go on when its source is gone.
    assert list(stopped.stages) == ["material", "gate", "weigh", "accept"]
    other = tmp_path / "other.png"
    cv2.imwrite(str(other), np.random.default_rng(3).integers(90, 120, (128, 128, 3), np.uint8))
    made = guard(
        app, clip, "a walk", material=(other, make_clip(tmp_path / "b.mp4", 480, 272, 12, 12, seed=4))
    )
    assert made.release is not None
    with read(app.engine) as conn:
        [rows] = of(conn, [made.release.id]).values()
    assert [row.kind for row in rows].count("frame") == 3  # of the picture, the clip given, and the clip made
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(CountermarkError):
        guard(app, clip, "a walk", material=(tmp_path / "broken.png",))


DESCRIBED = {
    "name": "Orrin Glasshopper",
    "description": "a violet clockwork heron with nine brass wings that plays the bassoon",
    "attributes": ("violet clockwork heron", "nine brass wings", "plays the bassoon"),
}
ASKED = "a violet clockwork heron with nine brass wings, walking by a quiet lake in the morning"


def test_a_prompt_that_only_describes_somebody_is_rewritten_where_the_setting_says_so(app: App) -> None:
    opt_out(app, **DESCRIBED)
    held = create(app, ASKED)
    assert (held.job.state, {code for code, _ in told(held)}) == ("held", {"description_match"})
    made = create(under(app, rewrite=True), ASKED, seed=7)
    assert made.release is not None, told(made)
    facts: dict[str, Any] = made.release.facts
    assert facts["asked_prompt"] == ASKED
    assert "heron" not in facts["prompt"]
    assert facts["prompt"].startswith("an original character")
    assert "quiet lake" in facts["prompt"]
    assert facts["rewrite"]["negative"].startswith("Orrin Glasshopper")
    named = create(under(app, rewrite=True), f"{ASKED}, with Mossa Pondry")
    assert (named.job.state, "rewrite" in named.stages) == ("refused", True)
    assert "description_match" not in {code for code, _ in told(named)}


WALRUS = {
    "name": "Pellumbra Nock",
    "description": "a crimson paper walrus with seven glass tusks that juggles lanterns",
    "attributes": ("crimson paper walrus", "seven glass tusks", "juggles lanterns"),
}
WANTED = "a crimson paper walrus with seven glass tusks that juggles lanterns, by a quiet lake in the morning"


def held_at_the_fence(app: App, seed: int) -> Outcome:
    """The order of a clip that is drawn, and held for somebody whom nobody can compare, who then goes."""
    vector = np.eye(1, app.eyes.clip.dimension, dtype="<f2")
    by: dict[str, Any] = {"now": clock(), "sign_checkpoint": app.signer}
    draft = OptOutDraft(
        kind="character", name="Zorbolino", owner="Another", names=(NameDraft(text="Zorbolino"),),
        references=(ReferenceDraft(sha256="ab" * 32, polarity=1, width=200, height=200),),
        vectors=(
            VectorDraft(
                reference="ab" * 32, space="clip-of-before", kind="picture", polarity=1,
                vector=vector.tobytes(), dimension=vector.size,
            ),
        ),
    )  # fmt: skip
    met: list[str] = []

    def observe(step: str, event: str, _value: float) -> None:
        if (step, event) == ("store", "end"):
            met.append(optouts.add(app.engine, draft, **by).subject)

    order = CreateOrder(
        prompt=WANTED, policy="opt-out", generator="scene", seconds=1, seed=seed, width=256, height=256
    )
    held = under(app, rewrite=True).create(order, observe)
    assert [code for code, _ in told(held)] == ["not_comparable"]
    optouts.withdraw(app.engine, met[0], why={}, **by)
    return held


def judged_anew(app: App, held: Outcome) -> Outcome:
    """A person lifts the hold."""
    [case] = [one for one in app.reviews.waiting() if one["job"] == held.job.id]
    app.reviews.release(str(case["id"]), "Ada", "")
    [again] = [one.outcome for one in app.resume(silent) if one.outcome and one.outcome.job.id == held.job.id]
    return again


def test_a_clip_is_judged_by_the_prompt_that_it_was_drawn_from(app: App) -> None:
    plain = held_at_the_fence(app, seed=21)
    opt_out(app, **WALRUS)
    again = judged_anew(app, plain)
    assert (again.job.state, {code for code, _ in told(again)}) == ("held", {"description_match"})
    assert "rewrite" not in again.stages
    rewritten = held_at_the_fence(app, seed=22)
    assert "rewrite" in rewritten.stages
    [walrus] = [one.id for one in optouts.list_subjects(app.engine) if one.name == WALRUS["name"]]
    optouts.withdraw(app.engine, walrus, why={}, now=clock(), sign_checkpoint=app.signer)
    released = judged_anew(app, rewritten).release
    assert released is not None
    assert released.facts["asked_prompt"] == WANTED
    assert "an original character" in str(released.facts["prompt"])


def test_a_description_that_the_enhancement_brings_in_is_told_as_such(app: App) -> None:
    opt_out(app, **DESCRIBED)
    brought = app.judge("a bird by a lake", policy="opt-out", enhanced=ASKED)
    assert {reason.evidence["origin"] for reason in brought.reasons} == {"enhanced_prompt"}
    assert all("brought it in" in reason.detail for reason in brought.reasons)
    asked = app.judge(ASKED, policy="opt-out", enhanced=f"{ASKED}, soft light")
    assert {reason.evidence["origin"] for reason in asked.reasons} == {"prompt"}
    turns = ("tell me of the weather, the sea, the wind and the sky", "and of bread, of roads and of trains")
    after = app.judge(ASKED, policy="opt-out", history=turns)
    assert [reason.code for reason in after.reasons] == ["description_match"]  # turns do not thin it out
    long = app.judge("a bird by a lake", policy="opt-out", enhanced="reeds and " * 1100)
    assert {reason.code for reason in long.reasons} == {"check_unfinished"}  # half a look is never passed
    assert {reason.check for reason in long.reasons} == {"prompt_descriptions", "unsafe_content"}


def test_spoken_words_are_read_like_a_prompt(app: App, tmp_path: Path, make_clip: Any) -> None:
    opt_out(app, name="Quarnelby")
    clip = make_clip(tmp_path / "said.mp4", 480, 272, 36, 12, audio=True)
    models = {said: tiny_speech.letters(tmp_path / said, said) for said in ("Quarnelby", "Tindlewick")}
    named = under(app, speech_model=str(models["Quarnelby"]))
    stopped = guard(named, clip, sound=Sound.HOLD)
    assert (stopped.job.state, set(told(stopped))) == ("refused", {("name_match", "speech")})
    assert "spoken in the clip" in str(stopped.held[0]["detail"])
    assert guard(named, clip).release is not None  # stripped: nobody will hear it
    made = guard(under(app, speech_model=str(models["Tindlewick"])), clip, sound=Sound.HOLD)
    assert made.release is not None
    checks: dict[str, Any] = made.decision["checks"]  # type: ignore[index, assignment]
    assert checks["audio"] == "transcribed"
    assert checks["prompt_descriptions"] == "not_applicable"
    assert set(str(made.release.facts["speech"]).split()) == {"Tindlewick"}
    (models["Tindlewick"] / "model.safetensors").write_bytes(b"gone")
    broken = under(app, speech_model=f"{models['Tindlewick']}/.")
    held = guard(broken, clip, sound=Sound.ACCEPT)
    assert (held.job.state, told(held)) == ("held", [("check_unfinished", None)])
    opt_out(app, name="Tindlewick")
    assert made.release.id in {one.release for one in app.retroscan().recalled}  # though it has no prompt


def test_nothing_that_a_tester_asks_for_leaves(app: App) -> None:
    ends = rfc3339(datetime.now(UTC) + timedelta(days=7))
    key, _ = apikeys.create(app.engine, "red team", "try", ["create", "tester"], expires_at=ends, now=clock())
    outcome = create(app, "a calm sea", account="red team", key=key.id, seed=11)
    assert (outcome.job.state, told(outcome)) == ("refused", [("tester_key", None)])
    assert outcome.decision is not None
    assert outcome.decision["verdict"] == "allow"
    assert {"look", "decide", "mark/1", "inspect/1"} <= set(outcome.stages)
    assert "sign" not in outcome.stages
    assert releases.find_by_job(app.engine, outcome.job.id) is None
    blocked = create(app, "Mossa Pondry", account="red team", key=key.id)
    assert (blocked.job.state, told(blocked)) == ("refused", [("name_match", "prompt")])
    near = create(app, ASKED, account="red team", key=key.id)
    assert (near.job.state, near.decision and near.decision["verdict"]) == ("refused", "review")


def test_words_in_a_picture_are_read_like_a_prompt(app: App, tmp_path: Path, make_clip: Any) -> None:
    opt_out(app, name="Ossifer Quell")
    note = np.full((160, 480, 3), 200, np.uint8)
    cv2.putText(note, "OSSIFER QUELL", (30, 95), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 20, 20), 3, cv2.LINE_AA)
    cv2.imwrite(str(tmp_path / "note.png"), note)
    clip = make_clip(tmp_path / "note.mp4", 480, 272, 24, 12, seed=8)
    stopped = guard(app, clip, "do what the note says", material=(tmp_path / "note.png",))
    assert (stopped.job.state, told(stopped)) == ("refused", [("name_match", "input_picture")])
    assert "written in a picture that the clip is made from" in str(stopped.held[0]["detail"])
