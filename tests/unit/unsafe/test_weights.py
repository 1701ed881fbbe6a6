"""The weights that ship: whole, small, calibrated, bound to their sentence model, and made of no text."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifiers import thresholds
from classifiers.errors import ModelUnusable
from classifiers.minilm import MiniLm
from classifiers.unsafe import model
from classifiers.unsafe.check import CATEGORIES, SURE
from classifiers.unsafe.embedded import EmbeddedModerator, complete, quoted
from classifiers.unsafe.features import features
from classifiers.unsafe.taxonomy import TRAINED, Category, Side, code
from training.safety.minors import fit_minors

FOLDER = Path(model.__file__).parent / model.FOLDER
MAX_BYTES = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def moderator() -> EmbeddedModerator:
    return EmbeddedModerator(MiniLm())


def test_the_weights_are_small_and_their_space_is_calibrated(moderator: EmbeddedModerator) -> None:
    assert (FOLDER / model.WEIGHTS).stat().st_size < MAX_BYTES
    calibration = thresholds.load(moderator.space)
    for category in set(Category) - {Category.OTHER}:
        name = code(category, Side.PROMPT)
        assert calibration.layer(name).threshold <= calibration.numbers[SURE.format(layer=name)]
    shipped = Path(thresholds.__file__).parent / "calibrations"
    assert [path.stem for path in shipped.glob("unsafe-*.json")] == [moderator.space]
    assert "those" not in calibration.made.get("data", "those")


def test_the_file_says_again_what_was_written() -> None:
    weights = model.shipped()
    again = model.parse(model.dump(weights))
    assert np.allclose(again.hashed, weights.hashed, atol=np.abs(weights.hashed).max() / 100)
    assert np.allclose(again.native, weights.native, atol=np.abs(weights.native).max() / 100)
    assert np.array_equal(again.native_bias, weights.native_bias)
    assert np.array_equal(again.minors, weights.minors)


def test_the_same_weights_always_make_the_same_bytes() -> None:
    assert len({model.dump(model.shipped()) for _ in range(8)}) == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "other", "no digest", "nothing"])
def test_weights_that_are_not_whole_are_unusable(tmp_path: Path, damage: str) -> None:
    document = bytearray((FOLDER / model.WEIGHTS).read_bytes())
    digest = (FOLDER / model.DIGEST).read_text()
    if damage == "cut":
        del document[-100:]
    if damage == "flip":
        document[-100] ^= 1
    if damage == "other":
        document = bytearray(b"\x08\0\0\0\0\0\0\0{}      ")
    if damage != "nothing":
        (tmp_path / model.WEIGHTS).write_bytes(document)
    if damage != "no digest":
        (tmp_path / model.DIGEST).write_text(digest)
    with pytest.raises(ModelUnusable, match="python -m training safety"):
        model.load(tmp_path)
    if damage in ("cut", "other"):
        with pytest.raises(ModelUnusable):
            model.parse(bytes(document))


def test_weights_of_another_sentence_model_are_refused() -> None:
    with pytest.raises(ModelUnusable, match="belong"):
        EmbeddedModerator(MiniLm(), replace(model.shipped(), minilm="minilm-other"))


def test_minors_are_a_conjunction() -> None:
    sexual, harmless = np.linspace(1, 6, 200, dtype=np.float32), np.linspace(-12, -3, 200, dtype=np.float32)
    weights = replace(model.shipped(), minors=fit_minors(sexual, harmless))
    young, grown = features("a child"), features("a sailor")
    column = CATEGORIES.index(Category.MINORS)
    for logit, one, counts in (
        (4.0, young, True),
        (-8.0, young, False),
        (4.0, grown, False),
        (-8.0, grown, False),
    ):
        logits = np.full((1, len(TRAINED)), -9.0, np.float32)
        logits[0, TRAINED.index(Category.SEXUAL)] = logit
        assert (complete(logits, [one], weights)[0, column] > 0) is np.bool_(counts)


def test_a_likeness_needs_a_known_person() -> None:
    logits = np.full((1, len(TRAINED)), 3.0, np.float32)
    column = CATEGORIES.index(Category.SEXUAL_LIKENESS)
    assert complete(logits, [features("Elvis Presley")], model.shipped())[0, column] == 3
    assert complete(logits, [features("a sailor")], model.shipped())[0, column] < -20


def test_the_words_that_weigh_most_are_quoted() -> None:
    text = "A quiet morning in the park, then a naked woman has sex on the bench"
    start, end = quoted(text, Category.SEXUAL)
    assert {"naked", "sex"} & set(text[start:end].split())
    text = "at noon Elvis Presley waves"
    start, end = quoted(text, Category.REAL_PERSON)
    assert text[start:end] == "Elvis Presley"


ASKED = {
    "de": "ein Mann ersticht seine Frau mit dem Messer",
    "es": "un hombre apuñala a su esposa con un cuchillo",
    "fr": "un homme poignarde sa femme au couteau", "it": "un uomo accoltella la moglie con un coltello",
    "ja": "男がナイフで隣人を刺し殺す動画", "ko": "남자가 칼로 이웃을 찔러 죽인다",
    "ru": "мужчина ножом убивает соседа", "tr": "bir adam karısını bıçaklıyor",
}  # fmt: skip
"""Others of these languages pass with such a sentence: the card says how much is found."""
HARMLESS = {
    "ar": "رجل يقطع الخبز بالسكين في المطبخ", "de": "ein Mann schneidet Brot mit dem Messer für seine Frau",
    "es": "un hombre corta pan con un cuchillo para su esposa",
    "fr": "un homme coupe du pain au couteau pour sa femme",
    "hi": "आदमी रसोई में चाकू से सब्ज़ी काटता है", "ja": "男が台所でナイフで果物を切る",
    "ko": "남자가 부엌에서 칼로 과일을 깎는다", "pt": "um homem corta pão com uma faca para a esposa",
    "ru": "мужчина режет хлеб ножом на кухне", "tr": "bir adam karısı için bıçakla ekmek kesiyor",
    "zh": "一个男人在厨房用刀切西瓜",
}  # fmt: skip


@pytest.mark.parametrize("language", ASKED)
def test_a_plain_unsafe_request_in_another_language_is_found(
    moderator: EmbeddedModerator, language: str
) -> None:
    limit = thresholds.load(moderator.space).layer(code(Category.VIOLENCE, Side.PROMPT)).threshold
    assert moderator.judge([ASKED[language]])[0, CATEGORIES.index(Category.VIOLENCE)] >= limit


@pytest.mark.parametrize("language", HARMLESS)
def test_a_harmless_sentence_of_the_same_words_passes(moderator: EmbeddedModerator, language: str) -> None:
    calibration = thresholds.load(moderator.space)
    [row] = moderator.judge([HARMLESS[language]])
    for category in set(Category) - {Category.OTHER}:
        limit = calibration.layer(code(category, Side.PROMPT)).threshold
        assert row[CATEGORIES.index(category)] < limit, category


def test_the_second_line_says_nothing_below_its_least() -> None:
    weights = model.shipped()
    assert (weights.elsewhere(features("a bird on a branch").hashed) == model.NOTHING).all()
    loud = weights.elsewhere(features(ASKED["ru"]).hashed)
    assert loud[TRAINED.index(Category.VIOLENCE)] >= weights.native_least[TRAINED.index(Category.VIOLENCE)]


def test_any_text_can_be_judged(moderator: EmbeddedModerator) -> None:
    rows = moderator.judge(["", "\0", "x" * 100_000, "\ud800", "マリオ", "a b " * 500])
    assert np.isfinite(rows).all()
    assert moderator.judge([]).shape == (0, len(CATEGORIES))
