"""`countermark reference`: what of the opt-outs is in quarantine, put there or let out by an operator."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli import output, retroscan
from pipeline.errors import UsageError
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.quarantine import Loud
    from registry.quarantine import Quarantined

MOST: Final = 20  # references that are listed as found most often

app = typer.Typer(
    help="Quarantine: what matches too much holds, and refuses nothing, until it is released.",
    no_args_is_help=True,
)

Subject = Annotated[str, typer.Argument(metavar="ID", help="The opt-out's number.", show_default=False)]
Picture = Annotated[str | None, typer.Option(help="A picture, by its SHA-256 or the first 8 digits of it.")]
Name = Annotated[str | None, typer.Option(help="A name.")]
Words = Annotated[bool, typer.Option("--words", help="Description and attributes.")]
Why = Annotated[str, typer.Option(help="The reason; it is kept, and the holder sees it.")]


@app.command("list")
@output.command
def list_references(
    subject: Annotated[str | None, typer.Argument(metavar="ID", help="Only of this opt-out.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """What is in quarantine, and what was found most often of late."""
    from pipeline import quarantine as watching
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import quarantine

    with open_app(load(home)) as opened:
        held = quarantine.listed(opened.engine, subject)
        loud = watching.loudest(opened.engine, now=clock(), most=MOST)
    loud = [one for one in loud if subject is None or one.item.subject == subject]
    for one in held:
        output.say(f"{one.subject}  {_what(one.kind, one.item)}, since {one.since}: {one.why}")
    output.say(f"{len(held)} in quarantine.", style="bold")
    for often in loud:
        item, window = often.item, often.window
        marked = ", over the limits" if often.jumped else ""
        found = f"found in {window.hits} of {window.jobs} jobs of {window.accounts} accounts"
        output.say(f"{item.subject}  {_what(item.kind, item.item)}: {found}{marked}")
    if as_json:
        output.answer({"quarantined": [document(one) for one in held], "found_often": list(map(_loud, loud))})
    return output.OK


@app.command("quarantine")
@output.command
def quarantine_reference(
    subject: Subject, picture: Picture = None, name: Name = None, words: Words = False,
    why: Why = "by an operator", home: output.Home = None, as_json: output.AsJson = False,
) -> int:  # fmt: skip
    """Let a picture, a name or the words of an opt-out hold at most, until it is released."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import quarantine
    from registry.subject_types import QuarantineDraft

    with open_app(load(home)) as opened:
        kind, item = _named(opened.engine, subject, picture, name, words)
        seq = quarantine.quarantine(
            opened.engine, subject, [QuarantineDraft(kind=kind, item=item, why=plain("why", why))],
            cause=quarantine.OPERATOR, now=clock(), sign_checkpoint=opened.signer,
        )  # fmt: skip
    told = "It is in quarantine already." if seq is None else f"In quarantine. Registry sequence {seq:,}."
    output.say(told, style="bold")
    if as_json:
        output.answer({"subject": subject, "kind": kind, "item": item, "seq": seq})
    return output.OK


@app.command("release")
@output.command
def release_reference(
    subject: Subject, picture: Picture = None, name: Name = None, words: Words = False,
    why: Why = "by an operator", home: output.Home = None, as_json: output.AsJson = False,
) -> int:  # fmt: skip
    """End a quarantine: what it finds is refused or held as the opt-out says, also looking back."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import quarantine

    with open_app(load(home)) as opened:
        kind, item = _named(opened.engine, subject, picture, name, words)
        seq = quarantine.release(
            opened.engine, subject, kind, item, why=plain("why", why), now=clock(),
            sign_checkpoint=opened.signer,
        )  # fmt: skip
        output.say(f"Released from quarantine. Registry sequence {seq:,}.", style="bold")
        report = opened.retroscan()
    retroscan.say(report)
    if as_json:
        output.answer(
            {"subject": subject, "kind": kind, "item": item, "seq": seq,
             "retroscan": retroscan.document(report)}
        )  # fmt: skip
    return output.OK


def document(one: "Quarantined") -> dict[str, Any]:
    """A quarantine, for a program."""
    return {
        "subject": one.subject, "kind": one.kind, "item": one.item, "cause": one.cause, "why": one.why,
        "figures": one.figures, "since": one.since, "sequence": one.log_seq,
    }  # fmt: skip


def sentence(one: "Quarantined") -> str:
    """A quarantine, for its holder."""
    return f"in quarantine since {one.since}: {_what(one.kind, one.item)}. {one.why}"


def _named(engine: Any, subject: str, picture: str | None, name: str | None, words: bool) -> tuple[str, str]:
    from registry import quarantine

    if sum((picture is not None, name is not None, words)) != 1:
        raise UsageError("say what: --picture SHA256, --name NAME or --words; one of them")
    if picture is not None:
        return quarantine.PICTURE, quarantine.find_picture(engine, subject, picture)
    return (quarantine.WORDS, "") if name is None else (quarantine.NAME, name)


def _what(kind: str, item: str) -> str:
    return {"picture": f"picture {item[:12]}", "name": f"the name {item}"}.get(kind, "its words")


def _loud(one: "Loud") -> dict[str, Any]:
    return {
        "subject": one.item.subject, "kind": one.item.kind, "item": one.item.item, "hits": one.window.hits,
        "jobs": one.window.jobs, "accounts": one.window.accounts, "hits_before": one.before.hits,
        "jobs_before": one.before.jobs, "over_limits": one.jumped,
    }  # fmt: skip
