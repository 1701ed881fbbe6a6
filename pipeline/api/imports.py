"""Catalogues over HTTP: a studio's whole list in one upload, looked at and registered line by line."""

import asyncio
import json
from functools import partial
from pathlib import PurePath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from pipeline import auth
from pipeline.api import jobs, shapes, shapes_imports
from pipeline.api.cases import After, Limit
from pipeline.api.known import by_id
from pipeline.api.state import Here, Service, caller_with
from pipeline.api.uploads import Upload
from pipeline.auth import Caller
from pipeline.errors import RequestMalformed, RouteUnknown, TooBusy
from pipeline.importing import ARCHIVE, Wanted
from pipeline.imports import reports
from pipeline.imports.catalogue import DOCUMENTS, TABLES
from pipeline.imports.types import counts_of
from pipeline.optouts.order import plain
from pipeline.types import Json
from registry import import_requests, import_runs
from registry.errors import KeyReused, NotFound, QueueFull
from registry.import_requests import ImportRequest, Told
from registry.party_types import Filing

CATALOGUE: Final = "catalogue"
PICTURES: Final = "pictures"
ACCOUNT, PARTY = "account", "party"
CLAIMS: Final = ("opt_out", "likeness")
YES: Final = {"": False, "no": False, "yes": True}
PREFIX: Final = "/v1/imports/"
NDJSON: Final = "application/x-ndjson"

FORM: Final = shapes.upload(
    "A catalogue of opt-outs: see docs/imports.md for its form. The owner is the account of the key.",
    {CATALOGUE: "CSV, or one JSON object on each line", PICTURES: "a zip file with the pictures"},
    {
        "dry_run": "yes: say what each line would do, and register nothing",
        "skip_bad": "yes: pass over lines that are wrong; else one of them refuses all",
        "speaks": "account (default): lines of others are wrong; party: the party that the account is called "
        "after says it all, for whom it has a delegation",
        "claim": "of a party: opt_out (default) or likeness",
        "statement": "of a party: NAME, or NAME=TEXT, once for each (docs/parties.md)",
        "signature": "of a party: the name of whoever signs",
    },
    needed=(CATALOGUE,),
)  # fmt: skip

router = APIRouter(tags=["imports"])

Holder = Annotated[Caller, Depends(caller_with(auth.OPTOUT))]
Line = Annotated[int, Query(ge=0, le=2**31, description="the last line of the page before")]


@router.post(
    "/v1/imports", status_code=202, response_model=shapes_imports.ImportAnswer, openapi_extra=FORM,
    responses=shapes_imports.ACCEPTED,
)  # fmt: skip
async def post_import(request: Request, here: Here, caller: Holder) -> JSONResponse:
    """Import a catalogue. The answer is durable: the import goes on whatever dies. Idempotency-Key: the same
    key is the same import.
    """
    name = jobs.request_name(request)
    await asyncio.to_thread(_demand_room, here, caller.account)
    async with here.uploads.receive(request) as upload:
        wanted = await asyncio.to_thread(_wanted, here, upload, caller.account)
        names = {CATALOGUE: wanted.file, PICTURES: ARCHIVE}
        files = {names[one.field]: one for one in upload.files}
        owner = repr((caller.account, name, wanted))
        folder = await asyncio.to_thread(here.uploads.keep_together, files, owner)
        accept = partial(
            here.importing.accept, wanted, account=caller.account, key=caller.key, request=name, folder=folder
        )
        try:
            made = await asyncio.to_thread(accept)
        except (KeyReused, QueueFull):  # anything else may have come after it was written down
            here.uploads.forget(folder)
            raise
    if made.finished_at is not None:
        here.uploads.forget(folder)
    here.import_soon()
    told = await asyncio.to_thread(tell, here, made)
    return JSONResponse(told, 200 if made.finished_at else 202, {"Location": f"{PREFIX}{made.id}"})


@router.get("/v1/imports", response_model=shapes_imports.ImportsAnswer)
def get_imports(here: Here, caller: Holder, after: After = "", limit: Limit = 50) -> JSONResponse:
    """The imports of this account, oldest first."""
    found = import_requests.of_account(here.app.engine, caller.account, after=after, limit=limit)
    last = found[-1].id if len(found) == limit else None
    return JSONResponse({"imports": [tell(here, one) for one in found], "after": last})


@router.get("/v1/imports/{import_id}", response_model=shapes_imports.ImportAnswer)
def get_import(import_id: str, here: Here, caller: Holder) -> JSONResponse:
    """How far an import of this account is, and what came of it."""
    return JSONResponse(tell(here, _mine(here, import_id, caller)))


@router.get("/v1/imports/{import_id}/lines", response_model=shapes_imports.ImportedLines)
def get_lines(
    import_id: str, here: Here, caller: Holder, after: Line = 0, limit: Limit = 50, problems: bool = False
) -> JSONResponse:
    """What came of each line that is done, in the order of the file; of a dry run, what would. With
    `problems`, only of lines that are wrong. What is wrong is told for 30 days.
    """
    found = import_requests.lines(
        here.app.engine, _mine(here, import_id, caller), after=after, limit=limit, problems=problems
    )
    last = found[-1].line if len(found) == limit else None
    return JSONResponse({"lines": [_line(one) for one in found], "after": last})


