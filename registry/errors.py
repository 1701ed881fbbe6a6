"""Errors of the registry: the type is for code, the text is one sentence that says what to do."""

from enum import StrEnum
from typing import ClassVar


class RegistryError(Exception):
    """Base of the registry's errors; ``code`` is stable and never changes its meaning."""

    code: ClassVar[str] = "registry"
    exit_code: ClassVar[int] = 3
    http_status: int = 500


class RegistryUnusable(RegistryError):
    """The database cannot be opened: not ours, of a newer schema, no permission, server not reached."""

    code = "registry_unusable"
    http_status = 503


class SchemaNewer(RegistryUnusable):
    """The database was written by a newer Countermark; it is left untouched."""

    code = "registry_schema_newer"


class RegistryDamaged(RegistryError):
    """Stored bytes do not agree with their own digests, or the database finds its own damaged."""

    code = "registry_damaged"


class RegistryBusy(RegistryError):
    """Another process kept the write lock longer than the named limit."""

    code = "registry_busy"
    http_status = 503


class RegistryBehind(RegistryBusy):
    """The view in memory has not caught up with the log in time; nothing may be allowed on its word."""

    code = "registry_behind"


class StorageFull(RegistryError):
    """No space, or no permission to write; nothing partial was left behind."""

    code = "storage_full"


class StorageAway(RegistryError):
    """The file store does not answer, or refuses us; what was asked for is to be tried again later."""

    code = "storage_away"
    http_status = 503


class ConstraintBroken(RegistryError):
    """The database refused a row; the message names the constraint."""

    code = "constraint_broken"


class EntryInvalid(RegistryError):
    """A value that cannot be recorded: unknown kind, not canonical JSON, too large, a bad time."""

    code = "entry_invalid"
    http_status = 422


class CandidateStale(RegistryError):
    """The candidate was checked against a registry state that this database has never had."""

    code = "candidate_stale"


class NotFound(RegistryError):
    """No such release, job, file or log entry."""

    code = "not_found"
    http_status = 404


class CaseClosed(RegistryError):
    """A case that was decided before."""

    code = "case_closed"
    exit_code = 1
    http_status = 409


class CaseTaken(RegistryError):
    """A case that somebody else has taken, until a time."""

    code = "case_taken"
    exit_code = 1
    http_status = 409


class StillForbidden(RegistryError):
    """A withdrawn release that an owner's wish, or an open case, still keeps from being served."""

    code = "still_forbidden"
    exit_code = 1
    http_status = 409


class AppealRefused(RegistryError):
    """An appeal that cannot be made: nothing to object to, too late, or there was one before."""

    code = "appeal_refused"
    exit_code = 1
    http_status = 409


class KeyReused(RegistryError):
    """The same job key came with another kind or other inputs."""

    code = "key_reused"
    http_status = 409


class JobNotOwned(RegistryError):
    """The process does not run the job (any more): another one does, or it is finished."""

    code = "job_not_owned"


class QueueFull(RegistryError):
    """As many jobs wait as may; ``own``: of the account that asks."""

    code = "queue_full"
    http_status = 429

    def __init__(self, message: str, *, own: bool = False) -> None:
        super().__init__(message)
        self.own = own


class ProofInvalid(RegistryError):
    """A Merkle proof or a checkpoint does not prove what it claims."""

    code = "proof_invalid"


class OptOutInvalid(RegistryError):
    """An opt-out, a rule or a key that cannot be registered as it is; nothing of it was.

    ``index``: which draft of several, from 0.
    """

    code = "opt_out_invalid"
    exit_code = 2
    http_status = 422

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class PermissionAnswered(RegistryError):
    """A request for permission that was answered before, in another way, or whose time is over."""

    code = "permission_answered"
    exit_code = 1
    http_status = 409


class ErasureRefused(RegistryError):
    """What is to be erased is still in force."""

    code = "erasure_refused"
    exit_code = 1
    http_status = 409


class PartyInvalid(RegistryError):
    """A party, a work or a delegation that cannot be recorded as it is."""

    code = "party_invalid"
    exit_code = 2
    http_status = 422


class ActRefused(RegistryError):
    """A party acts for another without the right to: no path of valid delegations covers the act.

    ``index``: which draft of several, from 0.
    """

    code = "act_refused"
    exit_code = 1
    http_status = 403
    index: int | None = None


class ClaimInvalid(RegistryError):
    """A claim lacks what its kind needs, or does not go from its state to the wanted one.

    ``index``: which draft of several, from 0.
    """

    code = "claim_invalid"
    exit_code = 2
    http_status = 422
    index: int | None = None


class ImportMoved(RegistryError):
    """Another process goes on with the same import."""

    code = "import_moved"
    exit_code = 1
    http_status = 409


class SpaceInUse(RegistryError):
    """A space of vectors cannot be retired: somebody in force would not be found any more."""

    code = "space_in_use"
    exit_code = 1
    http_status = 409


class RefusedBecause(StrEnum):
    """Why an API key does not open the door."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SCOPE = "scope"
    SUSPENDED = "suspended"


class KeyRefused(RegistryError):
    """An API key that is missing, not ours, at its end, revoked, or not for this (then HTTP 403)."""

    code = "key_refused"
    exit_code = 1

    def __init__(self, message: str, because: RefusedBecause = RefusedBecause.UNKNOWN) -> None:
        super().__init__(message)
        self.because = because
        self.http_status = 403 if because is RefusedBecause.SCOPE else 401
