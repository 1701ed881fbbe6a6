"""`countermark retroscan`: what is already out, compared with the opt-outs since the last scan."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.settings import load

SHOWN: Final = 50

app = typer.Typer(
    help="What is out, compared with new opt-outs; without a command: compare now.",
    invoke_without_command=True,
)


@app.callback()
def retroscan(context: typer.Context, home: output.Home = None, as_json: output.AsJson = False) -> None:
    """Compare what is out with every opt-out since the last scan; withdraw what it forbids."""
    if context.invoked_subcommand is None:
        output.command(_scan)(home=home, as_json=as_json)


def _scan(*, home: Any, as_json: bool) -> int:
    from pipeline.app import open_app

    with open_app(load(home)) as app, output.bar("comparing", "releases") as bar:
        report = app.retroscan(lambda count: bar.at(float(count)))
    say(report)
    if as_json:
        output.answer(document(report))
    return output.FOUND if report.recalled else output.OK


@app.command("status")
@output.command
def status(
    subject: Annotated[
        str | None, typer.Option(help="Only what came of looking for this opt-out, by its number.")
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """How far the last scans are, and what they found."""
    from pipeline.app import open_app
    from registry import scans
    from registry.db import read

    with open_app(load(home)) as opened, read(opened.engine) as conn:
        if subject is not None:
            told = found_for(conn, subject)
            output.say(words_of(told))
            if as_json:
                output.answer({"subject": subject} | told)
            return output.OK
        found = scans.latest(conn)
    for scan, outcomes in found:
        output.say(
            f"{scan.begun_at}  log {scan.after_seq} to {scan.upto_seq}, {scan.state}: "
            f"{scan.compared} looked at, {outcomes['withdrawn']} withdrawn, {outcomes['held']} held back, "
            f"{outcomes['case']} cases, {scan.unclear} unclear, {outcomes['late']} to be compared again"
        )
    output.say(f"{len(found)} {'scan' if len(found) == 1 else 'scans'}.")
    if as_json:
        output.answer([_scan_document(scan, outcomes) for scan, outcomes in found])
    return output.OK


def found_for(conn: Any, subject: str) -> dict[str, Any]:
    """What came of looking for a subject, for a program: counts, nobody's data."""
    from registry import scans

    return asdict(scans.counts(conn, subject))


def words_of(told: dict[str, Any]) -> str:
    """The same for a person."""
    if not told["searched"]:
        return "What is out was not looked through for it yet."
    clips = "released clip matched" if told["matched"] == 1 else "released clips matched"
    rest = f", {told['unclear']} could not be compared in full" if told["unclear"] else ""
    return f"{told['matched']} {clips}: {told['withdrawn']} withdrawn, {told['in_review']} in review{rest}."


def say(report: Any) -> None:
    """A scan, for a person."""
    output.say(f"Compared {report.compared} releases with {report.subjects} changed opt-outs.")
    if report.unclear:
        output.say(f"{report.unclear} of them could not be compared in full.")
    for recalled in report.recalled:
        reasons = " ".join(reason["detail"] for reason in recalled.reasons)
        output.say(f"{_WORDS[recalled.outcome]} {recalled.release}: {reasons}", style="bold")
    more = sum(report.found.values()) - len(report.recalled)
    if more:
        output.say(f"And {more} more; see countermark case list.", style="bold")


def say_back(released: Sequence[str]) -> None:
    """Releases that are served again, since nothing stands against them any more."""
    for release in released[:SHOWN]:
        output.say(f"Served again {release}", style="bold")
    if len(released) > SHOWN:
        output.say(f"And {len(released) - SHOWN} more.", style="bold")


_WORDS = {"withdrawn": "Withdrawn", "held": "Held back", "case": "To be looked at"}


def document(report: Any) -> dict[str, Any]:
    """A scan, for a program."""
    recalled = [
        {"release": one.release, "verdict": str(one.verdict), "outcome": one.outcome,
         "reasons": list(one.reasons)}
        for one in report.recalled
    ]  # fmt: skip
    return {
        "after": report.after, "upto": report.upto, "subjects": report.subjects,
        "compared": report.compared, "unclear": report.unclear, "found": report.found, "recalled": recalled,
    }  # fmt: skip


def _scan_document(scan: Any, outcomes: dict[str, int]) -> dict[str, Any]:
    return {
        "id": scan.id, "after": scan.after_seq, "upto": scan.upto_seq, "state": scan.state,
        "compared": scan.compared, "unclear": scan.unclear, "begun_at": scan.begun_at,
        "ended_at": scan.ended_at, "found": outcomes,
    }  # fmt: skip
