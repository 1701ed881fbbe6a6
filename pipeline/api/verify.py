"""Verifying a file: no key is needed, and nothing of the file is kept."""

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
from pipeline.clock import clock
from pipeline.credentials.fingerprint import Fingerprint
from pipeline.verify.document import document, for_strangers
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
    upload.only()
    file = upload.file("file")
    return await here.looks.run(partial(_verify, here, file, strip=strip, asker=asker))


def _verify(here: Service, file: UploadedFile, *, strip: bool, asker: str | None) -> VerificationReport:
    def admit(fingerprint: Fingerprint) -> None:
        if asker is not None:
            here.near.admit(fingerprint, file_sha256=file.sha256, asker=asker, now=clock())

    with open_local(here.settings) as verifier:
        return replace(verifier.verify(file.path, strip=strip, admit=admit), file=file.name)
