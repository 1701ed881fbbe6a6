"""What `verify` and `report` say to people: the lines of one file, the table over many."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rich.table import Table

from pipeline.cli import output
from pipeline.credentials.text import safe_text
from pipeline.types import EvidenceState, FileVerdict
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
DETAILED: Final = 10  # files; of more, one line each
LISTED: Final = 200  # files that are not fine, by name


def status(report: VerificationReport) -> int:
    """The exit code of one file."""
    if report.verdict in NO_ANSWER:
        return output.COULD_NOT
    failed = any(evidence.state is EvidenceState.FAILED for evidence in report.evidence.values())
    quiet = report.verdict in NOTHING_WRONG and not report.flags and not failed
    return output.OK if quiet else output.FOUND


def say(report: VerificationReport, *, detailed: bool) -> None:
    """One file: its verdict, and with `detailed` the evidence."""
    if not detailed:
        flags = "".join(f" ! {flag}" for flag in report.flags)
        output.say(f"{report.file}: {report.verdict}{flags}")
        return
    output.say(f"{report.file}: {report.verdict}", style="bold")
    output.say(f"  {report.headline}")
    for line, evidence in report.evidence.items():
        output.say(f"  {SIGNS[evidence.state]} {line.replace('_', ' ')}: {evidence.summary}")
    for flag in report.flags:
        output.say(f"  ! {flag}")
    for note in report.notes:
        output.say(f"  note: {note}")


@dataclass(slots=True)
class Tally:
    """What came of many files, in little memory however many they are."""

    verdicts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    worst: int = output.OK
    count: int = 0
    not_fine: int = 0

    def add(self, report: VerificationReport) -> None:
        """One more file."""
        code = status(report)
        self.verdicts[str(report.verdict)] += 1
        self.worst, self.count = max(self.worst, code), self.count + 1
        if code == output.OK:
            return
        self.not_fine += 1
        if len(self.wrong) < LISTED:
            flags = "".join(f" ! {flag}" for flag in report.flags)
            failed = [line for line, one in report.evidence.items() if one.state is EvidenceState.FAILED]
            more = f" (failed: {', '.join(failed)})" if failed and not flags else ""
            self.wrong.append(f"{report.file}: {report.verdict}{flags}{more}")

    def say(self, expected: int) -> None:
        """The table, and the list of what is not fine."""
        table = Table(title=None, box=None, pad_edge=False, show_header=True)
        table.add_column("verdict")
        table.add_column("files", justify="right")
        for verdict in FileVerdict:
            if self.verdicts[str(verdict)]:
                table.add_row(str(verdict), f"{self.verdicts[str(verdict)]:,}")
        whole = self.count == expected
        table.add_row("together", f"{self.count:,}" if whole else f"{self.count} of {expected}")
        output.say("")
        output.words.print(table)
        if self.wrong:
            output.say("Not fine, or not certain:", style="bold")
        for line in self.wrong:
            output.say(f"  {line}")
        if self.not_fine > len(self.wrong):
            output.say(f"  and {self.not_fine - len(self.wrong):,} more: see --jsonl")


def left_out(left: Mapping[str, int]) -> None:
    """How many entries of folders were left out, and why."""
    if left:
        told = ", ".join(f"{count:,} {why}" for why, count in sorted(left.items()))
        output.say(f"Left out: {told}.")


def having(told: Mapping[str, Any]) -> str:
    """What a checker had at hand, as one sentence."""
    epochs = told.get("detection_key_epochs") or []
    count = len(epochs) if isinstance(epochs, list) else 0
    keys = "no detection key" if not count else f"{count} detection {'key' if count == 1 else 'keys'}"
    registry = {"read": f"the registry of {told.get('log_head')} log entries", "none": "no registry"}.get(
        str(told.get("registry")), "a registry that could not be read"
    )
    return safe_text(f"looked with {keys} and {registry}", 300)
