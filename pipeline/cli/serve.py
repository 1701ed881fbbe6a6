"""`countermark serve`: the service over HTTP."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.cli import output
from pipeline.settings import load

if TYPE_CHECKING:
    from sqlalchemy import Engine

HOST: Final = "127.0.0.1"
PORT: Final = 8080
EVERYWHERE: Final = {"http://0.0.0.0": "http://127.0.0.1", "http://[::]": "http://[::1]"}
"""Addresses that stand for every one of this machine, and one at which a browser on it reaches them."""


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; put a TLS proxy before any but this.")
    ] = HOST,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one and says which.")
    ] = PORT,
    home: output.Home = None,
) -> int:
    """Serve the API and the pages until interrupted; what was begun and not finished is gone on with.

    It answers at once, and is ready (/readyz) when its models are loaded. A home without API keys gets its
    first one, and a link for signing in with it is printed: it works once.
    """
    from pipeline.api.server import serve as run
    from pipeline.credentials.safe import safe_of

    settings = load(home)
    safe_of(settings).demand_open()  # a sentence, where the server would tell of a defect
    run(settings, host, port, _tell)
    return output.OK


def _tell(address: str, engine: "Engine") -> None:
    """Where it is, and how a person signs in; on standard output, since no secret belongs into a log."""
    everywhere = next((told for told in EVERYWHERE if address.startswith(f"{told}:")), "")
    here = address.replace(everywhere, EVERYWHERE[everywhere]) if everywhere else address
    link = _first_link(engine)
    typer.echo(f"Countermark: {here}{' (and every other address of this machine)' if everywhere else ''}")
    typer.echo(f"  pages: {here}/verify, {here}/optout, {here}/review; API: {here}/openapi.json")
    if link:
        typer.echo(f"Sign in, once and within fifteen minutes: {here}/sign-in?link={link}")
    else:
        typer.echo(f"Sign in by a link: countermark apikeys list, and apikeys link KEY --address {here}")


def _first_link(engine: "Engine") -> str:
    """A link of the first key, which is made where there is none; its secret is kept by nobody."""
    from pipeline.clock import clock
    from registry import apikeys, sessions

    if apikeys.list_keys(engine, limit=1):
        return ""
    scopes = [scope for scope in apikeys.SCOPES if scope != apikeys.TESTER]
    key, _ = apikeys.create(engine, "operator", "first administrator", scopes, now=clock())
    return sessions.make_link(engine, key.id, clock())
