"""The page that checks a clip: server-rendered, without script, under a strict policy.

A form here needs no token against forgery: no cookie and no address gives it any right.
"""

import asyncio
import json

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from pipeline.api.state import Here, Service
from pipeline.api.verify import examine
from pipeline.verify import html
from pipeline.verify.document import document, for_strangers
from pipeline.verify.types import VerificationReport
from pipeline.web.rendering import download, failed, page, same_site, size_words
from pipeline.workbench import OURS

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/verify")
def get_verify(here: Here) -> Response:
    """The form for a clip."""
    return page(here, "verify.html", error=None, limit=size_words(here.settings.max_upload_bytes))


@router.post("/verify")
async def post_verify(request: Request, here: Here) -> Response:
    """The report on a clip; nothing of the clip is kept."""
    try:
        same_site(request)
        here.looks.check()
        async with here.uploads.receive(request) as upload:
            report = for_strangers(await examine(here, upload, strip=True, asker=here.asker(request)))
    except OURS as error:
        return failed(here, "verify.html", error, limit=size_words(here.settings.max_upload_bytes))
    return await asyncio.to_thread(_report, here, report)


def _report(here: Service, report: VerificationReport) -> Response:
    service = here.settings.service
    whole = html.render([report], service=service)
    return page(
        here, "report.html", release=report.release.id if report.release else None,
        article=html.article(report, service), how=html.how(service), page=download("text/html", whole),
        record=download("application/json", json.dumps(document(report), indent=2)),
    )  # fmt: skip
