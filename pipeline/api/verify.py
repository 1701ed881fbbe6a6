"""Verifying a file: no key is needed, and nothing of the file is kept."""

import asyncio
from concurrent.futures import Future
from dataclasses import replace
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import shapes
from pipeline.api.shapes_reports import EnvelopeAnswer, ReportKeyAnswer
from pipeline.api.state import Here, Service, optional_caller
from pipeline.api.uploads import Upload
from pipeline.auth import Caller
from pipeline.clock import clock
from pipeline.credentials.fingerprint import Fingerprint
from pipeline.verify.document import document, for_strangers
from pipeline.verify.examining import Examined
from pipeline.verify.local import Progress, Tell
from pipeline.verify.opening import open_local
from pipeline.verify.statement import Audience, Checker, FileDigest, as_used, at_hand, signed, statement

FILE = shapes.upload("The file to verify.", {"file": "any file; videos give more evidence"}, {})

router = APIRouter(tags=["verify"])

Known = Annotated[Caller | None, Depends(optional_caller(auth.VERIFY))]
InEnvelope = Annotated[bool, Query(alias="signed", description="answer with the signed report (DSSE)")]


@router.post("/v1/verify", response_model=shapes.ReportAnswer | EnvelopeAnswer, openapi_extra=FILE)
async def post_verify(
    request: Request, here: Here, caller: Known, in_envelope: InEnvelope = False
) -> JSONResponse:
    """Look for credential, hidden mark, visible mark and log entry; say what they add up to.

    How strongly marks were read is told only to callers with a key for it; others may not ask about a clip
    in many slightly different forms. `?signed=true`: the same report, signed, as evidence for others.
    """
    here.looks.check()
    async with here.uploads.receive(request) as upload:
        work = begin(here, upload, strip=False, asker=None if caller else here.asker(request))
        found = await asyncio.wrap_future(work)
    told = found if caller else told_to_strangers(found)
    if in_envelope:
        return JSONResponse(envelope(here, told, "key holders" if caller else "everybody"))
    return JSONResponse(document(told.report))


@router.get("/v1/report-key", response_model=ReportKeyAnswer)
def get_report_key(here: Here) -> JSONResponse:
    """The public half of the key that signed reports are signed with, and of those that did before."""
    key, *before = here.reports.latest.known
    return JSONResponse(key.to_json() | {"before": [one.to_json() for one in before]})


def told_to_strangers(found: Examined) -> Examined:
    """What whoever has no key may see."""
    return replace(found, report=for_strangers(found.report))


def envelope(here: Service, found: Examined, audience: Audience) -> dict[str, Any]:
    """The signed report about an upload; `found` is what this audience may see."""
    if found.file is None or found.having is None:
        raise ValueError("what is signed names the bytes it is about")
    signer = here.reports.latest
    service = Checker(service=here.settings.service, version=version("countermark"), signer=signer)
    told = statement(found.report, found.file, found.having, service, audience)
    return signed(told, signer)


def begin(
    here: Service, upload: Upload, *, strip: bool, asker: str | None,
    progress: Progress = lambda _done, _all: None, tell: Tell = lambda _line, _evidence: None,
) -> Future[Examined]:  # fmt: skip
    """Have the upload's one file verified on the pool; `progress` and `tell` are told from there.

    `asker`: None for whoever has a key. Raises: TooBusy, RequestMalformed. The future raises: AskedTooOften,
    and what those two raise.
    """
    upload.only()
    file = upload.file("file")

    def admit(fingerprint: Fingerprint) -> None:
        if asker is not None:
            here.near.admit(fingerprint, file_sha256=file.sha256, asker=asker, now=clock())

    def named(payload: str) -> None:
        if asker is not None:
            here.near.admit_named(payload, file_sha256=file.sha256, asker=asker, now=clock())

    def work() -> Examined:
        with open_local(here.settings) as verifier:
            having = at_hand(verifier)
            found = verifier.verify(
                file.path, strip=strip, progress=progress, admit=admit, named=named, tell=tell
            )
        # Nobody else writes in our folder of uploads, so these are the bytes that arrived.
        arrived = FileDigest(sha256=file.sha256, size=file.size)
        return Examined(report=replace(found, file=file.name), file=arrived, having=as_used(having, found))

    with here.looks.reserve() as slot:
        return slot.start(work)
