"""One file, read back: credential, labels and pictures, each by itself, and what they add up to by rule.

The credential is read once, by the verifier, which also asks whether its signer was revoked where that is
demanded. Everything is read from the file; what a registry knows of the release counts for the log's line
alone.
Hostile bytes are parsed in the sandbox child only.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pipeline.compliance import pictures
from pipeline.compliance.rules import judge
from pipeline.compliance.types import ComplianceReport, Facts, Opening, Rule
from pipeline.credentials.file_labels import FileLabels, read_labels
from pipeline.credentials.reading import CredentialReading
from pipeline.credentials.text import safe_text
from pipeline.errors import CountermarkError
from pipeline.media.limits import media_limits
from pipeline.types import FileVerdict
from pipeline.verify import types
from pipeline.verify.local import Progress, Tell, Verifier
from pipeline.verify.types import VerificationReport
from pipeline.verify.visible import layout_of_release
from watermark.visible import VisibleLayout


def examine(
    path: Path, verifier: Verifier, rules: Collection[Rule] = tuple(Rule),
    *, progress: Progress = lambda _done, _all: None, tell: Tell = lambda _line, _evidence: None,
) -> ComplianceReport:  # fmt: skip
    """What `path` carries of what the rules ask for; never raises for what is in it."""
    notes: list[str] = []
    report = verifier.verify(path, progress=progress, tell=tell)
    facts = Facts(
        report=report, credential=report.credential, labels=_labels(path, verifier, notes),
        opening=_opening(path, verifier, report, notes),
    )  # fmt: skip
    return ComplianceReport(
        file=report.file, verdict=str(report.verdict), readable=report.verdict is not FileVerdict.UNREADABLE,
        rows=judge(facts, rules), checked_at=report.checked_at,
        notes=tuple(dict.fromkeys(safe_text(note, 500) for note in (*report.notes, *notes))),
    )  # fmt: skip


def _labels(path: Path, verifier: Verifier, notes: list[str]) -> FileLabels | None:
    try:
        return read_labels(path, limits=verifier.settings.process_limits)
    except CountermarkError as error:
        notes.append(str(error))
        return None


def _opening(path: Path, verifier: Verifier, report: VerificationReport, notes: list[str]) -> Opening:
    if report.verdict is FileVerdict.UNREADABLE:
        return Opening()
    mark = _mark(report.credential)
    told = mark.get("style") if isinstance(mark.get("style"), dict) else None
    style: dict[str, Any] = told if mark and told is not None else {}
    if not mark:  # nobody says how it was drawn: as here, perhaps
        style = verifier.settings.mark_style
    try:
        frames = pictures.first_frames(path, media_limits(verifier.settings))
    except CountermarkError as error:
        notes.append(str(error))
        return Opening()
    return pictures.opening(
        frames, str(style.get("standing") or ""), light=bool(style.get("light")),
        layout=_layout(verifier, report, mark), told=bool(mark),
    )  # fmt: skip


def _mark(credential: CredentialReading | None) -> dict[str, Any]:
    """How the visible mark was drawn, as our own credential says."""
    found = ((credential.release if credential else None) or {}).get("visible_mark")
    return found if isinstance(found, dict) else {}


def _layout(verifier: Verifier, report: VerificationReport, mark: dict[str, Any]) -> VisibleLayout | None:
    """Of the moving mark, where the key and our credential tell it."""
    credential = report.credential
    if credential is None or credential.payload is None or not mark:
        return None
    epoch = report.evidence[types.HIDDEN_MARK].found.get("key_epoch")
    key = next((key for key in verifier.keys if key.epoch == epoch), None)
    return layout_of_release(key, credential.payload, mark) if key else None
