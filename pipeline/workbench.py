"""What jobs work with, how they end, and the machinery of recorded steps."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from pipeline import quarantine
from pipeline.errors import LIBRARIES, CountermarkError, KeysUnusable, SigningFailed, describe
from pipeline.eyes import Eyes
from pipeline.keyring import Keyring, LiveKeyring
from pipeline.media.limits import media_limits
from pipeline.release.staging import Staging, failures
from pipeline.settings import Settings
from pipeline.sights import Sealer
from pipeline.types import Decision, Json
from pipeline.types import Reason as OurReason
from registry import releases
from registry.checkpoint import NoteSigner, ed25519_key_id
from registry.errors import JobNotOwned, RegistryBusy, RegistryError, RegistryUnusable, StorageAway
from registry.holds import AlsoHeld, nothing_more
from registry.jobs import StoredJobs
from registry.store import FileStore
from registry.types import Job, JobState, Reason, Release
from registry.view import View

PRODUCT: Final = "Countermark"
OURS: Final[tuple[type[Exception], ...]] = (CountermarkError, *LIBRARIES)
"""Every error that a person may see."""

log = logging.getLogger("countermark.service")


@contextmanager
def carrying_on(what: str) -> Iterator[None]:
    """One round of what goes on beside requests: what goes wrong in it is logged, and does not end the thread
    that does it again and again.
    """
    try:
        yield
    except OURS as error:
        log.warning("%s: %s", what, error)
    except Exception:
        log.exception(what)


class LetGo(Exception):
    """Raised by an observer: this process stops, and another one goes on with the job."""


WAITS: Final[tuple[type[BaseException], ...]] = (
    SigningFailed, KeysUnusable, StorageAway, RegistryBusy, RegistryUnusable, KeyboardInterrupt, LetGo,
)  # fmt: skip
"""What does not end a job: it waits, and is tried again."""


Observer = Callable[[str, str, float], None]
"""Told (step, "begin" | "progress" | "end", seconds of clip, or seconds taken at the end)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """Everything a job works with; `pipeline.app` puts it together. `version`: of this program."""

    settings: Settings
    engine: Engine
    store: FileStore
    jobs: StoredJobs
    keys: LiveKeyring
    clock: Callable[[], str]
    version: str
    eyes: Eyes
    view: View
    sealer: Sealer

    @property
    def keyring(self) -> Keyring:
        """The keys of marks and log as they are now, or as they could last be read."""
        return self.keys.latest


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended. `stages`: seconds of each step that ran now; `file`: the released file in the home."""

    job: Job
    decision: Json | None
    release: Release | None
    held: tuple[Json, ...]
    stages: dict[str, float]
    file: Path | None


class StepRun:
    """One job, from wherever it stands to its end; the steps are a subclass's `_run`."""

    def __init__(self, bench: Workbench, job: Job, observer: Observer) -> None:
        self._bench, self._job, self._observer = bench, job, observer
        self._inputs: dict[str, Any] = job.inputs
        self._stages: dict[str, float] = {}
        self._staging = Staging(bench.store, job.id, job.owner or "")
        self._limits = media_limits(bench.settings)

    def run(self) -> Outcome:
        """Go through the steps that are not recorded yet.

        A clip that cannot be made, read or marked ends the job as failed. A signature that could not be had,
        keys that cannot be used, a file store or a database that is away leave it open: the next command on
        this home tries again. So does whatever goes wrong once it has a release, and a defect, as if the
        process had died of it.
        Raises: the error, in all cases.
        """
        try:
            return self._run()
        except WAITS:
            self._put_back()
            raise
        except JobNotOwned:
            self._bench.jobs.leave(self._job)  # the job is another process's to end, which needs its lock
            raise
        except OURS as error:
            self._fail(error)
            raise
        except Exception:
            self._bench.jobs.leave(self._job)  # a defect: tried again, and held when it dies too often
            raise

    def _run(self) -> Outcome:
        raise NotImplementedError

    def _put_back(self) -> None:
        try:
            self._bench.jobs.abandon(self._job)
        except RegistryError:  # a death will count; were the job kept, this process would never try it again
            self._bench.jobs.leave(self._job)

    def _fail(self, error: Exception) -> None:
        told = describe(error)
        result: Json = {"error": told.code, "message": told.message}
        try:
            if releases.find_by_job(self._bench.engine, self._job.id) is not None:  # it ends as released
                self._put_back()
                return
            self._staging.forget_drafts()  # first: a full disk needs the room to record anything
            self._bench.jobs.finish(self._job, JobState.FAILED, result)
            self._bench.store.clean(self._job.id)
        except RegistryError:  # it stays open with its recorded work, and whoever takes it next goes on
            self._bench.jobs.leave(self._job)

    def _step(self, name: str, work: Callable[[], Json], *, recorded: bool = True) -> dict[str, Any]:
        began = time.monotonic()
        ran = False

        def observed() -> Json:
            nonlocal ran
            ran = True
            self._bench.jobs.check(self._job)
            self._observer(name, "begin", 0.0)
            with failures():
                return work()

        result = self._bench.jobs.step(self._job, name, observed) if recorded else observed()
        if ran:
            self._stages[name] = round(time.monotonic() - began, 4)
            self._observer(name, "end", self._stages[name])
        assert isinstance(result, dict)  # noqa: S101 - every step answers an object
        return result

    def _progress(self, name: str) -> Callable[[float], None]:
        def progress(seconds: float) -> None:
            self._bench.jobs.check(self._job)
            self._observer(name, "progress", seconds)

        return progress

    def _ended(
        self, state: JobState, decision: Json | None, reasons: Sequence[Json], made: Decision | None,
        also_held: AlsoHeld = nothing_more,
    ) -> Outcome:  # fmt: skip
        """Hold or refuse; what was staged for a held job stays, since it may go on later.

        ``made``: the decision to record and log with it; None where that was done before.
        """
        told = [reason_of(reason) for reason in reasons]
        result: Json = {"decision": decision, "reasons": list(reasons)}
        job = self._bench.jobs.finish(
            self._job, state, result, reasons=told, decided=made, also_held=also_held,
            sign_checkpoint=note_signer(self._bench.keyring),
        )  # fmt: skip
        if state is JobState.REFUSED:
            self._bench.store.clean(self._job.id)
        self._count(reasons)
        return Outcome(
            job=job, decision=decision, release=None, held=tuple(reasons), stages=self._stages, file=None
        )

    def _count(self, reasons: Sequence[Json]) -> None:
        """Note by what the job was stopped; the job has ended, whether or not that can be noted."""
        account = str(self._inputs.get("account", ""))
        with contextlib.suppress(RegistryError):
            quarantine.note(
                self._bench.engine, self._job.id, account, reasons, now=self._bench.clock(),
                sign_checkpoint=note_signer(self._bench.keyring),
            )  # fmt: skip


def note_signer(keyring: Keyring) -> NoteSigner:
    """Who signs the log's checkpoints."""
    key = keyring.log_key
    return NoteSigner(
        origin=key.origin, name=key.name, key_id=ed25519_key_id(key.name, key.public), sign=keyring.sign_log
    )


def reason_of(told: Json) -> Reason:
    """A reason that a job's result records, as the registry keeps it."""
    evidence = told.get("evidence")
    return Reason(
        code=str(told["code"]), check=str(told["check"]), detail=str(told["detail"]),
        evidence=evidence if isinstance(evidence, dict) else {},
    )  # fmt: skip


def reason_json(reason: Reason | OurReason) -> Json:
    """A reason as a job's result records it and a command prints it."""
    told: Json = {"code": reason.code, "check": reason.check, "detail": reason.detail}
    return told | ({"evidence": reason.evidence} if reason.evidence else {})
