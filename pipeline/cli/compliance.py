"""`countermark compliance`: what labelling rules ask for, read back from the file."""

from pathlib import Path
from typing import Annotated, Final

import typer

from pipeline.cli import output
from pipeline.cli.verify import SIGNS
from pipeline.compliance.document import document
from pipeline.compliance.examine import examine
from pipeline.compliance.types import ComplianceReport, Row, Rule
from pipeline.errors import UsageError
from pipeline.settings import load
from pipeline.types import Evidence, EvidenceState
from pipeline.verify.opening import open_local

ALL: Final = "all"
NAMES: Final = {
    Rule.EU: "EU AI Act, article 50(2), and its Code of Practice", Rule.SB942: "California SB 942",
    Rule.GB45438: "China GB 45438-2025", Rule.IPTC: "IPTC photo and video metadata",
}  # fmt: skip
CAVEAT: Final = "From secondary sources: it says what the file carries, and is no legal advice."


def compliance(
    files: Annotated[list[Path], typer.Argument(help="Files to read back.", show_default=False)],
    rule: Annotated[str, typer.Option(help="eu, sb942, gb45438, iptc or all.")] = ALL,
    trust: Annotated[
        Path | None,
        typer.Option(help="Verifier bundle (from `keys export-verifier`) instead of the home's keys."),
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """List what labelling rules ask for, where the file carries it, and what would add the rest."""
    if rule not in (ALL, *Rule):
        raise UsageError(f"there is no rule {rule}; name one of {', '.join(Rule)} or {ALL}")
    rules = tuple(Rule) if rule == ALL else (Rule(rule),)
    reports: list[ComplianceReport] = []
    with open_local(load(home), trust) as verifier, output.bar("reading back") as bar:
        for file in files:

            def tell(line: str, evidence: Evidence | None, name: str = file.name) -> None:
                if evidence is None:
                    bar.step(f"{name}: {line.replace('_', ' ')}")

            reports.append(examine(file, verifier, rules, progress=bar.at, tell=tell))
            _say(reports[-1])
    if as_json:
        output.answer([document(found) for found in reports])
    return max(map(_status, reports), default=output.OK)


def _say(report: ComplianceReport) -> None:
    output.say(f"{report.file}: {report.verdict}", style="bold")
    output.say(f"  {CAVEAT}")
    for rule in dict.fromkeys(row.rule for row in report.rows):
        output.say(f"  {NAMES[rule]}", style="bold")
        for row in report.rows:
            if row.rule is rule:
                _say_row(row)
    for note in report.notes:
        output.say(f"  note: {note}")


def _say_row(row: Row) -> None:
    told = row.finding
    option = "" if row.required else ", an option"
    value = f": {told.value}" if told.value else ""
    where = f" [{'; '.join(told.where)}]" if told.where else ""
    output.say(f"    {SIGNS[told.state]} {row.field} ({row.asks}{option}){value}{where}")
    if told.state is not EvidenceState.FOUND:
        output.say(f"        {str(told.state).replace('_', ' ')}. {told.why} {row.remedy}")


def _status(report: ComplianceReport) -> int:
    """As `verify`: 1 where something required is absent or failed, 3 where it could not be looked at."""
    states = report.states()
    if not report.readable:
        return output.COULD_NOT
    if states & {EvidenceState.ABSENT, EvidenceState.FAILED}:
        return output.FOUND
    return output.COULD_NOT if EvidenceState.NOT_CHECKED in states else output.OK
