"""A verification report as the JSON that commands print and the service answers."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from pipeline.types import Evidence
from pipeline.verify.types import HIDDEN_MARK, VISIBLE_MARK, VerificationReport
from pipeline.verify.words import COVERED
from watermark.detector import MAX_LOG10_CHANCE
from watermark.removal import Verdict

# What strangers may know of the marks. How strongly a mark was read, in which parts of the clip, how like the
# pictures are, or how long the search took, would tell a remover, one upload after another, whether an edit
# brings the detector nearer to silence (docs/threat-model.md).
TOLD_HIDDEN: Final = ("payload",)
TOLD_VISIBLE: Final = ()
BOUND: Final = (
    f"Found; an unmarked clip would be read so with a chance below 1 in 10^{-MAX_LOG10_CHANCE:.0f}."
)
# What is told of the visible mark, by the verdict of its line; why it was not checked is no secret.
VISIBLE: Final[dict[str, str]] = {
    Verdict.PRESENT: "The moving mark is at its place.",
    Verdict.REMOVED: "All or part of the moving mark is not where it must be: it was removed or covered.",
    Verdict.FORGED: (
        "A label like ours is there, but not as our marks say that it must be: somebody else drew it."
    ),
    Verdict.NONE: "No label like ours was seen, and there is no hidden mark.",
}


def document(report: VerificationReport) -> dict[str, Any]:
    """The JSON of one file."""
    release = report.release and {
        "id": report.release.id, "payload": report.release.payload, "urn": report.release.urn,
        "state": report.release.state, "published_at": report.release.published_at,
    }  # fmt: skip
    return {
        "file": report.file, "verdict": str(report.verdict), "headline": report.headline, "release": release,
        "flags": list(report.flags),
        "evidence": {
            line: {"state": str(evidence.state), "summary": evidence.summary, **evidence.found}
            for line, evidence in report.evidence.items()
        },
        "media": report.media, "notes": list(report.notes), "checked_at": report.checked_at,
        "seconds": report.seconds,
    }  # fmt: skip


def for_strangers(report: VerificationReport) -> VerificationReport:
    """The report for whoever has no API key: nothing of the marks but that they are there, and the payload.

    No strength, no place, no path, no likeness, and not how long it took.
    """
    lines = {line: line_for_strangers(line, evidence) for line, evidence in report.evidence.items()}
    strip = tuple(replace(frame, boxes=()) for frame in report.strip)
    notes = tuple(note for note in report.notes if note != COVERED)
    return replace(report, evidence=lines, notes=notes, strip=strip, path=(), seconds=None, credential=None)


def line_for_strangers(line: str, evidence: Evidence) -> Evidence:
    """One line of evidence for whoever has no API key."""
    if line == HIDDEN_MARK:
        return _only(evidence, TOLD_HIDDEN, BOUND if evidence.found.get("payload") else evidence.summary)
    if line == VISIBLE_MARK:
        told = VISIBLE.get(str(evidence.found.get("verdict")), evidence.summary)
        return _only(evidence, TOLD_VISIBLE, told)
    return evidence


def _only(evidence: Evidence, names: Collection[str], summary: str) -> Evidence:
    kept = {name: value for name, value in evidence.found.items() if name in names}
    return replace(evidence, found=kept, summary=summary)
