"""`countermark training`: what is said about training and mining, kept and answered as evidence."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli import output
from pipeline.errors import ImportRefused, UsageError
from pipeline.settings import load

MAX_SHOWN = 50
READ_BYTES = 1 << 20

app = typer.Typer(
    help="Wishes about training and mining: kept, and answered as evidence.", no_args_is_help=True
)


@app.command("import")
@output.command
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, or one JSON object on each line.")],
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Record every wish of a file; what was said before changes nothing."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.imports.training import import_training

    try:
        with open_app(load(home)) as opened:
            done = import_training(opened.engine, file, clock=clock, signer=opened.signer)
    except ImportRefused as error:
        for problem in error.problems[:MAX_SHOWN]:
            output.say(f"  line {problem.line}: {problem.message}")
        count = len(error.problems)
        output.say(f"{count:,} {'problem' if count == 1 else 'problems'}; nothing was recorded.")
        if as_json:
            told = [
                {"line": one.line, "error": {"code": one.code, "message": one.message}}
                for one in error.problems
            ]
            output.answer({"error": {"code": error.code, "message": str(error)}, "problems": told})
        return error.exit_code
    new = sum(one.new for one in done)
    output.say(f"{new:,} new, {len(done) - new:,} unchanged.", style="bold")
    if as_json:
        output.answer(
            [{"line": one.line, "id": one.wish.id, "sequence": one.wish.seq, "new": one.new} for one in done]
        )
    return output.OK


@app.command("read")
@output.command
def read_manifest(
    file: Annotated[Path, typer.Argument(help="A clip with a content credential.")],
    claimant: Annotated[
        str | None, typer.Option(help="Who says it, where the credential's signer is not trusted here.")
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Record what a clip's own credential says about training."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.imports.training import import_manifest

    with open_app(load(home)) as opened:
        done = import_manifest(
            opened.engine, file, trust=opened.trust, limits=opened.settings.process_limits,
            claimant=claimant, clock=clock, signer=opened.signer,
        )  # fmt: skip
    output.say(f"{done.wish.claimant}: {'recorded' if done.new else 'said before'}.", style="bold")
    if as_json:
        output.answer(_document(done.wish) | {"new": done.new})
    return output.OK


@app.command("list")
@output.command
def list_wishes(
    claimant: Annotated[str | None, typer.Option(help="Only those of this claimant.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """List wishes, oldest first, also ended ones."""
    from pipeline.app import open_app
    from registry import training

    found, last = [], ""
    with open_app(load(home)) as opened:
        while page := training.list_wishes(opened.engine, after=last, claimant=claimant):
            found += page
            last = page[-1].id
    for one in found:
        ended = "" if one.removed_seq is None else ", ended"
        output.say(f"{one.id}  {one.claimant}: {one.url or one.sha256}{ended}")
    output.say(f"{len(found)} {'wish' if len(found) == 1 else 'wishes'}.")
    if as_json:
        output.answer([_document(one) for one in found])
    return output.OK


@app.command("withdraw")
@output.command
def withdraw(
    wish: Annotated[str, typer.Argument(metavar="ID", help="The wish's number.")],
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """End a wish; that it was there stays in the log."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import training

    with open_app(load(home)) as opened:
        seq = training.withdraw(opened.engine, wish, now=clock(), sign_checkpoint=opened.signer)
    output.say(f"Ended. Registry sequence {seq:,}.")
    if as_json:
        output.answer({"id": wish, "sequence": seq})
    return output.OK


@app.command("answer")
@output.command
def answer(
    sha256: Annotated[str, typer.Option(help="Digest of the file that is asked about.")] = "",
    url: Annotated[str, typer.Option(help="Address that is asked about.")] = "",
    file: Annotated[Path | None, typer.Option(help="The file itself; its digest is asked.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """What was said about something and since when: with --json a document that anybody can check."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.imports.training import evidence_document
    from registry import training

    if file is not None:
        if sha256:
            raise UsageError("name the digest or the file, not both")
        sha256 = _digest(file)
    if not (sha256 or url):
        raise UsageError("ask with --sha256, --url or --file")
    with open_app(load(home)) as opened:
        found = training.answer(opened.engine, sha256=sha256.lower(), url=url)
        log_name = opened.signer.origin
    for one in found:
        ended = "" if one.wish.removed_seq is None else " (ended)"
        uses = ", ".join(f"{use.removeprefix('cawg.')} {told['use']}" for use, told in one.wish.uses.items())
        output.say(f"{one.wish.claimant} since {one.at}: {uses}{ended}")
    if not found:
        output.say("Nothing was said about it here.")
    if as_json:
        asked = {"sha256": sha256.lower(), "url": url}
        output.answer(evidence_document(found, asked, clock(), log_name))
    return output.OK


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read ({error.strerror}); check its name") from None
    return digest.hexdigest()


def _document(one: Any) -> dict[str, Any]:
    return {
        "id": one.id, "claimant": one.claimant, "work": one.work, "url": one.url, "sha256": one.sha256,
        "entries": dict(one.uses), "source": one.source, "sequence": one.seq, "ended": one.removed_seq,
    }  # fmt: skip
