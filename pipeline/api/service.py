"""The service: routes, limits, problems, and the application behind them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig

from pipeline.api import (
    appeals,
    beginnings,
    cases,
    claims,
    decisions,
    files,
    generations,
    health,
    imports,
    keys,
    moderate,
    optouts,
    problems,
    resolution,
    resolution_service,
    rules,
    shapes,
    transparency,
    verify,
    webhooks,
)
from pipeline.api.bounds import Bounds
from pipeline.api.metrics import Metrics
from pipeline.api.standing import standing
from pipeline.api.state import Service, count_by_address
from pipeline.app import open_app
from pipeline.eyes import Eyes
from pipeline.settings import Settings
from pipeline.web import (
    clips,
    console,
    feed,
    holders,
    notices,
    numbers,
    pages,
    portal,
    rendering,
    signing_in,
)

ROUTERS: Final = (  # what is asked most often first: they are tried in this order
    moderate.router, beginnings.router, generations.router, optouts.router, rules.router, claims.router,
    imports.router, decisions.router, appeals.router, cases.router, verify.router, files.router,
    transparency.router, resolution.router, resolution_service.router, keys.router, webhooks.router,
    health.router,
)  # fmt: skip
ABOUT: Final = (
    "A guard around a text-to-video generator: no clip leaves without having passed the opt-outs, and none "
    "leaves unmarked or unsigned. Every error is a problem (RFC 9457) with a stable code."
)
KEY_IS_WELCOME: Final = (
    "/v1/verify", "/v1/matches/byBinding", "/v1/matches/byContent", "/v1/manifests/{manifest_id}",
)  # fmt: skip
# The framework would send traces wherever OTEL_ variables say: the settings know nothing of those.
SILENT: Final[TelemetryConfig] = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}


def make_service(
    settings: Settings, *, load: Callable[[], None] | None = None, eyes: Eyes | None = None
) -> FastAPI:
    """The application to be run by an ASGI server; it opens the home when it starts.

    ``load`` loads the models ``eyes`` beside the first requests; until it returns, no job runs and the
    service is not ready. Without it they are loaded when something needs them.

    Raises (at start): HomeUnusable, KeysUnusable, RegistryError.
    """
    metrics = Metrics()
    app = FastAPI(
        title="Countermark", version=version("countermark"), description=ABOUT,
        lifespan=_lifespan(settings, load, eyes, metrics), telemetry=SILENT, docs_url=None, redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header
        dependencies=[Depends(count_by_address)],
    )  # fmt: skip
    for router in ROUTERS:
        app.include_router(router, responses=shapes.PROBLEMS)
    for pages_of in (feed, pages, portal, holders, clips, signing_in, notices, console, numbers, rendering):
        app.include_router(pages_of.router)
    problems.install(app)
    app.add_middleware(Bounds, settings=settings, metrics=metrics)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _lifespan(
    settings: Settings, load: Callable[[], None] | None, eyes: Eyes | None, metrics: Metrics
) -> Any:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        with open_app(settings, eyes) as opened:
            service = Service.on(opened, settings, metrics)
            metrics.follow(partial(standing, service))
            app.state.service = service
            service.start(load)
            try:
                yield
            finally:
                app.state.idle = service.stop()

    return live


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The framework's schema, without the validation errors that it thinks we answer."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        parts["Problem"] = shapes.Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            parts.pop(name, None)
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for path in KEY_IS_WELCOME:  # it also answers who has none
            for operation in schema["paths"][path].values():
                operation["security"].append({})
        app.openapi_schema = schema
    return app.openapi_schema
