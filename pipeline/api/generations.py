"""Making clips: from a prompt, or from a clip made elsewhere. Both are jobs, told at one place."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import asked as bodies
from pipeline.api import jobs, shapes
from pipeline.api.cases import After, Limit
from pipeline.api.state import Here, Service, caller_with
from pipeline.api.uploads import Upload, UploadedFile
from pipeline.auth import Caller
from pipeline.errors import CountermarkError, RequestMalformed
from pipeline.orders import CreateOrder, GuardOrder, Use
from pipeline.policy import Sound
from registry import jobs as job_rows
from registry.errors import QueueFull
from registry.types import Job, JobState

SOUNDS: Final = (Sound.HOLD, Sound.STRIP)
"""What a client may do with sound; letting through what nobody listened to is the operator's choice."""

USE: Final = ("region", "purpose", "content_class")

CLIP: Final = shapes.upload(
    "The clip and what is known of it.",
    {
        "clip": "the clip: MP4, MOV, WebM, MKV or GIF",
        "material": "a picture or clip that it was made from; once for each",
    },
    {
        "prompt": "the prompt that it was made from, if known",
        "enhanced_prompt": "what an enhancer made of the prompt, if one did",
        "policy": "the service's own policy, or a stricter one",
        "audio": "what to do with sound that no check listens to: hold or strip; default: the service's own",
        "region": "where it is shown, ISO 3166-1 alpha-2",
        "purpose": "what it is for, of docs/rules.md",
        "content_class": "what it is about, of docs/rules.md",
    },
)

BEGUN: Final = shapes.upload(
    "The prompt, and what the clip is to begin with: exactly one of the two files.",
    {
        "image": "the picture that the clip begins with: PNG, JPEG or WebP",
        "extend": "the clip that it goes on with: MP4, MOV, WebM, MKV or GIF",
    },
    {
        "prompt": "what the clip is to show",
        "history": "a turn before the prompt, oldest first; once for each",
        "enhanced_prompt": "what your enhancer made of the prompt: judged with it, and what is drawn",
        "seconds": "length of the clip, or of the new part",
        "seed": "the same seed gives the same clip",
        "policy": "the service's own policy, or a stricter one",
        "audio": "of a clip that is gone on with: hold or strip its sound; default: the service's own",
        "region": "where it is shown, ISO 3166-1 alpha-2",
        "purpose": "what it is for, of docs/rules.md",
        "content_class": "what it is about, of docs/rules.md",
    },
    needed=("prompt",),
)

router = APIRouter(tags=["clips"])

Ordered = TypeVar("Ordered", CreateOrder, GuardOrder)

Creator = Annotated[Caller, Depends(caller_with(auth.CREATE))]
Guarder = Annotated[Caller, Depends(caller_with(auth.GUARD))]
Either = Annotated[Caller, Depends(caller_with(auth.CREATE, auth.GUARD))]


@router.post(
    "/v1/generations", response_model=shapes.JobAnswer, responses=shapes.ACCEPTED, openapi_extra=BEGUN
)  # fmt: skip
async def post_generation(
    asked: bodies.GenerationRequest, request: Request, here: Here, caller: Creator
) -> JSONResponse:
    """Make a clip from a prompt; as a form, with a picture to begin with, or a clip to go on with.
    Idempotency-Key: the same key is the same job; Prefer: wait=N waits.
    """
    job = await jobs.accept(here, created(asked, jobs.request_name(request), here, caller))
    return jobs.answer(await jobs.answered(here, job, request))


def created(asked: bodies.GenerationRequest, name: str, here: Service, caller: Caller) -> CreateOrder:
    """What a request asks for, under its name. Raises: UsageError, RequestMalformed."""
    return CreateOrder(
        prompt=asked.prompt, history=tuple(asked.history), enhanced=asked.enhanced_prompt,
        policy=jobs.allowed_policy(asked.policy, here.settings.policy),
        generator=here.settings.generator, seconds=asked.seconds,
        seed=jobs.seed_of(caller.account, name) if asked.seed is None else asked.seed,
        account=caller.account, key=caller.key, request=name,
        use=jobs.use_of(asked.region, asked.purpose, asked.content_class, caller.tags),
    )  # fmt: skip


