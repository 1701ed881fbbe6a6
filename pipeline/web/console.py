"""The review console: a case on one page, decided with one form; no script, no picture clear unasked.

Who looks at a clip clearly is in the service's log.
"""

import asyncio
import base64
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipeline import auth
from pipeline.api.cases import MAX_WHY, shown
from pipeline.api.state import Here, Service
from pipeline.credentials.text import safe_text
from pipeline.errors import RouteUnknown
from pipeline.material import is_picture
from pipeline.media.limits import media_limits
from pipeline.stills import Stills, still_of, stills_of
from pipeline.web import findings
from pipeline.web.rendering import failed, page, sentence_of
from pipeline.web.signing_in import Signed, Visitor, form_of, not_signed_in
from pipeline.workbench import OURS

SHOWN: Final = 50  # cases on the list
GIVEN_SHOWN: Final = 6  # pictures and clips that a clip is made from
DECISIONS: Final = ("release", "block")
GIVE_BACK: Final = "give-back"

log = logging.getLogger("countermark.service")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/review")
def get_review(here: Here, visitor: Signed, done: str = "") -> Response:
    """Who is waiting, and the button that takes the next case."""
    if visitor is None or auth.REVIEW not in visitor.scopes:
        return not_signed_in(here, visitor)
    told = _told(here, done)
    return page(here, "review.html", visitor=visitor, error=None, done=told, **_listed(here))


@router.post("/review/next")
async def post_next(request: Request, here: Here, visitor: Signed) -> Response:
    """Take the oldest case that this person may decide."""

    def act(visitor: Visitor, _fields: dict[str, str]) -> str:
        taken = here.app.reviews.take_next(visitor.caller.person)
        return "/review" if taken is None else f"/review/{taken['id']}"

    return await _acted(request, here, visitor, act)


@router.get("/review/{case_id}")
async def get_case(case_id: str, here: Here, visitor: Signed, clear: bool = False) -> Response:
    """A case; ``clear``: its pictures as they are."""
    if visitor is None or auth.REVIEW not in visitor.scopes:
        return not_signed_in(here, visitor)
    try:
        return await asyncio.to_thread(_case, here, visitor, case_id, clear, None)
    except OURS as error:
        return await asyncio.to_thread(_failed, here, visitor, error)


@router.post("/review/{case_id}")
async def post_decision(case_id: str, request: Request, here: Here, visitor: Signed) -> Response:
    """Decide about a case, or give it back."""

    def act(visitor: Visitor, fields: dict[str, str]) -> str:
        shown(here, case_id)
        reviews, by = here.app.reviews, visitor.caller.person
        decision = fields.get("decision")
        if decision == GIVE_BACK:
            reviews.give_back(case_id, by)
            return "/review"
        if decision not in DECISIONS:
            raise RouteUnknown("say what becomes of it: release or block")
        decide = reviews.release if decision == "release" else reviews.block
        decide(case_id, by, safe_text(fields.get("why", ""), MAX_WHY), visitor.caller)
        here.resume_soon()
        return f"/review?done={case_id}"

    return await _acted(request, here, visitor, act)


async def _acted(
    request: Request, here: Service, visitor: Visitor | None,
    act: Callable[[Visitor, dict[str, str]], str],
) -> Response:  # fmt: skip
    """Do what a form says and go on to the page that this leads to."""
    if visitor is None or auth.REVIEW not in visitor.scopes:
        return not_signed_in(here, visitor)
    try:
        fields = await form_of(request, visitor)
        leads_to = await here.wishes.run(lambda: act(visitor, fields))
        return RedirectResponse(leads_to, 303)
    except OURS as error:
        return await asyncio.to_thread(_failed, here, visitor, error)


def _failed(here: Service, visitor: Visitor, error: Exception) -> Response:
    return failed(here, "review.html", error, visitor=visitor, done=None, **_listed(here))


def _case(here: Service, visitor: Visitor, case_id: str, clear: bool, error: str | None) -> Response:
    case: Any = shown(here, case_id)
    seen, why_not = _stills(here, case, clear=clear)
    if clear:
        log.info("case %s: shown clearly to the key %s", case_id, visitor.caller.key)
    lease = case["lease"]
    return page(
        here, "case.html", visitor=visitor, case=case, error=error, clear=clear,
        reasons=findings.told(case["reasons"]), texts=findings.marked(case["texts"], case["reasons"]),
        given=_given(here, case, clear=clear),
        strip=findings.strip(seen, case["reasons"], _address) if seen else None, why_not=why_not,
        mine=lease is None or lease["holder"] == visitor.caller.person,
        voted=any(vote["by"] == visitor.caller.person for vote in case["votes"]),
    )  # fmt: skip


def _stills(here: Service, case: Any, *, clear: bool) -> tuple[Stills | None, str]:
    """Stills of the clip, or why there are none."""
    file = here.app.reviews.clip(case["id"])
    if file is None:
        return None, "No clip was made yet, or it is gone: there is only what was asked for."
    times = [time for reason in case["reasons"] for time in (reason.get("evidence") or {}).get("times", ())]
    try:
        return stills_of(file, times, media_limits(here.settings), clear=clear), ""
    except OURS as error:
        return None, sentence_of(error)


def _given(here: Service, case: Any, *, clear: bool) -> list[str]:
    """Stills of what the clip is made from; what cannot be read is left out, and was told as a finding."""
    made: list[str] = []
    for path in here.app.reviews.material(case["id"])[:GIVEN_SHOWN]:
        with contextlib.suppress(*OURS):
            if is_picture(path):
                made.append(_address(still_of(path, clear=clear).picture))
            else:
                seen = stills_of(path, (), media_limits(here.settings), clear=clear)
                made += [_address(still.picture) for still in seen.stills]
    return made


def _told(here: Service, done: str) -> str | None:
    """A sentence about a case that was decided just now."""
    try:
        case: Any = shown(here, done) if done else None
    except RouteUnknown:
        case = None
    if case is None:
        return None
    if case["state"] == "open":
        return "Your word stands. It waits for a second person."
    if case["appeal"]:
        return f"Decided: the appeal is {case['state']}."
    about = f"job {case['job']}" if case["job"] else f"release {case['release']}"
    return f"Decided: {about}."


def _listed(here: Service) -> dict[str, Any]:
    waiting = here.app.reviews.waiting(limit=SHOWN + 1)
    return {"cases": waiting[:SHOWN], "more": len(waiting) > SHOWN}


def _address(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
