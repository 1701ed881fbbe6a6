"""Cases over HTTP: people take them one by one and decide. Who decides is the name on the key."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse, Response

from pipeline import auth
from pipeline.api import asked as bodies
from pipeline.api import shapes
from pipeline.api.known import by_id
from pipeline.api.state import Here, Service, caller_with
from pipeline.auth import Caller
from pipeline.credentials.text import safe_text
from pipeline.errors import RouteUnknown
from pipeline.types import Json
from registry.pending import Wanted

MAX_PAGE: Final = 100
MAX_WHY: Final = 4000

router = APIRouter(tags=["cases"])

Reviewer = Annotated[Caller, Depends(caller_with(auth.REVIEW))]
PLAIN: Final = r"^[^\x00-\x1f]*$"  # PostgreSQL takes no NUL, and no id or name has what is below a space
After = Annotated[str, Query(max_length=36, pattern=PLAIN, description="the last id of the page before")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="how many at most")]
WithHolders = Annotated[bool, Query(description="those that wait for a rights holder's answer, instead")]


@router.get("/v1/cases", response_model=shapes.CasesAnswer)
def get_cases(
    here: Here, _caller: Reviewer, after: After = "", limit: Limit = 50, with_holders: WithHolders = False
) -> JSONResponse:
    """Open cases, oldest first, whoever has taken them; or those that wait for rights holders."""
    found = here.app.reviews.waiting(after=after, limit=limit, with_holders=with_holders)
    last = found[-1]["id"] if len(found) == limit else None
    return JSONResponse({"cases": found, "after": last})


@router.post(
    "/v1/cases/next", response_model=shapes.CaseAnswer,
    responses={204: {"description": "No case waits for this person."}},
)  # fmt: skip
def post_next(here: Here, caller: Reviewer) -> Response:
    """Take the oldest case that this person may decide; for ten minutes nobody else gets it."""
    found = here.app.reviews.take_next(caller.person)
    return Response(status_code=204) if found is None else JSONResponse(found)


@router.get("/v1/cases/{case_id}", response_model=shapes.CaseAnswer)
def get_case(case_id: str, here: Here, _caller: Reviewer) -> JSONResponse:
    """A case with its reasons, what was asked for, what others said, and who has taken it."""
    return JSONResponse(shown(here, case_id))


@router.post("/v1/cases/{case_id}/decide", response_model=shapes.DecidedAnswer)
async def post_decision(
    case_id: str, asked: bodies.DecisionRequest, here: Here, caller: Reviewer
) -> JSONResponse:
    """Decide, at once: what can be undone for a while is decided on the pages.

    A held clip that is released is judged anew without what was cleared, and goes on.
    """
    await asyncio.to_thread(shown, here, case_id)
    wanted = Wanted(
        case_id=case_id, decision=asked.decision, by=caller.person, key=caller.key,
        why=safe_text(asked.why, MAX_WHY), subjects=tuple(asked.subjects),
    )  # fmt: skip
    done = await here.wishes.run(lambda: here.app.reviews.decide(wanted, caller))
    here.resume_soon()
    return JSONResponse(asdict(done))


@router.post("/v1/cases/{case_id}/give-back", status_code=204)
def post_give_back(case_id: str, here: Here, caller: Reviewer) -> Response:
    """Let somebody else have a case that this person has taken."""
    shown(here, case_id)
    here.app.reviews.give_back(case_id, caller.person)
    return Response(status_code=204)


def shown(here: Service, case_id: str) -> Json:
    """A case's document. Raises: RouteUnknown where there is no such case."""
    found = by_id(here.app.reviews.show, case_id)
    if found is None:
        raise RouteUnknown("there is no such case; check its id")
    return found
