"""The page that checks a clip: server-rendered, without script, under a strict policy.

A form here needs no token against forgery: no cookie and no address gives it any right.
"""

from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from pipeline.api.state import Here
from pipeline.api.verify import begin
from pipeline.web.checking import Checking, Heard
from pipeline.web.rendering import failed, page, same_site, size_words
from pipeline.workbench import OURS

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/verify")
def get_verify(here: Here) -> Response:
    """The form for a clip."""
    return page(here, "verify.html", error=None, limit=size_words(here.settings.max_upload_bytes))


@router.post("/verify")
async def post_verify(request: Request, here: Here) -> Response:
    """The check of a clip as it goes on, and the report; nothing of the clip is kept."""
    async with AsyncExitStack() as stack:
        try:
            same_site(request)
            here.looks.check()
            upload = await stack.enter_async_context(here.uploads.receive(request))
            heard = Heard()
            work = begin(
                here, upload, strip=True, asker=here.asker(request), progress=heard.progress, tell=heard.tell
            )
        except OURS as error:
            return failed(here, "verify.html", error, limit=size_words(here.settings.max_upload_bytes))
        return Checking(here, upload.file("file").name, work, heard, stack.pop_all())
