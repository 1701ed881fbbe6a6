"""Appeals over HTTP: an account objects to a decision against it, and sees what became of that."""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import asked as bodies
from pipeline.api import shapes
from pipeline.api.cases import After, Limit
from pipeline.api.known import by_id
from pipeline.api.state import Here, caller_with
from pipeline.appealing import WORDS_MAX, Told
from pipeline.auth import Caller
from pipeline.credentials.text import safe_text
from pipeline.errors import RequestMalformed, RouteUnknown
from pipeline.types import Json
from registry.errors import NotFound
from registry.ids import is_id

PREFIX: Final = "/v1/appeals/"

router = APIRouter(tags=["decisions"])

Creator = Annotated[Caller, Depends(caller_with(auth.CREATE, auth.GUARD))]


@router.post("/v1/appeals", status_code=201, response_model=shapes.AppealAnswer)
async def post_appeal(asked: bodies.AppealRequest, here: Here, caller: Creator) -> JSONResponse:
    """Object to a refused job or a withdrawn release of this account. The same again is the same appeal."""
    if (asked.job is None) == (asked.release is None):
        raise RequestMalformed("say which it is about: job or release, one of them")
    words = safe_text(asked.text, WORDS_MAX).strip()
    if not words:
        raise RequestMalformed("say in text why the decision is wrong")
    about = asked.job or asked.release or ""
    if not is_id(about):
        raise RouteUnknown("this account has no such job or release; check its id")
    make = partial(here.app.reviews.appeals.make, caller.account, words, job=asked.job, release=asked.release)
    try:
        told = tell(await here.wishes.run(make))
    except NotFound:
        raise RouteUnknown("this account has no such job or release; check its id") from None
    return JSONResponse(told, 201, {"Location": f"{PREFIX}{told['id']}"})


@router.get("/v1/appeals", response_model=shapes.AppealsAnswer)
def get_appeals(here: Here, caller: Creator, after: After = "", limit: Limit = 50) -> JSONResponse:
    """The appeals of this account, oldest first."""
    found = [tell(one) for one in here.app.reviews.appeals.page(caller.account, after=after, limit=limit)]
    last = found[-1]["id"] if len(found) == limit else None
    return JSONResponse({"appeals": found, "after": last})


@router.get("/v1/appeals/{appeal_id}", response_model=shapes.AppealAnswer)
def get_appeal(appeal_id: str, here: Here, caller: Creator) -> JSONResponse:
    """What became of an appeal of this account."""
    found = by_id(lambda told: here.app.reviews.appeals.find(told, caller.account), appeal_id)
    if found is None:
        raise RouteUnknown("this account has no such appeal; check its id")
    return JSONResponse(tell(found))


def tell(told: Told) -> Json:
    """An appeal for who made it; who decided is not told. ``again``: the job that was made of it."""
    found = told.appeal
    return {
        "id": found.id, "state": found.state, "decision": found.decision, "job": found.job_id,
        "release": found.release_id, "text": found.words, "opened_at": found.opened_at,
        "closed_at": found.closed_at, "again": told.job,
    }  # fmt: skip
