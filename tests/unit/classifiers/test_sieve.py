"""What the sieve lets through is more than what the check finds, never less."""

import random
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.names import NameMatcher
from classifiers.sieve import MAX_LETTERS, Sieve, skeleton, version

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed
sys.path.insert(0, str(Path(__file__).parent))

from test_names import MATCHER, NAMES, Name

from benchmarks.tools.disguises import EXACT, FAMILIES, FURTHER
from benchmarks.tools.plain_names import many

SIEVE = Sieve(MATCHER)
WORDS = ("a", "dog", "runs", "superb", "market", "by the", "sea", "in", "Zürich", "море", "夜", "and", "or")
PIECES = st.one_of(
    st.sampled_from([*WORDS, *(name.text for name in NAMES), "Hyrule", "balloon house"]),
    st.text(min_size=1, max_size=12),
)


def passes(*texts: str) -> bool:
    return SIEVE.passes(skeleton(texts))


@pytest.mark.parametrize("disguise", [*EXACT, *FURTHER])
def test_no_disguise_slips_through(disguise: str) -> None:
    way = {**EXACT, **FURTHER}[disguise]
    drawn = random.Random(1)
    for name in NAMES:
        text = f"a film of {way(name.text, drawn)} in the rain"
        if any(MATCHER.match(text)):
            assert passes(text), (disguise, text)


@settings(max_examples=300)
@given(st.lists(st.lists(PIECES, max_size=6).map(" ".join), min_size=1, max_size=3))
def test_whatever_the_check_finds_passes(texts: list[str]) -> None:
    if any(MATCHER.match_turns(texts)):
        assert passes(*texts)


@settings(max_examples=200)
@given(st.sampled_from([name for name in NAMES if len(name.text) > 5]), st.integers(0, 40), st.characters())
def test_one_letter_off_passes(name: Name, place: int, letter: str) -> None:
    at, plain = place % len(name.text), name.text
    swapped = plain[:at] + plain[at + 1 : at + 2] + plain[at : at + 1] + plain[at + 2 :]
    for wrong in (plain[:at] + letter + plain[at:], plain[:at] + plain[at + 1 :], swapped):
        text = f"we see {wrong} at noon"
        if any(MATCHER.match(text)):
            assert passes(text)


def test_names_that_were_added_later_count() -> None:
    sieve = Sieve(NameMatcher([Name("new", "Quandle Vexmoor"), *NAMES]))
    assert sieve.passes(skeleton(["Quandle Vexmor sings"]))
    assert sieve.passes(skeleton(["Groot sings"]))
    assert not sieve.passes(skeleton(["a boat in the harbour"]))


def test_innocent_prompts_do_not_pass() -> None:
    assert not any(
        passes(text) for text in ("a dog runs by the sea", "the old market at night", "two chairs, one table")
    )


def test_what_cannot_be_told_passes() -> None:
    told = skeleton(["a dog runs"])
    assert not SIEVE.passes(told)
    assert SIEVE.passes(None)
    assert SIEVE.passes(told | {"v": "older"})
    long = skeleton(["dog cat " * MAX_LETTERS])
    assert long == {"v": version()}
    assert SIEVE.passes(long)
    assert not Sieve(NameMatcher([])).passes(None)


def test_a_skeleton_is_quickly_asked() -> None:
    told = skeleton(["an old harbour with boats, gulls and a fisherman in the fog, slow camera, film grain"])
    began = time.perf_counter()
    for _ in range(1000):
        SIEVE.passes(told)
    assert time.perf_counter() - began < 2


@settings(max_examples=100)
@given(st.lists(st.lists(PIECES, max_size=6).map(" ".join), max_size=12))
def test_many_are_asked_as_one_by_one(texts: list[str]) -> None:
    told = [skeleton([text]) for text in texts]
    found = SIEVE.passing(*([one[name] for one in told] for name in ("v", "letters", "runs")))
    assert found == {place for place, text in enumerate(texts) if passes(text)}


LETTERS = st.text("abcdu", min_size=5, max_size=12)


def passing(name: str, *texts: str) -> bool:
    matcher = NameMatcher([Name("one", name)])
    told = skeleton(texts)
    asked = Sieve(matcher).passing(*([told[one]] for one in ("v", "letters", "runs")))
    found = bool(matcher.match_turns(texts)[-1])
    assert asked or not found, (name, texts)
    return found


@settings(max_examples=100)
@given(
    name=LETTERS, places=st.lists(st.integers(0, 12), min_size=1, max_size=2), letter=st.sampled_from("abcx")
)
def test_every_mistake_that_is_found_passes(name: str, places: list[int], letter: str) -> None:
    wrongs = [name] * 4
    for place in places:
        at = [place % len(wrong) for wrong in wrongs]
        wrongs = [
            wrongs[0][: at[0]] + letter + wrongs[0][at[0] :],
            wrongs[1][: at[1]] + wrongs[1][at[1] + 1 :],
            wrongs[2][: at[2]]
            + wrongs[2][at[2] + 1 :][:1]
            + wrongs[2][at[2] : at[2] + 1]
            + wrongs[2][at[2] + 2 :],
            wrongs[3][: at[3]] + letter + wrongs[3][at[3] + 1 :],
        ]
    for wrong in wrongs:
        passing(name, f"we see {wrong} at noon", "and more")
        passing(name, f"{wrong}")


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_slips_through(family: str) -> None:
    drawn = random.Random(2)
    named = [*(name.text for name in NAMES), "Brindle Quackenbush", "Starweaver", "Moxie Fizzlebottom"]
    found = [passing(name, f"a film of {FAMILIES[family](name, drawn)} in the rain") for name in named * 3]
    assert sum(found) > len(found) / 3


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(["🦊", "lantern", "the", "狐", "паук", "Fox", "4", "8", "spider", ",", "-"]),
        max_size=7,
    )
)
def test_pictures_and_foreign_words_that_are_found_pass(pieces: list[str]) -> None:
    passing("The Lantern Fox", " ".join(pieces))
    passing("Spider Fox", "".join(pieces))


def test_a_catalogue_of_names_is_asked_as_each_of_them() -> None:
    """As an import is: thousands of names at once, and the sieve still says no to what none of them has."""
    names = many(3000)
    sieve = Sieve(NameMatcher(names))
    drawn = random.Random(4)
    wrong = [FURTHER["one typo"](name.text, drawn) for name in drawn.sample(names, 30)]
    told = [
        skeleton([f"a clip of {text} at sea"]) for text in (*wrong, "a dog runs by the sea", "two old chairs")
    ]
    asked = sieve.passing(*([one[part] for one in told] for part in ("v", "letters", "runs")))
    matcher = NameMatcher(names)
    assert asked == {place for place, text in enumerate(wrong) if matcher.match(f"a clip of {text} at sea")}
    assert len(asked) > 20
