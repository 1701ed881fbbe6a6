"""`countermark log`: the transparency log, its proofs, its export, and erasure."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.errors import StorageFailed, UsageError
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.app import App
    from registry.types import LogEntry

PAGE: Final = 100

app = typer.Typer(help="The transparency log: entries, proofs, export, erasure.", no_args_is_help=True)

Target = Annotated[Path | None, typer.Option("--out", "-o", help="Write the document to this file.")]
Opened = Annotated[bool, typer.Option("--opened", help="With the private part, for whom it belongs to.")]


@app.command("show")
@output.command
def show(
    seq: Annotated[int | None, typer.Argument(help="The entry's number; without it, the newest.")] = None,
    last: Annotated[int, typer.Option(help="How many of the newest, without a number.")] = 10,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Show entries as everybody may read them."""
    from pipeline.app import open_app
    from registry import log
    from registry.db import read
    from registry.errors import NotFound

    if not 1 <= last <= PAGE:
        raise UsageError(f"--last lies between 1 and {PAGE}")
    with open_app(load(home)) as opened, read(opened.engine) as conn:
        head = log.head(conn)
        after = max(head - last, 0) if seq is None else seq - 1
        found = log.entries(conn, after, head if seq is None else seq)
    if seq is not None and not found:
        raise NotFound(f"There is no log entry {seq}; the last one is {head}.")
    for entry in found:
        closed = "" if entry.commitment is None else ", private part erased" if entry.erased else ", sealed"
        output.say(f"{entry.seq:>8}  {entry.at}  {entry.kind}{closed}", style="bold")
        output.say(f"          {json.dumps(entry.public, ensure_ascii=False)}")
    if as_json:
        rows = [_entry(entry) for entry in found]
        output.answer(rows if seq is None else rows[0])
    return output.OK


