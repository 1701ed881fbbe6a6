"""`countermark optout`: say no to a character, a person, a logo or a work being drawn, or take it back."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli import output, reference, speaking
from pipeline.errors import ImportRefused, UsageError, describe
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.app import App
    from pipeline.optouts.desk import Desk
    from pipeline.optouts.receipt import Receipt
    from registry.subject_types import SubjectRecord

MAX_SHOWN: Final = 50
CLOCK: Final = slice(11, 19)  # of an RFC 3339 time
DRAFT: Final = "draft"

app = typer.Typer(help="Opt-outs: whom or what nobody may draw here.", no_args_is_help=True)

Many = list[str] | None


@app.command("add")
@output.command
def add(
    name: Annotated[
        str | None, typer.Argument(help="Whom or what to protect; after -- if it begins with a dash.")
    ] = None,
    kind: Annotated[str, typer.Option(help="character, person, logo, artwork or portfolio.")] = "character",
    alias: Annotated[Many, typer.Option(help="Another name; may be repeated.")] = None,
    picture: Annotated[
        list[Path] | None, typer.Option(help="A PNG, JPEG or WebP that shows it; may be repeated.")
    ] = None,
    negative: Annotated[
        list[Path] | None, typer.Option(help="A picture of what looks alike and is not meant.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who says no.")] = None,
    description: Annotated[str, typer.Option(help="What it looks like, in a sentence.")] = "",
    attribute: Annotated[Many, typer.Option(help="One thing to tell it by; may be repeated.")] = None,
    exclusion: Annotated[Many, typer.Option(help="What is not meant; may be repeated.")] = None,
    context: Annotated[
        Many, typer.Option(help="A word that stands near the name where it is meant; may be repeated.")
    ] = None,
    mode: Annotated[str, typer.Option(help="block, ask or allow.")] = "block",
    work: Annotated[str, typer.Option(help="The title of the work it belongs to.")] = "",
    died_on: Annotated[
        str | None, typer.Option(help="Of a person who died: the day, as their estate told it.")
    ] = None,
    by: speaking.By = None,
    claim: speaking.Kind = None,
    statement: speaking.Statements = None,
    signature: speaking.Signature = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="A file with one subject as JSON on each line.")
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Register an opt-out, or a file of them; in force when the command ends.

    Without --by it is the operator who says so.
    """
    told = {
        "aliases": alias, "attributes": attribute, "exclusions": exclusion, "context": context,
        "owner": owner, "work": work, "died_on": died_on,
    }  # fmt: skip
    who = speaking.Speaking(by=by, kind=claim, statements=statement or [], signature=signature)
    values: dict[str, Any] = {key: value for key, value in told.items() if value}
    values |= {"kind": kind, "name": name, "description": description, "mode": mode}
    if (name is None) == (source is None):
        raise UsageError("name whom or what to protect, or a file with --from FILE; one of the two")
    if source is not None:
        if set(values) - {"kind", "name", "description", "mode"} or picture or negative or description:
            raise UsageError("with --from, everything about a subject stands in the file")
        return _add_file(source, who, home, as_json=as_json)
    return _add_one(values, picture or [], negative or [], who, home, as_json=as_json)


def _add_one(
    values: dict[str, Any], pictures: Sequence[Path], negatives: Sequence[Path], who: speaking.Speaking,
    home: Path | None, *, as_json: bool,
) -> int:  # fmt: skip
    from pipeline.app import open_app
    from pipeline.optouts.order import parse_order

    order = parse_order(values)
    with open_app(load(home)) as opened:
        filing = who.filing(opened.engine, person=order.kind == "person")
        with output.bar("looking at the pictures", "pictures") as bar:
            made = desk_of(opened).register(order, pictures, negatives, bar.at, filing)
        _say(made)
        if as_json:
            output.answer(made.to_json())
        return look_back(opened)


