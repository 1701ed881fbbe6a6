"""The review console: a case on one page, decided with one form; no script, no picture clear unasked.

Who looks at a clip clearly is in the service's log. What is decided here is carried out when it cannot be
undone any more (`pipeline.undoing`).
"""

import asyncio
import base64
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipeline import auth
from pipeline.api.cases import MAX_WHY, shown
from pipeline.api.state import Here, Service
from pipeline.credentials.text import safe_text
from pipeline.errors import RequestMalformed, RouteUnknown
from pipeline.media.limits import media_limits
from pipeline.pictures.header import is_picture
from pipeline.stills import Stills, still_of, stills_of
from pipeline.web import beside, findings
from pipeline.web.rendering import failed, page, sentence_of
from pipeline.web.signing_in import Signed, Visitor, form_of, not_signed_in
from pipeline.workbench import OURS
from registry import pending
from registry.cases import OPEN
from registry.pending import Wanted
from registry.permissions import ASKED

SHOWN: Final = 50  # cases on the list, and as many that wait for holders
GIVEN_SHOWN: Final = 6  # pictures and clips that a clip is made from
DECISIONS: Final = (pending.RELEASE, pending.BLOCK, pending.ASK)
GIVE_BACK: Final = "give-back"
NEXT: Final = "next"  # where "Decide, and next" leads to
WHOM: Final = "whom-"  # begins the names of the fields that say whose holder is asked

_DECIDED: Final = {
    pending.RELEASE: "It is released", pending.BLOCK: "It is blocked", pending.ASK: "Its holder is asked",
}  # fmt: skip

log = logging.getLogger("countermark.service")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/review")
def get_review(here: Here, visitor: Signed, done: str = "") -> Response:
    """Who is waiting, and the button that takes the next case."""
    if visitor is None or auth.REVIEW not in visitor.scopes:
        return not_signed_in(here, visitor)
    told = _told(here, visitor, done)
    return page(here, "review.html", visitor=visitor, error=None, done=told, **_listed(here))


@router.post("/review/next")
async def post_next(request: Request, here: Here, visitor: Signed) -> Response:
    """Take the oldest case that this person may decide."""

    def act(visitor: Visitor, _fields: dict[str, str]) -> str:
        return _next(here, visitor)

    return await _acted(request, here, visitor, act)


@router.get("/review/{case_id}")
async def get_case(
    case_id: str, here: Here, visitor: Signed, clear: bool = False, done: str = ""
) -> Response:
    """A case; ``clear``: its pictures as they are; ``done``: the case that was decided before."""
    if visitor is None or auth.REVIEW not in visitor.scopes:
        return not_signed_in(here, visitor)
    try:
        return await asyncio.to_thread(_case, here, visitor, case_id, clear, done)
    except OURS as error:
        return await asyncio.to_thread(_failed, here, visitor, error)


@router.post("/review/{case_id}")
async def post_decision(case_id: str, request: Request, here: Here, visitor: Signed) -> Response:
    """Decide about a case, or give it back."""

    def act(visitor: Visitor, fields: dict[str, str]) -> str:
        case: Any = shown(here, case_id)
        by, decision = visitor.caller.person, fields.get("decision", "")
        if decision == GIVE_BACK:
            here.app.reviews.give_back(case_id, by)
            return "/review"
        if decision not in DECISIONS:
            raise RouteUnknown("say what becomes of it: release it, block it, or ask its holder")
        wanted = Wanted(
            case_id=case_id, decision=decision, by=by, key=visitor.caller.key,
            why=safe_text(fields.get("why", ""), MAX_WHY),
            subjects=_whom(case, fields) if decision == pending.ASK else (),
        )  # fmt: skip
        here.app.undoing.decide(wanted, visitor.caller)
        here.resume_soon()
        return f"{_next(here, visitor) if fields.get('then') == NEXT else '/review'}?done={case_id}"

    return await _acted(request, here, visitor, act)


@router.post("/review/{case_id}/undo")
async def post_undo(case_id: str, request: Request, here: Here, visitor: Signed) -> Response:
    """Forget what was decided just now; the case is open again on one's desk."""

    def act(visitor: Visitor, _fields: dict[str, str]) -> str:
        shown(here, case_id)
        here.app.undoing.undo(case_id, visitor.caller.person)
        return f"/review/{case_id}"

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
        leads_to = await asyncio.to_thread(act, visitor, fields)  # short: an undo waits behind nothing
        return RedirectResponse(leads_to, 303)
    except OURS as error:
        return await asyncio.to_thread(_failed, here, visitor, error)


