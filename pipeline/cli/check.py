"""`countermark check`: what a clip or pictures show, compared with who opted out. Nothing is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.appeals import appeal
from pipeline.cli import output
from pipeline.errors import CountermarkError, HomeUnusable, LimitExceeded, UsageError
from pipeline.policy import NOT_CHECKED
from pipeline.settings import load
from pipeline.telling import line
from pipeline.types import Decision, Verdict

if TYPE_CHECKING:
    from classifiers.base import CheckReport
    from pipeline.checks import Looked
    from pipeline.watch import Watch

PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
MAX_PICTURES: Final = 2000
ORDER: Final = (Verdict.ALLOW, Verdict.REVIEW, Verdict.BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One clip or picture: what was found, and the decision; or why it could not be looked at."""

    file: str
    reports: "tuple[CheckReport, ...]" = ()
    decision: Decision | None = None
    error: CountermarkError | None = None


def check(
    path: Annotated[Path, typer.Argument(help="A clip, a picture, or a folder of pictures.")],
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Compare what a clip or pictures show with everybody who opted out: characters, works, faces."""
    from pipeline.watch import open_watch

    settings = load(home)
    if not settings.has_registry:
        raise HomeUnusable(f"{settings.home} has no registry; name a home, or begin one with: optout add")
    with open_watch(settings) as watch, output.bar("looking") as bar:
        if _is_pictures(path):
            judged = list(_pictures(path, watch))
        else:
            judged = [_judged(path.name, watch.look(path, bar.at), watch)]
        document = _document(judged, watch)
    _say(document, judged, settings.contact)
    if as_json:
        output.answer(document)
    return _status(judged)


def _is_pictures(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in PICTURES


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    if not found:
        raise UsageError(f"{path} has no picture ending in {', '.join(PICTURES)}")
    if len(found) > MAX_PICTURES:
        raise LimitExceeded(f"{path} has {len(found)} pictures; check at most {MAX_PICTURES} at a time")
    return found


def _pictures(path: Path, watch: "Watch") -> Iterator[Judged]:
    """Each picture on its own, as a single frame."""
    files = _files(path)
    for file, found in zip(files, watch.look_at_pictures(files), strict=True):
        if isinstance(found, CountermarkError):
            yield Judged(file=file.name, error=found)
        else:
            yield _judged(file.name, found, watch)


def _judged(name: str, looked: "Looked", watch: "Watch") -> Judged:
    reports, decision = watch.judge(looked)
    return Judged(file=name, reports=reports, decision=decision)


def _document(judged: Sequence[Judged], watch: "Watch") -> dict[str, Any]:
    verdicts = [one.decision.verdict if one.decision else Verdict.REVIEW for one in judged]
    findings = [
        {"file": one.file, **watch.told(finding)}
        for one in judged
        for report in one.reports
        for finding in report.findings
    ]
    return {
        "verdict": str(max(verdicts, key=ORDER.index)), "findings": findings, "checks": _checks(judged),
        "failed": [{"file": one.file, "message": str(one.error)} for one in judged if one.error],
        "registry_seq": watch.seq,
    }  # fmt: skip


def _checks(judged: Sequence[Judged]) -> dict[str, Any]:
    """For each check its worst state over the files, why, and the best score of each of its layers."""
    checks: dict[str, Any] = {}
    for report in (report for one in judged for report in one.reports):
        told = checks.setdefault(report.check, {"state": str(report.state), "detail": "", "scores": {}})
        if report.detail:
            told.update(state=str(report.state), detail=report.detail)
        for layer, score in report.scores.items():
            told["scores"][layer] = max(score, told["scores"].get(layer, score))
    for name in _unset(judged):
        checks.setdefault(name, {"state": NOT_CHECKED, "detail": "no model for it is set", "scores": {}})
    return checks


def _unset(judged: Sequence[Judged]) -> list[str]:
    """The checks for which no model is set up."""
    told = [one.decision.checks for one in judged if one.decision]
    return sorted({name for each in told for name, state in each.items() if state == NOT_CHECKED})


def _say(document: dict[str, Any], judged: Sequence[Judged], contact: str | None) -> None:
    for one in judged:
        if one.error:
            output.say(f"{one.file}: could not be looked at: {one.error}")
            continue
        reasons = one.decision.reasons if one.decision else ()
        output.say(f"{one.file}: {'nothing found' if not reasons else 'found'}", style="bold")
        for reason in reasons:
            output.say(f"  {line(reason.check, reason.detail, reason.evidence)}")
    unset = _unset(judged)
    if unset:
        output.say(f"Not checked: {', '.join(unset)}.")
    if any(one.decision and one.decision.reasons for one in judged):
        output.say(appeal(contact))
    output.say(f"Compared with the registry at {document['registry_seq']}.")


def _status(judged: Sequence[Judged]) -> int:
    if any(one.error or not _completed(one) for one in judged):
        return output.COULD_NOT
    return output.FOUND if any(report.findings for one in judged for report in one.reports) else output.OK


def _completed(judged: Judged) -> bool:
    return all(str(report.state) == "completed" for report in judged.reports)
