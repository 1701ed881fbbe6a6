"""How the console draws findings."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stills import Still, Stills
from pipeline.texts import PICTURE
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


def test_what_is_found_in_the_material_is_no_mark_on_the_clip() -> None:
    """Its times and boxes are those of the picture or clip that it was made from."""
    found = {"times": [0.2], "boxes": [[0, 0, 1, 1]]}
    reasons = [{"check": "frames", "evidence": found | {"origin": PICTURE}}, {"check": "frames"}]
    seen = Stills(duration=2, width=4, height=2, stills=(Still(time=0.2, picture=b"a"),))
    strip = findings.strip(seen, reasons, lambda picture: picture.decode())
    assert (strip.pictures[0].boxes, strip.marks, findings.worth_seeing(reasons)) == ((), (), [])
    assert strip.showing(1) is None


def test_each_finding_is_seen_before_any_is_seen_twice() -> None:
    reasons = [{"evidence": {"times": times}} for times in ([1.0, 2.0, 3.0], [], [9.0])]
    assert findings.worth_seeing(reasons) == [1.0, 9.0, 2.0, 3.0]


def test_a_finding_is_shown_with_its_own_box_or_where_it_was_nearest() -> None:
    boxed = {"evidence": {"times": [1.0], "boxes": [[0, 0, 0.5, 0.5]]}}
    bare = {"evidence": {"times": [0.3]}}
    stills = (Still(time=0.2, picture=b"a"), Still(time=1.0, picture=b"b"))
    seen = Stills(duration=2, width=4, height=2, stills=stills)
    strip = findings.strip(seen, [boxed, boxed, bare], lambda picture: picture.decode())
    shown = [strip.showing(number) for number in (1, 2, 3)]
    assert [(one.address, [box.number for box in one.boxes]) for one in shown if one] == [
        ("b", [1]), ("b", [2]), ("a", []),
    ]  # fmt: skip
