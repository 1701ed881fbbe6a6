"""Signed reports: what holds, and that nothing on them can be changed without being noticed."""

import base64
import copy
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.credentials.report_key import ReportSigner
from pipeline.errors import ReportUnreadable
from pipeline.types import Evidence, EvidenceState, FileVerdict
from pipeline.verify import dsse
from pipeline.verify.document import for_strangers
from pipeline.verify.html_page import END, PAGE_FORMAT, PAGE_TYPE, Stated, data_block, render
from pipeline.verify.report_check import State, check
from pipeline.verify.statement import TYPE, AtHand, Checker, FileDigest, payload, signed, statement
from pipeline.verify.types import LINES, ReleaseSummary, VerificationReport

OURS, THEIRS = ReportSigner(secret=bytes(32)), ReportSigner(secret=b"\1" * 32)
KNOWN = [OURS.key]
FILE = FileDigest(sha256="ab" * 32, size=1234)
HAVING = AtHand(epochs=(1, 2), mints=True, trust="cd" * 32, log_key="log-1", registry="read", head=7,
                checkpoint="origin\n7\nroot\n\nsigned\n")  # fmt: skip
HOSTILE = '</pre></article><script>alert(1)</script><pre hidden data-format="countermark-report/1">{}</pre>'
SCORES = {
    "hidden_mark": {"payload": "4f1d22c09ab3e871", "log10_chance": -31.7, "span": [0.0, 3.0], "frames": 36},
    "visible_mark": {"verdict": "present", "hole": 4.2, "left": 0.7, "places": [[0.1, 0.2, 0.3, 0.4]]},
}


def report(name: str = "clip.mp4") -> VerificationReport:
    return VerificationReport(
        file=name, verdict=FileVerdict.RECOVERED, headline="Released by us.", flags=("withdrawn-release",),
        release=ReleaseSummary(id="r1", payload="4f1d22c09ab3e871", urn="urn:c2pa:1", state="withdrawn",
                               published_at="2026-11-12T14:02:07+00:00"),
        evidence={line: Evidence(state=EvidenceState.FOUND, summary=f"Of {line}.", found=SCORES.get(line, {}))
                  for line in LINES},
        notes=("A note.",), media={"width": 480, "frame_rate": 12.5}, strip=(), path=(),
        checked_at="2026-11-29T12:00:00+00:00", seconds=1.25,
    )  # fmt: skip


def told(name: str = "clip.mp4", signer: ReportSigner | None = OURS) -> dict[str, Any]:
    return statement(
        report(name), FILE, HAVING, Checker(service="ours", version="1", signer=signer), "everybody"
    )


def envelope(document: dict[str, Any] | None = None, signer: ReportSigner = OURS) -> dict[str, Any]:
    return signed(document or told(), signer)


def judged(document: Any, known: Any = KNOWN) -> Any:
    [one] = check(json.dumps(document).encode(), known).statements
    return one


def with_payload(document: dict[str, Any]) -> dict[str, Any]:
    """Somebody changes the statement and leaves the signature."""
    return envelope() | {"payload": base64.b64encode(payload(document)).decode()}


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from places(inner, (*way, key))


def test_the_bytes_that_are_signed_are_those_of_the_standard() -> None:
    # The example of the DSSE protocol.
    wanted = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == wanted


def test_a_report_holds_and_names_its_file() -> None:
    one = judged(envelope())
    assert (one.state, one.key) == (State.HOLDS, OURS.key)
    assert one.told.model_dump() == told()
    assert one.is_about(FILE)
    for other in (FileDigest(sha256="ac" * 32, size=1234), FileDigest(sha256="ab" * 32, size=1235)):
        assert not one.is_about(other)


def test_no_field_can_be_changed_added_or_removed() -> None:
    original, count = told(), 0
    for way in places(original):
        for change in ("other", "gone", "more"):
            document = copy.deepcopy(original)
            inside = document
            for key in way[:-1]:
                inside = inside[key]
            if change == "other":
                inside[way[-1]] = "another value"
            elif change == "gone":
                del inside[way[-1]]
            elif isinstance(inside, dict):
                inside["added"] = 1
            else:
                inside.append(1)
            one, count = judged(with_payload(document)), count + 1
            assert one.state is State.BROKEN, (way, change)
            assert not one.is_about(FILE)
    assert count > 150


