"""What checks find in clips and pictures, as commands print it and routes answer it."""

from collections.abc import Mapping

from classifiers.base import Finding
from classifiers.unsafe.taxonomy import category_of
from pipeline.policy import SCORES
from pipeline.types import Json
from registry.subject_types import SubjectRecord


def found_json(finding: Finding, subjects: Mapping[str, SubjectRecord]) -> Json:
    """A finding: by which check, whom it concerns, how strong, when and where."""
    return {
        "check": finding.check, "code": finding.code, "subject": finding.subject,
        **_about(finding.subject, subjects), "score": finding.score, "threshold": finding.threshold,
        "probability": finding.probability, "reference": finding.reference, "quote": finding.quote,
        "times": list(finding.times), "boxes": [list(box) for box in finding.boxes],
    }  # fmt: skip


def found_for_callers(finding: Finding, subjects: Mapping[str, SubjectRecord]) -> Json:
    """The same for somebody else's program: scores of unsafe findings are null."""
    told = found_json(finding, subjects)
    return told if category_of(finding.code) is None else told | dict.fromkeys(SCORES)


def _about(subject: str, subjects: Mapping[str, SubjectRecord]) -> Json:
    """Name, kind and owner of a subject; nothing of what concerns nobody."""
    if not subject:
        return {}
    record = subjects[subject]
    return {"name": record.name, "kind": record.kind, "owner": record.owner}
