"""The first page: a box to make clips with, and what is out; and the page of a clip in the making.

What everybody is shown was judged, and nothing unsafe was ever found in it (`fit_for_all`): neither a check
that was not made, nor a person who let it pass, puts a clip before who came here by chance. Who is signed
in may ask for the rest.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from classifiers.base import CheckState
from classifiers.unsafe.taxonomy import category_of
from pipeline import auth
from pipeline import policy as policies
from pipeline.api import jobs
from pipeline.api.asked import DEFAULT_SECONDS
from pipeline.api.state import Here, Service
from pipeline.appeals import of_job
from pipeline.credentials.text import safe_text
from pipeline.orders import CreateOrder
from pipeline.policy import FRAMES, UNSAFE, UNSAFE_FRAMES
from pipeline.web.portal_words import PURPOSE_WORDS
from pipeline.web.rendering import POLICY, failed, page, refreshing, same_site
from pipeline.web.signing_in import WORD, Signed, Visitor, demand_word, not_signed_in, read_form
from pipeline.workbench import OURS
from pipeline.workflow import CREATE
from registry import feed
from registry.db import read
from registry.feed import Entry
from registry.ids import is_id
from registry.types import JobState

SHOWN: Final = 12  # clips on a page
ROUNDS: Final = 8  # of reading a page's worth, where many are left out
WITH_VIDEO: Final = {"Content-Security-Policy": f"{POLICY}; media-src 'self'"}
REFRESH: Final = {JobState.OPEN: 3, JobState.HELD: 30}  # seconds
MAX_PROMPT: Final = 4000
ADVICE: Final = {
    "name": "Leave the name out, or ask its holder for a licence.",
    "description": "Describe something of your own, or ask the holder for a licence.",
    "unsafe": "Ask for something else; whoever runs this service decides what is not made here.",
}
NAMED: Final = (
    "name_match",
    "name_near",
    "style_of_holder",
    "unregistered_name",
    "words_match",
    "words_near",
)
DESCRIBED: Final = ("description_match", "prompt_resembles_picture", "picture_match", "likeness_match")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Before = Annotated[str, Query(max_length=36)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip on the page. ``made``: from a prompt, here; ``judged``: it is fit for everybody."""

    id: str
    day: str
    made: bool
    checked: bool
    judged: bool
    log_seq: int


@router.get("/")
def get_index(
    here: Here, visitor: Signed, before: Before = "", all_of_it: bool = Query(False, alias="all")
) -> Response:
    """The box, and what is out."""
    told = _index(here, visitor, before, everything=all_of_it and visitor is not None)
    return page(here, "index.html", headers=WITH_VIDEO, error=None, prompt="", purpose="", **told)


@router.post("/")
async def post_index(request: Request, here: Here, visitor: Signed) -> Response:
    """Make a clip."""
    if visitor is None or auth.CREATE not in visitor.scopes:
        return not_signed_in(here, visitor)
    prompt = purpose = ""
    try:
        same_site(request)
        fields = await read_form(request)
        prompt, purpose = fields.get("prompt", ""), safe_text(fields.get("purpose", ""), 40)
        demand_word(fields.get(WORD, ""), visitor)  # after what was typed is known, so that it stays
        order = _order(here, visitor, prompt, purpose)
        made = await jobs.accept(here, order)
    except OURS as error:
        index = await asyncio.to_thread(partial(_index, here, visitor, "", everything=False))
        return failed(here, "index.html", error, prompt=prompt[:MAX_PROMPT], purpose=purpose, **index)
    return RedirectResponse(f"/made/{made.id}", 303)