@pytest.mark.parametrize("part", ["payloadType", "payload", "sig"])
def test_no_part_of_the_envelope_can_be_changed(part: str) -> None:
    document = envelope()
    if part == "payloadType":
        document[part] += "x"
    elif part == "payload":
        document[part] = base64.b64encode(b" " + base64.b64decode(document[part])).decode()
    else:
        signature = bytearray(base64.b64decode(document["signatures"][0]["sig"]))
        signature[5] ^= 1
        document["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    assert judged(document).state is State.BROKEN


def test_the_key_that_an_envelope_names_is_a_hint() -> None:
    document = envelope()
    document["signatures"][0]["keyid"] = THEIRS.key.id
    assert judged(document).state is State.HOLDS


def test_another_key_is_unknown_and_may_not_speak_for_ours() -> None:
    assert judged(envelope(told(signer=THEIRS), THEIRS)).state is State.UNKNOWN_KEY
    assert judged(envelope(), []).state is State.UNKNOWN_KEY
    # Signed by a known key, but the statement says that another one signed it.
    assert judged(envelope(told(signer=OURS), THEIRS), [THEIRS.key, OURS.key]).state is State.BROKEN


def test_something_else_signed_with_the_key_is_no_report() -> None:
    page = dsse.seal("application/vnd.countermark.report-page+json", payload(told()), OURS)
    assert judged(page).state is State.BROKEN


def test_without_a_key_it_says_so_and_counts_for_nothing() -> None:
    bare = signed(told(signer=None), None)
    assert bare["checker"]["key"] is None
    one = judged(bare)
    assert (one.state, one.is_about(FILE)) == (State.UNSIGNED, False)
    result = check(json.dumps(bare).encode(), KNOWN)
    assert not result.holds
    assert not result.wrong


def test_one_envelope_on_each_line() -> None:
    lines = [envelope(told(name)) for name in ("a", "b", "c")]
    lines[1] = with_payload(told("x"))
    result = check("".join(json.dumps(line) + "\n" for line in lines).encode(), KNOWN)
    assert [one.state for one in result.statements] == [State.HOLDS, State.BROKEN, State.HOLDS]
    assert result.wrong
    assert not result.holds


@pytest.mark.parametrize("line", ["{", "{}", "null", "[" * 100_000])
def test_a_damaged_line_spoils_the_file_and_not_the_others(line: str) -> None:
    result = check(f"{json.dumps(envelope())}\n{line}\n".encode(), KNOWN)
    assert [one.state for one in result.statements] == [State.HOLDS, State.BROKEN]
    with pytest.raises(ReportUnreadable):
        check(f"{line}\n{line}".encode(), KNOWN)


def test_a_strangers_statement_holds_no_scores() -> None:
    checker = Checker(service="ours", version="1", signer=OURS)
    document = statement(for_strangers(report()), FILE, HAVING, checker, "everybody")
    keys = {str(key) for way in places(document) for key in way}
    assert not keys & {"log10_chance", "span", "frames", "hole", "left", "places"}
    assert document["report"]["seconds"] is None
    assert {"log10_chance", "hole"} <= {str(key) for way in places(told()) for key in way}


def page(*names: str, signer: ReportSigner | None = OURS) -> bytes:
    reports = [report(name) for name in names]
    stated = [
        Stated(sha256=FILE.sha256, envelope=signed(told(name, signer), signer) if signer else None)
        for name in names
    ]
    return render(reports, service="ours", signer=signer, stated=stated).encode()


PAGE = page("clip.mp4")


def test_a_page_carries_its_reports() -> None:
    result = check(page("a.mp4", "b.mp4"), KNOWN)
    assert result.holds
    assert result.page is State.HOLDS
    assert [one.told and one.told.file.name for one in result.statements] == ["a.mp4", "b.mp4"]
    assert check(page("a.mp4"), [THEIRS.key]).page is State.UNKNOWN_KEY
    bare = check(page("a.mp4", signer=None), KNOWN)
    assert (bare.page, bare.statements, bare.holds) == (State.UNSIGNED, (), False)


@settings(max_examples=60)
@given(st.integers(0, len(PAGE) - 1), st.integers(1, 255))
def test_no_byte_of_a_page_can_be_changed(at: int, flip: int) -> None:
    changed = bytearray(PAGE)
    changed[at] ^= flip
    try:
        result = check(bytes(changed), KNOWN)
    except ReportUnreadable:
        return
    assert result.page is not State.HOLDS
    assert not result.holds


def test_a_page_cannot_be_added_to_or_cut() -> None:
    seal_at = PAGE.rindex(b"<pre hidden data-format=")
    for changed in (
        PAGE + b"<p>and more</p>", PAGE[:-1], PAGE[:seal_at] + b"</body></html>\n",
        PAGE[:seal_at] + b"<p>more</p>" + PAGE[seal_at:], b"<!DOCTYPE html>\n" + PAGE[16:].lower(),
        page("other.mp4")[: page("other.mp4").rindex(b"<pre hidden data-format=")] + PAGE[seal_at:],
    ):  # fmt: skip
        result = check(changed, KNOWN)
        assert result.page is State.BROKEN
        assert not result.holds


def test_a_changed_page_does_not_spoil_its_statements() -> None:
    result = check(PAGE.replace(b"Released by us.", b"Never released!"), KNOWN)
    assert (result.page, [one.state for one in result.statements]) == (State.BROKEN, [State.HOLDS])
    assert result.wrong


@pytest.mark.parametrize("name", [HOSTILE, "&quot;&lt;pre&gt;", "\u202egpj.exe\x00", "</body></html>\n"])
def test_hostile_names_stay_names(name: str) -> None:
    result = check(page(name, "b.mp4"), KNOWN)
    assert result.holds
    assert [one.told and one.told.file.name for one in result.statements] == [name, "b.mp4"]


@settings(max_examples=60)
@given(
    st.binary(max_size=60)
    | st.sampled_from([b"[]", b"{}", b"null", b"<!DOCTYPE html>x", b"[" * 100_000, b'{"format": 1}',
                       b'{"format": "countermark-report/1"}', b"\n\n", b"",
                       b'{"payloadType": "\\ud800", "payload": "", "signatures": [{"sig": ""}]}'])
)  # fmt: skip
def test_what_is_no_report_is_refused_or_does_not_hold(content: bytes) -> None:
    try:
        result = check(content, KNOWN)
    except ReportUnreadable:
        return
    assert not result.holds


def test_a_seal_of_another_type_is_none() -> None:
    at = PAGE.rindex(b"<pre hidden data-format=")
    whole = {"format": PAGE_FORMAT, "sha256": hashlib.sha256(PAGE[:at]).hexdigest(), "bytes": at}
    for kind, wanted in ((PAGE_TYPE, State.HOLDS), (TYPE, State.BROKEN)):
        block = data_block(PAGE_FORMAT, dsse.seal(kind, json.dumps(whole).encode(), OURS))
        assert check(PAGE[:at] + block.encode() + END, KNOWN).page is wanted
