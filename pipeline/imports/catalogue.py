"""Reading a catalogue whole: every line judged, every mistake told with the number of its line."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Final

from classifiers.errors import NameRefused
from pipeline.credentials.text import safe_text
from pipeline.errors import CountermarkError, ImportRefused, LimitExceeded, Problem, UsageError
from pipeline.imports.digests import sha256_of
from pipeline.imports.line import CatalogueLine, near_names, near_orders, parse_line
from pipeline.imports.table import OPT_OUTS, Columns, TableBroken, read_table
from pipeline.optouts import lines
from pipeline.optouts.imports import problem_of
from pipeline.optouts.lines import opened, parse_object, raw_lines
from pipeline.optouts.naming import Named, named_all
from pipeline.optouts.order import UNNAMED
from registry.drafts import normal
from registry.errors import ActRefused
from registry.subject_types import NameDraft

TABLES: Final = (".csv", ".tsv", ".tab")
DOCUMENTS: Final = (".ndjson", ".jsonl", ".json")
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
PEEK_BYTES: Final = 4096

Document = tuple[int, dict[str, Any] | CountermarkError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line that is well-formed: its number in the file, its order, its names with their tiers."""

    number: int
    line: CatalogueLine
    names: tuple[NameDraft, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A file: its digest, its good lines in order, what is wrong with the others (one problem each)."""

    name: str
    sha256: str
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    @property
    def lines(self) -> int:
        """How many lines there are to do, good and bad."""
        return len(self.entries) + len(self.problems)

    def of(self, account: str, *, alone: bool) -> "Catalogue":
        """The same as an account imports it: lines that name nobody are its own; ``alone``: and those of
        others are wrong.
        """
        mine, problems = list[Entry](), list(self.problems)
        for entry in self.entries:
            owner = entry.line.owner
            if owner == UNNAMED or normal(owner) == normal(account):
                line = entry.line.model_copy(update={"owner": account})
                mine.append(replace(entry, line=line))
            elif alone:
                told = f"this line is of {safe_text(owner, 80)}; this account imports its own, as {account}"
                problems.append(Problem(line=entry.number, code=ActRefused.code, message=told))
            else:
                mine.append(entry)
        problems.sort(key=attrgetter("line"))
        return replace(self, entries=tuple(mine), problems=tuple(problems))


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue. Raises: UsageError or LimitExceeded for the file, ImportRefused for one that cannot
    be read to its end.
    """
    good: list[tuple[int, CatalogueLine]] = []
    problems: list[Problem] = []
    with opened(path) as file:
        digest = sha256_of(file)
        file.seek(0)
        try:
            with closing(documents(file, path)) as rows:
                for number, document in rows:
                    made = _judged(number, document)
                    if isinstance(made, Problem):
                        problems.append(made)
                    else:
                        good.append((number, made))
        except TableBroken as error:
            broken = Problem(line=error.line, code=UsageError.code, message=str(error))
            raise ImportRefused.of([*problems, broken]) from None
    named = list(_named(good))
    entries = [one for one in named if isinstance(one, Entry)]
    problems = sorted(
        [*problems, *(one for one in named if isinstance(one, Problem))], key=attrgetter("line")
    )
    if not entries and not problems:
        raise UsageError(f"{safe_text(path.name)} has no line; write one subject on each")
    return Catalogue(
        name=safe_text(path.name), sha256=digest, entries=tuple(entries), problems=tuple(problems)
    )  # fmt: skip


def documents(file: BinaryIO, path: Path, columns: Columns = OPT_OUTS) -> Generator[Document]:
    """The objects of a file by line, whichever of the two forms it has, or what is wrong with a line.

    Raises: UsageError for a table without columns, LimitExceeded, TableBroken.
    """
    start = file.read(PEEK_BYTES)
    file.seek(0)
    if start.startswith(UTF16):
        raise UsageError(f"{safe_text(path.name)} is UTF-16; save it as “CSV UTF-8”")
    if is_table(start, path.suffix):
        with closing(read_table(file, columns)) as rows:
            yield from _counted(rows)
        return
    for number, raw in raw_lines(file, lines.MAX_LINES):
        try:
            yield number, parse_object(raw)
        except CountermarkError as error:
            yield number, error


def is_table(start: bytes, suffix: str) -> bool:
    """Whether a file that begins so is a table, and not one JSON object a line."""
    if suffix.lower() in TABLES:
        return True
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return suffix.lower() not in DOCUMENTS and not text.startswith((b"{", b"["))


def _counted(rows: Iterator[Document]) -> Iterator[Document]:
    for count, row in enumerate(rows, start=1):
        if count > lines.MAX_LINES:
            raise LimitExceeded(f"the file has more than {lines.MAX_LINES} lines; split it")
        yield row


def _judged(number: int, document: dict[str, Any] | CountermarkError) -> CatalogueLine | Problem:
    if isinstance(document, CountermarkError):
        return problem_of(number, document)
    try:
        return parse_line(document)
    except UsageError as error:
        return problem_of(number, error)


def _named(good: Sequence[tuple[int, CatalogueLine]]) -> Iterator[Entry | Problem]:
    """The lines with their names, which are measured all at once, also those with words of their own."""
    asked = [[line, *near_orders(line)] for _, line in good]
    measured = iter(named_all([order for orders in asked for order in orders]))
    for (number, line), orders in zip(good, asked, strict=True):
        found = list(islice(measured, len(orders)))
        refused = next((one for one in found if isinstance(one, NameRefused)), None)
        if refused is not None:
            yield problem_of(number, refused)
        else:
            names = [one.names for one in found if isinstance(one, Named)]
            yield Entry(number=number, line=line, names=(*names[0], *near_names(line)))
