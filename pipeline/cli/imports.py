"""`countermark import`: a whole catalogue of opt-outs in one call, and what came of it."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli import output, speaking
from pipeline.errors import ImportRefused, Problem
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.app import App
    from pipeline.imports.types import ImportOrder, ImportReport

MAX_SHOWN: Final = 50

app = typer.Typer(help="Catalogues: many opt-outs in one call.", no_args_is_help=True)


@app.command("run")
@output.command
def run(
    file: Annotated[Path, typer.Argument(help="The catalogue: CSV, or one JSON object on each line.")],
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder or zip file with the pictures; default: the folder of the file."),
    ] = None,
    by: speaking.By = None,
    claim: speaking.Kind = None,
    statement: speaking.Statements = None,
    signature: speaking.Signature = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each line would do, and write nothing.")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Pass over lines that are wrong.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only go on with an import that was begun.")
    ] = False,
    vectors: Annotated[
        Path | None,
        typer.Option(help="Vectors of pictures that were looked at elsewhere; for the operator only."),
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Register every line of a catalogue; the same command again goes on where it was interrupted."""
    from pipeline.app import open_app
    from pipeline.imports.types import ImportOrder

    who = speaking.Speaking(by=by, kind=claim, statements=statement or (), signature=signature)
    try:
        with open_app(load(home)) as opened:
            order = ImportOrder(
                file=file, pictures=pictures, vectors=vectors, filing=who.filing(opened.engine),
                skip_bad=skip_bad, resume=resume,
            )  # fmt: skip
            if dry_run:
                return _plan(opened, order, as_json=as_json)
            return _run(opened, order, as_json=as_json)
    except ImportRefused as error:
        _say_problems(error.problems)
        output.say(f"countermark: {error}")
        if as_json:
            told = [
                {"line": one.line, "error": {"code": one.code, "message": one.message}}
                for one in error.problems
            ]
            output.answer({"error": {"code": error.code, "message": str(error)}, "problems": told})
        return error.exit_code


def _plan(opened: "App", order: "ImportOrder", *, as_json: bool) -> int:
    from pipeline.imports.types import tally

    with output.bar("reading the file", "steps") as bar:
        plans = opened.importer.plan(order, _progress(bar))
    counts = tally(plans)
    _say_problems([one.problem for one in plans if one.problem is not None])
    for one in plans:
        for note in one.notes:
            output.say(f"  line {one.line}: {note}")
    output.say(_words(counts) + "; nothing was written.", style="bold")
    if as_json:
        output.answer({"dry_run": True, "counts": counts, "lines": [one.to_json() for one in plans]})
    return output.USAGE if counts["problem"] and not order.skip_bad else output.OK


def _run(opened: "App", order: "ImportOrder", *, as_json: bool) -> int:
    from pipeline.cli.optout import look_back
    from pipeline.imports.types import counts_of, run_json

    with output.bar("reading the file", "steps") as bar:
        report = opened.importer.run(order, _progress(bar))
    done = report.run
    if report.resumed_at > 1:
        output.say(f"Went on from line {report.resumed_at}.")
    _say_problems(report.skipped)
    for line, note in report.notes[:MAX_SHOWN]:
        output.say(f"  line {line}: {note}")
    output.say(f"{_words(counts_of(done))}. Import {done.id} is done.", style="bold")
    output.say(f"Receipts: countermark import show {done.id} --receipts")
    if as_json:
        told = run_json(done) | {"resumed_at": report.resumed_at}
        told |= {"longest_write_ms": round(1000 * report.longest_write_seconds, 1)}
        output.answer(told | {"problems": _problem_documents(report)})
    return look_back(opened)


@app.command("list")
@output.command
def list_imports(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """List imports, oldest first."""
    from pipeline.app import open_app
    from pipeline.imports.types import run_json
    from registry import import_runs

    found, last = [], ""
    with open_app(load(home)) as opened:
        while page := import_runs.list_runs(opened.engine, after=last):
            found += page
            last = page[-1].id
    for one in found:
        why = f" ({one.error})" if one.error else ""
        output.say(f"{one.id}  {one.source['file']}: {one.state}{why}, {one.done} of {one.lines} lines")
    output.say(f"{len(found)} {'import' if len(found) == 1 else 'imports'}.")
    if as_json:
        output.answer([run_json(one) for one in found])
    return output.OK


@app.command("show")
@output.command
def show(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The import's number.")],
    receipts: Annotated[
        bool, typer.Option("--receipts", help="Print a receipt for each line, one JSON object a line.")
    ] = False,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Show an import: how far it is, what came of each line, and its receipts."""
    from pipeline.app import open_app
    from pipeline.imports import reports
    from pipeline.imports.types import counts_of, run_json
    from registry import import_runs

    with open_app(load(home)) as opened:
        done = import_runs.get(opened.engine, run_id)
        output.say(f"{done.source['file']}: {done.state}, {done.done} of {done.lines} lines", style="bold")
        output.say(f"{_words(counts_of(done))}; begun {done.started_at}")
        if as_json and receipts:
            output.answer(run_json(done) | {"lines": list(reports.receipts(opened.engine, done))})
        elif as_json:
            output.answer(run_json(done) | {"lines": list(reports.lines(opened.engine, done))})
        elif receipts:
            for told in reports.receipts(opened.engine, done):
                sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
    return output.OK


def _progress(bar: output.Bar) -> Any:
    told = [""]

    def progress(step: str, done: int, total: int) -> None:
        if step != told[0]:
            told[0] = step
            bar.step(step)
        bar.at(done, total)

    return progress


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def _say_problems(problems: Any) -> None:
    told: list[Problem] = list(problems)
    for one in told[:MAX_SHOWN]:
        output.say(f"  line {one.line}: {one.message}")
    if len(told) > MAX_SHOWN:
        output.say(f"  and {len(told) - MAX_SHOWN:,} more")
    if told:
        output.say(f"{len(told):,} {'problem' if len(told) == 1 else 'problems'}.")


def _problem_documents(report: "ImportReport") -> list[dict[str, Any]]:
    return [{"line": one.line, "error": {"code": one.code, "message": one.message}} for one in report.skipped]
