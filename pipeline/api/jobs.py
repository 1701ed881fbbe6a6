"""Jobs over HTTP: accepted durably, run by whoever takes them, told to the account whose they are."""

import asyncio
import hashlib
import re
import secrets
import time
from typing import Any, Final

from fastapi import Request
from sqlalchemy import Engine
from starlette.responses import JSONResponse

from pipeline import logs
from pipeline import policy as policies
from pipeline.api.known import by_id
from pipeline.api.state import Service
from pipeline.appeals import of_job
from pipeline.errors import RequestMalformed, RouteUnknown
from pipeline.orders import Order, Use, use_json
from pipeline.release.facts import TESTER
from pipeline.types import Json, Verdict
from registry import holds, releases, restrictions
from registry.db import read
from registry.types import Job, JobState, Release, ReleaseState

PREFIX: Final = "/v1/generations/"
MAX_WAIT: Final = 60.0  # seconds that a client may ask the answer to wait for the end of the job
LOOK_SECONDS: Final = (0.05, 0.5)  # between two looks at a job whose end is waited for
MAX_NAME: Final = 200
NO_REQUEST: Final = 24  # random bytes that name a request without an Idempotency-Key

_WAIT: Final = re.compile(r"\bwait=(\d{1,4})\b")
_NAME: Final = re.compile(r"[\x21-\x7e]{1,200}")


def request_name(request: Request) -> str:
    """The name that the client gives the request, or one that nobody has used. Raises: RequestMalformed."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return f"unnamed/{secrets.token_hex(NO_REQUEST)}"
    if len(given) > 1 or not _NAME.fullmatch(given[0]):
        raise RequestMalformed(f"an Idempotency-Key is 1 to {MAX_NAME} visible ASCII characters, sent once")
    return f"named/{given[0]}"


def seed_of(account: str, request: str) -> int:
    """The seed of a request that names none: the same request, sent again, is the same job."""
    return int.from_bytes(hashlib.sha256(f"{account}\0{request}".encode()).digest()[:4])


def allowed_policy(asked: str | None, default: str) -> str:
    """The policy that a client may have: the service's own, or a stricter one. Raises: UsageError."""
    own, wanted = policies.preset(default), policies.preset(asked or default)
    stricter = set(own.required) <= set(wanted.required) and wanted.licence_needed >= own.licence_needed
    if not stricter:
        raise RequestMalformed(f"the policy {wanted.name} checks less than this service does; leave it out")
    return wanted.name


def use_of(region: str, purpose: str, content_class: str, tags: tuple[str, ...]) -> Use:
    """What a client says its clip is for; the tags are those of its key. Raises: UsageError."""
    use = Use(region=region, purpose=purpose, content_class=content_class, tags=tags)
    use_json(use)
    return use


def wanted_wait(request: Request) -> float:
    """Seconds that the client's ``Prefer: wait=N`` asks for (RFC 7240), within limits; else none."""
    found = _WAIT.search(request.headers.get("prefer", "")[:MAX_NAME])
    return min(float(found[1]), MAX_WAIT) if found else 0.0


async def accept(here: Service, order: Order) -> Job:
    """Accept a job for whoever takes it. Raises: what `App.accept` raises."""
    job = await asyncio.to_thread(here.app.accept, order)
    logs.note(job=job.id)
    here.resume_soon()
    return job


async def answered(here: Service, job: Job, request: Request) -> Json:
    """The document of a job, after its end if the client waits for that."""
    if job.state is JobState.OPEN:
        await _ended(here, job.id, wanted_wait(request))
    return await asyncio.to_thread(lambda: tell(here, here.app.job(job.id)))


async def _ended(here: Service, job_id: str, seconds: float) -> None:
    """Wait until a job has ended, in whatever process, at most so long."""
    until, pause = time.monotonic() + seconds, LOOK_SECONDS[0]
    while (left := until - time.monotonic()) > 0 and not here.stopping.is_set():
        await asyncio.sleep(min(left, pause))
        pause = min(2 * pause, LOOK_SECONDS[1])
        if (await asyncio.to_thread(here.app.job, job_id)).state is not JobState.OPEN:
            return


def answer(document: Json) -> JSONResponse:
    """202 while the job is open, 200 when it has ended."""
    status = 202 if document["state"] == JobState.OPEN else 200
    return JSONResponse(document, status, {"Location": f"{PREFIX}{document['id']}"})


def find(here: Service, job_id: str, account: str) -> Json:
    """The document of an account's job. Raises: RouteUnknown, also for another account's."""
    job = by_id(here.app.job, job_id)
    if job is None or job.inputs.get("account") != account:
        raise RouteUnknown("this account has no such job; check its id")
    logs.note(job=job.id)
    return tell(here, job)


def tell(here: Service, job: Job) -> Json:
    """What came of a job so far: state, verdict, reasons, release."""
    engine, result = here.app.engine, dict[str, Any](job.result or {})
    release = releases.find_by_job(engine, job.id)
    listed = result.get("reasons") or _held(engine, job)
    reasons: Any = policies.for_callers({"reasons": listed})["reasons"]
    told = result.get("decision")
    told = policies.for_callers(told) if isinstance(told, dict) else told
    decision = _decision(told, reasons, released=release is not None)
    error: Json | None = (
        {"code": str(result["error"]), "message": str(result["message"])} if "error" in result else None
    )
    return {
        "id": job.id, "kind": job.kind.partition("/")[0], "state": str(job.state),
        "verdict": decision["verdict"] if decision else None, "reasons": reasons, "decision": decision,
        "release": _release(release) if release else None, "error": error,
        "appeal": of_job(here.settings.contact, job.id) if reasons else None,
        "statement": _statement(engine, job), "seed": job.inputs.get("seed"),
        "created_at": job.created_at, "finished_at": job.finished_at,
    }  # fmt: skip


def _held(engine: Engine, job: Job) -> list[Any]:
    if job.state is not JobState.HELD:
        return []
    with read(engine) as conn:
        hold = holds.open_hold(conn, job.id)
    listed = hold.reasons if hold else ()
    return [holds.reason_json(one) for one in listed]


def _statement(engine: Engine, job: Job) -> str | None:
    """Where the statement of reasons stands of what was decided against the job."""
    if job.state not in (JobState.HELD, JobState.REFUSED):
        return None
    with read(engine) as conn:
        found = restrictions.of_job(conn, job.id)
    return f"/v1/decisions/{found.id}/statement" if found else None


def _decision(found: Any, reasons: list[Any], *, released: bool) -> Json | None:
    """The decision; one that allowed what a later step held is no allowance, but for a tester who asks."""
    if not isinstance(found, dict) or any(reason["code"] == TESTER for reason in reasons):
        return found if isinstance(found, dict) else None
    if not released and reasons and found.get("verdict") == Verdict.ALLOW:
        return found | {"verdict": str(Verdict.REVIEW), "reasons": reasons}
    return found


def _release(release: Release) -> Json:
    served = release.state is ReleaseState.RELEASED
    return {
        "id": release.id, "payload": release.payload, "urn": release.urn, "sha256": release.file_sha256,
        "state": str(release.state), "published_at": release.published_at,
        "checked_seq": release.checked_seq, "registry_seq": release.registry_seq, "log_seq": release.log_seq,
        "file": f"/v1/releases/{release.id}/file" if served else None,
    }  # fmt: skip
