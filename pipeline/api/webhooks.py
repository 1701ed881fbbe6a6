"""Webhooks over HTTP, for operators: who is told of the log's entries, and how far each is."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import shapes_admin as shapes
from pipeline.api.known import by_id
from pipeline.api.state import Here, Service, caller_with
from pipeline.auth import Caller
from pipeline.clock import clock
from pipeline.errors import RouteUnknown
from pipeline.webhooks import checked_url
from registry import log, webhooks
from registry.db import read
from registry.webhooks import ACTIVE, PAUSED, REMOVED, Webhook

router = APIRouter(tags=["webhooks"])

Operator = Annotated[Caller, Depends(caller_with(auth.ADMIN))]


@router.post("/v1/webhooks", status_code=201, response_model=shapes.WebhookMade)
def post_webhook(asked: shapes.WebhookRequest, here: Here, _caller: Operator) -> JSONResponse:
    """Tell an address of the log's entries, in order. The answer holds the secret that signs them."""
    made = webhooks.add(
        here.app.engine, checked_url(asked.url), asked.kinds, opened=asked.private, after=asked.after,
        now=clock(),
    )  # fmt: skip
    return JSONResponse(_told(made) | {"secret": here.app.courier.secret(made.id)}, 201)


@router.get("/v1/webhooks", response_model=shapes.WebhooksAnswer)
def get_webhooks(here: Here, _caller: Operator) -> JSONResponse:
    """All webhooks: how far they are, and what is wrong."""
    found = webhooks.list_all(here.app.engine)
    with read(here.app.engine) as conn:
        head = log.head(conn)
    return JSONResponse({"webhooks": [_told(one) for one in found], "head": head})


@router.post("/v1/webhooks/{webhook_id}/pause", response_model=shapes.WebhookAnswer)
def post_pause(webhook_id: str, here: Here, _caller: Operator) -> JSONResponse:
    """Send nothing more until it is resumed; nothing is lost."""
    return _changed(here, webhook_id, lambda one: webhooks.set_state(here.app.engine, one, PAUSED))


@router.post("/v1/webhooks/{webhook_id}/resume", response_model=shapes.WebhookAnswer)
def post_resume(webhook_id: str, here: Here, _caller: Operator) -> JSONResponse:
    """Go on, at once, where it stopped."""
    return _changed(here, webhook_id, lambda one: webhooks.set_state(here.app.engine, one, ACTIVE))


@router.post("/v1/webhooks/{webhook_id}/remove", response_model=shapes.WebhookAnswer)
def post_remove(webhook_id: str, here: Here, _caller: Operator) -> JSONResponse:
    """Never send to it again."""
    return _changed(here, webhook_id, lambda one: webhooks.set_state(here.app.engine, one, REMOVED))


@router.post("/v1/webhooks/{webhook_id}/replay", response_model=shapes.WebhookAnswer)
def post_replay(webhook_id: str, asked: shapes.ReplayRequest, here: Here, _caller: Operator) -> JSONResponse:
    """Tell entries again, in order, with the same ids."""
    return _changed(here, webhook_id, lambda one: webhooks.replay(here.app.engine, one, asked.after))


@router.post("/v1/webhooks/{webhook_id}/test", response_model=shapes.TestAnswer)
async def post_test(webhook_id: str, here: Here, _caller: Operator) -> JSONResponse:
    """Send a signed event of the type `test` now; it moves nothing."""
    found = await asyncio.to_thread(_known, here, webhook_id)
    trouble = await asyncio.to_thread(here.app.courier.test, found)
    return JSONResponse({"taken": not trouble, "trouble": trouble})


def _changed(here: Service, webhook_id: str, change: Callable[[str], Webhook]) -> JSONResponse:
    return JSONResponse(_told(change(_known(here, webhook_id).id)))


def _known(here: Service, webhook_id: str) -> Webhook:
    """A webhook that was not removed. Raises: RouteUnknown."""
    found = by_id(partial(webhooks.get, here.app.engine), webhook_id)
    if found is None or found.state == REMOVED:
        raise RouteUnknown("there is no such webhook; check its id")
    return found


def _told(one: Webhook) -> dict[str, Any]:
    return asdict(one) | {"kinds": list(one.kinds)}
