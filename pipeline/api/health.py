"""Whether the service works."""

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from pipeline import auth
from pipeline.api import metrics as numbers
from pipeline.api import shapes
from pipeline.api.standing import READY, troubles
from pipeline.api.state import Here, caller_with
from pipeline.auth import Caller
from registry import log
from registry.db import read

router = APIRouter(tags=["service"])

Watcher = Annotated[Caller, Depends(caller_with(auth.METRICS))]


@router.get("/healthz", response_model=shapes.HealthAnswer)
def get_health(here: Here) -> JSONResponse:
    """The registry answers; its head and the last position that can change a verdict."""
    with read(here.app.engine) as conn:
        head, seq = log.head(conn), log.registry_seq(conn)
    return JSONResponse(
        {"status": "ok", "version": version("countermark"), "log_seq": head, "registry_seq": seq}
    )


@router.get(
    "/readyz", response_model=shapes.ReadyAnswer,
    responses={503: {"model": shapes.ReadyAnswer, "description": "It takes no work now; it says why."}},
)  # fmt: skip
def get_ready(here: Here) -> JSONResponse:
    """Whether this process takes work: it is not stopping, has caught up with the registry, and has disk."""
    found = troubles(here)
    ready = all(told == READY for told in found.values())
    return JSONResponse({"status": READY if ready else "not_ready", "parts": found}, 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses=shapes.METRICS)
def get_metrics(here: Here, _caller: Watcher) -> Response:
    """Numbers for Prometheus: requests, jobs, verdicts, what waits."""
    return Response(here.metrics.text(), media_type=numbers.MEDIA_TYPE)
