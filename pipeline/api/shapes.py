"""Answers as OpenAPI shows them; requests: `pipeline.api.asked`."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from pipeline.api.case_shapes import Askable, AskedHolder, PendingDecision
from pipeline.api.problems import MEDIA_TYPE


class Problem(BaseModel):
    """An error (RFC 9457). ``code`` is stable and listed in docs/errors.md; ``detail`` is for a person, and
    ``request_id`` stands in the service's log, too.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str


class Reason(BaseModel):
    """Why something was not released: a stable code, the check, a sentence, and what was found."""

    model_config = ConfigDict(extra="allow")

    code: str
    check: str
    detail: str


class ReleaseAnswer(BaseModel):
    """A release; ``file`` is the path of its file as long as it may be served."""

    id: str
    payload: str
    urn: str
    sha256: str
    state: Literal["released", "withdrawn"]
    published_at: str
    checked_seq: int
    registry_seq: int
    log_seq: int
    file: str | None


class JobAnswer(BaseModel):
    """A clip on its way: open, then released, held, refused or failed."""

    id: str
    kind: str
    state: Literal["open", "released", "held", "refused", "failed"]
    verdict: Literal["allow", "review", "block"] | None
    reasons: list[Reason]
    decision: dict[str, Any] | None
    release: ReleaseAnswer | None
    error: dict[str, str] | None
    appeal: str | None
    statement: str | None
    seed: int | None
    created_at: str
    finished_at: str | None


class JobsAnswer(BaseModel):
    """A page of jobs, oldest first; ``after``: what asks for the next page, null at the end."""

    jobs: list[JobAnswer]
    after: str | None


class GateAnswer(BaseModel):
    """A decision about a prompt, at a position of the registry."""

    model_config = ConfigDict(extra="allow")

    verdict: Literal["allow", "review", "block"]
    policy: str
    policy_version: int
    reasons: list[Reason]
    checks: dict[str, str]
    registry_seq: int
    decided_at: str


class Vote(BaseModel):
    """What a person said of a held clip."""

    by: str
    decision: Literal["release", "block"]
    why: str
    at: str


class CaseAnswer(BaseModel):
    """A held clip (``job``), a release that a person has to look at, or an appeal with its words in
    ``appeal``; ``needed``: how many have to agree; ``asked`` and ``askable``: its holders.
    """

    model_config = ConfigDict(extra="allow")

    id: str
    kind: Literal["held", "retro_match", "derivative", "key_revoked", "appeal"]
    state: Literal["open", "closed", "upheld", "dismissed", "granted"]
    job: str | None
    release: str | None
    texts: list[str]
    reasons: list[Reason]
    appeal: str | None
    needed: int
    votes: list[Vote]
    lease: dict[str, str] | None
    asked: list[AskedHolder]
    askable: list[Askable]
    pending: PendingDecision | None
    opened_at: str
    closed_at: str | None


class CasesAnswer(BaseModel):
    """A page of open cases, oldest first; ``after``: what asks for the next page, null at the end."""

    cases: list[CaseAnswer]
    after: str | None


class DecidedAnswer(BaseModel):
    """What a decision did; ``about``: the state of the job or of the release now."""

    id: str
    state: Literal["open", "closed"]
    about: str
    job: str | None
    release: str | None


class AppealState(BaseModel):
    """Until when a decision can be appealed against; the appeal and its state, null where there is none."""

    until: str
    id: str | None
    state: Literal["open", "granted", "upheld"] | None


class DecisionAnswer(BaseModel):
    """Something decided against an account. ``statement``: its reasons, with the field names of the DSA
    Transparency Database; ``ended_at``: since when it does not hold any more; ``appeal``: null where a person
    looks at it anyhow.
    """

    id: str
    kind: Literal["hold", "refusal", "withdrawal", "suspension"]
    job: str | None
    release: str | None
    at: str
    ended_at: str | None
    statement: dict[str, Any]
    appeal: AppealState | None


class DecisionsAnswer(BaseModel):
    """A page of decisions, oldest first; ``after``: what asks for the next page, null at the end."""

    decisions: list[DecisionAnswer]
    after: str | None


class AppealAnswer(BaseModel):
    """An appeal: open, then granted or upheld (the decision stays). ``again``: the job that judges anew."""

    id: str
    state: Literal["open", "granted", "upheld"]
    decision: str
    job: str
    release: str | None
    text: str
    opened_at: str
    closed_at: str | None
    again: str | None


class AppealsAnswer(BaseModel):
    """A page of appeals, oldest first; ``after``: what asks for the next page, null at the end."""

    appeals: list[AppealAnswer]
    after: str | None


