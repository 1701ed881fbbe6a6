"""Verifying a file: no key is needed, and nothing of the file is kept."""

import asyncio
from concurrent.futures import Future
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import shapes
from pipeline.api.state import Here, Service, optional_caller
from pipeline.api.uploads import Upload
from pipeline.auth import Caller
from pipeline.clock import clock
from pipeline.credentials.fingerprint import Fingerprint
from pipeline.verify.document import document, for_strangers
from pipeline.verify.local import Progress, Tell
from pipeline.verify.opening import open_local
from pipeline.verify.types import VerificationReport

FILE = shapes.upload("The file to verify.", {"file": "any file; videos give more evidence"}, {})

router = APIRouter(tags=["verify"])

Known = Annotated[Caller | None, Depends(optional_caller(auth.VERIFY))]


@router.post("/v1/verify", response_model=shapes.ReportAnswer, openapi_extra=FILE)
async def post_verify(request: Request, here: Here, caller: Known) -> JSONResponse:
    """Look for credential, hidden mark, visible mark and log entry; say what they add up to.

    How strongly marks were read is told only to callers with a key for it; others may not ask about a clip
    in many slightly different forms.
    """
    here.looks.check()
    async with here.uploads.receive(request) as upload:
        report = await examine(here, upload, strip=False, asker=None if caller else here.asker(request))
    return JSONResponse(document(report if caller else for_strangers(report)))


async def examine(here: Service, upload: Upload, *, strip: bool, asker: str | None) -> VerificationReport:
    """Verify the upload's one file on the pool. `asker`: None for whoever has a key.

    Raises: TooBusy, AskedTooOften, RequestMalformed.
    """
    return await asyncio.wrap_future(begin(here, upload, strip=strip, asker=asker))


def begin(
    here: Service, upload: Upload, *, strip: bool, asker: str | None,
    progress: Progress = lambda _done, _all: None, tell: Tell = lambda _line, _evidence: None,
) -> Future[VerificationReport]:  # fmt: skip
    """Have the upload's one file verified on the pool; `progress` and `tell` are told from there.

    Raises: TooBusy, RequestMalformed. The future raises: AskedTooOften, and what those two raise.
    """
    upload.only()
    file = upload.file("file")

    def admit(fingerprint: Fingerprint) -> None:
        if asker is not None:
            here.near.admit(fingerprint, file_sha256=file.sha256, asker=asker, now=clock())

    def work() -> VerificationReport:
        with open_local(here.settings) as verifier:
            found = verifier.verify(file.path, strip=strip, progress=progress, admit=admit, tell=tell)
        return replace(found, file=file.name)

    with here.looks.reserve() as slot:
        return slot.start(work)
