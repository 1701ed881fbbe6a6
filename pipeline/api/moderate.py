"""Judging a prompt or a clip alone, by the gate and the checks, without a job."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline import policy as policies
from pipeline.api import asked as bodies
from pipeline.api import jobs, shapes, shapes_clips
from pipeline.api.generations import USE, sound_of, use_in
from pipeline.api.state import Here, Service, caller_with
from pipeline.api.uploads import Upload
from pipeline.appeals import appeal
from pipeline.asking import Question
from pipeline.auth import Caller
from pipeline.found import found_for_callers
from pipeline.texts import Texts
from pipeline.types import Decision, Json
from pipeline.viewing import Viewed

CLIP = shapes.upload(
    "The clip, and what it is for.",
    {"clip": "the clip: MP4, MOV, WebM, MKV or GIF"},
    {
        "policy": "the service's own policy, or a stricter one",
        "audio": "hold: sound counts, and holds where nobody can listen to it; strip: it does not count; "
        "default: the service's own",
        "region": "where it is shown, ISO 3166-1 alpha-2",
        "purpose": "what it is for, of docs/rules.md",
        "content_class": "what it is about, of docs/rules.md",
    },
)

router = APIRouter(tags=["moderation"])

Moderator = Annotated[Caller, Depends(caller_with(auth.MODERATE))]


@router.post("/v1/moderate/prompt", response_model=shapes.GateAnswer)
async def post_prompt(asked: bodies.PromptRequest, here: Here, caller: Moderator) -> JSONResponse:
    """What the gate says of a prompt, by the registry as it is now: allow, review or block, and why."""
    question = Question(
        policy=jobs.allowed_policy(asked.policy, here.settings.policy), account=caller.account,
        use=jobs.use_of(asked.region, asked.purpose, asked.content_class, caller.tags),
        checks=None if asked.checks is None else tuple(asked.checks),
    )  # fmt: skip
    texts = Texts(history=tuple(asked.history), prompt=asked.prompt, enhanced=asked.enhanced_prompt)
    decision = await here.gate.ask((texts, question))
    here.metrics.said("prompt", str(decision.verdict))
    return JSONResponse(_told(here, decision))


@router.post("/v1/moderate/video", response_model=shapes_clips.VideoAnswer, openapi_extra=CLIP)
async def post_video(request: Request, here: Here, caller: Moderator) -> JSONResponse:
    """What the checks say of a clip, by the registry as it is now: who is in it, when and where, and whether
    it would be released. Nothing of it is kept.
    """
    here.views.check()
    async with here.uploads.receive(request) as upload:
        question, sound = _question(here, upload, caller), sound_of(upload.one("audio"), here.settings.sound)
        clip = upload.file("clip").path
        viewed = await here.views.run(lambda: here.app.viewing.judge(clip, question, sound))
    here.metrics.said("video", str(viewed.decision.verdict))
    return JSONResponse(await asyncio.to_thread(_video, here, viewed))


def _question(here: Service, upload: Upload, caller: Caller) -> Question:
    """For whom and for what it is judged. Raises: RequestMalformed, UsageError."""
    upload.only("policy", "audio", *USE)
    return Question(
        policy=jobs.allowed_policy(upload.one("policy") or None, here.settings.policy),
        account=caller.account, use=use_in(upload, caller),
    )  # fmt: skip


def _video(here: Service, viewed: Viewed) -> Json:
    found = [
        found_for_callers(finding, viewed.subjects)
        for report in viewed.reports
        for finding in report.findings
        if not finding.score < finding.threshold
    ]
    return _told(here, viewed.decision) | {"findings": [*found]}


def _told(here: Service, decision: Decision) -> Json:
    told: Json = {"appeal": appeal(here.settings.contact) if decision.reasons else None}
    return policies.for_callers(policies.to_json(decision)) | told
