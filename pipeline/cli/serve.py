"""`countermark serve`: the service over HTTP."""

from typing import Annotated, Final

import typer

from pipeline.cli import output
from pipeline.settings import load

HOST: Final = "127.0.0.1"
PORT: Final = 8080


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; put a TLS proxy before any but this.")
    ] = HOST,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one and says which.")
    ] = PORT,
    home: output.Home = None,
) -> int:
    """Serve the API and the pages until interrupted; what was begun and not finished is gone on with."""
    from pipeline.api.server import serve as run
    from pipeline.starting import try_models

    settings = load(home)
    try_models(settings)
    run(settings, host, port)
    return output.OK