@app.command("checkpoint")
@output.command
def checkpoint(
    every: Annotated[bool, typer.Option("--all", help="Every checkpoint's size, oldest first.")] = False,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Show the signed state of the log, and the key that checks it."""
    from sqlalchemy import select

    from pipeline.app import open_app
    from registry import log
    from registry.checkpoint import parse_note
    from registry.db import read
    from registry.errors import NotFound
    from registry.tables import checkpoint as table

    with open_app(load(home)) as opened, read(opened.engine) as conn:
        key, note = opened.log_vkey, log.latest(conn)
        if note is None:
            raise NotFound("The log is empty: there is no checkpoint yet.")
        sizes = conn.execute(select(table.c.tree_size).order_by(table.c.tree_size)).scalars().all()
    told = parse_note(note)
    output.say(f"{told.origin}: {told.size:,} entries, root {told.root.hex()}")
    output.say(f"Key: {key}")
    document: dict[str, Any] = {
        "origin": told.origin, "tree_size": told.size, "root": told.root.hex(), "checkpoint": note,
        "key": key,
    }  # fmt: skip
    if every:
        output.say(f"Checkpoints: {', '.join(map(str, sizes))}")
        document["sizes"] = [*sizes]
    if as_json:
        output.answer(document)
    return output.OK


@app.command("prove")
@output.command
def prove(
    seq: Annotated[int | None, typer.Argument(help="The entry's number.")] = None,
    release: Annotated[str | None, typer.Option(help="Instead: a release, with its manifest.")] = None,
    opened_part: Opened = False,
    out: Target = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Give a receipt: an entry, or a release, with its way to the signed checkpoint."""
    from pipeline.app import open_app
    from registry import receipts
    from registry.db import read

    if (seq is None) == (release is None):
        raise UsageError("name the number of an entry, or a release with --release ID; one of the two")
    with open_app(load(home)) as opened:
        if release is not None:
            told: Any = opened.bundler.release(release)
        else:
            with read(opened.engine) as conn:
                told = receipts.receipt(conn, seq or 0, opened=opened_part)
    receipt = told["receipt"] if release is not None else told
    proof = receipt["proof"]
    output.say(f"Entry {proof['sequence']} is in the tree of {proof['tree_size']} entries.")
    return _handed_out(told, out, as_json=as_json)


@app.command("consistency")
@output.command
def consistency(
    old: Annotated[int, typer.Argument(help="Size of the older checkpoint.")],
    new: Annotated[int, typer.Argument(help="Size of the newer checkpoint.")],
    out: Target = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Prove that one checkpoint extends another: nothing before it was changed."""
    from pipeline.app import open_app
    from registry import receipts
    from registry.db import read

    with open_app(load(home)) as opened, read(opened.engine) as conn:
        told = receipts.consistency(conn, old, new)
    output.say(f"The log of {new} entries extends the one of {old}.")
    return _handed_out(told, out, as_json=as_json)


@app.command("audit")
@output.command
def audit(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Recompute the whole log in the registry: every hash, commitment, subtree and checkpoint."""
    from pipeline.app import open_app
    from registry import log
    from registry.db import read

    with open_app(load(home)) as opened, read(opened.engine) as conn:
        size, root = log.head(conn), log.audit(conn)
    output.say(f"{size:,} entries are whole; root {root.hex()}.", style="bold")
    if as_json:
        output.answer({"tree_size": size, "root": root.hex()})
    return output.OK


@app.command("export")
@output.command
def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder; what it has already is kept.")],
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Write the log as static files (C2SP tlog-tiles), for a web server; only what the folder lacks."""
    from pipeline.app import open_app
    from registry import export as exports
    from registry.db import read

    with open_app(load(home)) as opened, read(opened.engine) as conn:
        made = exports.export(conn, out)
    output.say(f"{made.size:,} entries ({made.before:,} before) lie in {out}; {made.files:,} files written.")
    if as_json:
        output.answer({
            "folder": str(out), "tree_size": made.size, "before": made.before, "files": made.files,
            "checkpoint": made.note,
        })  # fmt: skip
    return output.OK


@app.command("verify")
@output.command
def verify(
    paths: Annotated[
        list[Path], typer.Argument(help="Exported logs, bundles, documents.", show_default=False)
    ],
    key: Annotated[
        str | None, typer.Option(help="The log's public key, or a file with it; else the home's.")
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Check an exported log, receipts, releases and bundles, as `verify_log.py` does alone."""
    from registry import verify_log

    known = key
    if known is None:
        from pipeline.app import open_app

        with open_app(load(home)) as opened:
            known = opened.log_vkey
    status, lines = verify_log.run(known, paths)
    for line in lines:
        output.say(line)
    if as_json:
        output.answer({"holds": status == 0, "lines": lines})
    return {0: output.OK, 1: output.FOUND}.get(status, output.COULD_NOT)


@app.command("erase")
@output.command
def erase(
    subject: Annotated[str | None, typer.Option(help="A withdrawn opt-out, with all that names it.")] = None,
    party: Annotated[str | None, typer.Option(help="An owner, with all of their withdrawn opt-outs.")] = None,
    entry: Annotated[list[int] | None, typer.Option(help="One entry's private part; repeatable.")] = None,
    why: Annotated[str, typer.Option(help="The reason; it is kept, and not public: name nobody.")] = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Erase what is personal for good; the chain, its proofs and receipts stay whole."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import erasure, evidence

    if sum(bool(given) for given in (subject, party, entry)) != 1:
        raise UsageError("name what to erase with --subject, --party or --entry; one of the three")
    reason: Any = {"why": why} if why else {}
    with open_app(load(home)) as opened:
        told: dict[str, Any] = {"why": reason, "now": clock(), "sign_checkpoint": opened.signer}
        if subject:
            made = erasure.erase_subject(opened.engine, subject, **told)
        elif party:
            made = erasure.erase_party(opened.engine, party, **told)
        else:
            made = erasure.erase_entries(opened.engine, entry or [], **told)
        evidence.purge_due(opened.engine, opened.store, clock(), opened.signer)  # files that no row needs
        if not entry:
            opened.forget_index()
    count = len(made.entries)
    output.say(f"Erased the private parts of {count} {'entry' if count == 1 else 'entries'} for good.")
    output.say(f"That it was done is entry {made.seq} of the log. Backups still hold it: let them expire.")
    if as_json:
        output.answer({
            "entries": [*made.entries], "subjects": [*made.subjects], "sequence": made.seq,
            "checkpoint": made.note,
        })  # fmt: skip
    return output.OK


def _handed_out(told: Any, out: Path | None, *, as_json: bool) -> int:
    """Write a document as it is to be verified; its bytes count."""
    from registry import receipts

    if out is not None:
        write(out, receipts.written(told))
    if as_json:
        output.answer(told)
    elif out is None:
        raise UsageError("say where the document goes: -o FILE, or --json")
    return output.OK


def rule_receipt(opened: "App", rule_id: str, *, removed: bool = False) -> Any:
    """The receipt of a rule, licence or consent, or of its end, for whoever did that."""
    from registry import receipts
    from registry.db import read

    with read(opened.engine) as conn:
        return receipts.of_rule(conn, rule_id, removed=removed)


def write(out: Path, content: bytes) -> None:
    """Write what somebody takes away with them. Raises: UsageError, StorageFailed."""
    output.check_target(out)
    try:
        out.write_bytes(content)
    except OSError as error:
        raise StorageFailed(f"cannot write {out} ({error.strerror}); name another file") from None
    output.say(f"Written: {out}")


def _entry(entry: "LogEntry") -> dict[str, Any]:
    return {
        "sequence": entry.seq, "kind": entry.kind, "at": entry.at, "public": entry.public,
        "commitment": entry.commitment, "erased": entry.erased, "leaf_hash": entry.leaf_hash.hex(),
    }  # fmt: skip
