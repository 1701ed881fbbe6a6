"""Readings of disguised texts, and that every letter knows its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.normalise import (
    HEAVY,
    JOINED,
    LIGHT,
    SOFT,
    by_look,
    by_sound,
    fold,
    join,
    key,
    runs_collapsed,
    squeezed,
)


@pytest.mark.parametrize(
    "text",
    [
        "ＭＡＲＩＯ",
        "𝐌𝐚𝐫𝐢𝐨",
        "Mário",
        "M̷a̸r̶i̷o̸",
        "M\u200ba\u00adr\u2060io",
        "Ma\0rio",
        "&#77;ari&#x6f;",
        "%4D%61rio",
        "\\x4d\\u0061rio",
        "🅼🅰🆁🅸🅾",
        "🇲ario",
        "M\ua67car\u0345io",
    ],
)
def test_plain_letters_come_out_of_disguises(text: str) -> None:
    assert squeezed(fold(text)).letters == "mario"


def test_letters_of_other_scripts_are_read_by_look_and_by_sound() -> None:
    assert squeezed(by_look(fold("Маrіо"))).letters == "mario"
    assert squeezed(by_sound(fold("Марио"))).letters == "mario"
    assert squeezed(by_sound(fold("マリオ"))).letters == "mario"


def test_places_point_into_the_original() -> None:
    text = "see &#77;ario ﬁght"
    reading = squeezed(fold(text))
    at = reading.letters.index("mario")
    assert text[reading.starts[at] : reading.ends[at + 4]] == "&#77;ario"
    at = reading.letters.index("fight")
    assert text[reading.starts[at] : reading.ends[at + 4]] == "ﬁght"


def test_gaps_tell_what_stood_between() -> None:
    reading = squeezed(fold("ab\u200bc d-e, f. g.h"))
    gaps = dict(zip(reading.letters, reading.gaps, strict=False))
    assert gaps == {
        "a": HEAVY, "b": JOINED, "c": SOFT, "d": LIGHT, "e": LIGHT, "f": HEAVY, "g": HEAVY, "h": LIGHT,
    }  # fmt: skip
    assert reading.gaps[len(reading.letters)] == HEAVY


def test_runs_become_one_letter_inside_a_word_only() -> None:
    reading = runs_collapsed(squeezed(fold("Maaario ooh")))
    assert reading.letters == "mariooh"
    assert "Maaario ooh"[reading.starts[1] : reading.ends[1]] == "aaa"


def test_turns_are_joined_with_a_light_gap() -> None:
    parts = ["draw spider", "man"]
    whole = join([squeezed(fold(part)) for part in parts], [len(part) for part in parts])
    assert whole.letters == "drawspiderman"
    assert whole.gaps[10] == LIGHT
    assert "".join(parts)[whole.starts[10]] == "m"


@given(st.text(max_size=60))
@settings(max_examples=150)
def test_places_are_in_order_and_inside(text: str) -> None:
    for folded in (fold(text), by_look(fold(text)), by_sound(fold(text))):
        for reading in (squeezed(folded), runs_collapsed(squeezed(folded))):
            assert len(reading.letters) == len(reading.starts) == len(reading.ends) == len(reading.gaps) - 1
            assert list(reading.starts) == sorted(reading.starts)
            pairs = zip(reading.starts, reading.ends, strict=True)
            assert all(0 <= start < end <= len(text) for start, end in pairs)


def test_a_key_has_no_separators() -> None:
    assert key("Spider-Man!") == "spiderman"
    assert key("…") == ""
