"""Your opt-outs: what a holder registered, what was found of it, what others ask, and how to change it.

Who is signed in with a key for opt-outs (`optout`, or a holder's own `holder`) sees what belongs to the key's
account. The private link of a holder holds their key; opening it only asks, as a sign-in link does.
"""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from limits import RateLimitItemPerHour
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipeline import auth
from pipeline.api.known import by_id, party_of
from pipeline.api.optouts import order_of
from pipeline.api.state import Here, Service
from pipeline.api.uploads import Upload
from pipeline.clock import clock
from pipeline.credentials.text import safe_text
from pipeline.errors import AskedTooOften, RequestMalformed, RouteUnknown
from pipeline.optouts.desk import more_of
from pipeline.pictures.reader import load_picture
from pipeline.pictures.types import PictureFile
from pipeline.web.portal_end import MATCHES_SHOWN, SPEAKING, may_speak
from pipeline.web.portal_words import MODES, Fields
from pipeline.web.rendering import failed, page, same_site
from pipeline.web.signing_in import Signed, Visitor, demand_word, form_of, read_form, signed_in
from pipeline.workbench import OURS
from registry import hits, permissions, receipts, scans, sessions
from registry.db import read
from registry.drafts import normal
from registry.party_types import Filing
from registry.permissions import ASKED, Approval, Permission
from registry.subject_types import SubjectRecord

SHOWN: Final = 200  # opt-outs on the list
ENTERED_EACH: Final = RateLimitItemPerHour(30)
HIT_DAYS: Final = 30
ANSWERS: Final = {
    "once": "Allow this one clip",
    "account": "Allow this account from now on",
    "refuse": "Refuse",
}
DONE: Final = {
    "changed": "Changed. It is in force from the next request on.", "withdrawn": "Withdrawn.",
    "answered": "Answered.",
}  # fmt: skip
REFERENCES: Final = "references"
MAX_WHY: Final = 1000

Done = Annotated[str, Query(max_length=20)]

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/mine")
def get_mine(here: Here, visitor: Signed, key: str = "", done: Done = "") -> Response:
    """What this holder registered; who is not signed in is asked for the key."""
    if visitor is None or not may_speak(visitor):
        return page(here, "mine_enter.html", error=None, key=safe_text(key, 200))
    return page(here, "mine.html", error=None, done=DONE.get(done), **_overview(here, visitor))


@router.post("/mine/enter")
async def post_enter(request: Request, here: Here) -> Response:
    """Sign in with a key for opt-outs."""
    try:
        same_site(request)
        if not here.limiter.hit(ENTERED_EACH, "enter", here.asker(request)):
            raise AskedTooOften("too many keys were tried in this hour; try again later")
        secret = (await read_form(request)).get("key", "").strip()
        return await asyncio.to_thread(_enter, here, secret)
    except OURS as error:
        return failed(here, "mine_enter.html", error, key="")


@router.get("/mine/asked")
def get_asked(here: Here, visitor: Signed, done: Done = "") -> Response:
    """What others ask this holder."""
    if visitor is None or not may_speak(visitor):
        return _entrance(here)
    return page(here, "mine_asked.html", error=None, done=DONE.get(done), **_asked(here, visitor))


@router.post("/mine/asked/{permission_id}")
async def post_answer(permission_id: str, request: Request, here: Here, visitor: Signed) -> Response:
    """Allow or refuse."""
    if visitor is None or not may_speak(visitor):
        return _entrance(here)
    try:
        fields = await form_of(request, visitor)
        await here.wishes.run(lambda: _answer(here, visitor, permission_id, fields))
    except OURS as error:
        return await _again(here, "mine_asked.html", error, lambda: _asked(here, visitor))
    here.resume_soon()
    return RedirectResponse("/mine/asked?done=answered", 303)


@router.get("/mine/{subject_id}")
def get_one(subject_id: str, here: Here, visitor: Signed, done: Done = "") -> Response:
    """One opt-out, with all that is in force and what was found of it."""
    if visitor is None or not may_speak(visitor):
        return _entrance(here)
    try:
        return page(here, "mine_one.html", error=None, done=DONE.get(done), **_one(here, visitor, subject_id))
    except OURS as error:
        return failed(here, "mine.html", error, done=None, **_overview(here, visitor))


