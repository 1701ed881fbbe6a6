"""Image classifiers that judge frames: real tiny models in the formats of the hub."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_pictures import SIDE, save_checker, save_classifier, save_shieldgemma

from classifiers.base import Picture
from classifiers.errors import ModelUnusable
from classifiers.judge_source import judge_digest
from classifiers.unsafe.check import CATEGORIES, NEVER
from classifiers.unsafe.labels import parse_labels
from classifiers.unsafe.pictures import open_classifier
from classifiers.unsafe.taxonomy import Category

SEXUAL = CATEGORIES.index(Category.SEXUAL)


def plain(*colour: int, size: tuple[int, int] = (48, 64)) -> Picture:
    return np.full((*size, 3), colour, np.uint8)


RED, BLUE = plain(255, 0, 0), plain(0, 0, 255)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("models") / "nsfw", ["nsfw", "normal"])


def test_a_classifier_judges_by_what_its_labels_say(folder: Path) -> None:
    judge = open_classifier(str(folder))
    found = judge.judge([RED, BLUE] * 5)
    assert found.shape == (10, len(CATEGORIES))
    assert judge.judged == {Category.SEXUAL}
    assert (found[::2, SEXUAL] > 1).all()
    assert (found[1::2, SEXUAL] < -1).all()
    others = np.delete(found, SEXUAL, axis=1)
    assert (others == NEVER).all()
    assert judge.judge([]).shape == (0, len(CATEGORIES))


def test_a_map_of_labels_says_otherwise_and_makes_another_space(folder: Path) -> None:
    told = open_classifier(str(folder), labels=parse_labels("nsfw=gore, normal=harmless"))
    assert told.judged == {Category.GORE}
    assert told.judge([RED])[0, CATEGORIES.index(Category.GORE)] > 1
    assert told.space != open_classifier(str(folder)).space == open_classifier(str(folder)).space


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("nsfw=gore", "does not fit it ('normal')"),
        ("nsfw=gore,normal=harmless,other=gore", "does not fit it ('other')"),
        ("nsfw=harmless,normal=harmless", "name nothing unsafe"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(folder: Path, told: str, wanted: str) -> None:
    with pytest.raises(ModelUnusable, match=re.escape(wanted)):
        open_classifier(str(folder), labels=parse_labels(told))


@pytest.mark.parametrize("told", ["nsfw", "nsfw=", "=sexual", "nsfw=lewd"])
def test_a_map_that_says_nothing_is_refused(told: str) -> None:
    with pytest.raises(ModelUnusable, match="says not what a label means"):
        parse_labels(told)


def test_labels_that_do_not_exclude_each_other(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "many", ["porn", "hentai", "gore"], many=True)
    judge = open_classifier(str(folder))
    assert judge.judged == {Category.SEXUAL, Category.GORE}
    red, blue = judge.judge([RED, BLUE])
    assert red[SEXUAL] > 1 > -1 > blue[SEXUAL]
    assert blue[CATEGORIES.index(Category.GORE)] > 1


def test_labels_that_say_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="name nothing unsafe"):
        open_classifier(str(save_classifier(tmp_path / "animals", ["cat", "dog"])))


def test_the_safety_checker_says_what_it_says_in_diffusers(tmp_path: Path) -> None:
    model = save_checker(tmp_path / "safety_checker")
    judge = open_classifier(str(tmp_path / "safety_checker"))
    rng = np.random.default_rng(2)
    pictures = [rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(3)]
    found = judge.judge(pictures)[:, SEXUAL]
    for number, picture in zip(found, pictures, strict=True):
        pixels = torch.from_numpy(
            np.asarray(judge._form._cut([picture], return_tensors="np")["pixel_values"])
        )
        seen = model.visual_projection(model.vision_model(pixels)[1])
        cosines = torch.nn.functional.cosine_similarity
        special = cosines(seen, model.special_care_embeds) - model.special_care_embeds_weights
        over = cosines(seen, model.concept_embeds) - model.concept_embeds_weights
        wanted = float(over.max()) + (0.01 if bool((special > 0).any()) else 0)
        assert number == pytest.approx(wanted, abs=1e-4)
        _, flagged = model(pixels, torch.zeros(1, 3, SIDE, SIDE))
        assert flagged == [round(wanted, 3) > 0]
    with pytest.raises(ModelUnusable, match="has no labels"):
        open_classifier(str(tmp_path / "safety_checker"), labels=parse_labels("nsfw=sexual"))


def test_shieldgemma_is_asked_about_each_of_its_policies(tmp_path: Path) -> None:
    model, processor = save_shieldgemma(tmp_path / "shieldgemma-2")
    judge = open_classifier(str(tmp_path / "shieldgemma-2"))
    assert judge.judged == {Category.ILLEGAL, Category.SEXUAL, Category.VIOLENCE}
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (40, 60, 3), np.uint8) for _ in range(2)]
    found = judge.judge(pictures)
    for row, picture in zip(found, pictures, strict=True):
        shares = model(**processor(images=[picture], return_tensors="pt")).probabilities
        order = [Category.ILLEGAL, Category.SEXUAL, Category.VIOLENCE]  # dangerous, sexual, violence
        for category, share in zip(order, shares[:, 0].tolist(), strict=True):
            assert 1 / (1 + np.exp(-row[CATEGORIES.index(category)])) == pytest.approx(share, abs=0.02)
    told = parse_labels("dangerous=harmless,sexual=sexual,violence=gore")
    assert open_classifier(str(tmp_path / "shieldgemma-2"), labels=told).judged == {
        Category.SEXUAL, Category.GORE
    }  # fmt: skip


def test_the_sides_of_a_wide_frame_are_seen_where_the_processor_cuts_them_off(tmp_path: Path) -> None:
    save_checker(tmp_path / "safety_checker")
    judge = open_classifier(str(tmp_path / "safety_checker"))
    rng = np.random.default_rng(5)
    wide = rng.integers(0, 256, (SIDE, 3 * SIDE, 3), np.uint8)
    parts = [wide[:, start : start + SIDE] for start in (0, SIDE, 2 * SIDE)]
    assert judge.judge([wide])[0, SEXUAL] == judge.judge(parts)[:, SEXUAL].max()
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    assert (
        judge.judge([tall])[0, SEXUAL]
        == judge.judge([np.ascontiguousarray(part.transpose(1, 0, 2)) for part in parts])[:, SEXUAL].max()
    )


def test_what_cannot_be_used_is_refused(folder: Path, tmp_path: Path) -> None:
    digest = judge_digest(folder)
    assert open_classifier(str(folder), sha256=digest).judged
    with pytest.raises(ModelUnusable, match="correct frame_classifier_sha256"):
        open_classifier(str(folder), sha256="0" * 64)
    with pytest.raises(ModelUnusable, match="set frame_classifier_sha256"):
        open_classifier("owner/name@" + "0" * 40)
    with pytest.raises(ModelUnusable, match="correct frame_classifier"):
        open_classifier("owner/name")
    copied = save_classifier(tmp_path / "copied", ["nsfw", "normal"])
    (copied / "weights.bin").write_bytes(b"x")
    with pytest.raises(ModelUnusable, match="pickles"):
        open_classifier(str(copied))
    (copied / "weights.bin").unlink()
    told = json.loads((copied / "preprocessor_config.json").read_text())
    (copied / "preprocessor_config.json").write_text(json.dumps(told | {"auto_map": {"x": "y.Z"}}))
    with pytest.raises(ModelUnusable, match="code of its own"):
        open_classifier(str(copied))
    (copied / "preprocessor_config.json").unlink()
    with pytest.raises(ModelUnusable, match=r"preprocessor_config.json"):
        open_classifier(str(copied))


def test_weights_that_are_damaged_or_missing_are_refused(folder: Path, tmp_path: Path) -> None:
    copied = save_classifier(tmp_path / "copied", ["nsfw", "normal"])
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelUnusable, match="fetch it again"):
        open_classifier(str(copied))
    from safetensors.torch import load, save_file

    tensors = load(whole)
    tensors.pop("classifier.weight")
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnusable, match="lacks 1 weights"):
        open_classifier(str(copied))
    (copied / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    with pytest.raises(ModelUnusable, match="no image classifier"):
        open_classifier(str(copied))


def test_an_answer_that_is_no_number_is_none(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "broken", ["nsfw", "normal"])
    judge = open_classifier(str(folder))
    judge._form._model.classifier.bias.data.fill_(float("nan"))  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no number"):
        judge.judge([RED])
