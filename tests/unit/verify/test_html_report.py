"""The verification report as a page: escaping, structure, words, contrast, no request to anywhere."""

import base64
import hashlib
import itertools
import json
import math
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.types import Evidence, EvidenceState, FileVerdict, Json
from pipeline.verify import html_style, html_words
from pipeline.verify.html_page import render
from pipeline.verify.html_values import chance, clock, format_value, moment
from pipeline.verify.types import LINES, ReleaseSummary, StripFrame, VerificationReport

VOID = {"meta", "img"}
HOSTILE = '"><script>alert(1)</script>\x1b[31m\u202egpj.exe\x00\udcff'


class Page(HTMLParser):
    """Reads a page, insisting that every tag closes; keeps tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        assert len({name for name, _ in attrs}) == len(attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        raise AssertionError(f"{tag} closes itself")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    @property
    def read(self) -> str:
        return "".join(text for tag, texts in self.texts.items() if tag != "style" for text in texts)


def jpeg(width: int = 32, height: int = 18) -> bytes:
    shade = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None] * np.ones((height, 1, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", shade)[1].tobytes())


def evidence(state: EvidenceState = EvidenceState.FOUND, **found: Any) -> dict[str, Evidence]:
    return {line: Evidence(state=state, summary=f"Sentence on {line}.", found=found) for line in LINES}


def report(**changes: Any) -> VerificationReport:
    values: dict[str, Any] = {
        "file": "clip.mp4", "verdict": FileVerdict.RECOVERED, "headline": "Made with Countermark.",
        "release": ReleaseSummary(id="r1", payload="4f1d22c09ab3e871", urn="urn:c2pa:1", state="released",
                                  published_at="2026-11-12T14:02:07+01:00"),
        "flags": ("visible-mark-removed",), "evidence": evidence(payload="4f1d22c09ab3e871"),
        "notes": ("A note.",), "media": {"width": 1280, "height": 720, "size_bytes": 2381224},
        "strip": (StripFrame(time=2.5, jpeg=jpeg(), boxes=((0.1, 0.1, 0.3, 0.2), (0.6, 0.7, 0.8, 0.75))),),
        "path": (((0.1, 0.2), (0.3, 0.25)), ((0.6, 0.7), (0.5, 0.8), (0.4, 0.7))),
        "checked_at": "2026-11-14T09:31:44Z", "seconds": 1.43,
    }  # fmt: skip
    return VerificationReport(**(values | changes))


def record(page: str) -> Any:
    return json.loads("".join(Page(page).texts["pre"]))


@pytest.mark.parametrize("verdict", FileVerdict)
def test_every_verdict_has_its_words_icon_and_limits(verdict: FileVerdict) -> None:
    page = Page(render([report(verdict=verdict)]))
    said = html_words.VERDICTS[verdict]
    for text in (said.word, said.means, said.not_means):
        assert text.replace("{service}", "Countermark") in page.read
    assert {"What this means", "What this does not mean"} <= set(page.texts["h3"])
    assert "{service}" not in page.read
    assert html_style.ICONS[verdict]


@pytest.mark.parametrize("state", EvidenceState)
def test_every_state_has_a_word_and_an_icon_of_its_own(state: EvidenceState) -> None:
    page = Page(render([report(evidence=evidence(state))]))
    assert [text.strip() for text in page.texts["td"]] == [html_words.STATES[state]] * len(LINES)
    unsettled = state in (EvidenceState.NOT_CHECKED, EvidenceState.FAILED)
    assert (html_words.OPEN_STATES in page.read) == unsettled


def test_icons_differ_so_that_colour_never_speaks_alone() -> None:
    for kind in (EvidenceState, FileVerdict):
        assert len({html_style.ICONS[member] for member in kind}) == len(kind)
    assert set(html_style.ICONS) == {*EvidenceState, *FileVerdict}


def test_own_words_never_judge_what_a_clip_shows() -> None:
    pages = render([report(verdict=verdict, flags=tuple(html_words.FLAGS)) for verdict in FileVerdict])
    assert not re.search(r"\b(real|fakes?|authentic\w*|genuine)\b", Page(pages).read, re.IGNORECASE)


def test_every_known_flag_is_explained_and_an_unknown_one_is_shown() -> None:
    page = Page(render([report(flags=(*html_words.FLAGS, "brand-new<"))], service="Ours & Co")).read
    for title, text in html_words.FLAGS.values():
        assert page.count(title) >= 2
        assert text.replace("{service}", "Ours & Co") in page
    assert "brand-new<" in page
    assert html_words.UNKNOWN_FLAG.replace("{service}", "Ours & Co") in page


def test_page_asks_for_nothing_and_runs_nothing() -> None:
    text = render([report(), report(file=HOSTILE, headline=HOSTILE)])
    page = Page(text)
    assert set(page.tags).isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base", "image"})
    for _, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("style", "srcset", "action", "poster", "background")
        if name in ("src", "href"):
            assert value is not None
            assert value.startswith("data:image/jpeg;base64," if name == "src" else "#file-")
    style = "".join(page.texts["style"])
    assert "url(" not in style
    assert "@import" not in style


def test_policy_allows_exactly_the_one_style_sheet() -> None:
    page = Page(render([report()]))
    contents = [value or "" for tag, name, value in page.attributes if (tag, name) == ("meta", "content")]
    policy = next(value for value in contents if value.startswith("default-src"))
    digest = base64.b64encode(hashlib.sha256("".join(page.texts["style"]).encode()).digest()).decode()
    assert policy.split("; ")[:3] == ["default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'"]
    assert "unsafe" not in policy


def test_hostile_name_is_shown_harmless_and_recorded_exactly() -> None:
    text = render([report(file=HOSTILE)])
    page = Page(text)
    assert page.texts["bdi"] == ['"><script>alert(1)</script>gpj.exe']
    assert "some characters of this name are not shown" in page.read
    assert record(text)["file"] == HOSTILE
    assert "unnamed file" in Page(render([report(file="\u202e\x00")])).read


ANY_TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=60) | st.sampled_from(
    [
        "</style><script>",
        "<!--",
        "]]>",
        "&lt;script&gt;",
        "&#60;b>",
        "' onload='x",
        "<\x1b[0mscript>",
        HOSTILE,
    ]
)


def filled(text: str) -> VerificationReport:
    found: Json = {
        "k" + text + "k": text,
        "payload": text,
        "log10_chance": text,
        "nested": {"k" + text: [text]},
    }
    return report(
        file=text, headline=text, flags=("f" + text,), notes=(text,), media={"m" + text: text},
        evidence={line: Evidence(state=EvidenceState.FOUND, summary=text, found=found) for line in LINES},
        release=ReleaseSummary(id=text, payload=text, urn=text, state=text, published_at="p" + text),
    )  # fmt: skip


@settings(max_examples=60)
@given(ANY_TEXT)
def test_no_text_changes_the_structure_of_the_page(text: str) -> None:
    page = render([filled(text)])
    assert Page(page).tags == Page(render([filled("x")])).tags
    categories = {unicodedata.category(character) for character in page if character != "\n"}
    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    page.encode("utf-8")
    assert record(page)["file"] == text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.sampled_from(
    ["payload", "log10_chance", "span", "size_bytes", "duration", "urn", "signed_at", "width"]
)


@settings(max_examples=80)
@given(st.dictionaries(KEYS | st.text(max_size=6), JSON_VALUES, max_size=6))
def test_values_of_any_kind_under_any_name_make_a_sound_page(found: dict[str, Any]) -> None:
    page = render([report(evidence=evidence() | {
        LINES[0]: Evidence(state=EvidenceState.FOUND, summary="", found=found)}, media=found)])  # fmt: skip
    assert set(record(page)["evidence"][LINES[0]]["found"]) == set(found)


def test_same_input_gives_the_same_page() -> None:
    assert render([report(), report(file="b")]) == render([report(), report(file="b")])


def test_many_files_have_contents_and_one_file_has_none() -> None:
    many = Page(render([report(file="a.mp4"), report(file="b.mp4", verdict=FileVerdict.NONE)]))
    anchors = {value for _, name, value in many.attributes if name == "id"}
    assert [value for tag, name, value in many.attributes if tag == "a" and name == "href"] == [
        "#file-1",
        "#file-2",
    ]
    assert {"file-1", "file-2"} <= anchors
    assert len(anchors) == sum(name == "id" for _, name, _ in many.attributes)
    assert "nav" not in Page(render([report()])).tags
    assert "No files checked" in Page(render([])).read


def test_headings_and_language_are_in_order() -> None:
    page = Page(render([report(), report()]))
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert ("html", "lang", "en") in page.attributes


def test_frames_carry_boxes_time_and_alternative_text() -> None:
    page = Page(render([report()]))
    alts = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert alts == ["Frame at 0:02.5; 2 places outlined where the visible mark must be.", ""]
    assert "0:02.5" in page.texts["figcaption"]
    edges = [value for tag, name, value in page.attributes if tag == "rect" and name == "x"][:4]
    assert edges == ["100.0", "100.0", "600.0", "600.0"]
    labels = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == 1
    assert "label as a solid line and the handle as a dashed line" in (labels[0] or "")


def test_unusable_frames_boxes_and_paths_are_left_out() -> None:
    strip = (
        StripFrame(time=1.0, jpeg=b"<svg onload=x>"),
        StripFrame(time=2.0, jpeg=jpeg(), boxes=((-1.0, 0.2, 3.0, 0.4), (math.nan, 0.0, 1.0, 1.0))),
    )
    page = Page(render([report(strip=strip, path=((), ((0.5, 0.5),)))]))
    assert page.tags.count("img") == 1
    rects = {name: value for tag, name, value in page.attributes if tag == "rect"}
    assert (rects["x"], rects["width"]) == ("0.0", "1000.0")
    assert "polyline" not in page.tags


def test_long_paths_are_thinned_and_keep_both_ends() -> None:
    way = tuple((index / 9999, 0.5) for index in range(10_000))
    page = Page(render([report(path=(way, way))]))
    points = (
        next(value for tag, name, value in page.attributes if (tag, name) == ("polyline", "points")) or ""
    )
    assert len(points.split()) <= 602
    assert points.split()[0].startswith("0.0,")
    assert points.split()[-1] == "1777.8,500.0"


def test_without_path_and_frames_there_is_no_section_about_them() -> None:
    assert "Where the visible mark must be" not in render([report(strip=(), path=())])
    frames_only = render([report(strip=(StripFrame(time=1.0, jpeg=jpeg()),), path=())])
    assert "Frames of the clip" in frames_only
    assert "Where the visible mark must be" not in frames_only


def test_an_untrusted_claims_values_are_called_unsupported() -> None:
    claimed = report(verdict=FileVerdict.UNTRUSTED_CLAIM, evidence=evidence(generator="Somebody"))
    assert "Content credential: stated by the file, not supported" in render([claimed])
    assert "not supported" not in render([report(evidence=evidence(generator="Somebody"))])


@pytest.mark.parametrize(
    ("exponent", "said"),
    [(-12.0, "at most 1 in 10^12 (a 1 with 12 zeros)"), (-12.9, "at most 1 in 10^12 (a 1 with 12 zeros)"),
     (-1.0, "at most 1 in 10^1 (a 1 with 1 zero)"),
     (-0.4, "no better than chance"), (0, "no better than chance")],
)  # fmt: skip
def test_chance_claims_no_more_than_the_bound(exponent: float, said: str) -> None:
    assert re.sub(r"<[^>]*>", "", chance(exponent) or "") == said


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("span", [1.2, 7.99], "0:01–0:07"), ("span", [59.9, 3661.0], "0:59–1:01:01"),
     ("size_bytes", 812, "812 bytes"), ("size_bytes", 2381224, "2.4 MB"), ("duration", 8.04, "0:08.0"),
     ("failures", [], "none"), ("mirrored", False, "no"), ("share", 0.96, "0.96")],
)  # fmt: skip
def test_values_read_as_people_write_them(key: str, value: Any, said: str) -> None:
    assert format_value(key, value) == said


def test_times_are_told_in_utc() -> None:
    assert moment("2026-11-12T14:02:07+01:00") == (
        '<time datetime="2026-11-12T13:02:07Z">12 November 2026, 13:02:07 UTC</time>'
    )
    for odd in ("yesterday<", "2026-11-12T14:02:07", "0001-01-01T00:00:00+14:00"):
        assert "<" not in moment(odd)
    assert clock(-3) == "0:00"
    assert clock(1.7e308) == clock(1e12)
    assert clock(0.3, tenths=True) == "0:00.3"


@pytest.mark.parametrize("scheme", [html_style.LIGHT, html_style.DARK])
def test_contrast_meets_wcag_aa(scheme: dict[str, str]) -> None:
    for ground in ("ground", "raised"):
        for ink in ("ink", "soft", "known", "caution", "open", "link"):
            assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two #rrggbb colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
