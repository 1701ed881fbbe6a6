"""Imports: many opt-outs in chunks, each written in one transaction with the record of how far it is.

1. An import begins, or goes on where it was: the same digest is the same import until it is done.
2. A chunk is written whole, with its lines and the place to go on, or not at all: whatever dies wherever, the
   same import again does no line twice.
3. It ends when every line is done. Begin and end are in the log, with counts and nobody's name.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select

from registry import log
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.errors import ImportMoved, NotFound, OptOutInvalid
from registry.ids import new_id
from registry.import_types import ImportLine, ImportRun, SkippedLine
from registry.optouts import write_all
from registry.party_types import TERMS, Filing, Terms
from registry.planning import Outcome
from registry.proving import prove_many
from registry.subject_types import OptOutDraft
from registry.tables_imports import import_line, import_run
from registry.types import LogProof

ENTRY_VERSION: Final = 1
COLUMN: Final = {
    Outcome.NEW: "made", Outcome.EXTENDS: "extended", Outcome.UNCHANGED: "unchanged",
    Outcome.WAITS: "waiting",
}  # fmt: skip
SKIPPED: Final = "skipped"
COUNTS: Final = (*COLUMN.values(), SKIPPED)


def begin(
    engine: Engine, *, digest: str, source: Json, by_party: str | None, lines: int, now: str,
    sign_checkpoint: NoteSigner,
) -> ImportRun:  # fmt: skip
    """Begin an import, or go on with the one of this digest that is not done.

    ``source``: what file and pictures are called, and the options; it goes into the private part of the log.
    """
    with write(engine) as conn:
        known = _open(conn, digest)
        if known is not None:
            _set(conn, known.id, {"state": "running", "error": None, "changed_at": now})
            return _demand(conn, known.id)
        made = new_id(now)
        public: Json = {"v": ENTRY_VERSION, "import": made, "action": "begin", "lines": lines}
        private: Json = {"digest": digest, "source": source, "by": by_party}
        entry = log.append(conn, "import", public, private, now)
        row = {
            "id": made, "digest": digest, "source": source, "by_party": by_party, "lines": lines,
            "next_line": 1, "state": "running", "started_at": now, "changed_at": now, "log_seq": entry.seq,
        }  # fmt: skip
        conn.execute(import_run.insert().values(**row, **dict.fromkeys(COUNTS, 0)))
        log.add_checkpoint(conn, sign_checkpoint, now)
        return _demand(conn, made)


def write_chunk(
    engine: Engine, run: ImportRun, drafts: Sequence[tuple[int, OptOutDraft]],
    skipped: Sequence[SkippedLine], *, next_line: int, filing: Filing | None = None, terms: Terms = TERMS,
    now: str, sign_checkpoint: NoteSigner,
) -> ImportRun:  # fmt: skip
    """Write the next lines of an import: validated drafts by their line, and lines that are passed over.

    ``filing``: the party that says it all. Raises `ImportMoved` when another process went on with it, and
    `OptOutInvalid`, `ActRefused` or `ClaimInvalid` with the draft's index.
    """
    with write(engine) as conn:
        if _demand(conn, run.id).next_line != run.next_line:
            raise ImportMoved(f"Another process goes on with the import {run.id}; let it.")
        done = write_all(conn, [draft for _, draft in drafts], filing=filing, terms=terms, now=now)
        rows: list[dict[str, Any]] = [
            {"line": line, "outcome": str(one.outcome), "subject_id": one.subject or None, "seq": one.seq,
             "code": None}
            for (line, _), one in zip(drafts, done, strict=True)
        ]  # fmt: skip
        rows += [
            {"line": one.line, "outcome": SKIPPED, "subject_id": None, "seq": None, "code": one.code}
            for one in skipped
        ]
        if rows:
            conn.execute(import_line.insert(), [{"run_id": run.id} | row for row in rows])
        counts = {column: getattr(run, column) for column in COUNTS}
        for one in done:
            counts[COLUMN[one.outcome]] += 1
        counts[SKIPPED] += len(skipped)
        _set(conn, run.id, counts | {"next_line": next_line, "changed_at": now})
        log.add_checkpoint(conn, sign_checkpoint, now)
        return _demand(conn, run.id)


def finish(engine: Engine, run: ImportRun, *, now: str, sign_checkpoint: NoteSigner) -> ImportRun:
    """End an import of which every line is done; a second time does nothing."""
    with write(engine) as conn:
        known = _demand(conn, run.id)
        if known.state == "done":
            return known
        if known.done != known.lines:
            raise OptOutInvalid(f"The import {run.id} has {known.lines - known.done} lines left.")
        counts: Json = {
            "new": known.made, "extends": known.extended, "unchanged": known.unchanged,
            "waits": known.waiting, "skipped": known.skipped,
        }  # fmt: skip
        public: Json = {"v": ENTRY_VERSION, "import": run.id, "action": "end", "lines": known.lines, **counts}
        seq = log.append(conn, "import", public, None, now).seq
        told = {"state": "done", "error": None, "end_seq": seq, "finished_at": now, "changed_at": now}
        _set(conn, run.id, told)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return _demand(conn, run.id)


def fail(engine: Engine, run: ImportRun, *, code: str, now: str) -> None:
    """Record why an import stopped; the same import again goes on where it was."""
    with write(engine) as conn:
        if _demand(conn, run.id).state == "running":
            _set(conn, run.id, {"state": "failed", "error": code, "changed_at": now})


def find_open(engine: Engine, digest: str) -> ImportRun | None:
    """The import of this digest that is not done."""
    with read(engine) as conn:
        return _open(conn, digest)


def get(engine: Engine, run_id: str) -> ImportRun:
    """One import. Raises `NotFound`."""
    with read(engine) as conn:
        return _demand(conn, run_id)


def list_runs(engine: Engine, *, after: str = "", limit: int = 100) -> list[ImportRun]:
    """Imports by id, oldest first; ``after``: the last id of the page before."""
    query = select(import_run).where(import_run.c.id > after).order_by(import_run.c.id).limit(limit)
    with read(engine) as conn:
        return [_run(row) for row in conn.execute(query)]


def lines(engine: Engine, run_id: str, *, after: int = 0, limit: int = 500) -> list[ImportLine]:
    """What came of the lines of an import, in the order of the file, after line ``after``."""
    query = select(import_line).where(import_line.c.run_id == run_id, import_line.c.line > after)
    with read(engine) as conn:
        rows = conn.execute(query.order_by(import_line.c.line).limit(limit)).all()
    return [
        ImportLine(line=row.line, outcome=row.outcome, subject=row.subject_id, seq=row.seq, code=row.code)
        for row in rows
    ]


def proofs(engine: Engine, seqs: Sequence[int]) -> tuple[LogProof, ...]:
    """The log entries of lines, each with its proof in the latest checkpoint, all in the same."""
    with read(engine) as conn:
        return tuple(prove_many(conn, seqs))


def _open(conn: Connection, digest: str) -> ImportRun | None:
    query = select(import_run).where(import_run.c.digest == digest, import_run.c.state != "done")
    row = conn.execute(query).first()
    return None if row is None else _run(row)


def _demand(conn: Connection, run_id: str) -> ImportRun:
    row = conn.execute(select(import_run).where(import_run.c.id == run_id)).first()
    if row is None:
        raise NotFound(f"There is no import {run_id[:40]!r}; see: countermark import list.")
    return _run(row)


def _set(conn: Connection, run_id: str, values: dict[str, Any]) -> None:
    conn.execute(import_run.update().where(import_run.c.id == run_id).values(**values))


def _run(row: Row[Any]) -> ImportRun:
    return ImportRun(**row._asdict())
