"""How the console draws findings."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stills import Still, Stills
from pipeline.web import findings

SPANS = st.lists(st.tuples(st.integers(-2, 30), st.integers(-2, 30)), max_size=6)


@given(st.text(max_size=25), SPANS)
def test_marking_changes_no_text(text: str, spans: list[tuple[int, int]]) -> None:
    reasons = [{"evidence": {"turn": 0, "span": list(span)}} for span in spans]
    [parts] = findings.marked([text], reasons)
    assert "".join(part.text for part in parts) == text
    for part in parts:
        if part.number:
            start, end = spans[part.number - 1]
            assert part.text == text[start:end]


def test_a_box_is_on_the_still_of_its_time() -> None:
    reason = {
        "check": "likeness",
        "evidence": {"times": [1.0, 9.0], "boxes": [[0, 0, 0.5, 0.5], [0, 0, 1, 1]]},
    }
    seen = Stills(
        duration=2, width=4, height=2, stills=(Still(time=0.2, picture=b"a"), Still(time=1.04, picture=b"b"))
    )
    strip = findings.strip(seen, [{"check": "audio"}, reason], lambda picture: picture.decode())
    assert [[(box.number, box.width) for box in one.boxes] for one in strip.pictures] == [[], [(2, 50.0)]]
    assert [(mark.number, mark.at) for mark in strip.marks] == [(2, 50.0), (2, 100.0)]
    assert [one.address for one in strip.pictures] == ["a", "b"]
