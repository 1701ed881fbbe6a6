"""What an import is told, and what it tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Problem
from pipeline.types import Json
from registry.import_types import ImportRun
from registry.party_types import Filing

PROBLEM = "problem"
REGISTERING = "registering"  # the step that is told after each chunk of lines that were put in force


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """``pictures``: a folder or zip file, None: the folder of the file; ``vectors``: of pictures that the
    operator had looked at elsewhere; ``filing``: the party that says it all and what it states, None: the
    operator; ``skip_bad``: pass over lines that are wrong; ``resume``: only go on with what was begun;
    ``account``: whose the lines are that name nobody; without a filing, lines of anybody else are wrong.
    """

    file: Path
    pictures: Path | None = None
    vectors: Path | None = None
    filing: Filing | None = None
    skip_bad: bool = False
    resume: bool = False
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePlan:
    """What a line would do: new | extends | unchanged | waits | problem.

    ``subject``: of one that is registered.
    """

    line: int
    outcome: str
    name: str = ""
    subject: str | None = None
    problem: Problem | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The line as the command prints it."""
        told: Json = {"line": self.line, "outcome": self.outcome, "name": self.name, "id": self.subject}
        if self.problem is not None:
            told["error"] = {"code": self.problem.code, "message": self.problem.message}
        if self.notes:
            told["notes"] = list(self.notes)
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """``run``: the record; ``resumed_at``: the line that it went on from, 1 for a fresh one; ``skipped``:
    what is wrong with lines that were passed over; ``longest_write_seconds``: how long a publisher may
    have waited for a chunk.
    """

    run: ImportRun
    resumed_at: int
    skipped: tuple[Problem, ...]
    notes: tuple[tuple[int, str], ...]
    longest_write_seconds: float


def run_json(run: ImportRun) -> Json:
    """An import as commands print it."""
    return {
        "id": run.id, "state": run.state, "error": run.error, "source": dict(run.source),
        "by": run.by_party, "lines": run.lines, "next_line": run.next_line, **counts_of(run),
        "started_at": run.started_at, "changed_at": run.changed_at, "finished_at": run.finished_at,
        "sequence": run.end_seq,
    }  # fmt: skip


def counts_of(run: ImportRun) -> dict[str, int]:
    """What came of the lines that are done."""
    return {
        "new": run.made, "extends": run.extended, "unchanged": run.unchanged, "waits": run.waiting,
        "skipped": run.skipped,
    }  # fmt: skip


def tally(plans: Sequence[LinePlan]) -> dict[str, int]:
    """What would come of lines."""
    counts = dict.fromkeys(("new", "extends", "unchanged", "waits", PROBLEM), 0)
    for one in plans:
        counts[one.outcome] += 1
    return counts
