"""Notices about released clips in the console: what is said, by whom, and what a person decides."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipeline import auth
from pipeline.api.cases import MAX_WHY
from pipeline.api.state import Here, Service
from pipeline.clock import clock
from pipeline.credentials.text import safe_text
from pipeline.errors import RouteUnknown
from pipeline.web.rendering import failed, page
from pipeline.web.signing_in import Signed, Visitor, form_of, not_signed_in
from pipeline.workbench import OURS
from registry import claim_log, claims, parties, releases
from registry.claim_log import DISPUTED, DRAFT, PROVISIONAL
from registry.claims import NOTICES
from registry.db import read
from registry.errors import NotFound
from registry.party_types import Claim

WAITING: Final = (PROVISIONAL, DISPUTED, DRAFT)
SHOWN: Final = 50
ACCEPT, REJECT = "accept", "reject"
FIRST: Final = ("reasons", "works")  # of what is stated
NAMES: Final = {"dsa16": "Illegal content (DSA 16)", "notice_512": "Copyright (DMCA 512)",
                "takedown48": "Intimate imagery (48 hours)"}  # fmt: skip

Skip = Annotated[int, Query(ge=0, le=10_000_000)]

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/review/notices")
def get_notices(here: Here, visitor: Signed, done: str = "", skip: Skip = 0) -> Response:
    """Notices that wait, takedowns first, then the ones that end first."""
    if visitor is None or auth.REVIEW not in visitor.scopes:
        return not_signed_in(here, visitor)
    told = "Decided." if done else None
    return page(here, "notices.html", visitor=visitor, error=None, done=told, **_waiting(here, skip))


@router.get("/review/notices/{claim_id}")
def get_notice(claim_id: str, here: Here, visitor: Signed) -> Response:
    """One notice, with the clip that it is about."""
    if visitor is None or auth.REVIEW not in visitor.scopes:
        return not_signed_in(here, visitor)
    try:
        return _notice(here, visitor, claim_id)
    except OURS as error:
        return _listed(here, visitor, error)


@router.post("/review/notices/{claim_id}")
async def post_notice(claim_id: str, request: Request, here: Here, visitor: Signed) -> Response:
    """Accept it: the clip is withdrawn; or reject it: the clip stays, or comes back."""
    if visitor is None or auth.REVIEW not in visitor.scopes:
        return not_signed_in(here, visitor)
    try:
        fields = await form_of(request, visitor)
        await here.wishes.run(lambda: _decide(here, visitor, claim_id, fields))
    except OURS as error:
        return await asyncio.to_thread(_listed, here, visitor, error)
    here.scan_soon()  # what comes back is compared first
    return RedirectResponse(f"/review/notices?done={claim_id}", 303)


def _decide(here: Service, visitor: Visitor, claim_id: str, fields: dict[str, str]) -> None:
    decision = fields.get("decision")
    if decision not in (ACCEPT, REJECT):
        raise RouteUnknown("say what becomes of it: accept or reject")
    _found(here, claim_id)
    why = {"by": visitor.caller.person, "why": safe_text(fields.get("why", ""), MAX_WHY)}
    claims.decide(
        here.app.engine, claim_id, accept=decision == ACCEPT, why={**why}, terms=here.settings.terms,
        now=clock(), sign_checkpoint=here.app.signer,
    )  # fmt: skip


def _found(here: Service, claim_id: str) -> Claim:
    """Raises: RouteUnknown where there is no such notice."""
    try:
        with read(here.app.engine) as conn:
            found = claim_log.get(conn, claim_id)
    except NotFound:
        found = None
    if found is None or found.kind not in NOTICES:
        raise RouteUnknown("there is no such notice; take one from the list")
    return found


def _notice(here: Service, visitor: Visitor, claim_id: str) -> Response:
    found = _found(here, claim_id)
    released = releases.get(here.app.engine, found.release or "")
    with read(here.app.engine) as conn:
        who: Any = parties.one(conn, found.party)
    return page(
        here, "notice.html", visitor=visitor, notice=found, who=who, release=released, names=NAMES,
        statements=sorted(found.statements.items(), key=lambda one: one[0] not in FIRST),
        open=found.state in WAITING,
    )  # fmt: skip


def _listed(here: Service, visitor: Visitor, error: Exception) -> Response:
    return failed(here, "notices.html", error, visitor=visitor, done=None, **_waiting(here, 0))


def _waiting(here: Service, skip: int) -> dict[str, Any]:
    found, count = claims.notices(here.app.engine, skip=skip, limit=SHOWN)
    more = skip + len(found) if skip + len(found) < count else None
    return {"notices": found, "count": count, "more": more, "names": NAMES}
