"""What is seen of a text without a model, and the names that everybody knows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.unsafe import known
from classifiers.unsafe.features import BUCKETS, ages, features, hashed
from classifiers.unsafe.known import KnownNames


@given(st.text(max_size=300))
def test_hashed_features_are_of_unit_length_and_any_text_has_them(text: str) -> None:
    places, values = hashed(text)
    assert len(places) == len(values) == len(set(places.tolist()))
    assert not len(places) or (places.min() >= 0 and places.max() < BUCKETS)
    assert not len(values) or abs(float(np.linalg.norm(values)) - 1) < 1e-4
    assert features(text).signs.shape == (len(known.LISTS),)


def test_letters_and_case_in_disguise_are_the_same() -> None:
    plain = hashed("a naked flame")
    for disguised in ("A NAKED FLAME", "a ｎａｋｅｄ flame", "a nаked flame"):  # full width; a Cyrillic а
        assert sorted(hashed(disguised)[0].tolist()) == sorted(plain[0].tolist())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हत्या करना", ["हतया", "करना"]), ("做一个3D动画", ["做一个3d动画"]),
        ("3명의 사람", ["3명의", "사람"]),
        ("穿T恤的男人", ["穿t恤的男人"]),
    ],
)  # fmt: skip
def test_words_of_other_scripts_are_whole_and_no_disguise(text: str, words: list[str]) -> None:
    places = set(hashed(text)[0].tolist())
    assert places == set(hashed(" ".join(words))[0].tolist())
    assert not places & set(hashed("zuoyige3ddonghua 3myeongui chuantxudenanren")[0].tolist())


def test_what_stands_at_the_end_of_a_long_run_without_spaces_is_seen() -> None:
    assert set(hashed("杀人")[0].tolist()) & set(hashed("风" * 60 + "杀人")[0].tolist())


@pytest.mark.parametrize(
    ("text", "list_"),
    [
        ("a portrait of Winston Churchill", known.POLITICIANS), ("elvis presley sings", known.CELEBRITIES),
        ("Pikachu's birthday", known.WORKS), ("a can of Coca-Cola", known.BRANDS), ("习近平在北京",
        known.POLITICIANS),
    ],
)  # fmt: skip
def test_known_names_are_found_where_they_stand(text: str, list_: str) -> None:
    [found] = known.default().find(text)
    assert found.list == list_
    assert text[found.start : found.end].lower() in {name.lower() for name in known.names(list_)}


@pytest.mark.parametrize(
    "text",
    ["a toothless baby", "the green goofy hat", "an architectural marvel", "a hulk of a ship", "trumpets"],
)
def test_common_words_are_no_names(text: str) -> None:
    assert not list(known.default().find(text))


def test_names_can_be_left_out() -> None:
    assert not list(KnownNames(frozenset(["Elvis Presley"])).find("Elvis Presley sings"))


@pytest.mark.parametrize(
    "text", ["a child", "twelve-year-old", "a 9 year old", "17 yrs", "14-jährige", "小学生"]
)
def test_words_about_age(text: str) -> None:
    assert list(ages(text))


@pytest.mark.parametrize(
    "text", ["a 30 year old", "18 years", "1990s", "a kidney", "chill", "childhood's end"]
)
def test_other_words_are_not_about_age(text: str) -> None:
    assert not list(ages(text))
