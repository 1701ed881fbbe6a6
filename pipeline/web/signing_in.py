"""Signing in: a link that works once, a cookie that only this site sends back, a word in every form.

1. `countermark apikeys link KEY` makes a link. Opening it uses nothing: it asks, so that no program that
   looks at links signs in.
2. Saying yes begins a session, whose secret is a cookie that no script reads and no other site sends.
3. Forms carry a word that only this session knows. A page of another site can neither read nor guess it.
"""

import asyncio
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipeline import auth, logs
from pipeline.api.state import Here, Service
from pipeline.auth import Caller
from pipeline.clock import clock
from pipeline.errors import RequestMalformed
from pipeline.web.rendering import failed, page, same_site
from registry import sessions
from registry.errors import KeyRefused

COOKIE: Final = "countermark_session"
WORD: Final = "word"
HOMES: Final = {auth.REVIEW: "/review", auth.OPTOUT: "/mine", auth.HOLDER: "/mine"}
"""Where who has a scope goes after signing in: the first that fits; else to the feed."""
MAX_FIELDS: Final = 20
MAX_FIELD: Final = 8000  # characters

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who is signed in: the caller that they are, and their scopes; the secret of the session."""

    caller: Caller
    scopes: tuple[str, ...]
    secret: str = field(repr=False)

    @property
    def word(self) -> str:
        """What each of their forms carries."""
        return hmac.new(self.secret.encode(), b"countermark form v1", hashlib.sha256).hexdigest()


def visitor_of(request: Request, here: Here) -> Visitor | None:
    """Who is signed in with this browser; None for nobody, also after the end of the session or key."""
    secret = request.cookies.get(COOKIE, "")
    try:
        key = sessions.key_of(here.app.engine, secret, clock())
    except KeyRefused:
        return None
    logs.note(key=key.id)
    caller = Caller(account=key.account, key=key.id, tags=key.tags, name=key.name)
    return Visitor(caller=caller, scopes=key.scopes, secret=secret)


Signed = Annotated[Visitor | None, Depends(visitor_of)]


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, each once. Raises: RequestMalformed."""
    try:
        text = (await request.body()).decode("ascii")
        read = parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise RequestMalformed("this form cannot be read; open the page again") from None
    if any(len(values) > 1 or len(values[0]) > MAX_FIELD for values in read.values()):
        raise RequestMalformed("a field is too long, or there twice; shorten it")
    return {name: values[0] for name, values in read.items()}


async def form_of(request: Request, visitor: Visitor | None) -> dict[str, str]:
    """The fields of a form of who is signed in. Raises: RequestMalformed (3)."""
    same_site(request)
    fields = await read_form(request)
    demand_word(fields.get(WORD, ""), visitor)
    return fields


def demand_word(word: str, visitor: Visitor | None) -> None:
    """That a form has the word of who is signed in (3). Raises: RequestMalformed."""
    if visitor is not None and not hmac.compare_digest(word.encode(), visitor.word.encode()):
        raise RequestMalformed("this form is too old; open the page again and send it once more")


@router.get("/sign-in")
def get_sign_in(here: Here, link: str = "") -> Response:
    """Ask whether to sign in with this link."""
    try:
        key = sessions.whose_link(here.app.engine, link, clock())
    except KeyRefused as error:
        return failed(here, "sign_in.html", error, who=None, link="")
    return page(here, "sign_in.html", error=None, who=key, link=link)


@router.post("/sign-in")
async def post_sign_in(request: Request, here: Here) -> Response:
    """Use a link."""
    try:
        link = (await form_of(request, None)).get("link", "")
        secret = await asyncio.to_thread(sessions.sign_in, here.app.engine, link, clock())
    except (KeyRefused, RequestMalformed) as error:
        return failed(here, "sign_in.html", error, who=None, link="")
    return await asyncio.to_thread(signed_in, here, secret)


def signed_in(here: Service, secret: str) -> Response:
    """On to the pages of who has signed in just now, with the cookie. Raises: KeyRefused."""
    scopes = sessions.key_of(here.app.engine, secret, clock()).scopes
    answer = RedirectResponse(next((home for scope, home in HOMES.items() if scope in scopes), "/"), 303)
    answer.set_cookie(
        COOKIE, secret, max_age=sessions.SESSION_HOURS * 3600, path="/", secure=True, httponly=True,
        samesite="strict",
    )  # fmt: skip
    return answer


@router.post("/sign-out")
async def post_sign_out(request: Request, here: Here, visitor: Signed) -> Response:
    """End the session, here and in every other place where its secret may be."""
    if visitor is not None:
        try:
            await form_of(request, visitor)
        except RequestMalformed as error:
            return failed(here, "sign_in.html", error, who=None, link="")
        await asyncio.to_thread(sessions.sign_out, here.app.engine, visitor.secret, clock())
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def not_signed_in(here: Here, visitor: Visitor | None) -> Response:
    """The page for who may not see what they asked for."""
    status = 401 if visitor is None else 403
    return page(here, "sign_in.html", status=status, error=None, who=None, link="")
