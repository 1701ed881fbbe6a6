"""Whether the service works."""

from importlib.metadata import version

from fastapi import APIRouter
from starlette.responses import JSONResponse

from pipeline.api import shapes
from pipeline.api.state import Here
from registry import log
from registry.db import read

router = APIRouter(tags=["service"])


@router.get("/healthz", response_model=shapes.HealthAnswer)
def get_health(here: Here) -> JSONResponse:
    """The registry answers; its head and the last position that can change a verdict."""
    with read(here.app.engine) as conn:
        head, seq = log.head(conn), log.registry_seq(conn)
    return JSONResponse(
        {"status": "ok", "version": version("countermark"), "log_seq": head, "registry_seq": seq}
    )
