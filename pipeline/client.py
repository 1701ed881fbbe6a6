"""A client of the service: what its routes do, as calls (docs/client.md). It needs httpx2 alone.

    with Client("https://video.example", "cmk_…") as service:
        job = service.wait(service.create("a fox in the snow", seconds=4))
        service.download(job, Path("fox.mp4"))

1. What is not answered, and what is answered 429 or 503, is asked again, as late as ``Retry-After`` says.
   Every order has a name (Idempotency-Key), so that it is never made twice by that.
2. Everything else that is no success raises `Problem`, with the fields of the problem document.
3. A download goes on where it was cut off, and is compared with the digest of the release at the end.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from pipeline.client_holders import HolderCalls
from pipeline.client_resolution import ManifestMatch, ResolutionCalls
from pipeline.client_wire import (
    LONGEST_WAIT,
    TRIES,
    ClientError,
    Json,
    Problem,
    Unreachable,
    fields_of,
    good,
    named,
    pause_before,
)

__all__ = [
    "LONGEST_WAIT", "TRIES", "Client", "ClientError", "DownloadDamaged", "Job", "Json", "Judgement",
    "ManifestMatch", "NotReleased", "Problem", "Release", "Unreachable", "WebhookInvalid", "verify_webhook",
]  # fmt: skip

TOLERANCE_SECONDS: Final = 300.0  # of the time in a webhook
WEBHOOK_PREFIX: Final = "whsec_"


class DownloadDamaged(ClientError):
    """The file that came is not the one that was released; it was not kept."""


class NotReleased(ClientError):
    """A job has ended without a release. ``job``: how."""

    def __init__(self, job: "Job") -> None:
        told = "; ".join(str(one.get("detail", one.get("code"))) for one in job.reasons)
        super().__init__(f"The job {job.id} is {job.state}: {told or (job.error or {}).get('message', '')}")
        self.job = job


class WebhookInvalid(ClientError):
    """A webhook that the service did not sign, or that is old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A released clip; ``file``: the path of its file, None once it is withdrawn."""

    id: str
    payload: str
    urn: str
    sha256: str
    state: str
    published_at: str
    file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A clip on its way: open, then released, held, refused or failed. ``document``: all that was told."""

    id: str
    kind: str
    state: str
    verdict: str | None
    reasons: tuple[Json, ...]
    release: Release | None
    error: Json | None
    appeal: str | None
    statement: str | None
    document: Json = field(repr=False)

    def released(self) -> Release:
        """The release. Raises: NotReleased."""
        if self.release is None:
            raise NotReleased(self)
        return self.release


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said of a prompt or a clip: allow, review or block, and why. ``document``: all of it."""

    verdict: str
    reasons: tuple[Json, ...]
    registry_seq: int
    document: Json = field(repr=False)


class Client(HolderCalls, ResolutionCalls):
    """A connection to a service. ``key``: an API key, empty for what needs none; ``timeout``: seconds for an
    answer to begin; ``tries``: how often a request is sent at most. Close it, or use it with ``with``.
    """

    def create(
        self, prompt: str, *, image: Path | None = None, extend: Path | None = None, name: str | None = None,
        **more: Any,
    ) -> Job:  # fmt: skip
        """Have a clip made; ``image``: a picture to begin with; ``extend``: a clip to go on with;
        ``name``: the same name is the same job; ``more``: members of the request, as seconds, seed, history,
        enhanced_prompt, policy, region, purpose, content_class, and of a clip that is gone on with audio
        (hold or strip). Raises: Problem, OSError.
        """
        body = {"prompt": prompt} | more
        files = [(part, path) for part, path in (("image", image), ("extend", extend)) if path is not None]
        if files:
            return _job(self._upload("/v1/generations", files, fields_of(body), named(name)))
        return _job(self._send("POST", "/v1/generations", json=body, headers=named(name)).json())

    def guard(
        self, clip: Path, *, material: Sequence[Path] = (), name: str | None = None, **fields: str
    ) -> Job:
        """Take a clip made elsewhere through the same checks and marks; ``fields``: prompt, enhanced_prompt,
        policy, audio, region, purpose, content_class. Raises: Problem, OSError.
        """
        parts = [("clip", clip), *(("material", path) for path in material)]
        return _job(self._upload("/v1/guard", parts, [*fields.items()], named(name)))

    def job(self, job_id: str) -> Job:
        """A job of this account. Raises: Problem."""
        return _job(self._send("GET", f"/v1/generations/{job_id}").json())

    def jobs(self) -> Iterator[Job]:
        """All jobs of this account, oldest first."""
        return map(_job, self._pages("/v1/generations", "jobs"))

    def wait(self, job: Job, seconds: float = 600.0) -> Job:
        """The job when it has ended, or as it is after so many seconds. Raises: Problem."""
        until, pause = time.monotonic() + seconds, 0.2
        while job.state == "open" and time.monotonic() < until:
            self._sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(pause * 1.5, 5.0)
            job = self.job(job.id)
        return job

    def download(self, job: Job, target: Path) -> Path:
        """Save the released file of a job. Raises: NotReleased, DownloadDamaged, Problem (410: withdrawn)."""
        release = job.released()
        place = f"/v1/releases/{release.id}/file"
        part = target.with_name(target.name + ".part")
        part.write_bytes(b"")
        for attempt in range(self._tries):
            try:
                self._fetch(place, part, release.sha256)
                break
            except httpx2.HTTPError as error:  # rule 3
                if attempt == self._tries - 1:
                    raise Unreachable(f"the file was cut off again and again ({error})") from error
                self._sleep(pause_before(attempt, None))
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != release.sha256:
            part.unlink()
            raise DownloadDamaged(f"what came as {release.id} is not what was released")
        return part.replace(target)

    def moderate(self, prompt: str, **more: Any) -> Judgement:
        """What the gate says of a prompt, without a job; ``more``: as of `create`. Raises: Problem."""
        return _judgement(self._send("POST", "/v1/moderate/prompt", json={"prompt": prompt} | more).json())

    def moderate_video(self, clip: Path, **fields: str) -> Judgement:
        """What the checks say of a clip, without a job; ``fields``: policy, audio, region, purpose,
        content_class; who was found where stands in ``document["findings"]``. Raises: Problem, OSError.
        """
        return _judgement(self._upload("/v1/moderate/video", [("clip", clip)], [*fields.items()], {}))

    def verify(self, file: Path) -> Json:
        """What a file is, as `countermark verify --json` tells it. Raises: Problem, OSError."""
        return self._upload("/v1/verify", [("file", file)], [], {})

    def decisions(self) -> Iterator[Json]:
        """What was decided against this account, each with its statement of reasons, oldest first."""
        return self._pages("/v1/decisions", "decisions")

    def appeal(self, text: str, *, job: str | None = None, release: str | None = None) -> Json:
        """Object to a refused job or a withdrawn release of this account. Raises: Problem."""
        about = {"job": job} if job is not None else {"release": release}
        told: Json = self._send("POST", "/v1/appeals", json={"text": text} | about).json()
        return told

    def _fetch(self, place: str, part: Path, sha256: str) -> None:
        """Get what is missing of a file."""
        have = part.stat().st_size
        headers = {"Range": f"bytes={have}-", "If-Range": f'"{sha256}"'} if have else {}
        with self._http.stream("GET", place, headers=headers) as answer:
            if answer.is_error:
                answer.read()
            good(answer)
            with part.open("ab" if answer.status_code == 206 else "wb") as file:
                for chunk in answer.iter_bytes():  # as they come: what was cut off begins after the last
                    file.write(chunk)


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None,
    tolerance: float = TOLERANCE_SECONDS,
) -> Json:  # fmt: skip
    """The event of a webhook, if the service signed it lately (Standard Webhooks); ``headers``: by their
    names in any case; ``now``: seconds since 1970, by default the clock's. Raises: WebhookInvalid.
    """
    told = {name.lower(): value for name, value in headers.items()}
    named, at = told.get("webhook-id", ""), told.get("webhook-timestamp", "")
    if not named or not at.isascii() or not at.isdigit():
        raise WebhookInvalid("the headers webhook-id and webhook-timestamp are missing or wrong")
    if abs((time.time() if now is None else now) - int(at)) > tolerance:
        raise WebhookInvalid(f"it is not of the last {tolerance:.0f} seconds; the clock may be wrong")
    try:
        key = base64.b64decode(secret.removeprefix(WEBHOOK_PREFIX), validate=True)
    except ValueError:
        raise WebhookInvalid("the secret is none: countermark webhook secret ID tells it") from None
    digest = hmac.new(key, f"{named}.{at}.".encode() + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}".encode()
    given = told.get("webhook-signature", "").encode().split()
    if not any(hmac.compare_digest(wanted, one) for one in given):
        raise WebhookInvalid("it is not signed with this secret")
    event: Json = json.loads(body)
    return event


def _judgement(told: Json) -> Judgement:
    return Judgement(
        verdict=told["verdict"], reasons=tuple(told["reasons"]), registry_seq=told["registry_seq"],
        document=told,
    )  # fmt: skip


def _job(told: Json) -> Job:
    release = told["release"]
    names = ("id", "payload", "urn", "sha256", "state", "published_at", "file")
    return Job(
        id=told["id"], kind=told["kind"], state=told["state"], verdict=told["verdict"],
        reasons=tuple(told["reasons"]), error=told["error"], appeal=told["appeal"],
        statement=told["statement"], document=told,
        release=Release(**{name: release[name] for name in names}) if release else None,
    )  # fmt: skip
