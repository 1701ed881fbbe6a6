"""The opt-out pages: five steps, each a form that works without script; nothing that was typed is lost.

1. whom         begins a draft (`pipeline.web.drafts`), whose secret is in the address from then on
2. what         names, spellings, pictures; and trying it
3. rules        what may be done
4. who          the holder; then it is registered (`pipeline.web.portal_end`)
5. done         since when, the receipt, what was found in the past
"""

import asyncio
import logging
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from limits import RateLimitItemPerHour
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipeline.api.state import Here, Service
from pipeline.api.uploads import Upload
from pipeline.credentials.text import safe_text
from pipeline.errors import AskedTooOften, RequestMalformed, RouteUnknown
from pipeline.web import portal_end, portal_steps
from pipeline.web.drafts import MAX_PICTURES, Draft
from pipeline.web.portal_words import (
    DECLARATIONS,
    KINDS,
    LANGUAGES,
    LAST,
    MODES,
    PARTIES,
    PURPOSE_WORDS,
    STEPS,
    WHOM,
    Fields,
)
from pipeline.web.rendering import failed, page, refreshing, same_site, size_words
from pipeline.web.signing_in import Signed, Visitor, demand_word, read_form
from pipeline.workbench import OURS

BEGUN_EACH, BEGUN_ALL = RateLimitItemPerHour(20), RateLimitItemPerHour(500)
"""Forms that one address, and all addresses together, may begin."""
TRIES_EACH: Final = RateLimitItemPerHour(60)
TEMPLATES: Final = {1: "optout.html", 2: "portal_what.html", 3: "portal_rules.html", 4: "portal_who.html"}
REMOVE: Final = "remove:"

log = logging.getLogger("countermark.service")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Secret = Annotated[str, Query(alias="d", max_length=100)]
Step = Annotated[int, Query(ge=1, le=LAST)]


@router.get("/optout")
def get_optout(here: Here) -> Response:
    """The first step of a new opt-out."""
    return page(here, "optout.html", error=None, whom=WHOM, fields=Fields(typed={}), secret="", step=1)


@router.post("/optout")
async def post_optout(request: Request, here: Here) -> Response:
    """Begin a draft."""
    values: dict[str, str] = {}
    try:
        same_site(request)
        values = {"whom": safe_text((await read_form(request)).get("whom", ""))}
        if values["whom"] not in WHOM:
            raise RequestMalformed("say whom you protect")
        _demand_room(here, request)
        draft = await asyncio.to_thread(here.drafts.begin, values)
    except OURS as error:
        told = {"whom": WHOM, "fields": Fields(typed=values), "secret": "", "step": 1}
        return failed(here, "optout.html", error, **told)
    return _to(draft, 2)


@router.get("/optout/draft")
def get_draft(here: Here, visitor: Signed, secret: Secret = "", step: Step = 2) -> Response:
    """A step of a draft, as it was left."""
    try:
        draft = here.drafts.open(secret)
    except RouteUnknown as error:
        return failed(here, "no_draft.html", error)
    if draft.written.done is not None:
        return RedirectResponse(f"/optout/done?d={draft.secret}", 303)
    return page(here, TEMPLATES[step], error=None, **_shown(here, draft, step, visitor))


@router.post("/optout/draft")
async def post_draft(
    request: Request, here: Here, visitor: Signed, secret: Secret = "", step: Step = 2
) -> Response:
    """Keep what was typed and do what the button says."""
    try:
        draft = await asyncio.to_thread(here.drafts.open, secret)
    except RouteUnknown as error:
        return failed(here, "no_draft.html", error)
    if draft.written.done is not None:
        return RedirectResponse(f"/optout/done?d={draft.secret}", 303)
    fields: dict[str, list[str]] = {}
    try:
        same_site(request)
        here.looks.check()
        try:
            async with here.uploads.receive(request, fields) as upload:
                return await _acted(request, here, visitor, secret, step, upload)
        except OURS:
            await here.looks.run(lambda: _keep(here, secret, step, fields, whole=False))
            raise
    except OURS as error:
        draft = await asyncio.to_thread(here.drafts.open, draft.secret)
        return failed(here, TEMPLATES[step], error, **_shown(here, draft, step, visitor))


@router.get("/optout/done")
def get_done(here: Here, secret: Secret = "", watch: bool = True) -> Response:
    """How it ended, as long as the draft is kept."""
    try:
        draft = here.drafts.open(secret)
        if draft.written.done is None:
            return _to(draft, 2)
        told = portal_end.shown(here, draft)
    except RouteUnknown as error:
        return failed(here, "no_draft.html", error)
    headers = refreshing(told["refresh"] if watch else 0)
    return page(here, "portal_done.html", headers=headers, secret=draft.secret, watch=watch, **told)


