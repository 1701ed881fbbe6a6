"""What the registry stores and returns. Times are UTC, ISO 8601 with Z; digests are lower-case hex."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from registry.canonical import Json
from registry.subject_types import SubjectRecord


class JobState(StrEnum):
    """``open`` until finished; ``held`` can be opened again by lifting the hold; the rest is final."""

    OPEN = "open"
    RELEASED = "released"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"


class ReleaseState(StrEnum):
    """Only ``released`` may be served."""

    RELEASED = "released"
    WITHDRAWN = "withdrawn"


class ReasonLike(Protocol):
    """A stable code, the check that found it, a sentence for a person, and what a program wants to know."""

    @property
    def code(self) -> str: ...  # noqa: D102
    @property
    def check(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102
    @property
    def evidence(self) -> Json: ...  # noqa: D102


class RecheckResult(Protocol):
    """What a recheck in the publish fence says; anything but ``allow`` holds."""

    @property
    def verdict(self) -> str: ...  # noqa: D102
    @property
    def reasons(self) -> Sequence[ReasonLike]: ...  # noqa: D102


class DecisionLike(RecheckResult, Protocol):
    """A policy's decision, with the registry position at which its checks ran."""

    @property
    def policy(self) -> str: ...  # noqa: D102
    @property
    def policy_version(self) -> int: ...  # noqa: D102
    @property
    def checks(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def registry_seq(self) -> int: ...  # noqa: D102
    @property
    def decided_at(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason as the registry gives it back."""

    code: str
    check: str
    detail: str
    evidence: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry of the log.

    ``entry`` is the canonical JSON that was hashed; ``public`` is its open part; ``private`` is None when
    there never was a private part or when it was erased (then ``erased``).
    """

    seq: int
    kind: str
    at: str
    public: Json
    private: Json | None
    commitment: str | None
    entry: bytes
    leaf_hash: bytes

    @property
    def erased(self) -> bool:
        """Whether a private part was committed to and is gone."""
        return self.commitment is not None and self.private is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A log entry that can change a verdict, with all that a comparison needs.

    ``subject``: whom it is about, whole, as it is when the change is read; None for releases and keys.
    ``revoked_key``: the id of the API key that it revokes.
    """

    entry: LogEntry
    subject: SubjectRecord | None
    revoked_key: str | None

    @property
    def seq(self) -> int:
        """The entry's position."""
        return self.entry.seq

    @property
    def kind(self) -> str:
        """The entry's kind."""
        return self.entry.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class SightRow:
    """Vectors that were seen of a clip: ``count`` × ``dimension`` numbers in one space, as bytes.

    The registry does not read them; ``sealed`` ones are encrypted by the one who stores them.
    """

    kind: str
    space: str
    dimension: int
    count: int
    vectors: bytes
    times: bytes
    boxes: bytes
    sealed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A release that another was made from.

    ``relation``: guard (it was taken in as it is) | extend | remix; ``evidence``: credential | hidden_mark.
    """

    release: str
    relation: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A finished, marked, signed and re-read clip that asks to leave, for the owner of its job.

    ``payload`` and ``detected_payload``: 16 hex digits; ``mark_log10_chance``: bound of the detection in
    the encoded file; ``signer_sha256``: digest of the leaf certificate (DER); ``decision.registry_seq`` is
    the position the clip was checked at; ``facts``: what a later recheck needs (prompt, turns, words).
    """

    job_id: str
    owner: str | None
    payload: str
    urn: str
    file_sha256: str
    manifest_sha256: str
    visible_variant: int
    mark_log10_chance: float
    detected_payload: str
    signer_sha256: str
    timestamped_at: str
    reread_verdict: str
    fingerprint: bytes
    decision: DecisionLike
    facts: Json
    sight: tuple[SightRow, ...] = ()
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A clip that left. Everything but ``state`` and ``state_seq`` is fixed for ever."""

    id: str
    job_id: str
    payload: str
    urn: str
    file_sha256: str
    manifest_sha256: str
    visible_variant: int
    mark_log10_chance: float
    signer_sha256: str
    timestamped_at: str
    fingerprint: bytes
    decision_id: str
    checked_seq: int
    registry_seq: int
    log_seq: int
    state: ReleaseState
    state_seq: int
    published_at: str
    facts: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A job that may not leave: why, and the registry position at which that was found."""

    id: str
    job_id: str
    reasons: tuple[Reason, ...]
    registry_seq: int
    held_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A durable job. ``owner`` is set only in the hands of the one caller that may run its steps."""

    id: str
    kind: str
    key: str
    inputs: Json
    state: JobState
    result: Json | None
    created_at: str
    finished_at: str | None
    owner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRelease:
    """What the light reader says about a release (the view ``verify_release_v1``)."""

    release_id: str
    payload: str
    urn: str
    file_sha256: str
    manifest_sha256: str
    fingerprint: bytes
    visible_variant: int
    mark_log10_chance: float
    signer_sha256: str
    timestamped_at: str
    state: ReleaseState
    state_seq: int
    checked_seq: int
    registry_seq: int
    log_seq: int
    published_at: str
    policy: str
    policy_version: int
    decided_at: str


class Query(NamedTuple):
    """One clip that a stranger asked about: by whom (an opaque word), which file, and how it looks."""

    asker: str
    file_sha256: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The private part of an entry with its salt: shows what the entry's commitment stands for."""

    salt: bytes
    private: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """Evidence that an entry is in the log: verify with `registry.merkle` and `registry.checkpoint`.

    ``opened``: only for whoever the private part belongs to.
    """

    seq: int
    entry: bytes
    leaf_hash: bytes
    path: tuple[bytes, ...]
    tree_size: int
    root: bytes
    note: str
    opened: Opened | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConsistency:
    """Evidence that the tree of ``note`` begins with a tree of ``old`` entries: verify with `merkle`."""

    old: int
    path: tuple[bytes, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """The receipt of an opt-out: in force from log position ``seq`` on, with its proof.

    ``new``: False when everything was registered before, and ``seq`` is the last entry about the subject.
    ``claim``: the claim behind it, None for the operator's word; ``standing``: active | provisional |
    disputed | draft, and of a draft nothing is in force and ``subject`` is empty; ``due_at``: when its clock
    ends.
    """

    subject: str
    seq: int
    at: str
    proof: LogProof
    new: bool
    claim: str | None = None
    standing: str = "active"
    due_at: str | None = None
