"""The pages: server-rendered, without script, under a strict policy; errors come back in the form.

A form needs no token against forgery: no cookie and no address gives it any right. The opt-out page asks for
an API key, since whoever may opt out may stop what others make.
"""

import asyncio
import base64
import json
import logging
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from pipeline import auth
from pipeline import policy as policies
from pipeline.api import optouts
from pipeline.api.state import Here, Service
from pipeline.api.uploads import Upload
from pipeline.api.verify import examine
from pipeline.clock import clock
from pipeline.credentials.text import safe_text
from pipeline.errors import RequestMalformed
from pipeline.verify import html
from pipeline.verify.document import document, for_strangers
from pipeline.verify.types import VerificationReport
from pipeline.web.rendering import failed, page, same_site
from pipeline.workbench import OURS

CLOCK: Final = slice(11, 19)  # of an RFC 3339 time

DECLARATIONS: Final = {
    "authority": "I am the rights holder or the person concerned, or I may act for them.",
    "accuracy": "What I state here is accurate as far as I know.",
}
WHOM: Final = {
    "character": ("A character", "from a film, a game, a book, a series"),
    "artwork": ("A work or a logo", "a picture, a sculpture, a brand’s sign"),
    "myself": ("Myself", "my face and my name"),
    "represented": ("Someone I represent", "a performer, a child, an estate"),
}
KINDS: Final = {"character": "character", "artwork": "artwork", "myself": "person", "represented": "person"}
WISHES: Final = {
    "block": ("Nothing", "Refuse every request."),
    "ask": ("Ask first", "Hold every request: nothing leaves unless you give a licence."),
}
KEPT: Final = ("whom", "name", "aliases", "description", "context", "mode")

log = logging.getLogger("countermark.service")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
def get_index(here: Here) -> Response:
    """What can be done here."""
    checked = bool(policies.preset(here.settings.policy).required)
    return page(here, "index.html", checked=checked)


@router.get("/verify")
def get_verify(here: Here) -> Response:
    """The form for a clip."""
    return page(here, "verify.html", error=None, limit=_size(here.settings.max_upload_bytes))


@router.post("/verify")
async def post_verify(request: Request, here: Here) -> Response:
    """The report on a clip; nothing of the clip is kept."""
    try:
        same_site(request)
        here.looks.check()
        async with here.uploads.receive(request) as upload:
            report = for_strangers(await examine(here, upload, strip=True, asker=here.asker(request)))
    except OURS as error:
        return failed(here, "verify.html", error, limit=_size(here.settings.max_upload_bytes))
    return await asyncio.to_thread(_report, here, report)


@router.get("/optout")
def get_optout(here: Here) -> Response:
    """The form for an opt-out."""
    return page(here, "optout.html", error=None, values=dict.fromkeys(KEPT, ""), **_choices(here))


@router.post("/optout")
async def post_optout(request: Request, here: Here) -> Response:
    """Register an opt-out, with the API key that was typed in."""
    values = dict.fromkeys(KEPT, "")
    try:
        same_site(request)
        here.wishes.check()
        async with here.uploads.receive(request) as upload:
            values = {name: safe_text(upload.fields.get(name, [""])[0], 4000) for name in KEPT}
            key, order = await asyncio.to_thread(_read, upload)
            caller = await asyncio.to_thread(auth.admit_key, here.app.engine, key, (auth.OPTOUT,), clock())
            receipt = await optouts.register(here, upload, order, caller)
        log.info("opt-out %s: key %s declared %s", receipt.id, caller.key, " and ".join(DECLARATIONS))
    except OURS as error:
        return failed(here, "optout.html", error, values=values, **_choices(here))
    told = optouts.tell(receipt, optouts.ACTIVE)
    return page(
        here, "done.html", told=told, clock=receipt.at[CLOCK], day=receipt.at[:10],
        receipt=_download("application/json", json.dumps(told, indent=2)),
    )  # fmt: skip


def _read(upload: Upload) -> tuple[str, dict[str, Any]]:
    """The key and the order of a form. Raises: RequestMalformed."""
    upload.only(*KEPT, "key", *DECLARATIONS)
    for name, text in DECLARATIONS.items():
        if not upload.one(name):
            raise RequestMalformed(f"this is needed as well: “{text}”")
    whom = upload.one("whom")
    if whom not in WHOM:
        raise RequestMalformed("say whom you protect, in step 1")
    if not upload.one("name").strip():
        raise RequestMalformed("the name is missing, in step 2")
    order: dict[str, Any] = {
        "kind": KINDS[whom], "name": upload.one("name"), "description": upload.one("description"),
        "mode": upload.one("mode", "block"), "aliases": _lines(upload.one("aliases")),
        "context": _lines(upload.one("context")),
    }  # fmt: skip
    return upload.one("key").strip(), order


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]


def _report(here: Service, report: VerificationReport) -> Response:
    service = here.settings.service
    whole = html.render([report], service=service)
    return page(
        here, "report.html", article=html.article(report, service), how=html.how(service),
        page=_download("text/html", whole),
        record=_download("application/json", json.dumps(document(report), indent=2)),
    )  # fmt: skip


def _download(kind: str, text: str) -> str:
    """An address that holds the file itself, so that nothing has to be kept for it."""
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


def _choices(here: Service) -> dict[str, Any]:
    size = _size(here.settings.max_optout_bytes)
    return {"whom": WHOM, "wishes": WISHES, "declarations": DECLARATIONS, "limit": size}


def _size(count: int) -> str:
    return f"{count / 1024**2:.0f} MiB"
