"""What whoever has no key is told: no number that an attacker could climb."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.types import Evidence, EvidenceState, FileVerdict, Json
from pipeline.verify import words
from pipeline.verify.content import Content, ContentMatch
from pipeline.verify.document import document, for_strangers
from pipeline.verify.html_page import render
from pipeline.verify.types import (
    CREDENTIAL,
    HIDDEN_MARK,
    LINES,
    LOG,
    VISIBLE_MARK,
    StripFrame,
    VerificationReport,
)
from watermark.base import Detection, Geometry

PAYLOAD = 0x1234567890ABCDEF
FOUND = Detection(
    payload=PAYLOAD, log10_chance=-23.4567, presence_log10_chance=-23.4567, span=(1.23, 9.87),
    geometry=Geometry(scale=1.4131, rotation=3.21, shift=(0.123, 0.321), time_offset=2.71, speed=1.087),
    key_epoch=1, frames=241, blocks=1, searched=1,
)  # fmt: skip
WEAK = Detection(
    payload=None, log10_chance=0.0, presence_log10_chance=-11.239, span=None, geometry=None, key_epoch=None,
    frames=241, blocks=1, searched=1,
)  # fmt: skip
PICTURES = ContentMatch(content=Content.UNDECIDED, structure=0.9371, least=0.8127, differs=1.379, moments=7)
# What strangers may be told in numbers: of the file itself, of the log, and when it was checked.
HARMLESS = {"media", "checked_at", "entry", "tree_size", "checked_seq", "payload", "ingredients"}


PRESENT = Evidence(
    state=EvidenceState.FOUND, summary="The moving mark is at its place in the first 12 s.",
    found={
        "verdict": "present", "score": 0.7654, "variant": 11, "present": [[0.0, 3.7]],
        "missing": [[3.7, 8.9]],
    },
)  # fmt: skip


def removed(summary: str) -> Evidence:
    found: Json = {"verdict": "removed", "score": 0.7654, "removed": [[3.71, 8.92]], "hole": 4.1}
    return Evidence(state=EvidenceState.ABSENT, summary=summary, found=found)


PARTLY = removed(
    "Part of the moving mark is missing (handle, 3.71 to 8.92 s): it was removed or covered. The hidden mark "
    "has a hole there."
)
WHOLLY = removed("The moving mark is not where it must be in the first 12 s: it was removed or covered.")


def report(detection: Detection, verdict: FileVerdict, visible: Evidence = PRESENT) -> VerificationReport:
    hidden = words.with_pictures(words.hidden_line(detection, failed=False), PICTURES)
    log = words.log_line(EvidenceState.FOUND, 12, 40)
    evidence = {
        CREDENTIAL: Evidence(state=EvidenceState.ABSENT, summary="None.", found={"recovered": False}),
        HIDDEN_MARK: hidden, VISIBLE_MARK: visible, LOG: log,
    }  # fmt: skip
    return VerificationReport(
        file="clip.mp4", verdict=verdict, headline="It carries a mark.", release=None, flags=(),
        evidence={line: evidence[line] for line in LINES}, notes=words.pictures_note(PICTURES),
        media={"width": 640, "height": 360, "seconds": 9.9}, checked_at="2026-11-28T10:00:00+00:00",
        strip=(StripFrame(time=1.65, jpeg=b"\xff\xd8", boxes=((0.117, 0.219, 0.331, 0.274),)),),
        path=(((0.4321, 0.1234),), ((0.9876, 0.6543),)), seconds=2.357,
    )  # fmt: skip


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every number in a document, under the name that holds it; harmless parts are left out."""
    if name in HARMLESS:
        return
    if isinstance(value, dict):
        for key, part in value.items():
            yield from numbers(part, key)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from numbers(part, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value
    elif isinstance(value, str):
        yield from ((name, digits) for digits in re.findall(r"\d+(?:\.\d+)?", value))


CASES = [(FOUND, FileVerdict.RECOVERED_UNCONFIRMED), (WEAK, FileVerdict.TRACES)]


@pytest.mark.parametrize("visible", [PRESENT, PARTLY, WHOLLY])
@pytest.mark.parametrize(("detection", "verdict"), CASES)
def test_the_public_document_holds_no_number_to_climb(
    detection: Detection, verdict: FileVerdict, visible: Evidence
) -> None:
    told = json.loads(json.dumps(document(for_strangers(report(detection, verdict, visible)))))
    # the bound that holds for whatever is accepted is the same for everybody; the file is called clip.mp4
    constant = {"summary": {"1", "10", "9", "12"}, "file": {"4"}}
    found = [(name, str(value)) for name, value in numbers(told)]
    assert [one for one in found if one[1] not in constant.get(one[0], set())] == []


def test_where_and_how_the_visible_mark_was_removed_makes_no_difference() -> None:
    reports = [for_strangers(report(FOUND, FileVerdict.RECOVERED, visible)) for visible in (PARTLY, WHOLLY)]
    one, other = (document(told) for told in reports)
    assert one == other
    assert one["notes"] == []  # not even whether it is the release but for something that was covered
    assert "removed or covered" in one["evidence"][VISIBLE_MARK]["summary"]
    pages = [render([told], service="example") for told in reports]
    assert [
        word for page in pages for word in ("3.71", "handle,", "hole there", "It shows the") if word in page
    ] == []


def test_whoever_has_a_key_sees_them() -> None:
    told = document(report(FOUND, FileVerdict.RECOVERED_UNCONFIRMED))
    hidden, visible = told["evidence"][HIDDEN_MARK], told["evidence"][VISIBLE_MARK]
    assert (hidden["log10_chance"], hidden["span"]) == (-23.5, [1.23, 9.87])
    assert (hidden["structure"], hidden["differs"], hidden["pictures"]) == (0.937, 1.379, "undecided")
    assert visible["score"] == 0.7654
    assert told["notes"] == [words.COVERED]
    assert "12 s" in visible["summary"]
    assert told["seconds"] == 2.357


@pytest.mark.parametrize(("detection", "verdict"), CASES)
def test_neither_does_the_page(detection: Detection, verdict: FileVerdict) -> None:
    whole = report(detection, verdict)
    public = for_strangers(whole)
    page, full = (render([one], service="example") for one in (public, whole))
    secret = ("23.4", "23.5", "11.2", "1.23", "9.87", "0.9371", "0.937", "0.8127", "1.379", "0.7654",
              "1.4131", "3.21", "2.71", "1.087", "0.4321", "0.1234", "0.117", "2.357", "2.4 s")  # fmt: skip
    assert [number for number in secret if number in page] == []
    assert [number for number in secret if number in full] != []


def test_how_certain_a_mark_is_makes_no_difference() -> None:
    from dataclasses import replace

    strong = replace(FOUND, log10_chance=-99.0, presence_log10_chance=-99.0, span=(0.0, 5.0), frames=3)
    one, other = (document(for_strangers(report(found, FileVerdict.RECOVERED))) for found in (FOUND, strong))
    assert one == other