def _add_file(source: Path, who: speaking.Speaking, home: Path | None, *, as_json: bool) -> int:
    """Receipts are one JSON object a line, also without --json: they are what such a file is for."""
    from pipeline.app import open_app

    try:
        with open_app(load(home)) as opened:
            with output.bar("looking at the pictures", "pictures") as bar:
                filing = who.filing(opened.engine)
                receipts = desk_of(opened).register_file(source, bar.at, filing)
            for made in receipts:
                _line(made.to_json())
                for note in made.notes:
                    output.say(f"  {made.name}: {note}")
            force = [made for made in receipts if made.standing != DRAFT]
            output.say(f"{len(force)} opt-outs in force since {receipts[-1].at[CLOCK]} UTC.", style="bold")
            if len(force) < len(receipts):
                output.say(f"{len(receipts) - len(force)} wait until the party is verified.")
            return look_back(opened)
    except ImportRefused as error:
        _say_problems(error, as_json=as_json)
        return error.exit_code


def _say_problems(error: ImportRefused, *, as_json: bool) -> None:
    for problem in error.problems[:MAX_SHOWN]:
        output.say(f"  line {problem.line}: {problem.message}")
    count = len(error.problems)
    output.say(f"countermark: {count} {'problem' if count == 1 else 'problems'}; nothing was registered")
    if as_json:
        for problem in error.problems:
            _line({"line": problem.line, "error": {"code": problem.code, "message": problem.message}})


def desk_of(opened: "App") -> "Desk":
    """The desk of an open home."""
    from pipeline.clock import clock
    from pipeline.optouts.desk import Desk

    eyes, signer, terms = opened.eyes, opened.signer, opened.settings.terms
    return Desk(engine=opened.engine, eyes=eyes, signer=signer, clock=clock, terms=terms)


def _say(made: "Receipt") -> None:
    for note in (*made.notes, *(name.sentence() for name in made.names)):
        output.say(f"  {note}")
    if not made.new:
        output.say(f"{made.name} was registered before with all of this: nothing changed.", style="bold")
        return
    if made.standing == DRAFT:
        output.say(f"{made.name} waits and is not in force: this party's cap is reached.", style="bold")
        output.say(f"It comes into force when the party is verified (claim {made.claim}).")
        return
    output.say(f"{made.name} is protected. Its number is {made.id}.", style="bold")
    output.say(f"In force since {made.at[CLOCK]} UTC. Registry sequence {made.sequence:,}.")
    output.say("Refused from the next request.")
    if made.due_at is not None and made.standing == "provisional":
        output.say(f"Provisional until {made.due_at}: have the party verified (claim {made.claim}).")


def look_back(opened: "App") -> int:
    """What is already out is compared with what was registered; a failure leaves the opt-out in force."""
    from pipeline.cli import retroscan

    with output.bar("looking through what is out", "releases") as bar:
        try:
            report = opened.retroscan(lambda count: bar.at(float(count)))
        except Exception as error:  # noqa: BLE001 - what is not ours is raised again
            told = describe(error)
            output.say(
                f"countermark: the opt-out is in force, but what is out was not searched: {told.message}"
            )
            output.say("Run countermark retroscan when that is mended.")
            return output.COULD_NOT
    if report.compared:
        retroscan.say(report)
    return output.OK


