"""A released clip's own page: what it is, its credential, and a form to report it.

A report is a notice (DSA, article 16) by somebody nobody has verified: it stops nothing until a person has
decided. Who reports gets a party of their own, whatever name they give: nobody speaks for another by
knowing a name.
"""

import asyncio
import logging
import re
from typing import Any, Final

from fastapi import APIRouter, Request
from limits import RateLimitItemPerHour
from starlette.responses import HTMLResponse, Response

from pipeline import policy as policies
from pipeline.api.state import Here, Service
from pipeline.clock import clock
from pipeline.credentials.text import safe_text
from pipeline.errors import AskedTooOften, RequestMalformed, RouteUnknown
from pipeline.web.rendering import POLICY, failed, page, same_site
from pipeline.web.signing_in import read_form
from pipeline.workbench import OURS
from pipeline.workflow import CREATE
from registry import claims, parties, releases
from registry.ids import is_id, new_id
from registry.party_types import Filing
from registry.types import Release, ReleaseState

KIND: Final = "dsa16"
WRONG: Final = {
    "likeness": "It shows me, or somebody I act for, without leave.",
    "work": "It shows a character, a work or a logo without leave.",
    "deceives": "It is passed off as something that happened.",
    "harms": "It is sexual, violent or hateful.",
    "other": "Something else.",
}
FIELDS: Final = ("wrong", "reasons", "name", "email")
MAX_NAME: Final = 120
MAX_REASONS: Final = 3000
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")  # only so far as to notice a slip
EACH_HOUR, ALL_HOUR = RateLimitItemPerHour(5), RateLimitItemPerHour(200)
"""Reports that one address, and all addresses together, may make."""
WITH_VIDEO: Final = f"{POLICY}; media-src 'self'"

log = logging.getLogger("countermark.service")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/v/{release_id}")
def get_clip(release_id: str, here: Here) -> Response:
    """The clip with its credential; of a withdrawn one, that it was withdrawn."""
    try:
        return _shown(here, _found(here, release_id))
    except RouteUnknown as error:
        return failed(here, "no_clip.html", error)


@router.get("/v/{release_id}/report")
def get_report(release_id: str, here: Here) -> Response:
    """The form for a report."""
    try:
        return _form(here, _found(here, release_id))
    except RouteUnknown as error:
        return failed(here, "no_clip.html", error)


@router.post("/v/{release_id}/report")
async def post_report(release_id: str, request: Request, here: Here) -> Response:
    """File the report as a notice."""
    try:
        released = await asyncio.to_thread(_found, here, release_id)
    except RouteUnknown as error:
        return failed(here, "no_clip.html", error)
    values = dict.fromkeys(FIELDS, "")
    try:
        same_site(request)
        fields = await read_form(request)
        values |= {name: safe_text(fields.get(name, ""), 4000) for name in FIELDS}
        _demand(fields, values)
        _demand_room(here, request)
        claim = await here.wishes.run(lambda: _file(here, released, values))
    except OURS as error:
        return failed(here, "report_clip.html", error, **_choices(released, values))
    log.info("notice %s about release %s", claim.id, released.id)
    return page(here, "reported.html", claim=claim, release=released, days=here.settings.claim_days)


def _found(here: Service, release_id: str) -> Release:
    released = releases.get(here.app.engine, release_id) if is_id(release_id) else None
    if released is None:
        raise RouteUnknown("there is no such clip here; check its address")
    return released


def _shown(here: Service, released: Release) -> Response:
    served = released.state is ReleaseState.RELEASED
    facts: Any = released.facts
    made = here.app.job(released.job_id).kind == CREATE
    return page(
        here, "clip.html", status=200 if served else 410,
        headers={"Content-Security-Policy": WITH_VIDEO} if served else {}, release=released, served=served,
        made=made, given=bool(facts.get("inbound")), label=here.settings.label, policy=facts.get("policy"),
        checked=_checked(facts.get("policy")), credits=facts.get("credits") or [],
        contact=here.settings.contact,
    )  # fmt: skip


def _checked(policy: Any) -> bool:
    """Whether anything was looked for in the clip before it left."""
    return policy in policies.PRESETS and bool(policies.preset(policy).required)


def _form(here: Service, released: Release) -> Response:
    return page(here, "report_clip.html", error=None, **_choices(released, dict.fromkeys(FIELDS, "")))


def _choices(released: Release, values: dict[str, str]) -> dict[str, Any]:
    return {"release": released, "values": values, "wrong": WRONG}


def _demand(fields: dict[str, str], values: dict[str, str]) -> None:
    """Raises: RequestMalformed for what is missing."""
    if values["wrong"] not in WRONG:
        raise RequestMalformed("say what is wrong with the clip")
    if not values["reasons"].strip() or len(values["reasons"]) > MAX_REASONS:
        raise RequestMalformed(f"say why, in at most {MAX_REASONS} characters")
    if not values["name"].strip() or len(values["name"]) > MAX_NAME:
        raise RequestMalformed("say your name")
    name, at, domain = values["email"].strip().partition("@")
    if (
        not (name and at and "." in domain)
        or len(values["email"]) > MAX_NAME
        or " " in values["email"].strip()
    ):
        raise RequestMalformed("say where we can write to you: an e-mail address")
    if not fields.get("good_faith"):
        raise RequestMalformed("say that you believe in good faith what you report")


def _demand_room(here: Service, request: Request) -> None:
    """Raises: AskedTooOften."""
    if not here.limiter.hit(EACH_HOUR, "report", here.asker(request)) or not here.limiter.hit(
        ALL_HOUR, "reports"
    ):
        raise AskedTooOften("too many reports came in this hour; try again later, or write to the operator")


def _file(here: Service, released: Release, values: dict[str, str]) -> Any:
    """A notice by a new party, until somebody decides. Raises: `registry.errors.RegistryError`."""
    app, now = here.app, clock()
    who = parties.add(
        app.engine, f"{values['name'].strip()} (report {new_id(now)})", "person", now=now,
        sign_checkpoint=app.signer,
    )  # fmt: skip
    filing = Filing(
        by=who.id, kind=KIND,
        statements={
            "reasons": f"{WRONG[values['wrong']]}\n{values['reasons'].strip()}",
            "location": f"release {released.id}", "name": values["name"].strip(),
            "email": values["email"].strip(), "good_faith": "yes",
        },
    )  # fmt: skip
    return claims.notify(
        app.engine, filing, release_id=released.id, terms=here.settings.terms, now=now,
        sign_checkpoint=app.signer,
    )  # fmt: skip