@router.get("/v1/generations", response_model=shapes.JobsAnswer)
def get_generations(here: Here, caller: Either, after: After = "", limit: Limit = 50) -> JSONResponse:
    """The jobs of this account, made by either route, oldest first."""
    found = job_rows.of_account(here.app.engine, caller.account, after=after, limit=limit)
    last = found[-1].id if len(found) == limit else None
    return JSONResponse({"jobs": [jobs.tell(here, one) for one in found], "after": last})


@router.get("/v1/generations/{job_id}", response_model=shapes.JobAnswer)
def get_generation(job_id: str, here: Here, caller: Either) -> JSONResponse:
    """What came of a job of this account, made by either route: state, verdict, reasons, release."""
    return JSONResponse(jobs.find(here, job_id, caller.account))


@router.post("/v1/guard", response_model=shapes.JobAnswer, responses=shapes.ACCEPTED, openapi_extra=CLIP)
async def post_guard(request: Request, here: Here, caller: Guarder) -> JSONResponse:
    """Take a clip made elsewhere through the same checks and marks. The answer is a job."""
    name = jobs.request_name(request)
    await asyncio.to_thread(here.app.demand_room, caller.account)
    async with here.uploads.receive(request) as upload:
        upload.only("prompt", "enhanced_prompt", "policy", "audio", *USE)
        clip = upload.file("clip", "material")
        material = [file for file in upload.files if file is not clip]
        order = GuardOrder(
            source=clip.path, name=clip.name, account=caller.account, key=caller.key, request=name,
            policy=jobs.allowed_policy(upload.one("policy") or None, here.settings.policy),
            sound=sound_of(upload.one("audio"), here.settings.sound), prompt=upload.one("prompt") or None,
            enhanced=upload.one("enhanced_prompt") or None,
            use=use_in(upload, caller),
        )  # fmt: skip
        job, kept = await accepted(here, replace(order, source=Path()), [clip, *material], _with_files)
    return await answered(here, request, job, kept)


def _with_files(order: GuardOrder, files: Sequence[Path]) -> GuardOrder:
    return replace(order, source=files[0], material=tuple(files[1:]))


async def accepted(
    here: Service, order: Ordered, files: Sequence[UploadedFile],
    with_files: Callable[[Ordered, Sequence[Path]], Ordered],
) -> tuple[Job, list[Path]]:  # fmt: skip
    """The job of an order that came with files, and where these are kept until it has read them."""
    # Only the same order, sent again, comes to lie at the same place.
    named = repr((order, [file.sha256 for file in files[1:]]))
    kept = [await asyncio.to_thread(here.uploads.keep, file, named) for file in files]
    try:
        job = await jobs.accept(here, with_files(order, kept))
    except (CountermarkError, QueueFull):
        # Only then is it sure that no job has these files: an error of the registry may come after the
        # job was written down, or be about the job that was accepted when this was sent first.
        here.uploads.forget(*kept)
        raise
    return job, kept


async def answered(here: Service, request: Request, job: Job, kept: Sequence[Path]) -> JSONResponse:
    """The answer to such an order, when its upload is over."""
    document = await jobs.answered(here, job, request)
    if document["state"] != JobState.OPEN:
        here.uploads.forget(*kept)
    return jobs.answer(document)


def use_in(upload: Upload, caller: Caller) -> Use:
    """What the fields `USE` of an upload say. Raises: UsageError."""
    region, purpose, content_class = map(upload.one, USE)
    return jobs.use_of(region, purpose, content_class, caller.tags)


def sound_of(asked: str, default: str) -> Sound:
    """What is to become of sound, as a client may say it. Raises: RequestMalformed."""
    if not asked:
        return Sound(default)
    if asked not in SOUNDS:
        raise RequestMalformed(f"audio is one of: {', '.join(SOUNDS)}")
    return Sound(asked)
