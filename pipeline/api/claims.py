"""Claims of an account's party over HTTP: where each stands, and the evidence for it."""

import asyncio
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import shapes, shapes_rules
from pipeline.api.cases import After, Limit
from pipeline.api.known import by_id, party_of
from pipeline.api.state import Here, Service, caller_with
from pipeline.api.uploads import UploadedFile
from pipeline.auth import Caller
from pipeline.clock import clock
from pipeline.errors import LimitExceeded, RouteUnknown
from pipeline.optouts.order import plain
from pipeline.types import Json
from registry import claims, evidence
from registry.claim_log import document
from registry.evidence import FILE_BYTES_MAX
from registry.party_types import Claim, Evidence

OCTETS: Final = "application/octet-stream"
FILE: Final = shapes.upload(
    "A file that shows what a claim says; who decides about the claim can look at it.",
    {"file": f"the file, at most {FILE_BYTES_MAX >> 20} MiB"},
    {"note": "what it shows", "type": "its media type"},
)  # fmt: skip

router = APIRouter(tags=["claims"])

Holder = Annotated[Caller, Depends(caller_with(auth.OPTOUT, auth.HOLDER))]
State = Literal["draft", "provisional", "active", "rejected", "disputed", "withdrawn", "expired"]
Wanted = Annotated[State | None, Query(description="only in this state")]


@router.get("/v1/claims", response_model=shapes_rules.ClaimsAnswer)
def get_claims(
    here: Here, caller: Holder, state: Wanted = None, after: After = "", limit: Limit = 50
) -> JSONResponse:
    """The claims of the party that the account is called after, and of those for whom it spoke, oldest first.
    What an account registered as itself is the operator's word, and no claim.
    """
    party, found = party_of(here, caller.account), list[Claim]()
    if party is not None:
        found = claims.list_claims(here.app.engine, party_id=party, state=state, after=after, limit=limit)
    last = found[-1].id if len(found) == limit else None
    return JSONResponse({"claims": [document(one) for one in found], "after": last})


@router.get("/v1/claims/{claim_id}", response_model=shapes_rules.ClaimShown)
def get_claim(claim_id: str, here: Here, caller: Holder) -> JSONResponse:
    """Where a claim stands, what it states, until when it is to be verified, and its evidence."""
    return JSONResponse(_shown(here, _mine(here, claim_id, caller)))


@router.post(
    "/v1/claims/{claim_id}/evidence", status_code=201, response_model=shapes_rules.ClaimShown,
    responses={200: {"model": shapes_rules.ClaimShown, "description": "The file is there already."}},
    openapi_extra=FILE,
)  # fmt: skip
async def post_evidence(claim_id: str, request: Request, here: Here, caller: Holder) -> JSONResponse:
    """Keep a file with a claim, for whoever decides about it; the same file again is the same."""
    found = await asyncio.to_thread(_mine, here, claim_id, caller)
    async with here.uploads.receive(request) as upload:
        upload.only("note", "type")
        file, note = upload.file("file"), plain("note", upload.one("note"))
        kind = plain("type", upload.one("type")) or OCTETS
        new = await here.wishes.run(lambda: _keep(here, found, file, kind, note))
    return JSONResponse(await asyncio.to_thread(_shown, here, found), 201 if new else 200)


def _keep(here: Service, found: Claim, file: UploadedFile, kind: str, note: str) -> bool:
    """Whether it is new. Raises: LimitExceeded, ClaimInvalid, StorageFull."""
    if file.size > FILE_BYTES_MAX:
        raise LimitExceeded(f"evidence is a file of at most {FILE_BYTES_MAX >> 20} MiB; send a smaller one")
    there = evidence.of_claim(here.app.engine, found.id)
    if any(one.sha256 == file.sha256 and one.purged_at is None for one in there):
        return False
    evidence.add(
        here.app.engine, here.app.store, found.id, file.path.read_bytes(), media_type=kind, note=note,
        days=here.settings.evidence_days, now=clock(), sign_checkpoint=here.app.signer,
    )  # fmt: skip
    return True


def _shown(here: Service, found: Claim) -> Json:
    files: list[Any] = [_file(one) for one in evidence.of_claim(here.app.engine, found.id)]
    return {**document(found), "evidence": files}


def _file(one: Evidence) -> Json:
    return {
        "id": one.id, "sha256": one.sha256, "type": one.media_type, "size": one.size, "note": one.note,
        "added_at": one.added_at, "purge_at": one.purge_at, "purged_at": one.purged_at,
    }  # fmt: skip


def _mine(here: Service, claim_id: str, caller: Caller) -> Claim:
    """A claim of the account's party. Raises: RouteUnknown, also for another's."""
    party = party_of(here, caller.account)
    found = by_id(partial(claims.get, here.app.engine), claim_id)
    if found is None or party is None or party not in (found.party, found.by):
        raise RouteUnknown("this account has no such claim; check its id")
    return found
