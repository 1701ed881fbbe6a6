"""`countermark apikeys`: who may use the service, and what for."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import output
from pipeline.clock import clock, rfc3339
from pipeline.settings import load

if TYPE_CHECKING:
    from registry.apikeys import ApiKey

app = typer.Typer(
    help="API keys of the service: create, link, list, revoke, resume, incident.", no_args_is_help=True
)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `list` shows it.", show_default=False)]
Why = Annotated[str, typer.Option(help="For the private part of the log.")]


@app.command("create")
@output.command
def create(
    account: Annotated[str, typer.Option(help="Whose key it is; jobs and opt-outs belong to the account.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="create, guard, moderate, verify, optout, holder (one whom nobody verified yet), review "
            "(decides about held clips), metrics; once for each. With tester nothing ever leaves."
        ),
    ],
    name: Annotated[str, typer.Option(help="What the key is for, for your own list.")] = "",
    tag: Annotated[
        list[str] | None,
        typer.Option(help="A tag of the account, as rules name it; once for each."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it ends; default: never.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Make a key. Its secret is shown once, now, on standard output, and never again."""
    from pipeline.app import open_app
    from registry import apikeys

    ends = None if days is None else rfc3339(datetime.now(UTC) + timedelta(days=days))
    with open_app(load(home)) as opened:
        key, secret = apikeys.create(
            opened.engine, account, name or account, scope, expires_at=ends, tags=tag or (), now=clock()
        )
    output.say(f"Key {key.id} of {key.account}, for {', '.join(key.scopes)}. The secret is not shown again:")
    if as_json:
        output.answer(_document(key) | {"secret": secret})
    else:
        typer.echo(secret)
    return output.OK


@app.command("link")
@output.command
def link(
    key: KeyId,
    address: Annotated[
        str, typer.Option(help="Where people reach the service; https, but on this machine.")
    ] = "http://127.0.0.1:8080",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """A link with which the person of a key signs in to the pages. It works once, for fifteen minutes."""
    from pipeline.app import open_app
    from registry import sessions

    with open_app(load(home)) as opened:
        secret = sessions.make_link(opened.engine, key, clock())
    made = f"{address.rstrip('/')}/sign-in?link={secret}"
    output.say("Open it yourself, or give it to that person alone:")
    if as_json:
        output.answer({"link": made})
    else:
        typer.echo(made)
    return output.OK


@app.command("list")
@output.command
def list_keys(
    account: Annotated[str | None, typer.Option(help="Only the keys of this account.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """List keys; no secret is shown, and none is kept."""
    from pipeline.app import open_app
    from registry import apikeys

    keys: list[ApiKey] = []
    with open_app(load(home)) as opened:
        while page := apikeys.list_keys(opened.engine, account=account, after=keys[-1].id if keys else ""):
            keys += page
    for key in keys:
        state = f"revoked {key.revoked_at}" if key.revoked_at else f"until {key.expires_at or 'revoked'}"
        state += f", suspended {key.suspended_at}" if key.suspended_at else ""
        output.say(f"  {key.id} {key.account} ({key.name}): {', '.join(key.scopes)}; {state}")
    if as_json:
        output.answer([_document(key) for key in keys])
    return output.OK


@app.command("revoke")
@output.command
def revoke(
    key_id: KeyId,
    why: Why = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Revoke a key, everywhere and at once: what it asked for and has not left yet cannot leave."""
    from pipeline.app import open_app
    from registry import apikeys

    with open_app(load(home)) as opened:
        key = apikeys.revoke(
            opened.engine, key_id, why={"why": why}, now=clock(), sign_checkpoint=opened.signer
        )
    output.say(f"Key {key.id} of {key.account} is revoked since {key.revoked_at}.")
    output.say(f"What was made with it: countermark apikeys incident {key.id}")
    if as_json:
        output.answer(_document(key))
    return output.OK


@app.command("resume")
@output.command
def resume(
    key_id: KeyId,
    why: Why = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Let a key in again that was suspended, since it was used from many addresses."""
    from pipeline.app import open_app
    from registry import suspensions

    with open_app(load(home)) as opened:
        key = suspensions.resume(
            opened.engine, key_id, why={"why": why}, now=clock(), sign_checkpoint=opened.signer
        )
    output.say(f"Key {key.id} of {key.account} is let in again.")
    if as_json:
        output.answer(_document(key))
    return output.OK


@app.command("incident")
@output.command
def incident(
    key: KeyId,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Revoke the key, and take back all that was made with it.")
    ] = False,
    why: Why = "",
    by: Annotated[str, typer.Option(help="Who decides; default: the user of this machine.")] = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """A key has leaked: list what was made with it, and with --withdraw take all of it back in one act."""
    from pipeline.app import open_app
    from pipeline.cli.case import who
    from pipeline.optouts.order import plain

    with open_app(load(home)) as opened:
        act = opened.incidents
        found = act.take_back(key, who(by), plain("why", why)) if withdraw else act.look(key)
    state = f"revoked {found.revoked_at}" if found.revoked_at else "not revoked"
    output.say(f"Key {found.key} of {found.account}, {state}:", style="bold")
    for name in ("released", "withdrawn", "held", "open", "let_go"):
        output.say(f"  {name.replace('_', ' ')}: {', '.join(getattr(found, name)) or 'nothing'}")
    if found.released or found.held:
        output.say(f"Take it back: countermark apikeys incident {found.key} --withdraw --why …")
    if as_json:
        output.answer(asdict(found))
    return output.FOUND if found.released or found.held or found.open else output.OK


def _document(key: "ApiKey") -> dict[str, Any]:
    return asdict(key) | {"scopes": list(key.scopes), "tags": list(key.tags)}
