"""One verified file for a person: no script, nothing loaded from anywhere; `html_page` puts pages around it.

Rules: (1) first the verdict, then what it means and does not mean, then the evidence, then the details, then
the raw record; (2) everything that came from a file or a service is cleaned and escaped where it is written;
(3) a word and a shape beside every colour.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.credentials.text import safe_text
from pipeline.types import Evidence, EvidenceState, FileVerdict, Json, JsonValue
from pipeline.verify import html_style as style
from pipeline.verify import html_words as speech
from pipeline.verify.html_markup import NOTHING, Html, element, join, shown, words
from pipeline.verify.html_pictures import pictures
from pipeline.verify.html_values import KEY_VALUES, media_list, moment, value_list
from pipeline.verify.types import CREDENTIAL, LINES, VerificationReport

REPORT_VERSION: Final = 1
FILE_NAME_CHARS: Final = 200
MAX_RECORD_CHARS: Final = 400_000
UNNAMED: Final = "unnamed file"
# A list of numbers in indented JSON. Strings hold no line breaks there, so none of them can match.
NUMBERS: Final = re.compile(r"\[\n\s+[-+.eE0-9]+(?:,\n\s+[-+.eE0-9]+)*\n\s+\]")
PLACES: Final = 4  # decimals of a share of the frame: a tenth of a pixel at 1080p


def article(
    report: VerificationReport, service: str, place: int = 1, *, wide: bool = False,
    sha256: str | None = None,
) -> Html:  # fmt: skip
    """One report, without the page around it, for a page that brings `html_style.STYLE`.

    `service`: the name of the service that releases clips, shown wherever the words need it. `place`: its
    number on the page. `wide`: the details start open. `sha256`: of the file, in hex. `media` may hold
    ``width`` and ``height`` in pixels, which give the drawing its shape. Each member of a report's `path` is
    one plate's way, label first: centres over time in shares of the frame. Evidence values named ``payload``,
    ``log10_chance`` and ``span`` ([first, last] second) are shown in the table, all others below it.
    """
    return _file(report, place, safe_text(service) or "Countermark", wide=wide, sha256=sha256)


def how(service: str, key: str | None = None) -> Html:
    """How we know, and how often we are wrong, for the same page. `key`: name of the key that signs it."""
    return _how(safe_text(service) or "Countermark", key)


def name(report: VerificationReport) -> str:
    """What a person reads as the file's name."""
    return safe_text(report.file, FILE_NAME_CHARS) or UNNAMED


def verdict_chip(verdict: FileVerdict, chip: str = "") -> Html:
    """A verdict's word and shape."""
    said = speech.VERDICTS[verdict]
    return element("span", style.icon(*style.ICONS[verdict]), words(" " + said.word),
                   class_=f"{chip}{said.tone}")  # fmt: skip


def _file(report: VerificationReport, place: int, service: str, *, wide: bool, sha256: str | None) -> Html:
    """One file, from the verdict down to the raw record."""
    return element(
        "article",
        _opening(report, place, sha256),
        _flags(report.flags, service),
        _meaning(report.verdict, service),
        _evidence(report),
        pictures(report),
        _details(report, wide=wide),
        _record(report),
        class_="file", id=f"file-{place}", aria_labelledby=f"headline-{place}",
    )  # fmt: skip


def _opening(report: VerificationReport, place: int, sha256: str | None) -> Html:
    cleaned = "" if safe_text(report.file, FILE_NAME_CHARS) == report.file else (
        " (some characters of this name are not shown; the record below has all of them)")  # fmt: skip
    flags = (
        element("span", style.icon(*style.FLAG_ICON), _flag_word(flag), class_="chip flag caution")
        for flag in report.flags
    )
    return element(
        "div",
        element("p", element("bdi", words(name(report))), words(cleaned), class_="name"),
        _digest(sha256),
        element("h2", shown(report.headline), class_="headline", id=f"headline-{place}"),
        element("p", verdict_chip(report.verdict, "chip "), *flags, class_="chips"),
    )


def _digest(sha256: str | None) -> Html:
    """What ties the page to the bytes of a file, on paper too."""
    return NOTHING if sha256 is None else element(
        "p", words("SHA-256 "), element("code", words(sha256)), class_="soft")  # fmt: skip


def _flag_word(flag: str) -> Html:
    return words(speech.FLAGS[flag][0]) if flag in speech.FLAGS else shown(flag, 60)


def _flags(flags: Sequence[str], service: str) -> Html:
    if not flags:
        return NOTHING
    rows = (
        element("li", element("h3", _flag_word(flag)),
                element("p", _said(speech.FLAGS.get(flag, ("", speech.UNKNOWN_FLAG))[1], service)))
        for flag in flags
    )  # fmt: skip
    return element("ul", *rows, class_="flags", aria_label="Warnings")


def _said(text: str, service: str) -> Html:
    return words(text.replace("{service}", service))


def _meaning(verdict: FileVerdict, service: str) -> Html:
    said = speech.VERDICTS[verdict]
    return element(
        "div",
        element("div", element("h3", words("What this means")), element("p", _said(said.means, service))),
        element("div", element("h3", words("What this does not mean")),
                element("p", _said(said.not_means, service))),
        class_="meaning",
    )  # fmt: skip


def _evidence(report: VerificationReport) -> Html:
    # Phones lay the table out as a grid, which drops its meaning in some browsers: roles keep it.
    heads = (element("th", words(head), scope="col", role="columnheader")
             for head in ("Line of evidence", "State", "What was found"))  # fmt: skip
    table = element(
        "table",
        element("caption", words("Four lines of evidence")),
        element("thead", element("tr", *heads, role="row"), role="rowgroup"),
        element("tbody", *(_line(line, report.evidence[line]) for line in LINES), role="rowgroup"),
        class_="evidence", role="table",
    )  # fmt: skip
    unsettled = {EvidenceState.NOT_CHECKED, EvidenceState.FAILED}
    some = any(line.state in unsettled for line in report.evidence.values())
    return element("div", table, element("p", words(speech.OPEN_STATES), class_="after") if some else NOTHING)


