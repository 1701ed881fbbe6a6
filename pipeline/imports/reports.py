"""What came of an import's lines, and their receipts: made when asked for, thousands in a few seconds."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Engine

from pipeline.types import Json
from registry import import_runs
from registry.import_types import ImportLine, ImportRun
from registry.receipts import document

PAGE: Final = 500


def lines(engine: Engine, run: ImportRun) -> Iterator[Json]:
    """What came of each line, in the order of the file."""
    for page in _pages(engine, run):
        for line in page:
            yield _told(line)


def receipts(engine: Engine, run: ImportRun) -> Iterator[Json]:
    """The same with a receipt of each line, as `registry/verify_log.py` reads it; the checkpoint is the same
    for all lines.
    """
    told = [line for page in _pages(engine, run) for line in page]
    seqs = [line.seq for line in told if line.seq is not None]
    proofs = {proof.seq: proof for proof in import_runs.proofs(engine, seqs)}
    for line in told:
        yield _told(line) | ({} if line.seq is None else {"receipt": document(proofs[line.seq])})


def _pages(engine: Engine, run: ImportRun) -> Iterator[list[ImportLine]]:
    last = 0
    while page := import_runs.lines(engine, run.id, after=last, limit=PAGE):
        yield page
        last = page[-1].line


def _told(line: ImportLine) -> Json:
    told: Json = {"line": line.line, "outcome": line.outcome}
    if line.code is not None:
        return told | {"code": line.code}
    return told | {"id": line.subject, "sequence": line.seq}