@router.get("/mine/{subject_id}/receipt")
def get_receipt(subject_id: str, here: Here, visitor: Signed) -> Response:
    """The log entry of what one said last about an opt-out, with its proof, as a file."""
    if visitor is None or not may_speak(visitor):
        return _entrance(here)
    try:
        record = _mine(here, visitor, subject_id)
        with read(here.app.engine) as conn:
            document = receipts.of_subject(conn, record.id)
    except OURS as error:
        return failed(here, "mine.html", error, done=None, **_overview(here, visitor))
    name = f'attachment; filename="receipt-{record.id}.json"'
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return Response(text, media_type="application/json", headers={"Content-Disposition": name})


@router.post("/mine/change")
async def post_change(request: Request, here: Here, visitor: Signed, subject: str = "") -> Response:
    """Add names and pictures, or say otherwise what may be done."""

    async def act(visitor: Visitor) -> None:
        async with here.uploads.receive(request) as upload:
            demand_word(upload.one("word"), visitor)
            await here.wishes.run(lambda: _change(here, visitor, subject, upload))

    return await _acted(request, here, visitor, subject, act, f"/mine/{subject}?done=changed")


@router.post("/mine/{subject_id}/withdraw")
async def post_withdraw(subject_id: str, request: Request, here: Here, visitor: Signed) -> Response:
    """Take it out of force."""

    async def act(visitor: Visitor) -> None:
        fields = await form_of(request, visitor)
        if not fields.get("sure"):
            raise RequestMalformed("tick that you are sure")
        await here.wishes.run(lambda: _withdraw(here, visitor, subject_id, fields))

    return await _acted(request, here, visitor, subject_id, act, "/mine?done=withdrawn")


async def _acted(
    request: Request,
    here: Service,
    visitor: Visitor | None,
    subject: str,
    act: Callable[[Visitor], Any],
    to: str,
) -> Response:
    """Do what a form says about an opt-out, or say on its page why not."""
    if visitor is None or not may_speak(visitor):
        return _entrance(here)
    try:
        same_site(request)
        await asyncio.to_thread(_mine, here, visitor, subject)
        await act(visitor)
    except RouteUnknown as error:
        return await _again(here, "mine.html", error, lambda: _overview(here, visitor))
    except OURS as error:
        return await _again(here, "mine_one.html", error, lambda: _one(here, visitor, subject))
    here.scan_soon()
    return RedirectResponse(to, 303)


async def _again(
    here: Service, template: str, error: Exception, told: Callable[[], dict[str, Any]]
) -> Response:
    """The page again, with what went wrong."""
    return await asyncio.to_thread(lambda: failed(here, template, error, done=None, **told()))


def _entrance(here: Service) -> Response:
    return page(here, "mine_enter.html", status=401, error=None, key="")


def _enter(here: Service, secret: str) -> Response:
    """A session for a key: by a link that is used at once. Raises: KeyRefused."""
    now, engine = clock(), here.app.engine
    caller = auth.admit_key(engine, secret, SPEAKING, now)
    return signed_in(here, sessions.sign_in(engine, sessions.make_link(engine, caller.key, now), now))


def _mine(here: Service, visitor: Visitor, subject_id: str) -> SubjectRecord:
    """An opt-out of this account. Raises: RouteUnknown, also for another account's."""
    record = by_id(here.desk.show, subject_id)
    if record is None or normal(record.owner) != normal(visitor.caller.account):
        raise RouteUnknown("you have no such opt-out; take one from the list")
    return record


def _waiting(here: Service, visitor: Visitor) -> list[Permission]:
    party = party_of(here, visitor.caller.account)
    if party is None:
        return []
    return permissions.list_permissions(here.app.engine, state=ASKED, party=party)


def _overview(here: Service, visitor: Visitor) -> dict[str, Any]:
    found = here.desk.of_owner(visitor.caller.account, SHOWN)
    with read(here.app.engine) as conn:
        rows = [(one, scans.counts(conn, one.id), _stopped(conn, one.id)) for one in found]
    party = party_of(here, visitor.caller.account)
    answers = permissions.counts(here.app.engine, party) if party else {}
    return {
        "visitor": visitor, "rows": rows, "asked": len(_waiting(here, visitor)), "answers": answers,
        "days": HIT_DAYS, "stopped": sum(row[2] for row in rows), "modes": MODES,
        "matched": sum(row[1].matched for row in rows), "withdrawn": sum(row[1].withdrawn for row in rows),
    }  # fmt: skip