async def _acted(
    request: Request, here: Service, visitor: Visitor | None, secret: str, step: int, upload: Upload
) -> Response:
    act = upload.one("act", "next")
    if act == "try":
        portal_steps.demand_room_to_try(here, TRIES_EACH, here.asker(request))
    draft = await here.looks.run(lambda: _keep(here, secret, step, upload.fields, whole=True))
    if act == "register":
        key = upload.one("key").strip()
        demand_word(upload.one("word"), _speaking(visitor))
        await here.wishes.run(
            lambda: portal_end.register(here, draft.secret, key, visitor, here.asker(request))
        )
        here.scan_soon()
        return RedirectResponse(f"/optout/done?d={draft.secret}", 303)
    await here.looks.run(lambda: _worked(here, secret, step, act, upload))
    if act == "next":
        return _to(draft, min(step + 1, LAST))
    return _to(draft, step, {"try": "try", "names": "names"}.get(act, "pictures" if step == 2 else ""))


def _keep(here: Service, secret: str, step: int, fields: dict[str, list[str]], *, whole: bool) -> Draft:
    """Keep what was typed."""
    with here.drafts.changing(secret) as draft:
        kept = portal_steps.typed(step, fields, draft.written.fields, whole=whole)
        return here.drafts.save(draft, fields=kept)


def _worked(here: Service, secret: str, step: int, act: str, upload: Upload) -> None:
    """What a button does with a draft, in the order of the page. Raises: what it meets."""
    with here.drafts.changing(secret) as draft:
        draft = portal_steps.with_kind(here, draft)
        if step == 2:
            names = portal_steps.look_at_names(draft)
            draft = here.drafts.save(draft, names=names)
        if act.startswith(REMOVE):
            portal_steps.without_picture(here, draft, act.removeprefix(REMOVE))
            return
        if any(file.field == portal_steps.PICTURES for file in upload.files):
            draft = portal_steps.take_pictures(here, draft, upload.files)
        clip = next((file for file in upload.files if file.field == portal_steps.CLIP), None)
        if act == "try":
            portal_steps.try_it(here, draft, clip)
        elif act == "next":
            portal_steps.demand_step(draft, step)


def _demand_room(here: Service, request: Request) -> None:
    """Raises: AskedTooOften."""
    each = here.limiter.hit(BEGUN_EACH, "draft", here.asker(request))
    if not each or not here.limiter.hit(BEGUN_ALL, "drafts"):
        raise AskedTooOften("too many opt-outs were begun in this hour; try again later")


def _to(draft: Draft, step: int, part: str = "") -> Response:
    place = f"#{part}" if part else ""
    return RedirectResponse(f"/optout/draft?d={draft.secret}&step={step}{place}", 303)


def _shown(here: Service, draft: Draft, step: int, visitor: Visitor | None) -> dict[str, Any]:
    written = draft.written
    fields = Fields(typed=written.fields)
    return {
        "secret": draft.secret, "step": step, "steps": STEPS, "fields": fields, "written": written,
        "whom": WHOM, "kinds": KINDS, "modes": MODES, "purposes": PURPOSE_WORDS, "parties": PARTIES,
        "declarations": DECLARATIONS, "most": MAX_PICTURES,
        "limit": size_words(here.settings.max_optout_bytes),
        "spellings": _spellings(written.names, fields), "visitor": _speaking(visitor),
        "self_service": here.settings.self_service > 0, "days": here.settings.claim_days,
        "refused": [one for one in written.names if one["tier"] == "refused"],
    }  # fmt: skip


def _speaking(visitor: Visitor | None) -> Visitor | None:
    """Who is signed in, if it is to make opt-outs; anybody else is here as a stranger."""
    return visitor if visitor is not None and portal_end.may_speak(visitor) else None


def _spellings(names: tuple[dict[str, Any], ...], fields: Fields) -> list[tuple[str, str, str, bool]]:
    """Spellings to tick: language, its word, the text, whether it is chosen."""
    chosen = fields.natives
    suggested = [pair for one in names[:1] for pair in (one.get("suggested") or {}).items()]
    every = dict.fromkeys([*chosen, *suggested])
    return [
        (code, LANGUAGES[code], text, (code, text) in chosen) for code, text in every if code in LANGUAGES
    ]
