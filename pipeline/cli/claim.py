"""`countermark claim`: what parties claim: notices, disputes, decisions, the clock, evidence."""

import mimetypes
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli import optout, output, retroscan, speaking
from pipeline.errors import StorageFailed, UsageError
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.app import App
    from registry.party_types import Claim, Evidence

OCTETS: Final = "application/octet-stream"

app = typer.Typer(help="Claims: notices, disputes, decisions, evidence.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="CLAIM", help="The claim's id.", show_default=False)]
Why = Annotated[str, typer.Option(help="The reason; it is kept, and not public.")]
Owner = Annotated[str | None, typer.Option(help="The party in whose name, if not the one that speaks.")]


@app.command("list")
@output.command
def list_claims(
    party: Annotated[str | None, typer.Option(help="Only of this party.")] = None,
    state: Annotated[
        str | None,
        typer.Option(help="draft, provisional, active, rejected, disputed, withdrawn or expired."),
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """List claims, oldest first."""
    from pipeline.app import open_app
    from registry import claims, parties

    found: list[Claim] = []
    with open_app(load(home)) as opened:
        who = None if party is None else parties.find(opened.engine, party).id
        while page := claims.list_claims(
            opened.engine, party_id=who, state=state, after=found[-1].id if found else "", limit=500
        ):
            found += page
    for one in found:
        _say(one)
    output.say(f"{len(found)} {'claim' if len(found) == 1 else 'claims'}.")
    if as_json:
        output.answer([_document(one) for one in found])
    return output.OK


@app.command("show")
@output.command
def show(claim: Id, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Show a claim with what it states and its evidence."""
    from pipeline.app import open_app
    from registry import claims, evidence

    with open_app(load(home)) as opened:
        found, files = claims.get(opened.engine, claim), evidence.of_claim(opened.engine, claim)
    _say(found)
    for name, text in found.statements.items():
        output.say(f"  {name}: {text}")
    for file in files:
        _say_evidence(file)
    if as_json:
        output.answer(_document(found) | {"evidence": [_file(file) for file in files]})
    return output.OK


@app.command("file")
@output.command
def file(
    release: Annotated[str, typer.Argument(help="The release that the notice is about.", show_default=False)],
    kind: Annotated[str, typer.Option(help="notice_512, dsa16 or takedown48.")],
    by: Annotated[str, typer.Option(help="The party that gives notice, by name or id.")],
    owner: Owner = None,
    statement: speaking.Statements = None,
    signature: speaking.Signature = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Give notice of a clip that is out. A clip of a takedown48 stops being served at once."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import claims, parties

    settings = load(home)
    told = speaking.Speaking(by=by, kind=kind, statements=statement or [], signature=signature)
    with open_app(settings) as opened:
        filing = told.filing(opened.engine)
        assert filing is not None  # noqa: S101 - `by` is not optional
        whose = None if owner is None else parties.find(opened.engine, owner).id
        made = claims.notify(
            opened.engine, filing, release_id=release, owner=whose, terms=settings.terms, now=clock(),
            sign_checkpoint=opened.signer,
        )  # fmt: skip
    return _done(made, as_json)


@app.command("dispute")
@output.command
def dispute(
    claim: Annotated[
        str, typer.Argument(metavar="CLAIM", help="The claim's id, or the opt-out's.", show_default=False)
    ],
    by: speaking.By = None,
    owner: Owner = None,
    why: Why = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Object to a claim: until it is decided, what it blocks is held instead.

    Without --by it is trust and safety who objects.
    """
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import claims, parties

    with open_app(load(home)) as opened:
        who = None if by is None else parties.find(opened.engine, by).id
        whose = None if owner is None else parties.find(opened.engine, owner).id
        told = {"why": plain("why", why)}
        made = claims.dispute(
            opened.engine,
            claim,
            by=who,
            owner=whose,
            terms=opened.settings.terms,
            why={**told},
            now=clock(),
            sign_checkpoint=opened.signer,
        )
    return _done(made, as_json)


@app.command("decide")
@output.command
def decide(
    claim: Id,
    accept: Annotated[
        bool, typer.Option("--accept/--reject", help="Whether it stands; else its opt-out ends.")
    ],
    why: Why = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Decide on a claim: it stands, or it is rejected and out of force."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import claims

    settings = load(home)
    with open_app(settings) as opened:
        told = {"why": plain("why", why)}
        made = claims.decide(
            opened.engine, claim, accept=accept, why={**told}, terms=settings.terms, now=clock(),
            sign_checkpoint=opened.signer,
        )  # fmt: skip
        retroscan.say_back(opened.settle())
        _done(made, as_json)
        return optout.look_back(opened) if accept else output.OK


@app.command("withdraw")
@output.command
def withdraw(
    claim: Id, by: speaking.By = None, why: Why = "", home: output.Home = None, as_json: output.AsJson = False
) -> int:
    """Take a claim back; what stands on it is out of force."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import claims, parties

    with open_app(load(home)) as opened:
        who = None if by is None else parties.find(opened.engine, by).id
        told = {"why": plain("why", why)}
        made = claims.withdraw(
            opened.engine, claim, by=who, why={**told}, now=clock(), sign_checkpoint=opened.signer
        )
        retroscan.say_back(opened.settle())
    return _done(made, as_json)


@app.command("expire")
@output.command
def expire(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """End the claims whose clock has ended, and delete evidence whose date has come."""
    from pipeline.app import open_app

    with open_app(load(home)) as opened:
        ended, purged = opened.sweep()
    output.say(f"{len(ended)} claims ended by the clock, {len(purged)} files of evidence deleted.")
    if as_json:
        output.answer({"ended": ended, "purged": purged})
    return output.OK


@app.command("evidence")
@output.command
def evidence(
    claim: Id,
    add: Annotated[Path | None, typer.Option("--add", help="A file to keep with the claim.")] = None,
    media_type: Annotated[str | None, typer.Option("--type", help="Its media type.")] = None,
    note: Annotated[str, typer.Option(help="What it shows.")] = "",
    read: Annotated[str | None, typer.Option("--read", help="The id of evidence to look at.")] = None,
    to: Annotated[Path | None, typer.Option(help="Where to copy it.")] = None,
    why: Why = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Keep a file with a claim, or read one, which is noted; with neither, list what there is."""
    from pipeline.app import open_app

    if (add is not None and read is not None) or (read is None) != (to is None):
        raise UsageError("name --add FILE, or --read ID --to FILE, or neither")
    if to is not None:
        output.check_target(to)
    with open_app(load(home)) as opened:
        if add is not None:
            _add_evidence(opened, claim, add, media_type, note)
        if read is not None and to is not None:
            _read_evidence(opened, claim, read, to, why)
        from registry import evidence as kept

        files = kept.of_claim(opened.engine, claim)
    for one in files:
        _say_evidence(one)
    if as_json:
        output.answer([_file(one) for one in files])
    return output.OK


def _add_evidence(opened: "App", claim: str, path: Path, media_type: str | None, note: str) -> None:
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import evidence as kept

    try:
        if not path.is_file() or path.stat().st_size > kept.FILE_BYTES_MAX:
            raise UsageError(f"evidence is a file of at most {kept.FILE_BYTES_MAX >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the evidence cannot be read ({error.strerror}); check its name") from None
    kept.add(
        opened.engine, opened.store, claim, data,
        media_type=media_type or mimetypes.guess_type(path.name)[0] or OCTETS, note=plain("note", note),
        days=opened.settings.evidence_days, now=clock(), sign_checkpoint=opened.signer,
    )  # fmt: skip


def _read_evidence(opened: "App", claim: str, evidence_id: str, target: Path, why: str) -> None:
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import evidence as kept

    if evidence_id not in {one.id for one in kept.of_claim(opened.engine, claim)}:
        raise UsageError("this claim has no such evidence; see: countermark claim show")
    _, place = kept.open_file(
        opened.engine, opened.store, evidence_id, who="command line", why=plain("why", why), now=clock()
    )
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as copy, place.open("rb") as source:
            os.fchmod(descriptor, 0o600)
            shutil.copyfileobj(source, copy)
    except OSError as error:
        raise StorageFailed(f"cannot write the evidence ({error.strerror}); name another file") from None


def _done(made: "Claim", as_json: bool) -> int:
    _say(made)
    if as_json:
        output.answer(_document(made))
    return output.OK


def _say(one: "Claim") -> None:
    due = f", until {one.due_at}" if one.due_at and one.state in ("draft", "provisional") else ""
    about = one.subject or one.release or "not in force"
    output.say(f"{one.id}  {one.kind}: {one.state}{due} ({about})")


def _say_evidence(one: "Evidence") -> None:
    kept = f"deleted {one.purged_at[:10]}" if one.purged_at else f"kept until {one.purge_at[:10]}"
    output.say(f"  evidence {one.id}: {one.media_type}, {one.size} bytes, {kept} {one.note}")


def _document(one: "Claim") -> dict[str, Any]:
    from registry.claim_log import document

    return {**document(one)}


def _file(one: "Evidence") -> dict[str, Any]:
    return {
        "id": one.id, "sha256": one.sha256, "type": one.media_type, "size": one.size, "note": one.note,
        "added_at": one.added_at, "purge_at": one.purge_at, "purged_at": one.purged_at,
    }  # fmt: skip
