"""POST /v1/generations as a form: a prompt, and the picture or clip that the new clip begins with.

The same address takes JSON (`pipeline.api.generations`). What a request says of its own kind chooses between
the two, and with that how many bytes it may have (`pipeline.api.bounds`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.routing import Match
from starlette.types import Scope

from pipeline.api import asked as bodies
from pipeline.api import generations, jobs, shapes
from pipeline.api.state import Here
from pipeline.api.uploads import Upload, is_multipart
from pipeline.errors import RequestMalformed
from pipeline.orders import CreateOrder

IMAGE: Final = "image"
EXTEND: Final = "extend"
ONCE: Final = ("prompt", "enhanced_prompt", "seconds", "seed", "policy", *generations.USE)


class FormRoute(APIRoute):
    """A route for requests that say that they are forms."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route, but for what is no form."""
        form = scope["type"] == "http" and is_multipart(Headers(scope=scope))
        return super().matches(scope) if form else (Match.NONE, {})


router = APIRouter(tags=["clips"], route_class=FormRoute)


@router.post(
    "/v1/generations", response_model=shapes.JobAnswer, responses=shapes.ACCEPTED, include_in_schema=False
)  # fmt: skip
async def post_generation_with_file(
    request: Request, here: Here, caller: generations.Creator
) -> JSONResponse:
    """Make a clip that begins with a picture, or goes on with a clip. The answer is a job."""
    name = jobs.request_name(request)
    await asyncio.to_thread(here.app.demand_room, caller.account)
    async with here.uploads.receive(request) as upload:
        upload.only(*ONCE, "history", "audio")
        file = upload.file(IMAGE if any(one.field == IMAGE for one in upload.files) else EXTEND)
        order = generations.created(_asked(upload), name, here, caller)
        audio, put = upload.one("audio"), _with_clip if file.field == EXTEND else _with_image
        if file.field == EXTEND:
            order = replace(order, sound=generations.sound_of(audio, here.settings.sound))
        elif audio:
            raise RequestMalformed("audio is about a clip that is gone on with; leave it out")
        # The place where it lies is not known yet, but whether it is a picture or a clip is the order's.
        job, kept = await generations.accepted(here, put(order, [Path()]), [file], put)
    return await generations.answered(here, request, job, kept)


def _asked(upload: Upload) -> bodies.GenerationRequest:
    """The fields of a form, checked as the members of JSON are. Raises: RequestValidationError."""
    told: dict[str, Any] = {name: upload.one(name) for name in ONCE if upload.one(name)}
    told |= {"history": upload.fields["history"]} if "history" in upload.fields else {}
    try:
        return bodies.GenerationForm.model_validate(told)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None


def _with_image(order: CreateOrder, files: Sequence[Path]) -> CreateOrder:
    return replace(order, image=files[0])


def _with_clip(order: CreateOrder, files: Sequence[Path]) -> CreateOrder:
    return replace(order, extends=files[0])
