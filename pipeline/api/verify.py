"""Verifying a file: no key is needed, and nothing of the file is kept."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import shapes
from pipeline.api.state import Here, Service, optional_caller
from pipeline.api.uploads import Upload, UploadedFile
from pipeline.auth import Caller
from pipeline.settings import Settings
from pipeline.verify.document import document, for_strangers
from pipeline.verify.local import open_local
from pipeline.verify.types import VerificationReport

FILE = shapes.upload("The file to verify.", {"file": "any file; videos give more evidence"}, {})

router = APIRouter(tags=["verify"])

Known = Annotated[Caller | None, Depends(optional_caller(auth.VERIFY))]


@router.post("/v1/verify", response_model=shapes.ReportAnswer, openapi_extra=FILE)
async def post_verify(request: Request, here: Here, caller: Known) -> JSONResponse:
    """Look for credential, hidden mark, visible mark and log entry; say what they add up to.

    How strongly marks were read is told only to callers with a key for it.
    """
    here.looks.check()
    async with here.uploads.receive(request) as upload:
        report = await examine(here, upload, strip=False)
    return JSONResponse(document(report if caller else for_strangers(report)))


async def examine(here: Service, upload: Upload, *, strip: bool) -> VerificationReport:
    """Verify the upload's one file on the pool. Raises: TooBusy, RequestMalformed."""
    upload.only()
    file = upload.file("file")
    with here.looks.reserve() as slot:
        future = slot.start(partial(_verify, here.settings, file, strip=strip))
    return await asyncio.wrap_future(future)


def _verify(settings: Settings, file: UploadedFile, *, strip: bool) -> VerificationReport:
    with open_local(settings) as verifier:
        return replace(verifier.verify(file.path, strip=strip), file=file.name)