def _stopped(conn: Any, subject_id: str) -> int:
    return hits.jobs_of(conn, subject_id, HIT_DAYS, clock())


def _one(here: Service, visitor: Visitor, subject_id: str) -> dict[str, Any]:
    record = _mine(here, visitor, subject_id)
    with read(here.app.engine) as conn:
        counts, stopped = scans.counts(conn, record.id), _stopped(conn, record.id)
        progress = scans.progress(conn, record.seq)
        found = scans.matches(conn, record.id, MATCHES_SHOWN)
    return {
        "visitor": visitor, "record": record, "pictures": here.desk.pictures(record.id), "counts": counts,
        "stopped": stopped, "matches": found, "progress": progress, "days": HIT_DAYS, "modes": MODES,
        "asked": len(_waiting(here, visitor)), "quarantined": here.desk.quarantined(record.id),
    }  # fmt: skip


def _asked(here: Service, visitor: Visitor) -> dict[str, Any]:
    waiting = _waiting(here, visitor)
    about = {one.subject_id: here.desk.show(one.subject_id).name for one in waiting}
    return {
        "visitor": visitor, "waiting": waiting, "about": about, "answers": ANSWERS, "asked": len(waiting),
    }  # fmt: skip


def _answer(here: Service, visitor: Visitor, permission_id: str, fields: dict[str, str]) -> None:
    """Raises: RouteUnknown for another's request, RequestMalformed, `PermissionAnswered`."""
    party = party_of(here, visitor.caller.account)
    asked = by_id(partial(permissions.get, here.app.engine), permission_id)
    if asked is None or party is None or asked.party_id != party:
        raise RouteUnknown("there is no such request; take one from the list")
    answer = fields.get("answer")
    said: dict[str, Any] = {"by": party, "now": clock(), "sign_checkpoint": here.app.signer}
    if answer not in ANSWERS:
        raise RequestMalformed("say whether you allow it")
    if answer == "refuse":
        why = safe_text(fields.get("why", ""), MAX_WHY)
        permissions.refuse(here.app.engine, permission_id, why=why, **said)
    else:
        permissions.approve(here.app.engine, permission_id, Approval(scope=answer), **said)


def _change(here: Service, visitor: Visitor, subject_id: str, upload: Upload) -> None:
    """Raises: RouteUnknown, RequestMalformed, and what the desk raises."""
    record, by = _mine(here, visitor, subject_id), party_of(here, visitor.caller.account)
    if record.state != "active":
        raise RouteUnknown("this opt-out is withdrawn; make it anew")
    aliases = Fields(typed={"aliases": upload.one("aliases")}).lines("aliases")
    context = Fields(typed={"context": upload.one("context")}).lines("context")
    files = [file for file in upload.files if file.field == REFERENCES]
    pictures = [PictureFile(name=file.name, data=load_picture(file.path).data) for file in files]
    mode = upload.one("mode")
    if mode and mode not in ("block", "ask"):
        raise RequestMalformed("say what may be done: nothing, or ask")
    if not aliases and not pictures and mode in ("", record.mode):
        raise RequestMalformed("nothing was changed; write or choose something first")
    if mode and mode != record.mode:
        own = (
            Filing(by=by, kind=_kind(record), statements=_AGAIN, signature=visitor.caller.name)
            if by
            else None
        )
        order = order_of(
            {"kind": record.kind, "name": record.name, "mode": mode, "context": context}, record.owner
        )
        here.desk.register(order, filing=own if auth.OPTOUT not in visitor.scopes else None)
    if aliases or pictures:
        here.desk.extend(record.id, more_of(record, aliases, context), pictures, by=by)


_AGAIN: Final = {"authority": "yes", "good_faith": "yes"}
"""What was declared with the opt-out goes for its change."""


def _kind(record: SubjectRecord) -> str:
    return "likeness" if record.kind == "person" else "opt_out"


def _withdraw(here: Service, visitor: Visitor, subject_id: str, fields: dict[str, str]) -> None:
    record, by = _mine(here, visitor, subject_id), party_of(here, visitor.caller.account)
    why = safe_text(fields.get("why", ""), MAX_WHY)
    filing = Filing(by=by, kind="withdraw") if by else None
    here.desk.withdraw(record.id, why, filing, keep=bool(fields.get("keep")))
