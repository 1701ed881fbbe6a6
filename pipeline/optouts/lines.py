"""The lines of an import file: read and judged one by one, so that every mistake has its number."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import ValidationError

from pipeline.credentials.text import safe_text
from pipeline.errors import CountermarkError, ImportRefused, LimitExceeded, Problem, UsageError
from pipeline.optouts.order import OptOutLine, complaint

MIB: Final = 1024 * 1024
MAX_LINE_BYTES: Final = MIB
MAX_FILE_BYTES: Final = 256 * MIB
MAX_LINES: Final = 20_000
MAX_PROBLEMS: Final = 1000
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An order and the number of the line that it stood on, from 1."""

    number: int
    order: OptOutLine


def read_lines(path: Path) -> list[Line]:
    """All orders of a file of one JSON object per line; empty lines are passed over.

    Raises: UsageError for a file that cannot be read, LimitExceeded for one that is too large,
    ImportRefused with everything that is wrong with its lines.
    """
    lines, problems = [], []
    with opened(path) as file:
        for number, raw in raw_lines(file, MAX_LINES):
            try:
                lines.append(Line(number=number, order=_order(raw)))
            except CountermarkError as error:
                problems.append(Problem(line=number, code=error.code, message=str(error)))
            if len(problems) == MAX_PROBLEMS:
                break
    if problems:
        raise ImportRefused.of(problems)
    if not lines:
        raise UsageError(f"{safe_text(path.name)} has no line; write one subject on each")
    return lines


def opened(path: Path) -> BinaryIO:
    """The open file. Raises: UsageError for what is no readable file, LimitExceeded for a large one."""
    shown = safe_text(path.name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name is not usable"
        raise UsageError(f"{shown} cannot be read ({reason}); check its name") from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISREG(status.st_mode):
        raise LimitExceeded(f"{shown} is larger than {MAX_FILE_BYTES // MIB} MiB; split it")
    raise UsageError(f"{shown} is not a file; name a file with one subject on each line")


def raw_lines(file: BinaryIO, most: int | None) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not empty, `most` of them; of one that is too long, only its beginning."""
    number = taken = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        rest = raw
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_LINE_BYTES)):
            pass
        stripped = raw.removeprefix(BOM) if number == 1 else raw
        if stripped.strip():
            taken += 1
            yield number, stripped
        if most is not None and taken > most:
            raise LimitExceeded(f"the file has more than {most} lines; split it")


def _order(raw: bytes) -> OptOutLine:
    """Raises: UsageError, LimitExceeded."""
    try:
        return OptOutLine.model_validate(parse_object(raw))
    except ValidationError as error:
        raise UsageError(complaint(error)) from None


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object on a line. Raises: UsageError, LimitExceeded."""
    if len(raw) > MAX_LINE_BYTES:
        raise LimitExceeded(f"the line is longer than {MAX_LINE_BYTES // MIB} MiB; shorten it")
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise UsageError(f"it is not valid UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"it is not JSON ({error.msg} at character {error.colno}); mend it") from None
    except (RecursionError, ValueError):
        raise UsageError("it is not JSON that can be read; mend it") from None
    if not isinstance(document, dict):
        raise UsageError('it is not an object; write {"name": …, "owner": …}')
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UsageError(f"the key {safe_text(twice)!r} stands there twice; remove one")
    return document


def _no_number(name: str) -> Any:
    raise UsageError(f"it is not JSON ({name} is no number); mend it")