@router.get(
    "/v1/imports/{import_id}/receipts", response_class=Response, responses=shapes_imports.RECEIPTS
)  # fmt: skip
def get_receipts(import_id: str, here: Here, caller: Holder) -> Response:
    """A receipt for each line that was registered, one JSON document a line: the log entry with its proof in
    the latest checkpoint.
    """
    request = _mine(here, import_id, caller)
    if request.run_id is None:
        raise RouteUnknown("nothing of this import was registered; see its lines")
    run = import_runs.get(here.app.engine, request.run_id)
    lines = (json.dumps(one) + "\n" for one in reports.receipts(here.app.engine, run))
    return StreamingResponse(lines, media_type=NDJSON)


def tell(here: Service, request: ImportRequest) -> Json:
    """An import as an answer."""
    wanted: dict[str, Any] = dict(request.wanted)
    run = None if request.run_id is None else import_runs.get(here.app.engine, request.run_id)
    return {
        "id": request.id, "state": request.state, "dry_run": wanted["dry_run"], "file": wanted["name"],
        "pictures": wanted["pictures"], "speaks": PARTY if wanted.get("party") else ACCOUNT,
        "lines": run.lines if run else None, "counts": {**counts_of(run)} if run else request.counts or {},
        "progress": request.progress, "error": request.error, "import": request.run_id,
        "seq": run.end_seq if run else None, "created_at": request.created_at,
        "finished_at": request.finished_at,
    }  # fmt: skip


def _line(one: Told) -> Json:
    return {
        "line": one.line, "outcome": one.outcome, "id": one.subject, "seq": one.seq, "code": one.code,
        "message": one.message, "notes": [*one.notes],
    }  # fmt: skip


def _demand_room(here: Service, account: str) -> None:
    """Raises: TooBusy, QueueFull."""
    try:
        here.importing.demand_room(account)
    except QueueFull as error:
        if error.own:
            raise
        raise TooBusy("the service has as many imports as it takes; try again later") from None


def _wanted(here: Service, upload: Upload, account: str) -> Wanted:
    """What the fields say. Raises: RequestMalformed, UsageError, NotFound for an account that is no party."""
    upload.only("dry_run", "skip_bad", "speaks", "claim", "statement", "signature")
    catalogue = upload.file(CATALOGUE, PICTURES)
    pictures = [one for one in upload.files if one.field == PICTURES]
    if len(pictures) > 1:
        raise RequestMalformed(f"send one zip file with all pictures, as the part {PICTURES!r}")
    suffix = PurePath(catalogue.name).suffix.lower()
    return Wanted(
        file=CATALOGUE + (suffix if suffix in (*TABLES, *DOCUMENTS) else ""), name=catalogue.name,
        digests=tuple(one.sha256 for one in (catalogue, *pictures)),
        pictures=pictures[0].name if pictures else None, dry_run=_yes(upload, "dry_run"),
        skip_bad=_yes(upload, "skip_bad"), party=_party(here, upload, account),
    )  # fmt: skip


def _yes(upload: Upload, name: str) -> bool:
    told = upload.one(name)
    if told not in YES:
        raise RequestMalformed(f"{name} is yes or no")
    return YES[told]


def _party(here: Service, upload: Upload, account: str) -> Filing | None:
    """What the account's party says; None where the account imports its own."""
    speaks, claim = upload.one("speaks") or ACCOUNT, upload.one("claim")
    statements = [one.partition("=") for one in upload.fields.get("statement", ())]
    if speaks not in (ACCOUNT, PARTY) or claim not in ("", *CLAIMS):
        raise RequestMalformed(f"speaks is account or party, claim one of: {', '.join(CLAIMS)}")
    if speaks == ACCOUNT:
        if claim or statements or upload.one("signature"):
            raise RequestMalformed("a claim is a party's; send speaks=party with it")
        return None
    told = {plain("statement", name.strip().replace("-", "_")): plain(name, text if equals else "yes")
            for name, equals, text in statements}  # fmt: skip
    if len(told) < len(statements):
        raise RequestMalformed("a statement stands there twice; remove one")
    signature = plain("signature", upload.one("signature"))
    try:
        return here.importing.filing(account, claim or CLAIMS[0], told, signature)
    except NotFound:
        raise RequestMalformed(
            "no party is called as this account is; leave out speaks, or ask the operator to make one"
        ) from None


def _mine(here: Service, import_id: str, caller: Caller) -> ImportRequest:
    """The account's import. Raises: RouteUnknown, also for another account's."""
    found = by_id(partial(import_requests.get, here.app.engine), import_id)
    if found is None or found.account != caller.account:
        raise RouteUnknown("this account has no such import; check its id")
    return found
