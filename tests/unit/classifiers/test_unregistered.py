"""Names that nobody registered."""

import pytest

from classifiers.unregistered import unregistered_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a man shakes hands with Zoltan Kovacs in a park", ["Zoltan Kovacs"]),
        ("a scene from Kiki's kitchen", ["Kiki's"]),
        ("A dog runs. The sky is blue.", []),
        ("a dog runs with zoltan kovacs", []),
        ("A VERY LOUD PROMPT WITH A DOG", []),
        ("A Very Loud Prompt With A Dog", []),
        ("a tram crosses the old town of Lisbon near the Tagus River", []),
        ("a Dalmatian in a Halloween costume runs past the Eiffel Tower", []),
        ("a garden in the style of Hokusai on Lake Garda, Art Nouveau windows", []),
        ("Snowflakes. Hedgerows in the wind. Candlesticks on a table.", []),
        ("a walk with Zoltan Kovacs of Budapest through Lisbon", ["Zoltan Kovacs of Budapest"]),
        ("a Christmas song by Zoltan, in Paris", ["Zoltan"]),
    ],
)
def test_capitals_give_names_away(text: str, names: list[str]) -> None:
    assert [text[start:end] for start, end in unregistered_names(text)] == names
