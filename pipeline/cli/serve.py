"""`countermark serve`: the service over HTTP."""

from typing import Annotated, Final

import typer

from pipeline.cli import output
from pipeline.settings import Settings, load

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

    settings = load(home)
    _open_models(settings)
    run(settings, host, port)
    return output.OK


def _open_models(settings: Settings) -> None:
    """Load the models that the settings name, so that one that is missing stops the start and no request.

    Raises: ModelUnusable, GeneratorUnusable.
    """
    if settings.speech_model:
        from pipeline.listening import open_reader

        open_reader(settings)
    if settings.enhancer:
        from pipeline.release.generation import opened_enhancer

        opened_enhancer(settings.enhancer, settings.enhancer_sha256)
