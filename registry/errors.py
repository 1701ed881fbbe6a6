"""Errors of the registry: the type is for code, the text is one sentence that says what to do."""

from typing import ClassVar


class RegistryError(Exception):
    """Base of the registry's errors; ``code`` is stable and never changes its meaning."""

    code: ClassVar[str] = "registry"


class RegistryUnusable(RegistryError):
    """The database cannot be opened: not ours, not a database, of a newer schema, no permission."""

    code = "registry_unusable"


class SchemaNewer(RegistryUnusable):
    """The database was written by a newer Countermark; it is left untouched."""

    code = "registry_schema_newer"


class RegistryDamaged(RegistryError):
    """Stored bytes do not agree with their own digests, or SQLite finds the file malformed."""

    code = "registry_damaged"


class RegistryBusy(RegistryError):
    """Another process kept the write lock longer than the named limit."""

    code = "registry_busy"


class StorageFull(RegistryError):
    """No space, or no permission to write; nothing partial was left behind."""

    code = "storage_full"


class ConstraintBroken(RegistryError):
    """The database refused a row; the message names the constraint."""

    code = "constraint_broken"


class EntryInvalid(RegistryError):
    """A value that cannot be recorded: unknown kind, not canonical JSON, too large, a bad time."""

    code = "entry_invalid"


class CandidateStale(RegistryError):
    """The candidate was checked against a registry state that this database has never had."""

    code = "candidate_stale"


class NotFound(RegistryError):
    """No such release, job, file or log entry."""

    code = "not_found"


class KeyReused(RegistryError):
    """The same job key came with another kind or other inputs."""

    code = "key_reused"


class JobNotOwned(RegistryError):
    """The process does not run the job (any more): another one does, or it is finished."""

    code = "job_not_owned"


class ProofInvalid(RegistryError):
    """A Merkle proof or a checkpoint does not prove what it claims."""

    code = "proof_invalid"
