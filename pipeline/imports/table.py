"""Catalogues as tables: CSV as spreadsheets write it, with commas, semicolons or tabs between the cells.

A cell with several things has one on each of its lines, or `|` between them; a backslash takes `|` and itself
literally. What a spreadsheet would run as a formula carries an apostrophe in front, which is not part of it.
"""

import csv
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TextIO

from pipeline.credentials.text import safe_text
from pipeline.errors import LimitExceeded, UsageError

DELIMITERS: Final = (",", ";", "\t")
TEXTS: Final = ("member", "owner", "work", "kind", "name", "description", "mode", "died_on")
LISTS: Final = ("aliases", "attributes", "exclusions", "context", "references", "negatives")
NEAR: Final = "near"
NAMED: Final = "name:"  # before a language
COLUMNS: Final = (*TEXTS, *LISTS, NEAR)
MAX_LINE_CHARS: Final = 1 << 20
MAX_COLUMNS: Final = 200
BOM: Final = "\ufeff"
_SEPARATOR: Final = re.compile(r"sep=(.)\r?\n?")
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_PARTS: Final = re.compile(r"((?:\\.|[^|\\\n\r]|\\)*)(?:[|\n\r]|$)")

Row = tuple[int, dict[str, Any] | UsageError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a kind of table; ``lists``: those with several texts; ``needed``: without which none
    is; ``languages``: whether there may be columns for each language, and ``near``; ``page``: the page that
    tells them.
    """

    texts: tuple[str, ...]
    lists: tuple[str, ...] = ()
    needed: str = "name"
    languages: bool = False
    page: str = "docs/imports.md"

    def column(self, cell: str) -> str | None:
        """The column that a cell of the first row names."""
        name = cell.strip().lower()
        if name in self.texts or name in self.lists or (self.languages and name == NEAR):
            return name
        language = cell.partition(":")[2].strip()
        if self.languages and name.startswith((NAMED, "names:")) and language:
            return NAMED + language  # a language keeps its capitals
        return None


OPT_OUTS: Final = Columns(texts=TEXTS, lists=LISTS, languages=True)


class TableBroken(Exception):
    """From this line on the table cannot be read; whoever reads tables makes a problem of it."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def read_table(file: BinaryIO, known: Columns = OPT_OUTS) -> Generator[Row]:
    """Documents of all rows by the number of the line on which they begin, or what is wrong with one.

    1. The first row says which columns there are, and what stands between cells. 2. A row without any text is
    passed over. Raises: UsageError for a first row that is none; TableBroken.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        yield from _rows(text, known)
    finally:
        text.detach()  # the file is the caller's


def _rows(text: TextIO, known: Columns) -> Iterator[Row]:
    first = text.readline(MAX_LINE_CHARS).removeprefix(BOM)
    told = _SEPARATOR.fullmatch(first)
    head = text.readline(MAX_LINE_CHARS) if told else first
    skipped = 1 if told else 0
    delimiter = told.group(1) if told else _delimiter(head, known)
    reader = csv.reader(_lines(head, text), delimiter=delimiter, strict=True)
    columns = _columns(_next(reader, 1 + skipped) or [], known)  # 1
    while True:
        number = reader.line_num + 1 + skipped
        cells = _next(reader, number)
        if cells is None:
            return
        if any(cell.strip() for cell in cells):  # 2
            try:
                yield number, _document(columns, cells, known)
            except UsageError as error:
                yield number, error


def write_table(file: TextIO, documents: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write documents as a table that `read_table` reads back; UTF-8 with its mark is for the caller."""
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    for document in documents:
        writer.writerow([guarded(_cell(document, column)) for column in columns])


def guarded(text: str) -> str:
    """`text` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain(cell: str) -> str:
    """The text of a cell, without the apostrophe that guards it."""
    return cell[1:] if _GUARDED.match(cell) else cell


def joined(parts: Iterable[str]) -> str:
    """Several texts in one cell."""
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def split(cell: str) -> list[str]:
    """The texts in a cell; empty ones are none."""
    found = [match.group(1) for match in _PARTS.finditer(cell)]
    clean = (re.sub(r"\\([\\|])", r"\1", part).strip() for part in found)
    return [part for part in clean if part]


def _lines(head: str, text: TextIO) -> Iterator[str]:
    line = head
    while line:
        if len(line) >= MAX_LINE_CHARS:
            raise LimitExceeded(f"a line is longer than {MAX_LINE_CHARS >> 20} MiB; shorten it")
        yield line
        line = text.readline(MAX_LINE_CHARS)


def _next(reader: Any, number: int) -> list[str] | None:
    try:
        cells: list[str] = next(reader)
    except StopIteration:
        return None
    except csv.Error as error:
        raise TableBroken(
            f"the table cannot be read from here on ({error}); mend the quotation marks", number
        ) from None
    return cells


def _delimiter(head: str, columns: Columns) -> str:
    """What stands between the names of columns: whichever of them gives most columns that we know."""

    def known(delimiter: str) -> int:
        return sum(
            columns.column(cell) is not None for cell in next(csv.reader([head], delimiter=delimiter), [])
        )

    return max(DELIMITERS, key=known)


def _columns(cells: Sequence[str], known: Columns) -> list[str]:
    names = [known.column(plain(cell)) for cell in cells]
    while names and not cells[len(names) - 1].strip():  # empty columns at the right are a spreadsheet's
        names.pop()
    if len(names) > MAX_COLUMNS:
        raise UsageError(f"the table has more than {MAX_COLUMNS} columns; see {known.page}")
    for cell, name in zip(cells, names, strict=False):
        if name is None:
            shown = safe_text(cell, 60)
            raise UsageError(f"there is no column {shown!r}; see {known.page} for those that there are")
    given = [name for name in names if name is not None]
    if known.needed not in given:
        raise UsageError(f"the table has no column `{known.needed}`; its first row names the columns")
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise UsageError(f"the table has the column {safe_text(twice)!r} twice; remove one")
    return given


def _document(columns: Sequence[str], cells: Sequence[str], known: Columns) -> dict[str, Any]:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise UsageError(
            f"it has {len(cells)} cells for {len(columns)} columns; put quotation marks around text"
        )
    document: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=False):
        text = plain(cell.strip())
        if not text:
            continue
        if column.startswith(NAMED):
            document.setdefault("names", {})[column.removeprefix(NAMED)] = split(text)
        elif column in known.lists:
            document[column] = split(text)
        elif column == NEAR:
            document[column] = _json(text)
        else:
            document[column] = text
    return document


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError('near: it is not JSON; write [{"name": …, "context": […]}]') from None


def _cell(document: Mapping[str, Any], column: str) -> str:
    if column.startswith(NAMED):
        return joined(document.get("names", {}).get(column.removeprefix(NAMED), ()))
    value = document.get(column, "")
    if column in LISTS:
        return joined(value)
    if column == NEAR:
        return json.dumps(value, ensure_ascii=False) if value else ""
    return str(value)
