"""API keys over HTTP, for operators: made, listed, revoked; what a leaked one made is taken back."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import shapes_admin as shapes
from pipeline.api.cases import PLAIN, After, Limit
from pipeline.api.state import Here, Service, caller_with
from pipeline.auth import Caller
from pipeline.clock import clock, rfc3339
from pipeline.errors import RouteUnknown
from pipeline.incident import Incident
from pipeline.optouts.order import plain
from registry import apikeys, suspensions
from registry.apikeys import ApiKey
from registry.ids import is_id

router = APIRouter(tags=["keys"])

Operator = Annotated[Caller, Depends(caller_with(auth.ADMIN))]
Account = Annotated[
    str, Query(max_length=shapes.MAX_TEXT, pattern=PLAIN, description="only keys of this account")
]


@router.post("/v1/keys", status_code=201, response_model=shapes.KeyMade)
def post_key(asked: shapes.KeyRequest, here: Here, _caller: Operator) -> JSONResponse:
    """Make a key. Its secret is in this answer and nowhere else: where the answer was lost, revoke it."""
    now = clock()
    ends = None if asked.days is None else rfc3339(datetime.now(UTC) + timedelta(days=asked.days))
    key, secret = apikeys.create(
        here.app.engine, asked.account, asked.name or asked.account, asked.scopes, expires_at=ends,
        tags=asked.tags, now=now,
    )  # fmt: skip
    return JSONResponse(_told(key) | {"secret": secret}, 201)


@router.get("/v1/keys", response_model=shapes.KeysAnswer)
def get_keys(
    here: Here, _caller: Operator, account: Account = "", after: After = "", limit: Limit = 50
) -> JSONResponse:
    """The keys of all accounts, or of one, oldest first, also those that were revoked. No secret is kept."""
    found = apikeys.list_keys(here.app.engine, account=account or None, after=after, limit=limit)
    last = found[-1].id if len(found) == limit else None
    return JSONResponse({"keys": [_told(one) for one in found], "after": last})


@router.post("/v1/keys/{key_id}/revoke", response_model=shapes.KeyAnswer)
def post_revoke(key_id: str, asked: shapes.WhyRequest, here: Here, _caller: Operator) -> JSONResponse:
    """Revoke a key: it is refused from the next request on, in every process, and what it asked for and has
    not left yet cannot leave. A second time does nothing.
    """
    key = apikeys.revoke(
        here.app.engine, _known(here, key_id), why={"why": plain("why", asked.why)}, now=clock(),
        sign_checkpoint=here.app.signer,
    )  # fmt: skip
    return JSONResponse(_told(key))


@router.post("/v1/keys/{key_id}/resume", response_model=shapes.KeyAnswer)
def post_resume(key_id: str, asked: shapes.WhyRequest, here: Here, _caller: Operator) -> JSONResponse:
    """Let a key in again that was suspended, since it was used from many addresses."""
    key = suspensions.resume(
        here.app.engine, _known(here, key_id), why={"why": plain("why", asked.why)}, now=clock(),
        sign_checkpoint=here.app.signer,
    )  # fmt: skip
    return JSONResponse(_told(key))


@router.get("/v1/keys/{key_id}/incident", response_model=shapes.IncidentAnswer)
def get_incident(key_id: str, here: Here, _caller: Operator) -> JSONResponse:
    """All that was made with a key."""
    return JSONResponse(_incident(here.app.incidents.look(_known(here, key_id))))


@router.post("/v1/keys/{key_id}/incident/withdraw", response_model=shapes.IncidentAnswer)
async def post_withdraw(key_id: str, asked: shapes.WhyRequest, here: Here, caller: Operator) -> JSONResponse:
    """Revoke a key, withdraw every release that was made with it, and refuse what is held. What is left
    stands in the answer; asked again, it goes on.
    """

    def work() -> Incident:
        return here.app.incidents.take_back(_known(here, key_id), caller.person, plain("why", asked.why))

    return JSONResponse(_incident(await here.wishes.run(work)))


def _known(here: Service, key_id: str) -> str:
    """The id of a key that there is. Raises: RouteUnknown."""
    if not is_id(key_id) or apikeys.get(here.app.engine, key_id) is None:
        raise RouteUnknown("there is no such key; check its id")
    return key_id


def _told(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id, "account": key.account, "name": key.name, "scopes": list(key.scopes),
        "tags": list(key.tags), "created_at": key.created_at, "expires_at": key.expires_at,
        "revoked_at": key.revoked_at, "suspended_at": key.suspended_at,
    }  # fmt: skip


def _incident(found: Incident) -> dict[str, Any]:
    return {name: list(one) if isinstance(one, tuple) else one for name, one in asdict(found).items()}
