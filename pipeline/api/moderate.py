"""Judging a prompt alone: the gate, without a job."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline import policy as policies
from pipeline.api import asked as bodies
from pipeline.api import jobs, shapes
from pipeline.api.state import Here, caller_with
from pipeline.appeals import appeal
from pipeline.auth import Caller
from pipeline.types import Json

router = APIRouter(tags=["moderation"])

Moderator = Annotated[Caller, Depends(caller_with(auth.MODERATE))]


@router.post("/v1/moderate/prompt", response_model=shapes.GateAnswer)
async def post_prompt(asked: bodies.PromptRequest, here: Here, caller: Moderator) -> JSONResponse:
    """What the gate says of a prompt, by the registry as it is now: allow, review or block, and why."""
    judge = partial(
        here.app.judge, asked.prompt, history=tuple(asked.history), account=caller.account,
        enhanced=asked.enhanced_prompt,
        use=jobs.use_of(asked.region, asked.purpose, asked.content_class, caller.tags),
        policy=jobs.allowed_policy(asked.policy, here.settings.policy),
        checks=None if asked.checks is None else tuple(asked.checks),
    )  # fmt: skip
    decision = await here.gates.run(judge)
    here.metrics.said("prompt", str(decision.verdict))
    told: Json = {"appeal": appeal(here.settings.contact) if decision.reasons else None}
    return JSONResponse(policies.for_callers(policies.to_json(decision)) | told)
