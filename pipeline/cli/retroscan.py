"""`countermark retroscan`: what is already out, compared with the opt-outs since the last scan."""

from typing import Any

from pipeline.cli import output
from pipeline.settings import load


def retroscan(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Compare what is out with every opt-out since the last scan; withdraw what it forbids."""
    from pipeline.app import open_app

    with open_app(load(home)) as app, output.bar("comparing") as bar:
        report = app.retroscan(lambda count: bar.at(float(count)))
    say(report)
    if as_json:
        output.answer(document(report))
    return output.FOUND if report.recalled else output.OK


def say(report: Any) -> None:
    """A scan, for a person."""
    output.say(f"Compared {report.compared} releases with {report.subjects} changed opt-outs.")
    if report.unclear:
        output.say(f"{report.unclear} of them could not be compared in full.")
    for recalled in report.recalled:
        word = "Withdrawn" if recalled.verdict == "block" else "Held back"
        reasons = " ".join(reason["detail"] for reason in recalled.reasons)
        output.say(f"{word} {recalled.release}: {reasons}", style="bold")


def document(report: Any) -> dict[str, Any]:
    """A scan, for a program."""
    recalled = [
        {"release": one.release, "verdict": str(one.verdict), "reasons": list(one.reasons)}
        for one in report.recalled
    ]
    return {
        "after": report.after, "upto": report.upto, "subjects": report.subjects,
        "compared": report.compared, "unclear": report.unclear, "recalled": recalled,
    }  # fmt: skip
