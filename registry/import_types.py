"""An import as it is recorded, and its lines. Times are UTC, digests lower-case hex."""

from dataclasses import dataclass

from registry.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRun:
    """``digest``: of file, pictures and options: the same again is the same import; ``source``: what they
    are called; ``by_party``: who imports for the owners, None for the operator; ``lines``: how many there
    are to do; ``next_line``: the first line of the file that is not done; ``made``, ``extended``,
    ``unchanged``, ``waiting``, ``skipped``: what came of those that are; ``state``: running | done | failed,
    and then ``error`` is its code; ``log_seq``, ``end_seq``: the log entries of its begin and end.
    """

    id: str
    digest: str
    source: Json
    by_party: str | None
    lines: int
    next_line: int
    made: int
    extended: int
    unchanged: int
    waiting: int
    skipped: int
    state: str
    error: str | None
    started_at: str
    changed_at: str
    finished_at: str | None
    log_seq: int
    end_seq: int | None

    @property
    def done(self) -> int:
        """How many lines are done."""
        return self.made + self.extended + self.unchanged + self.waiting + self.skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLine:
    """``line``: its number in the file; ``outcome``: new | extends | unchanged | waits | skipped;
    ``seq``: of all but a skipped one, which has the problem's ``code`` instead; ``subject``: of what is in
    force.
    """

    line: int
    outcome: str
    subject: str | None = None
    seq: int | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedLine:
    """A line that is passed over, and the code of the problem that it has."""

    line: int
    code: str
