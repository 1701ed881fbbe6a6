"""The table of forms: whatever was put in is found; hashes of stretches are those of the letters alone."""

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.forms import (
    Forms,
    FormTable,
    Powers,
    codes_of,
    running,
    salted,
    scattered,
    stretches,
    without,
)
from classifiers.lines import outer, shortened

TEXTS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=30)


def hashed(text: str) -> int:
    codes = codes_of(text)
    return int(stretches(running(scattered(codes)), np.array([0]), np.array([len(codes)]))[0])


@settings(max_examples=200)
@given(TEXTS, TEXTS)
def test_who_has_a_form_is_found_and_hardly_anybody_else(mine: list[str], others: list[str]) -> None:
    forms = Forms(len(mine))
    forms.add(salted(np.array([hashed(text) for text in mine], np.uint64), 1), np.arange(len(mine)))
    table = FormTable(forms)
    asked = [*mine, *others]
    which, owners = table.find(salted(np.array([hashed(text) for text in asked], np.uint64), 1))
    found = set(zip(which.tolist(), owners.tolist(), strict=True))
    assert found == {(a, b) for a, text in enumerate(asked) for b, name in enumerate(mine) if text == name}
    assert not len(table.find(salted(np.array([hashed(text) for text in mine], np.uint64), 2))[0])


@settings(max_examples=200)
@given(st.text(max_size=20), st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_a_stretch_has_the_hash_of_its_letters(before: str, text: str, after: str) -> None:
    sums = running(scattered(codes_of(before + text + after)))
    found = stretches(sums, np.array([len(before)]), np.array([len(before) + len(text)]))
    assert int(found[0]) == hashed(text)


@settings(max_examples=200)
@given(st.text(min_size=6, max_size=14), st.integers(0, 13), st.integers(0, 13))
def test_what_lacks_a_letter_shares_a_form(text: str, one: int, two: int) -> None:
    shorter = text[: one % len(text)] + text[one % len(text) + 1 :]
    last = two % len(shorter)
    shortest = shorter[:last] + shorter[last + 1 :]
    assert shared(text, shorter, 1)
    assert shared(text, shortest, 2)


def shared(text: str, other: str, mistakes: int) -> bool:
    forms = []
    for one in (text, other):
        values, end = scattered(codes_of(one)), np.array([len(one)])
        forms.append(set(outer(values, np.array([0]), end, mistakes).ravel().tolist()))
    return bool(forms[0] & forms[1])


def test_short_texts_without_one_letter() -> None:
    forms = shortened(scattered(codes_of("lantern")), np.array([0]), np.array([7]), 7)[0].tolist()
    assert forms == [hashed(text) for text in ("lantern", "antern", "lntern", "latern", "lanern", "lantrn",
                                               "lanten", "lanter")]  # fmt: skip
    assert without(8, 2).shape == (8, 37)


def test_powers_are_whole_for_every_thread() -> None:
    powers, wrong = Powers(), []

    def ask(count: int) -> None:
        for more in range(count, 40 * count, count):
            wrong.extend(one for one in powers.up_to(more) if len(one) != more)

    threads = [threading.Thread(target=ask, args=(count,)) for count in (100, 301, 977, 2003)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