@app.command("list")
@output.command
def list_optouts(
    owner: Annotated[str | None, typer.Option(help="Only those of this owner.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """List opt-outs, oldest first."""
    from pipeline.app import open_app
    from pipeline.optouts.order import plain

    whose = None if owner is None else plain("owner", owner)
    with open_app(load(home)) as opened:
        found = list(desk_of(opened).every(whose))
    for record in found:
        state = "" if record.state == "active" else f", {record.state}"
        output.say(f"{record.id}  {record.name} ({record.kind}, {record.owner}{state})")
    output.say(f"{len(found)} {'opt-out' if len(found) == 1 else 'opt-outs'}.")
    if as_json:
        output.answer([_document(record) for record in found])
    return output.OK


@app.command("show")
@output.command
def show(
    subject: Annotated[str, typer.Argument(metavar="ID", help="The opt-out's number.")],
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Show an opt-out with its names, pictures and rules, and what was found of it in what is out."""
    from pipeline.app import open_app
    from pipeline.cli import retroscan
    from registry.db import read

    with open_app(load(home)) as opened:
        desk = desk_of(opened)
        record, pictures = desk.show(subject), desk.pictures(subject)
        held = desk.quarantined(subject)
        with read(opened.engine) as conn:
            found = retroscan.found_for(conn, subject)
    document = _document(record) | {
        "quarantined": [reference.document(one) for one in held],
        "pictures": [
            {"sha256": one.sha256, "name": one.name, "negative": one.polarity < 0, "width": one.width,
             "height": one.height}
            for one in pictures
        ],
        "released_clips": found,
    }  # fmt: skip
    _say_record(record, document)
    for one in held:
        output.say(f"  {reference.sentence(one)}")
    output.say(f"  {retroscan.words_of(found)}")
    if as_json:
        output.answer(document)
    return output.OK


@app.command("withdraw")
@output.command
def withdraw(
    subject: Annotated[str, typer.Argument(metavar="ID", help="The opt-out's number.")],
    why: Annotated[str, typer.Option(help="The reason; it is kept, and not public.")] = "",
    by: speaking.By = None,
    keep_withdrawn: Annotated[
        bool, typer.Option("--keep-withdrawn", help="Clips that it keeps away do not come back.")
    ] = False,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Take an opt-out out of force, with its names, pictures, vectors and rules.

    Clips that it alone kept away are served again.
    """
    from pipeline.app import open_app
    from pipeline.cli import retroscan
    from pipeline.optouts.order import plain

    reason = plain("why", why)
    with open_app(load(home)) as opened:
        filing = speaking.Speaking(by=by, kind="withdraw").filing(opened.engine)
        made = desk_of(opened).withdraw(subject, reason, filing, keep=keep_withdrawn)
        back = opened.settle()
    if made.new:
        output.say(f"{made.name} is out of force since {made.at[CLOCK]} UTC.", style="bold")
        output.say(f"Registry sequence {made.sequence:,}. Its pictures' vectors are deleted.")
    else:
        output.say(f"{made.name} was withdrawn before: nothing changed.", style="bold")
    retroscan.say_back(back)
    if as_json:
        output.answer(made.to_json() | {"served_again": back})
    return output.OK


def _document(record: "SubjectRecord") -> dict[str, Any]:
    return {
        "id": record.id, "kind": record.kind, "name": record.name, "owner": record.owner,
        "mode": record.mode, "state": record.state, "sequence": record.seq, "standing": record.standing,
        "claim": record.claim, "died_on": record.died_on, "work": record.work,
        "portfolios": list(record.portfolios),
        "description": record.description, "attributes": list(record.attributes),
        "exclusions": list(record.exclusions),
        "names": [
            {"text": one.text, "kind": one.kind, "language": one.language, "tier": one.tier,
             "context": list(one.context)}
            for one in record.names
        ],
        "rules": [
            {"id": one.id, "effect": one.effect, "account": one.account, "valid_from": one.valid_from,
             "valid_until": one.valid_until, "licence": one.licence}
            for one in record.rules
        ],
    }  # fmt: skip


def _say_record(record: "SubjectRecord", document: dict[str, Any]) -> None:
    stands = "" if record.standing == "active" else f" ({record.standing})"
    title = f"{record.name} ({record.kind}, {record.owner}): {record.state}{stands}, {record.mode}"
    output.say(title, style="bold")
    if record.portfolios:
        output.say(f"  also under the owner's portfolio {', '.join(record.portfolios)}")
    for one in record.names:
        near = f", only near: {', '.join(one.context)}" if one.tier == "context" else ""
        output.say(f"  name {one.text} ({one.language or one.kind}{near})")
    for text in (record.description, *record.attributes):
        if text:
            output.say(f"  {text}")
    for picture in document["pictures"]:
        what = "not meant" if picture["negative"] else "picture"
        output.say(f"  {what} {picture['name']}, {picture['width']} × {picture['height']}")
    output.say(f"  registry sequence {record.seq:,}")


def _line(document: Any) -> None:
    """One JSON object on one line of standard output, in ASCII."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
