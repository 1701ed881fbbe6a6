"""Opt-outs over HTTP: registered, shown and withdrawn by the account whose they are."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import shapes
from pipeline.api.cases import After, Limit
from pipeline.api.known import by_id
from pipeline.api.state import Here, Service, caller_with
from pipeline.api.uploads import Upload, UploadedFile
from pipeline.auth import Caller
from pipeline.errors import RequestMalformed, RouteUnknown
from pipeline.optouts.order import OptOutOrder, complaint
from pipeline.optouts.receipt import Receipt
from pipeline.pictures.reader import load_picture
from pipeline.pictures.types import PictureFile
from registry import scans, subjects
from registry.db import read
from registry.drafts import normal
from registry.subject_types import SubjectRecord

ONE: Final = ("kind", "name", "description", "mode")
MANY: Final = ("aliases", "attributes", "exclusions", "context")
PICTURES: Final = "references"
NEGATIVES: Final = "negatives"
ACTIVE: Final = "active"

FORM: Final = shapes.upload(
    "Whom or what nobody may draw here. The owner is the account of the key.",
    {PICTURES: "pictures that show it: PNG, JPEG or WebP", NEGATIVES: "look-alikes that are not meant"},
    {
        "kind": "character (default), person, logo, artwork or portfolio", "name": "whom or what",
        "description": "what it looks like, in a sentence", "mode": "block (default), ask or allow",
        "aliases": "another name; once for each", "attributes": "one thing to tell it by; once for each",
        "exclusions": "what is not meant; once for each",
        "context": "a word that stands near a name which is also a common word; once for each",
    },
    many=True, needed=("name",),
)  # fmt: skip

router = APIRouter(tags=["opt-outs"])

Holder = Annotated[Caller, Depends(caller_with(auth.OPTOUT))]


@router.post(
    "/v1/optouts", status_code=201, response_model=shapes.ReceiptAnswer, openapi_extra=FORM,
    responses={200: {"model": shapes.ReceiptAnswer, "description": "All of it was registered already."}},
)  # fmt: skip
async def post_optout(request: Request, here: Here, caller: Holder) -> JSONResponse:
    """Register an opt-out. When this answers, the next request is refused, in every process."""
    here.wishes.check()
    async with here.uploads.receive(request) as upload:
        receipt = await register(here, upload, values_of(upload), caller)
    return JSONResponse(tell(receipt, ACTIVE), 201 if receipt.new else 200)


@router.get("/v1/optouts", response_model=shapes.OptOutsAnswer)
def get_optouts(here: Here, caller: Holder, after: After = "", limit: Limit = 50) -> JSONResponse:
    """The opt-outs of this account, oldest first, also those that were withdrawn."""
    engine = here.app.engine
    found = subjects.list_subjects(engine, after=after, limit=limit, owner=caller.account)
    last = found[-1].id if len(found) == limit else None
    told = [
        {"subject": one.id, "kind": one.kind, "name": one.name, "mode": one.mode, "state": one.state,
         "seq": one.seq}
        for one in found
    ]  # fmt: skip
    return JSONResponse({"optouts": told, "after": last})


@router.get("/v1/optouts/{subject_id}", response_model=shapes.OptOutAnswer)
def get_optout(subject_id: str, here: Here, caller: Holder) -> JSONResponse:
    """An opt-out of this account, with everything in force; the pictures by digest and size only."""
    record = own_optout(here, subject_id, caller)
    pictures = here.desk.pictures(subject_id)
    return JSONResponse({
        "subject": record.id, "kind": record.kind, "name": record.name, "owner": record.owner,
        "mode": record.mode, "state": record.state, "seq": record.seq, "description": record.description,
        "attributes": list(record.attributes), "exclusions": list(record.exclusions),
        "names": [
            {"text": name.text, "tier": name.tier, "context": list(name.context), "kind": name.kind}
            for name in record.names
        ],
        "pictures": [
            {"sha256": one.sha256, "polarity": one.polarity, "width": one.width, "height": one.height}
            for one in pictures
        ],
        "released_clips": _found(here, subject_id),
    })  # fmt: skip


@router.post("/v1/optouts/{subject_id}/withdraw", response_model=shapes.ReceiptAnswer)
async def post_withdraw(subject_id: str, here: Here, caller: Holder) -> JSONResponse:
    """Take an opt-out of this account out of force; its vectors are forgotten, its clips may come back."""

    def work() -> Receipt:
        own_optout(here, subject_id, caller)
        return here.desk.withdraw(subject_id, f"asked for with the API key {caller.key}")

    receipt = await here.wishes.run(work)
    here.scan_soon()
    return JSONResponse(tell(receipt, "withdrawn"))


def _found(here: Service, subject_id: str) -> dict[str, Any]:
    """What was found of it in what is out: counts, and nobody's data."""
    with read(here.app.engine) as conn:
        return asdict(scans.counts(conn, subject_id))


async def register(here: Service, upload: Upload, values: dict[str, Any], caller: Caller) -> Receipt:
    """Register what an upload says, for the caller's account. Raises: what `Desk.register` raises."""
    order = order_of(values, caller.account)
    for file in upload.files:
        if file.field not in (PICTURES, NEGATIVES):
            raise RequestMalformed(f"pictures come as the parts {PICTURES} or {NEGATIVES}")

    def work() -> Receipt:  # one at a time, so that the pictures of one only are in memory
        shown, not_meant = (_pictures(upload.files, part) for part in (PICTURES, NEGATIVES))
        return here.desk.register(order, shown, not_meant)

    receipt = await here.wishes.run(work)
    here.scan_soon()
    return receipt


def values_of(upload: Upload) -> dict[str, Any]:
    """The form's fields as an order's members. Raises: RequestMalformed for a field that nobody reads."""
    upload.only(*ONE, *MANY)
    values: dict[str, Any] = {name: upload.one(name) for name in ONE if upload.one(name)}
    return values | {name: upload.fields[name] for name in MANY if name in upload.fields}


def order_of(values: dict[str, Any], account: str) -> OptOutOrder:
    """An order of the account. Raises: RequestMalformed."""
    try:
        return OptOutOrder(**values, owner=account)
    except ValidationError as error:
        raise RequestMalformed(complaint(error)) from None


def tell(receipt: Receipt, state: str) -> dict[str, Any]:
    """The receipt as an answer."""
    told = receipt.to_json()
    return {
        "subject": receipt.id, "name": receipt.name, "state": state, "seq": receipt.sequence,
        "at": receipt.at, "new": receipt.new, "notes": list(receipt.notes), "names": told["names"],
        "receipt": told["receipt"],
    }  # fmt: skip


def _pictures(files: Sequence[UploadedFile], part: str) -> list[PictureFile]:
    """The pictures of a part, read whole: each is checked for its size before it is decoded."""
    chosen = [file for file in files if file.field == part]
    return [PictureFile(name=file.name, data=load_picture(file.path).data) for file in chosen]


def own_optout(here: Service, subject_id: str, caller: Caller) -> SubjectRecord:
    """The account's opt-out. Raises: RouteUnknown, also for another account's."""
    record = by_id(here.desk.show, subject_id)
    if record is None or normal(record.owner) != normal(caller.account):
        raise RouteUnknown("this account has no such opt-out; check its id")
    return record