class ReceiptAnswer(BaseModel):
    """An opt-out, or its withdrawal, in force from log position ``seq`` on; ``receipt`` proves it."""

    subject: str
    name: str
    state: Literal["active", "withdrawn"]
    seq: int
    at: str
    new: bool
    notes: list[str]
    names: list[dict[str, Any]]
    receipt: dict[str, Any]


class ReleasedClips(BaseModel):
    """What came of looking for an opt-out in what is out; `searched`: whether that was done at all."""

    matched: int
    withdrawn: int
    in_review: int
    unclear: int
    searched: bool


class OptOutAnswer(BaseModel):
    """An opt-out with everything in force."""

    subject: str
    kind: str
    name: str
    owner: str
    mode: str
    state: Literal["active", "withdrawn"]
    seq: int
    description: str
    attributes: list[str]
    exclusions: list[str]
    names: list[dict[str, Any]]
    pictures: list[dict[str, Any]]
    released_clips: ReleasedClips


class OptOutListed(BaseModel):
    """An opt-out on a page; `GET /v1/optouts/{subject}` has the rest."""

    subject: str
    kind: str
    name: str
    mode: str
    state: str
    seq: int


class OptOutsAnswer(BaseModel):
    """A page of opt-outs, oldest first; ``after``: what asks for the next page, null at the end."""

    optouts: list[OptOutListed]
    after: str | None


class Evidence(BaseModel):
    """One line of evidence, with what it found."""

    model_config = ConfigDict(extra="allow")

    state: Literal["found", "absent", "not_checked", "failed"]
    summary: str


class ReportAnswer(BaseModel):
    """What verifying a file found: one headline, four lines of evidence."""

    file: str
    verdict: str
    headline: str
    release: dict[str, Any] | None
    flags: list[str]
    evidence: dict[str, Evidence]
    media: dict[str, Any]
    notes: list[str]
    checked_at: str
    seconds: float | None


class HealthAnswer(BaseModel):
    """The service runs, and the registry answers."""

    status: Literal["ok"]
    version: str
    log_seq: int
    registry_seq: int


class LogAnswer(BaseModel):
    """The log's name, the key that checks its checkpoints, and the latest one."""

    origin: str
    key: str
    checkpoint: str | None


class EntryAnswer(BaseModel):
    """A receipt: an entry, its proof, the checkpoint. ``opened``: always null here."""

    format: str
    entry: str
    proof: dict[str, Any]
    checkpoint: str
    opened: None


class ConsistencyAnswer(BaseModel):
    """The proof that one checkpoint extends another."""

    format: str
    old: str
    new: str
    path: list[str]


class Share(BaseModel):
    """How many of how many."""

    count: int
    of: int


class TransparencyAnswer(BaseModel):
    """Counts, as of a minute ago at most. ``held_in_vain``: holds that people released, of those that they
    decided; ``overturned``: cases of releases that they dismissed; ``appeals_granted``: appeals that were
    right, of those that were decided.
    """

    log_seq: int
    opt_outs: dict[str, int]
    decisions: dict[str, dict[str, int]]
    releases: dict[str, int]
    held: dict[str, int]
    cases: dict[str, int]
    permissions: dict[str, int]
    appeals: dict[str, int]
    held_in_vain: Share
    overturned: Share
    appeals_granted: Share


class ReadyAnswer(BaseModel):
    """Whether this process takes work; each part is ``ready`` or says what is wrong."""

    status: Literal["ready", "not_ready"]
    parts: dict[str, str]


def upload(
    description: str, files: dict[str, str], fields: dict[str, str], *, many: bool = False,
    needed: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """The ``requestBody`` of a multipart route: parts by name, each with a sentence; by default all files
    are needed.
    """
    binary: Any = {"type": "string", "format": "binary"}
    parts = {
        name: ({"type": "array", "items": binary} if many else binary) | {"description": about}
        for name, about in files.items()
    } | {name: {"type": "string", "description": about} for name, about in fields.items()}
    required = [*needed] if needed else list(files)
    schema = {"type": "object", "description": description, "properties": parts, "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "A problem; see docs/errors.md for the codes.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": JobAnswer, "description": "Accepted; ask again at Location."}
}
FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": {"video/mp4": {}}},
    206: {"description": "The bytes asked for.", "content": {"video/mp4": {}}},
}
STATEMENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Statements, one a line.", "content": {"application/x-ndjson": {}}}
}
METRICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Numbers in Prometheus' text format.", "content": {"text/plain": {}}}
}
NOTE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A signed note.", "content": {"text/plain": {}}}
}
TILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The tile.", "content": {"application/octet-stream": {}}}
}
