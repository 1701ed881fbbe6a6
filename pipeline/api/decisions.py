"""What was decided against an account, each with its statement of reasons; for operators, all statements."""

import json
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response, StreamingResponse

from pipeline import appeals, auth
from pipeline.api import shapes
from pipeline.api.cases import Limit
from pipeline.api.state import Here, Service, caller_with
from pipeline.auth import Caller
from pipeline.errors import RequestMalformed, RouteUnknown
from pipeline.statements import statement
from pipeline.types import Json
from registry import appeals as recorded
from registry import restrictions
from registry.db import read
from registry.errors import EntryInvalid, NotFound
from registry.ids import parse_time
from registry.restrictions import REFUSAL, WITHDRAWAL, Restriction

MAX_ID: Final = 64
NDJSON: Final = "application/x-ndjson"
_BETWEEN: Final = ","

router = APIRouter(tags=["decisions"])

Anybody = Annotated[Caller, Depends(caller_with(auth.CREATE, auth.GUARD))]
Operator = Annotated[Caller, Depends(caller_with(auth.ADMIN))]
After = Annotated[str, Query(max_length=140, description="`after` of the page before")]
Time = Annotated[str, Query(max_length=40, description="UTC, as 2026-01-31T00:00:00Z; empty: no bound")]


@router.get("/v1/decisions", response_model=shapes.DecisionsAnswer)
def get_decisions(here: Here, caller: Anybody, after: After = "", limit: Limit = 50) -> JSONResponse:
    """What was decided against this account, oldest first: holds, refusals, withdrawals, suspended keys."""
    with read(here.app.engine) as conn:
        found = restrictions.page(conn, after=_place(after), limit=limit, account=caller.account)
        told = [tell(here, conn, one) for one in found]
    last = _BETWEEN.join(found[-1].place) if len(found) == limit else None
    return JSONResponse({"decisions": told, "after": last})


@router.get("/v1/decisions/{decision_id}/statement", response_model=shapes.DecisionAnswer)
def get_statement(decision_id: str, here: Here, caller: Anybody) -> JSONResponse:
    """The statement of reasons of a decision against this account, with the field names of the DSA."""
    with read(here.app.engine) as conn:
        try:
            found = restrictions.get(conn, decision_id) if _is_id(decision_id) else None
        except NotFound:
            found = None
        if found is None or found.account != caller.account:
            raise RouteUnknown("nothing was decided under this id against this account; see /v1/decisions")
        return JSONResponse(tell(here, conn, found))


@router.get("/v1/statements", response_class=Response, responses=shapes.STATEMENTS)
def get_statements(here: Here, _caller: Operator, since: Time = "", until: Time = "") -> Response:
    """All statements of a period, one JSON document a line, as the DSA Transparency Database takes them."""
    check_period(since, until)
    pages = restrictions.pages(here.app.engine, since=since, until=until)
    lines = ("".join(json.dumps(statement(one)) + "\n" for one in page) for page in pages)
    return StreamingResponse(lines, media_type=NDJSON)


def check_period(since: str, until: str) -> None:
    """Raises: RequestMalformed for what is no time."""
    try:
        for told in filter(None, (since, until)):
            parse_time(told)
    except (EntryInvalid, ValueError):
        raise RequestMalformed("a period is told in UTC, as 2026-01-31T00:00:00Z") from None


def tell(here: Service, conn: Connection, found: Restriction) -> Json:
    """A decision with its statement, and what became of an appeal against it."""
    return {
        "id": found.id, "kind": found.kind, "job": found.job, "release": found.release, "at": found.at,
        "ended_at": found.ended_at, "statement": statement(found), "appeal": _appeal(here, conn, found),
    }  # fmt: skip


def _appeal(here: Service, conn: Connection, found: Restriction) -> Json | None:
    """Null where a person looks at it anyhow."""
    if found.kind not in (REFUSAL, WITHDRAWAL):
        return None
    made = recorded.about(conn, found.id)
    return {
        "until": appeals.until(found.at, here.settings.appeal_days), "id": made.id if made else None,
        "state": made.state if made else None,
    }  # fmt: skip


def _place(after: str) -> tuple[str, str]:
    at, _, ident = after.partition(_BETWEEN)
    if "\0" in after:
        raise RequestMalformed("take `after` as the page before told it")
    return at, ident


def _is_id(told: str) -> bool:
    return len(told) <= MAX_ID and told.isascii() and told.replace("-", "").isalnum()