@router.get("/made/{job_id}")
def get_made(job_id: str, here: Here, visitor: Signed, watch: bool = True) -> Response:
    """What became of a prompt: it waits, is held or refused and why, or is out."""
    if visitor is None or not {auth.CREATE, auth.GUARD} & {*visitor.scopes}:
        return not_signed_in(here, visitor)
    try:
        told: Any = jobs.find(here, job_id, visitor.caller.account)
    except OURS as error:
        return failed(here, "no_clip.html", error)
    if told["state"] == JobState.RELEASED and told["release"]:
        return RedirectResponse(f"/v/{told['release']['id']}", 303)
    state = JobState(told["state"])
    refresh = REFRESH.get(state, 0)
    prompt: Any = here.app.job(job_id).inputs.get("prompt") or ""
    return page(
        here, "made.html", headers=refreshing(refresh if watch else 0), visitor=visitor, job=told,
        prompt=prompt, refresh=refresh, watch=watch,
        advice=advice([str(one["code"]) for one in told["reasons"]]), asks=_asks(told["reasons"]),
        objection=of_job(here.settings.contact, job_id),
    )  # fmt: skip


def fit_for_all(entry: Entry) -> bool:
    """Whether a clip may be shown to whoever comes by.

    1. Its policy looks for what is unsafe. 2. That was done: of a clip that was made here from a prompt
    alone, of another from its frames. 3. Its job was never held for something unsafe, whoever let it go on.
    """
    preset = policies.PRESETS.get(entry.policy)
    if preset is None or not {UNSAFE, FRAMES} <= set(preset.required):  # 1
        return False
    done = [name for name in (UNSAFE, UNSAFE_FRAMES) if entry.checks.get(name) == CheckState.COMPLETED]
    drawn = entry.kind == CREATE and not entry.given
    if not (UNSAFE_FRAMES in done or (drawn and UNSAFE in done)):  # 2
        return False
    return not any(category_of(code) for code in entry.held_for)  # 3


def advice(codes: Sequence[str]) -> list[str]:
    """What one may do about a refusal for these reasons."""
    told = [ADVICE["name"]] if any(code in NAMED for code in codes) else []
    told += [ADVICE["description"]] if any(code in DESCRIBED for code in codes) else []
    return told + ([ADVICE["unsafe"]] if any(map(category_of, codes)) else [])


def _asks(reasons: Sequence[Any]) -> bool:
    """Whether a hold waits for holders who were asked, and for nobody else."""
    return bool(reasons) and all((one.get("evidence") or {}).get("asks") is True for one in reasons)


def _order(here: Service, visitor: Visitor, prompt: str, purpose: str) -> CreateOrder:
    request = f"page/{secrets.token_hex(jobs.NO_REQUEST)}"
    caller = visitor.caller
    return CreateOrder(
        prompt=prompt, policy=here.settings.policy, generator=here.settings.generator,
        seconds=DEFAULT_SECONDS, seed=jobs.seed_of(caller.account, request), account=caller.account,
        key=caller.key, request=request, use=jobs.use_of("", purpose, "", caller.tags),
    )  # fmt: skip


def _index(here: Service, visitor: Visitor | None, before: str, *, everything: bool) -> dict[str, Any]:
    clips, more = _clips(here, before if is_id(before) else "", everything=everything)
    return {
        "visitor": visitor, "clips": clips, "more": more, "everything": everything, "first": not before,
        "checked": bool(policies.preset(here.settings.policy).required), "label": here.settings.label,
        "may_create": visitor is not None and auth.CREATE in visitor.scopes, "purposes": PURPOSE_WORDS,
    }  # fmt: skip


def _clips(here: Service, before: str, *, everything: bool) -> tuple[list[Clip], str | None]:
    """A page of clips, and where the next one begins."""
    shown: list[Clip] = []
    for _ in range(ROUNDS):
        with read(here.app.engine) as conn:
            found = feed.newest(conn, before=before, limit=SHOWN + 1)
        for number, entry in enumerate(found[:SHOWN]):
            before = entry.release.id
            clip = _clip(entry)
            shown += [clip] if everything or clip.judged else []
            if len(shown) == SHOWN:
                return shown, before if number + 1 < len(found) else None
        if len(found) <= SHOWN:
            return shown, None
    return shown, before


def _clip(entry: Entry) -> Clip:
    preset = policies.PRESETS.get(entry.policy)
    return Clip(
        id=entry.release.id, day=entry.release.published_at[:10], made=entry.kind == CREATE,
        checked=preset is not None and bool(preset.required), judged=fit_for_all(entry),
        log_seq=entry.release.log_seq,
    )  # fmt: skip
