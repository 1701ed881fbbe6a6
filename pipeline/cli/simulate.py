"""`countermark simulate`: what a change would have done to past decisions. Nothing is written."""

from typing import Annotated

import typer

from pipeline.cli import output
from pipeline.settings import load


def simulate(
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="SPACE/LAYER=VALUE, as clip/frame_picture=0.75; may be repeated."),
    ] = None,
    rule: Annotated[
        tuple[str, str] | None, typer.Option(help="An opt-out's number, and allow, review or block.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="For --rule: the account it is for. Otherwise: only its cases.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Another policy preset.")] = None,
    since: Annotated[str, typer.Option(help="Only what was decided from this day on, as 2026-01-31.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases, releases first.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Decide what was released, held and refused again with a change, and count what would be different."""
    from pipeline.app import open_app
    from pipeline.simulate import Wanted

    wanted = Wanted(
        thresholds=tuple(threshold or ()), rule=rule, account=account, policy=policy, since=since, limit=limit
    )
    with open_app(load(home)) as opened:
        report = opened.simulate(wanted)
    for (before, after), count in sorted(report.outcomes.items()):
        if before != after:
            output.say(f"  {before} → {after}: {count}")
    for example in report.examples:
        codes = ", ".join(example.codes)
        output.say(f"  {example.kind} {example.id}: {example.before} → {example.after} {codes}")
    same = sum(count for (before, after), count in report.outcomes.items() if before == after)
    output.say(
        f"{report.compared} decided again, {same} of them the same. Nothing was written.", style="bold"
    )
    if report.partly:
        output.say(f"Of {report.partly} only the prompt is kept; they were judged by names alone.")
    if as_json:
        output.answer(report.to_json())
    return output.OK
