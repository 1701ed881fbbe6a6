"""`countermark evidence`: a zip about an opt-out, a claim or a release that verifies offline."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import log, output
from pipeline.settings import load


def evidence(
    out: Annotated[Path, typer.Option("--out", "-o", help="The zip.")],
    subject: Annotated[str | None, typer.Option(help="About an opt-out: its number.")] = None,
    claim: Annotated[str | None, typer.Option(help="About the opt-out that a claim is for.")] = None,
    release: Annotated[str | None, typer.Option(help="About a release.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Pack what is registered, what came of it, and the proofs, for whoever it belongs to."""
    from pipeline.app import open_app

    output.check_target(out)
    with open_app(load(home)) as opened:
        packed = opened.bundler.bundle(subject=subject, claim=claim, release=release)
        key = opened.log_vkey
    log.write(out, packed)
    output.say(f"Verifies offline: python verify_log.py --key '{key}' {out.name}")
    if as_json:
        output.answer({"file": str(out), "bytes": len(packed), "key": key})
    return output.OK
