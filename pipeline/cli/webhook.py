"""`countermark webhook`: who is told of the log's entries."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import output
from pipeline.settings import load

if TYPE_CHECKING:
    from registry.webhooks import Webhook

app = typer.Typer(
    help="Webhooks: add, list, secret, pause, resume, replay, remove, deliver.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(help="The webhook's id, as `list` shows it.", show_default=False)]


@app.command("add")
@output.command
def add(
    url: Annotated[str, typer.Argument(help="Where entries are sent: https, but on this very machine.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="A kind of log entry, once for each; default: all.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="With the private part of entries: for your own systems only.")
    ] = False,
    after: Annotated[
        int | None, typer.Option(min=0, help="From this entry on; default: from now on.")
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Tell an address of the log's entries, in order. Prints the secret that signs them."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.webhooks import checked_url
    from registry import webhooks

    checked_url(url)
    with open_app(load(home)) as opened:
        made = webhooks.add(opened.engine, url, kind or (), opened=private, after=after, now=clock())
        secret = opened.courier.secret(made.id)
    output.say(f"Webhook {made.id}; it is told of entries after {made.cursor}. Check signatures with:")
    if as_json:
        output.answer(_document(made) | {"secret": secret})
    else:
        typer.echo(secret)
    return output.OK


@app.command("list")
@output.command
def list_webhooks(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """All webhooks: how far they are, and what is wrong."""
    from pipeline.app import open_app
    from registry import log, webhooks
    from registry.db import read

    with open_app(load(home)) as opened:
        found = webhooks.list_all(opened.engine)
        with read(opened.engine) as conn:
            head = log.head(conn)
    for one in found:
        trouble = f"; {one.failures} tries failed: {one.trouble}" if one.failures else ""
        output.say(f"{one.id}  {one.state}, told up to {one.cursor} of {head}: {one.url}{trouble}")
    if as_json:
        output.answer([_document(one) for one in found])
    return output.OK


@app.command("secret")
@output.command
def secret(webhook: Id, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """The secret that a webhook's signatures are checked with."""
    from pipeline.app import open_app
    from registry import webhooks

    with open_app(load(home)) as opened:
        told = opened.courier.secret(webhooks.get(opened.engine, webhook).id)
    if as_json:
        output.answer({"secret": told})
    else:
        typer.echo(told)
    return output.OK


@app.command("pause")
@output.command
def pause(webhook: Id, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Send nothing more until it is resumed; nothing is lost."""
    return _set(webhook, "paused", home, as_json=as_json)


@app.command("resume")
@output.command
def resume(webhook: Id, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Go on, at once, where it stopped."""
    return _set(webhook, "active", home, as_json=as_json)


@app.command("remove")
@output.command
def remove(webhook: Id, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Never send to it again."""
    return _set(webhook, "removed", home, as_json=as_json)


@app.command("replay")
@output.command
def replay(
    webhook: Id,
    after: Annotated[int, typer.Option(min=0, help="Tell everything after this entry again; 0: all.")],
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Tell entries again, in order, with the same ids."""
    from pipeline.app import open_app
    from registry import webhooks

    with open_app(load(home)) as opened:
        found = webhooks.replay(opened.engine, webhook, after)
    output.say(f"{found.id} is told everything after entry {after} again.")
    if as_json:
        output.answer(_document(found))
    return output.OK


@app.command("deliver")
@output.command
def deliver(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Send what is due, once; `serve` does so every second."""
    from pipeline.app import open_app

    with open_app(load(home)) as opened:
        count = opened.courier.deliver()
    output.say(f"{count} {'entry was' if count == 1 else 'entries were'} taken.")
    if as_json:
        output.answer({"taken": count})
    return output.OK


def _set(webhook: str, state: str, home: Path | None, *, as_json: bool) -> int:
    from pipeline.app import open_app
    from registry import webhooks

    with open_app(load(home)) as opened:
        found = webhooks.set_state(opened.engine, webhook, state)
    output.say(f"{found.id} is {found.state}.")
    if as_json:
        output.answer(_document(found))
    return output.OK


def _document(one: "Webhook") -> dict[str, Any]:
    return asdict(one) | {"kinds": list(one.kinds)}