def _next(here: Service, visitor: Visitor) -> str:
    """The page of the next case, taken; the list where there is none."""
    taken = here.app.reviews.take_next(visitor.caller.person)
    return "/review" if taken is None else f"/review/{taken['id']}"


def _whom(case: Any, fields: dict[str, str]) -> tuple[str, ...]:
    """Whose holders are to be asked. Raises: RequestMalformed where there are several, and none is named."""
    named = tuple(value for field, value in fields.items() if field.startswith(WHOM))
    if not named and len(case["askable"]) > 1:
        raise RequestMalformed("say whose holder is to be asked; tick at least one")
    return named


def _failed(here: Service, visitor: Visitor, error: Exception) -> Response:
    return failed(here, "review.html", error, visitor=visitor, done=None, **_listed(here))


def _case(here: Service, visitor: Visitor, case_id: str, clear: bool, done: str) -> Response:
    case: Any = shown(here, case_id)
    seen, why_not = _stills(here, case, clear=clear)
    if clear:
        log.info("case %s: shown clearly to the key %s", case_id, visitor.caller.key)
    lease, me = case["lease"], visitor.caller.person
    mine = lease is None or lease["holder"] == me
    voted = any(vote["by"] == me for vote in case["votes"])
    strip = findings.strip(seen, case["reasons"], _address) if seen else None
    return page(
        here, "case.html", visitor=visitor, case=case, clear=clear, me=me,
        done=_told(here, visitor, done), waits=_waits(case), decided=_DECIDED,
        reasons=findings.told(case["reasons"]), texts=findings.marked(case["texts"], case["reasons"]),
        given=_given(here, case, clear=clear),
        strip=strip, why_not=why_not, beside=beside.beside(case["reasons"], strip, here.desk),
        mine=mine, voted=voted, decidable=case["state"] == OPEN and mine and not voted and not _waits(case),
        undo_seconds=f"{here.settings.undo_seconds:g}" if here.settings.undo_seconds else "",
        asked=any(one["state"] == ASKED for one in case["asked"]),
    )  # fmt: skip


def _stills(here: Service, case: Any, *, clear: bool) -> tuple[Stills | None, str]:
    """Stills of the clip, or why there are none."""
    file = here.app.reviews.clip(case["id"])
    if file is None:
        return None, "No clip was made yet, or it is gone: there is only what was asked for."
    try:
        times = findings.worth_seeing(case["reasons"])
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a case that was decided just now; ``undo``: until when it can be undone (UTC, time of
    the day), empty when it cannot; ``trouble``: why it was not carried out.
    """

    case: str
    words: str = ""
    undo: str = ""
    trouble: str = ""


def _told(here: Service, visitor: Visitor, case_id: str) -> Done | None:
    """About a case that was decided just now."""
    try:
        case: Any = shown(here, case_id) if case_id else None
    except RouteUnknown:
        case = None
    if case is None:
        return None
    waits = case["pending"]
    if waits is not None and waits["by"] == visitor.caller.person:
        if waits["trouble"]:
            return Done(case=case_id, trouble=waits["trouble"])
        return Done(case=case_id, words=_DECIDED[waits["decision"]], undo=_until(waits["seconds"]))
    return Done(case=case_id, words=_became(case))


def _became(case: Any) -> str:
    if case["state"] == "open":
        if any(one["state"] == ASKED for one in case["asked"]):
            return "Its holder is asked. It waits for the answer."
        return "Your word stands. It waits for a second person." if case["votes"] else "It waits for people."
    if case["appeal"]:
        return f"Decided: the appeal is {case['state']}."
    about = f"job {case['job']}" if case["job"] else f"release {case['release']}"
    return f"Decided: {about}."


def _waits(case: Any) -> str:
    """Until when what somebody decided can be undone; empty where nothing waits."""
    waits = case["pending"]
    return "" if waits is None or waits["trouble"] else _until(waits["seconds"])


def _until(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%H:%M:%S")


def _listed(here: Service) -> dict[str, Any]:
    reviews = here.app.reviews
    waiting = reviews.waiting(limit=SHOWN + 1)
    free = [case for case in waiting[:SHOWN] if not _waits(case)]
    return {
        "cases": waiting[:SHOWN], "more": len(waiting) > SHOWN, "free": len(free),
        "with_holders": reviews.waiting(limit=SHOWN, with_holders=True),
    }  # fmt: skip


def _address(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
