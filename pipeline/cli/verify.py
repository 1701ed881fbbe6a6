"""`countermark verify`: any file becomes a verification report."""

from dataclasses import replace
from pathlib import Path, PurePath
from typing import Annotated, Final

import typer

from pipeline.cli import output
from pipeline.errors import StorageFailed
from pipeline.settings import load
from pipeline.types import Evidence, EvidenceState, FileVerdict
from pipeline.verify.document import document
from pipeline.verify.opening import open_local
from pipeline.verify.types import VerificationReport

SIGNS: Final = {
    EvidenceState.FOUND: "+",
    EvidenceState.ABSENT: "-",
    EvidenceState.NOT_CHECKED: "?",
    EvidenceState.FAILED: "!",
}
NOTHING_WRONG: Final = (
    FileVerdict.INTACT, FileVerdict.RECOVERED, FileVerdict.FOREIGN, FileVerdict.NONE,
)  # fmt: skip
NO_ANSWER: Final = (FileVerdict.UNREADABLE, FileVerdict.INCONCLUSIVE)


def verify(
    files: Annotated[list[Path], typer.Argument(help="Files to verify.", show_default=False)],
    trust: Annotated[
        Path | None,
        typer.Option(help="Verifier bundle (from `keys export-verifier`) instead of the home's keys."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Also write an HTML report to this file.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Look for credential, hidden mark, visible mark and log entry, offline; say what they add up to."""
    settings = load(home)
    if report is not None:
        output.check_target(report, *files)
    reports: list[VerificationReport] = []
    with open_local(settings, trust) as verifier, output.bar("verifying") as bar:
        if verifier.interrupted:
            output.say(
                f"{verifier.interrupted} interrupted jobs wait in the home; the next guard goes on with them."
            )
        for file in files:

            def tell(line: str, evidence: Evidence | None, name: str = file.name) -> None:
                if evidence is None:
                    bar.step(f"{name}: {line.replace('_', ' ')}")

            found = verifier.verify(file, strip=report is not None, progress=bar.at, tell=tell)
            reports.append(found)
            _say(found)
    if report is not None:
        _write(report, reports, settings.service)
    if as_json:
        output.answer([document(found) for found in reports])
    return max(map(_status, reports), default=output.OK)


def _say(report: VerificationReport) -> None:
    output.say(f"{report.file}: {report.verdict}", style="bold")
    output.say(f"  {report.headline}")
    for line, evidence in report.evidence.items():
        output.say(f"  {SIGNS[evidence.state]} {line.replace('_', ' ')}: {evidence.summary}")
    for flag in report.flags:
        output.say(f"  ! {flag}")
    for note in report.notes:
        output.say(f"  note: {note}")


def _status(report: VerificationReport) -> int:
    if report.verdict in NO_ANSWER:
        return output.COULD_NOT
    failed = any(evidence.state is EvidenceState.FAILED for evidence in report.evidence.values())
    quiet = report.verdict in NOTHING_WRONG and not report.flags and not failed
    return output.OK if quiet else output.FOUND


def _write(target: Path, reports: list[VerificationReport], service: str) -> None:
    from pipeline.verify.html import render

    try:
        # The report is made to be sent: it names the file, not the folders of this machine.
        named = [replace(found, file=PurePath(found.file).name) for found in reports]
        target.write_text(render(named, service=service), encoding="utf-8")
    except OSError as error:
        raise StorageFailed(
            f"cannot write the report {target} ({error.strerror}); name another file"
        ) from None
    output.say(f"Report: {target}")
