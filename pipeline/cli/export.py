"""`countermark export`: a holder's opt-outs as a catalogue that `countermark import` reads."""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer

from pipeline.cli import output
from pipeline.errors import StorageFailed, UsageError
from pipeline.settings import load

FORMS: Final = (".csv", ".ndjson", ".jsonl")


def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: .csv or .ndjson.")],
    owner: Annotated[str | None, typer.Option(help="Only the opt-outs of this owner.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Write the opt-outs in force as a catalogue; importing it changes nothing."""
    from pipeline.app import open_app
    from pipeline.optouts.order import plain

    if out.suffix.lower() not in FORMS:
        raise UsageError("name the file .csv or .ndjson, so that its form is known")
    output.check_target(out)
    whose = None if owner is None else plain("owner", owner)
    with open_app(load(home)) as opened:
        count = _write(out, opened.engine, whose)
    output.say(f"{count:,} {'line' if count == 1 else 'lines'} in {out.name}.")
    if as_json:
        output.answer({"file": str(out), "lines": count})
    return output.OK


def _write(out: Path, engine: "object", owner: str | None) -> int:
    from sqlalchemy import Engine

    from pipeline.imports import export as exports

    assert isinstance(engine, Engine)  # noqa: S101 - for the type checker, without the import at the start
    lines = exports.export_lines(engine, owner)
    write = exports.write_csv if out.suffix.lower() == ".csv" else exports.write_ndjson
    handle, temporary = tempfile.mkstemp(dir=out.absolute().parent, prefix=".countermark-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            count = write(file, lines)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(out)
    except OSError as error:
        raise StorageFailed(f"cannot write {out.name} ({error.strerror}); free space") from None
    finally:
        Path(temporary).unlink(missing_ok=True)
    return count
