"""Pictures and words that would stop everybody are not taken, with the models and calibrations that ship."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desk_builders import NOW, SIGNER
from picture_builders import saved

from classifiers.descriptions import look_at_texts
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene
from pipeline.cohort import Cohort, texts
from pipeline.errors import ImportRefused, PictureRefused, UsageError
from pipeline.eyes import Eyes
from pipeline.optouts import fitting
from pipeline.optouts.desk import Desk, more_of
from pipeline.optouts.fitting import Fit, Fitting, PictureFit, WordsFit
from pipeline.optouts.order import OptOutOrder, parse_order
from pipeline.pictures.types import PictureFile
from registry.db import open_database
from registry.subject_types import OptOutDraft, ReferenceDraft, VectorDraft

SIDE = 200


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Eyes:
    return Eyes("embedded", None, tmp_path_factory.mktemp("home"))


@pytest.fixture
def desk(eyes: Eyes, tmp_path: Path) -> Any:
    engine = open_database(tmp_path / "registry.db")
    yield Desk(engine=engine, eyes=eyes, signer=SIGNER, clock=lambda: NOW)
    engine.dispose()


def plain(kind: str) -> Any:
    if kind == "noise":
        return np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    if kind == "gradient":
        ramp = np.linspace(0, 255, SIDE)[:, None, None]
        return np.broadcast_to(ramp, (SIDE, SIDE, 3)).astype(np.uint8)
    ramp = np.linspace(255, 0, SIDE)[None, :, None]
    return np.broadcast_to(ramp, (SIDE, SIDE, 3)).astype(np.uint8)


def character(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return render_frame(random_design(rng), random_scene(rng), width=SIDE, height=SIDE, time=0.0).picture


def file(name: str, rgb: Any) -> PictureFile:
    return PictureFile(name=name, data=saved(rgb))


@pytest.mark.parametrize("kind", ["noise", "gradient", "gradient across"])
def test_a_picture_of_nothing_is_not_taken(desk: Desk, kind: str) -> None:
    with pytest.raises(PictureRefused, match=r"blank\.png: it shows nothing"):
        desk.register(OptOutOrder(name="Zorblax"), [file("blank.png", plain(kind))])
    assert list(desk.every()) == []


def test_pictures_of_a_character_are_taken(desk: Desk) -> None:
    pictures = [file(f"{seed}.png", character(seed)) for seed in range(1, 7)]
    made = desk.register(OptOutOrder(name="Zorblax"), pictures)
    assert made.notes == ()
    assert desk.quarantined(made.id) == ()


def test_a_negative_reference_of_nothing_harms_nobody_else(desk: Desk) -> None:
    made = desk.register(OptOutOrder(name="Zorblax"), [], [file("blank.png", plain("noise"))])
    assert (made.new, made.notes) == (True, ())


def test_more_is_measured_too(desk: Desk) -> None:
    made = desk.register(OptOutOrder(name="Zorblax"))
    more = more_of(desk.show(made.id), ["Zorbi"])
    with pytest.raises(PictureRefused):
        desk.extend(made.id, more, [file("blank.png", plain("noise"))])
    done = desk.extend(made.id, more, [file("a.png", character(1))], [file("b.png", character(2))])
    assert [(one.name, one.polarity) for one in desk.pictures(made.id)] == [("a.png", 1), ("b.png", -1)]
    assert {one.text for one in desk.show(made.id).names} == {"Zorblax", "Zorbi"}
    assert [one.text for one in done.names] == ["Zorbi"]
    assert desk.extend(made.id, more, [file("a.png", character(1))]).new is False


def test_a_vector_of_another_size_is_told(eyes: Eyes) -> None:
    picture = ReferenceDraft(sha256="a" * 64, polarity=1, width=64, height=64)
    vector = VectorDraft(
        reference=picture.sha256, space=eyes.clip.space, kind="picture", polarity=1,
        vector=np.ones(8, "<f2").tobytes(), dimension=8,
    )  # fmt: skip
    draft = OptOutDraft(kind="character", name="Zorblax", owner="A", references=(picture,), vectors=(vector,))
    with pytest.raises(UsageError, match="another size"):
        Fitting(eyes).of([draft])


def test_words_that_one_model_hardly_knows_are_left_to_the_other(desk: Desk, eyes: Eyes) -> None:
    made = desk.register(OptOutOrder(name="Zorblax", description="a dog runs on a beach"))
    assert any("knows too few of its words" in note for note in made.notes)
    assert {row.space for row in desk.show(made.id).vectors} == {eyes.minilm.space}
    assert desk.quarantined(made.id) == ()


def test_words_that_fit_everybody_are_not_taken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "REFUSED_SHARE", 0.001)
    with pytest.raises(UsageError, match=r"description: it fits \d+ of \d+ ordinary prompts, such as"):
        desk.register(OptOutOrder(name="Zorblax", description="a dog runs along the beach at sunset"))


def test_words_that_fit_many_are_quarantined_with_their_opt_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "QUARANTINE_SHARE", 0.001)
    made = desk.register(OptOutOrder(name="Zorblax", description="a dog runs along the beach at sunset"))
    [held] = desk.quarantined(made.id)
    assert (held.kind, held.item, held.cause) == ("words", "", "registration")
    assert "ordinary prompts" in held.why
    assert any("it is in quarantine" in note for note in made.notes)


def test_a_distinctive_description_is_taken(desk: Desk) -> None:
    told = "a purple fox with three tails, a torn left ear and a brass monocle"
    assert desk.register(OptOutOrder(name="Zorblax", description=told)).notes == ()


def test_an_import_tells_the_line(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "blank.png").write_bytes(saved(plain("noise")))
    (tmp_path / "good.png").write_bytes(saved(character(1)))
    source = tmp_path / "lines.ndjson"
    source.write_text(
        '{"name": "Zorblax", "references": ["good.png"]}\n{"name": "Quimbo", "references": ["blank.png"]}\n'
    )
    with pytest.raises(ImportRefused) as refused:
        desk.register_file(source)
    [problem] = refused.value.problems
    assert (problem.line, problem.code) == (2, "picture_refused")
    assert list(desk.every()) == []


@pytest.mark.parametrize(
    ("clips", "prompts", "outcome"),
    [(0.0, 0.019, "taken"), (0.02, 0.0, "held"), (0.0, 0.099, "held"), (0.1, 0.0, "refused")],
)
def test_the_limits(clips: float, prompts: float, outcome: str) -> None:
    fit = Fit(pictures=(PictureFit(name="a", sha256="0" * 64, clips=clips, prompts=prompts),))
    if outcome == "refused":
        with pytest.raises(PictureRefused):
            fit.demand()
        return
    fit.demand()
    assert (len(fit.quarantine()), len(fit.notes())) == ((1, 1) if outcome == "held" else (0, 0))


def test_words_have_the_same_limits() -> None:
    def fit(hits: int, space: str = "a") -> WordsFit:
        return WordsFit(space=space, hits=hits, prompts=700, examples=("a dog",) if hits else ())

    assert Fit(words=(fit(0),)).notes() == ()
    held = Fit(words=(fit(20), fit(70, "b")))
    held.demand()
    assert [one.kind for one in held.quarantine()] == ["words"]
    assert (held.left_out(), len(held.notes())) == ({"b"}, 2)
    with pytest.raises(UsageError):
        Fit(words=(fit(70), fit(71, "b"))).demand()


class Blind:
    """A model that says how it reads, and sees nothing."""

    def __init__(self, model: Any) -> None:
        self.space, self.dimension, self.context = model.space, model.dimension, model.context
        self.pieces, self.known = model.pieces, model.known

    def embed_texts(self, texts: Any) -> Any:
        raise AssertionError(f"{len(texts)} texts are not kept; make them with: python -m training.cohorts")


def test_vectors_of_the_cohort_are_kept_and_made_again_when_damaged(eyes: Eyes, tmp_path: Path) -> None:
    made = Cohort(tmp_path / "kept", shipped=None).prompts(eyes.clip)
    assert len(made) == len(texts())
    [kept] = (tmp_path / "kept").iterdir()

    blind = Blind(eyes.clip)
    assert np.array_equal(Cohort(tmp_path / "kept", shipped=None).prompts(blind), made)
    whole = bytearray(kept.read_bytes())
    whole[1000] ^= 1
    kept.write_bytes(whole)
    assert np.array_equal(Cohort(tmp_path / "kept", shipped=None).prompts(eyes.clip), made)
    assert np.array_equal(Cohort(tmp_path / "kept", shipped=None).prompts(blind), made)
    (tmp_path / "file").write_bytes(b"")
    assert np.array_equal(
        Cohort(tmp_path / "file", shipped=None).prompts(eyes.clip), made
    )  # no folder: made each time


def test_nothing_of_the_cohort_has_to_be_made_by_the_models_that_ship(eyes: Eyes) -> None:
    shipped = Cohort(None)
    sights = shipped.sights(Blind(eyes.clip), Blind(eyes.minilm))
    assert shipped.sights(Blind(eyes.clip), Blind(eyes.minilm)) is sights  # the next opt-out cuts none anew
    assert np.array_equal(
        shipped.prompts_in(eyes.clip.space, eyes.clip.dimension, lambda: Blind(eyes.clip)),
        shipped.prompts(Blind(eyes.clip)),
    )
    sample = slice(0, None, 97)
    made = look_at_texts([sight.texts for sight in sights[sample]], eyes.clip, eyes.minilm)
    for kept, now in zip(sights[sample], made, strict=True):
        assert len(kept.seen) == len(now.seen) > 0
        for one, other in zip(kept.seen, now.seen, strict=True):
            assert (one.kind, one.space) == (other.kind, other.space)
            assert np.allclose(one.vectors, other.vectors, atol=1e-4)


def test_orders_are_not_measured_with_a_model_that_nobody_calibrated(tmp_path: Path) -> None:
    from desk_builders import desk_in

    made = desk_in(tmp_path).register(
        parse_order({"name": "Zorblax", "description": "a dog"}), [file("blank.png", plain("noise"))]
    )
    assert made.new