def _line(line: str, evidence: Evidence) -> Html:
    said = speech.LINES_OF_EVIDENCE[line]
    state = join(style.icon(*style.ICONS[evidence.state]), words(" " + speech.STATES[evidence.state]))
    return element(
        "tr",
        element("th", words(said.title), element("span", words(said.what)), scope="row", role="rowheader"),
        element("td", state, class_=f"state {speech.TONES.get(evidence.state, speech.OPEN)}", role="cell"),
        element("td", element("p", shown(evidence.summary)), value_list(evidence.found, KEY_VALUES),
                role="cell"),
        role="row",
    )  # fmt: skip


def _details(report: VerificationReport, *, wide: bool) -> Html:
    inside = [part for part in (
        _release(report), *(_found(report, line) for line in LINES),
        _section("The file", media_list(report.media)), _notes(report.notes), _checked(report),
    ) if part]  # fmt: skip
    return element("details", _summary("Details", "release, values, file, notes"),
                   element("div", *inside, class_="inside"), open=wide)  # fmt: skip


def _summary(title: str, contains: str) -> Html:
    return element("summary", words(title + " "), element("span", words(contains)))


def _section(title: str, content: Html) -> Html:
    return element("section", element("h3", words(title)), content) if content else NOTHING


def _release(report: VerificationReport) -> Html:
    release = report.release
    if release is None:
        return NOTHING
    values: Json = {"id": release.id, "payload": release.payload, "urn": release.urn,
                    "state": release.state, "published_at": release.published_at}  # fmt: skip
    return _section("The release", value_list(values))


def _found(report: VerificationReport, line: str) -> Html:
    """What a line of evidence found beyond what the table shows."""
    found = report.evidence[line].found
    rest = {key: value for key, value in found.items() if key not in KEY_VALUES}
    claim = line == CREDENTIAL and report.verdict is FileVerdict.UNTRUSTED_CLAIM
    title = speech.LINES_OF_EVIDENCE[line].title + (": stated by the file, not supported" if claim else "")
    return _section(title, value_list(rest))


def _notes(notes: Iterable[str]) -> Html:
    rows = [element("li", shown(note)) for note in notes]
    return _section("Notes", element("ul", *rows) if rows else NOTHING)


def _checked(report: VerificationReport) -> Html:
    known = report.seconds is not None and math.isfinite(report.seconds)
    took = f"; the check took {max(report.seconds or 0.0, 0.0):.1f} s." if known else "."
    return _section("The check", element("p", words("Checked on "), moment(report.checked_at), words(took)))


def _record(report: VerificationReport) -> Html:
    text = json.dumps(_plain(_document(report)), indent=2, sort_keys=True, allow_nan=False)
    text = NUMBERS.sub(lambda found: " ".join(found[0].split()), text)
    if len(text) > MAX_RECORD_CHARS:
        text = text[:MAX_RECORD_CHARS] + "\n… cut here: the record is too long for this page."
    about = words(
        "The whole record. Characters beyond ASCII are written as \\u codes, so that none can hide."
    )
    return element("details", _summary("Forensic record", "JSON, for specialists"),
                   element("div", element("p", about, class_="soft"),
                           element("pre", words(text), tabindex="0", aria_label="Forensic record as JSON"),
                           class_="inside"))  # fmt: skip


def _document(report: VerificationReport) -> dict[str, object]:
    release = report.release
    return {
        "report_version": REPORT_VERSION,
        "file": report.file, "verdict": report.verdict.value, "headline": report.headline,
        "release": release and {"id": release.id, "payload": release.payload, "urn": release.urn,
                                "state": release.state, "published_at": release.published_at},
        "flags": report.flags, "notes": report.notes, "media": report.media,
        "evidence": {line: {"state": one.state.value, "summary": one.summary, "found": one.found}
                     for line, one in report.evidence.items()},
        "strip": [{"time": frame.time, "boxes": _rounded(frame.boxes), "bytes": len(frame.jpeg),
                   "sha256": hashlib.sha256(frame.jpeg).hexdigest()} for frame in report.strip],
        "path_points": [len(way) for way in report.path],
        "checked_at": report.checked_at, "seconds": report.seconds,
    }  # fmt: skip


def _rounded(boxes: Iterable[Iterable[float]]) -> list[list[float]]:
    return [[round(edge, PLACES) for edge in box] for box in boxes]


def _plain(value: object) -> JsonValue:
    """`value` as JSON; infinities and not-a-number, which JSON lacks, become text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, str | int) else str(value)


def _how(service: str, key: str | None) -> Html:
    lines = (
        element("li", element("h3", words(said.title)), element(
            "div",
            element("p", element("b", words("How we know")), words(said.know)),
            element("p", element("b", words("How it can be wrong")), words(said.wrong)),
        ))
        for said in speech.LINES_OF_EVIDENCE.values()
    )  # fmt: skip
    return element(
        "footer",
        element("h2", words("How we know, how often we are wrong")),
        element("p", words(speech.HOW_INTRO)),
        element("p", words(speech.SCOPE)),
        element("ul", *lines),
        element("h3", words("Keeping this report")),
        element("p", _keeping(service, key)),
        class_="how",
    )


def _keeping(service: str, key: str | None) -> Html:
    return _said(speech.KEEPING if key is None else speech.KEEPING_SIGNED.replace("{key}", key), service)
