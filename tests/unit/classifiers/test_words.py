"""Words in frames against registered names: what is found, where, and that nothing unread passes."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import CheckReport, CheckState, Kind, Line, Sight
from classifiers.errors import TooManyWords
from classifiers.names import NameMatcher
from classifiers.sieve import Sieve, skeleton
from classifiers.words import MAX_LETTERS, ReadLine, check_words, passages, seen_words, texts_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    text: str
    subject: str = "s1"
    tier: str = "block"
    context: tuple[str, ...] = ()
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    names: Sequence[Name]
    seq: int = 1

    def search(self, *_: object) -> list[list[object]]:
        return []


def line(text: str, place: int = 0) -> ReadLine:
    return ReadLine(line=Line(text=text, confidence=0.9), box=(0.1, place / 10, 0.6, place / 10 + 0.1))


def shown(*frames: Sequence[str]) -> Sight:
    looks = [
        (float(time), [line(text, place) for place, text in enumerate(frame)])
        for time, frame in enumerate(frames)
    ]
    return Sight(seen=(seen_words(looks),))


def check(sight: Sight, *names: Name) -> CheckReport:
    return check_words(sight, Registered(names or (Name(text="Zorbolino"),)))


def test_a_name_is_told_with_frame_and_box() -> None:
    sight = shown(["nothing"], [], ["The tale of", "ZORBOLINO", "the frog"])
    [found] = check(sight).findings
    assert (found.code, found.subject, found.quote) == ("words_match", "s1", "ZORBOLINO")
    assert (found.times, found.boxes) == ((2.0,), ((0.1, 0.1, 0.6, 0.2),))
    assert found.sure is False
    assert found.score >= found.threshold


@pytest.mark.parametrize("text", ["Z0RBOLINO", "Z O R B O L I N O", "Zorbol1no!", "zorb-olino", "ZORBOLINOS"])
def test_signs_for_letters_and_gaps(text: str) -> None:
    assert [one.code for one in check(shown([text])).findings] == ["words_match"]


def test_a_misread_letter_is_near() -> None:
    assert [one.code for one in check(shown(["ZORBOLIMO"])).findings] == ["words_near"]


def test_a_name_over_two_lines_has_a_box_around_both() -> None:
    [found] = check(shown(["VEXMOOR", "QUANDLE"]), Name(text="Vexmoor Quandle")).findings
    assert found.boxes == ((0.1, 0.0, 0.6, 0.2),)


def test_a_name_over_two_frames() -> None:
    [found] = check(shown(["first", "ZORBO"], ["LINO"])).findings
    assert found.times == (1.0,)


def test_an_ordinary_word_needs_another_beside_it_anywhere_in_the_clip() -> None:
    name = Name(text="Apple", tier="context", context=("iphone",))
    assert check(shown(["an apple a day"]), name).findings == ()
    assert len(check(shown(["Apple"], [], ["the new iPhone"]), name).findings) == 1


def test_one_finding_for_a_subject_with_every_moment() -> None:
    sight = shown(["Zorbolino"], ["Zorbolino sings"], ["Zorbolimo"])
    [found] = check(sight).findings
    assert (found.code, found.times) == ("words_match", (0.0, 1.0))


def test_what_is_in_quarantine_says_so() -> None:
    doubtful = Name(text="Zorbolino", quarantined=True)
    assert [one.quarantined for one in check(shown(["Zorbolino"]), doubtful).findings] == [True]
    both = check(shown(["Zorbolino", "Quandlemoor"]), doubtful, Name(text="Quandlemoor")).findings
    assert [(one.quarantined, one.quote) for one in both] == [(False, "Quandlemoor")]


def test_a_clip_without_words_is_completed_and_one_that_was_not_read_is_not() -> None:
    assert (check(shown()).state, check(shown()).findings) == (CheckState.COMPLETED, ())
    assert check(Sight()).state is CheckState.SKIPPED
    assert check(Sight(texts=("Zorbolino",))).state is CheckState.SKIPPED


def test_the_same_passage_again_is_kept_once() -> None:
    [seen] = shown(["one", "two"], ["one", "two"], [], ["one", "two"], ["one"], ["one", "two"]).of(Kind.WORDS)
    assert seen.times == (0.0, 0.0, 4.0, 5.0, 5.0)
    assert texts_in([seen]) == ("one two", "one", "one two")


def test_more_words_than_are_read_is_an_error() -> None:
    looks = [(float(time), [line(f"{time} " + "x" * 1000)]) for time in range(MAX_LETTERS // 1000)]
    with pytest.raises(TooManyWords, match="characters"):
        seen_words(looks)
    assert seen_words(looks[:-1]).lines


words = st.sampled_from(["Zorbolino", "zorbo", "LINO", "Z0rbolino", "a", "the frog", "9", "Zorbolimo"])


@given(frames=st.lists(st.lists(words, max_size=4), max_size=4))
def test_whatever_the_check_finds_passes_the_sieve_of_what_is_stored(frames: list[list[str]]) -> None:
    sight = shown(*frames)
    told = skeleton(texts_in(sight.of(Kind.WORDS)))
    sieve = Sieve(NameMatcher([Name(text="Zorbolino")]))
    assert sieve.passes(told) or not check(sight).findings


@given(frames=st.lists(st.lists(words, max_size=4), max_size=4))
def test_every_line_is_in_one_passage_at_its_place(frames: list[list[str]]) -> None:
    [seen] = shown(*frames).of(Kind.WORDS)
    found = [
        (passage.time, passage.text[start : end - 1], box)
        for passage in passages(seen)
        for start, end, box in zip(passage.starts, passage.starts[1:], passage.boxes, strict=False)
    ]
    assert found == [
        (time, one.text, box) for time, one, box in zip(seen.times, seen.lines, seen.boxes, strict=True)
    ]
