"""The jobs of an open home: accepted, taken, run, gone on with."""

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, select

from classifiers.base import Kind
from pipeline import quarantine, reinstate
from pipeline.clearing import without_cleared
from pipeline.clock import clock, rfc3339
from pipeline.errors import Refused, TooBusy
from pipeline.home import Home
from pipeline.orders import (
    CreateOrder,
    GuardOrder,
    Order,
    files_of,
    inputs_of,
    job_key,
    order_sha256,
    request_key,
)
from pipeline.previewing import Refusal
from pipeline.settings import Settings
from pipeline.types import Decision, Verdict
from pipeline.workbench import OURS, Observer, Outcome, Workbench, note_signer, reason_json
from pipeline.workflow import CREATE, GUARD, KINDS, ReleaseRun
from registry import appeals, claims, evidence, holds, import_requests, permissions, releases, uses
from registry.db import read
from registry.errors import NotFound, QueueFull
from registry.ids import ENTROPY_BYTES, parse_time, uuid7
from registry.jobs import Room
from registry.leases import Leases
from registry.owners import LockFiles, Ownership
from registry.permissions import Permission
from registry.sights import forget_sights
from registry.store import Area
from registry.tables import job as table
from registry.types import Held, Job, JobState, ReleaseState

JOB_DIED: Final = "job_died"  # the registry's reason for holding a job
MAX_ATTEMPTS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """An interrupted job that was gone on with: its outcome, or the error that it ended with."""

    job: Job
    outcome: Outcome | None
    error: str | None


def ownership_of(settings: Settings, engine: Engine) -> Ownership:
    """How processes of this installation own jobs: a database that other machines reach keeps leases."""
    if isinstance(settings.database, str):
        return Leases(engine, clock, settings.lease_seconds)
    return LockFiles(Home(settings.home).locks)


class Working:
    """What an open home does with jobs."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def tend(self) -> None:
        """Do what time brings: refuse requests for permission that nobody answered, open again the jobs that
        waited for another day, end claims, forget faces, delete what finished jobs left in staging.
        """
        bench = self._bench
        self.expire_permissions()
        uses.lift_of_days_before(bench.engine, bench.clock())
        bench.store.clean_finished(self._unfinished)
        oldest = datetime.now(UTC) - timedelta(days=bench.settings.face_days)
        forget_sights(bench.engine, Kind.FACE, before=rfc3339(oldest))
        self.sweep()
        quarantine.forget(bench.engine, now=bench.clock())

    def resume(self, observer: Observer) -> Iterator[Resumed]:
        """Go on with every job that was begun and that no process runs, after `tend`.

        Each is reported when it has ended, or was held; jobs that nobody began wait for a service's worker.
        """
        since, last = _first_id(self._bench.clock()), ""
        self.tend()
        # One is taken when its turn comes: were this process killed, only that one would be charged.
        while (job := self._bench.jobs.take(KINDS, after=last, begun=True)) is not None:
            last = job.id
            for one in self._given_up(since):
                since = max(since, one.id)
                yield self._held(one.job_id)
            yield self._go_on(job, observer)
        yield from (self._held(one.job_id) for one in self._given_up(since))

    def expire_permissions(self) -> list[Permission]:
        """Take requests that no holder answered in time for refused."""
        bench = self._bench
        return permissions.expire_due(
            bench.engine, now=bench.clock(), sign_checkpoint=note_signer(bench.keyring)
        )

    def sweep(self) -> tuple[list[str], list[str]]:
        """End what its clock has ended: ids of claims, and of evidence whose files are deleted."""
        bench, now, signer = self._bench, self._bench.clock(), note_signer(self._bench.keyring)
        expired = claims.expire_due(bench.engine, now, signer)
        self.settle()
        return expired, evidence.purge_due(bench.engine, bench.store, now, signer)

    def settle(self) -> list[str]:
        """Serve again what ended claims and opt-outs kept away, unless somebody forbids it now."""
        return reinstate.settle(self._bench)

    def guard(self, order: GuardOrder, observer: Observer) -> Outcome:
        """Take a clip made elsewhere to a release, or to a hold or refusal with reasons.

        The same order for the same bytes is one job: asked again, it gives the same release.
        Raises: MediaUnreadable, LimitExceeded, UsageError, Refused (another process works on it, or its
        release was withdrawn), and what the steps raise.
        """
        return self._through(order, lambda job: self.run(job, observer))

    def create(self, order: CreateOrder, observer: Observer) -> Outcome:
        """Take a prompt to a release, or to a hold or refusal with reasons.

        The same order with the same seed is one job. Raises: as `guard`, and what the generator raises.
        """
        return self._through(order, lambda job: self.run(job, observer))

    def refuse(self, order: GuardOrder, decision: Decision, observer: Observer) -> Outcome | None:
        """Record a clip that was not finished, since a frame on the way is refused, as a job of its own.

        ``order.preview`` says where the frame was seen. None where people let this very frame pass upon an
        appeal. Raises: as `guard`.
        """
        bench, inputs = self._bench, inputs_of(order, self._bench.settings)
        cleared = appeals.clearances(bench.engine, order.account, order_sha256(inputs))
        left = without_cleared(decision, cleared, bench.view.current().subjects)
        if left.verdict is not Verdict.BLOCK:
            return None
        return self._through(order, lambda job: Refusal(bench, job, observer, left).run())

    def accept(self, order: Order) -> Job:
        """Record a job durably, for whoever takes it; its ``request`` must be set.

        Raises: as `guard`, KeyReused when the request's name was used for something else, TooBusy and
        QueueFull when as many jobs wait as may, of all and of its account.
        """
        inputs, room = inputs_of(order, self._bench.settings), self._room(order.account)
        with _told_busy():
            return self._bench.jobs.enqueue(_kind(order), request_key(order), inputs, room)

    def demand_room(self, account: str) -> None:
        """Whether another job may wait, so that nobody uploads in vain. Raises: TooBusy, QueueFull."""
        with _told_busy():
            self._bench.jobs.demand_room(self._room(account))

    def take(self, besides: Collection[str] = ()) -> Job | None:
        """A job that waits, or whose process died, for this process to `run`; ``besides``: none of these."""
        return self._bench.jobs.take(KINDS, besides=besides)

    def run(self, job: Job, observer: Observer) -> Outcome:
        """Run a job that `take` gave this process. Raises: what the steps raise; the job then says so."""
        try:
            made = ReleaseRun(self._bench, job, observer)
        except BaseException:  # the database went away just then
            self._bench.jobs.leave(job)
            raise
        return made.run()

    def job(self, job_id: str) -> Job:
        """A job as anybody may see it. Raises: NotFound."""
        return self._bench.jobs.get(job_id)

    def forget_uploads(self, job: Job) -> None:
        """Delete what a client sent for a job that has ended; anything that others gave is left alone."""
        if self._bench.jobs.get(job.id).state is not JobState.OPEN:
            kept = Home(self._bench.settings.home).kept_uploads
            for path in files_of(job.inputs):
                if path.parent == kept:
                    path.unlink(missing_ok=True)

    def awaited_files(self) -> set[Path]:
        """Files that open jobs have still to read, and folders that imports have."""
        folders = import_requests.folders(self._bench.engine)
        with read(self._bench.engine) as conn:
            rows = conn.execute(select(table.c.inputs).where(table.c.state == JobState.OPEN))
            return folders | {path for row in rows for path in files_of(row.inputs)}

    def _room(self, account: str) -> Room:
        settings = self._bench.settings
        return Room(all=settings.max_queue, each=settings.max_queue_account, account=account)

    def _go_on(self, job: Job, observer: Observer) -> Resumed:
        try:
            return Resumed(job=job, outcome=self.run(job, observer), error=None)
        except OURS as error:
            return Resumed(job=job, outcome=None, error=str(error))

    def _held(self, job_id: str) -> Resumed:
        job = self._bench.jobs.get(job_id)
        return Resumed(job=job, outcome=self._known(job), error=None)

    def _given_up(self, since: str) -> list[Held]:
        """Jobs that were held just now, because their process died again and again."""
        with read(self._bench.engine) as conn:
            found = holds.open_holds(conn, after=since)
        return [hold for hold in found if any(reason.code == JOB_DIED for reason in hold.reasons)]

    def _unfinished(self, job_id: str) -> bool:
        try:
            return self._bench.jobs.get(job_id).state in (JobState.OPEN, JobState.HELD)
        except NotFound:  # an older backup of the registry was restored: delete nothing
            return True

    def _through(self, order: Order, run: Callable[[Job], Outcome]) -> Outcome:
        inputs = inputs_of(order, self._bench.settings)
        for attempt in range(MAX_ATTEMPTS):
            job = self._bench.jobs.submit(_kind(order), job_key(inputs, attempt), inputs)
            if job.state is JobState.OPEN:
                if job.owner is None:
                    raise Refused("another process is working on this very order; wait for it to end")
                return _not_withdrawn(run(job))
            if job.state not in (JobState.FAILED, JobState.REFUSED):
                return _not_withdrawn(self._known(job))
        raise Refused("this order has failed a thousand times; look at its reasons before trying again")

    def _known(self, job: Job) -> Outcome:
        """What came of a job that ended before."""
        result = job.result or {}
        release = releases.find_by_job(self._bench.engine, job.id)
        with read(self._bench.engine) as conn:
            hold = holds.open_hold(conn, job.id)
        decision = result.get("decision")
        file = self._bench.store.check(Area.RELEASED, release.file_sha256) if release else None
        return Outcome(
            job=job, decision=decision if isinstance(decision, dict) else None, release=release,
            held=tuple(map(reason_json, hold.reasons)) if hold else (), stages={}, file=file,
        )  # fmt: skip


@contextlib.contextmanager
def _told_busy() -> Iterator[None]:
    """A queue that others have filled is the service's; one that the account filled is its own."""
    try:
        yield
    except QueueFull as error:
        if error.own:
            raise
        raise TooBusy("the service has as much work as it takes; try again in a moment") from None


def _not_withdrawn(outcome: Outcome) -> Outcome:
    release = outcome.release
    if release is not None and release.state is not ReleaseState.RELEASED:
        raise Refused(f"the release {release.id} of this clip was {release.state}; it is not handed out")
    return outcome


def _first_id(now: str) -> str:
    """No identifier made from `now` on sorts before it."""
    return uuid7(int(parse_time(now).timestamp() * 1000), bytes(ENTROPY_BYTES))


def _kind(order: Order) -> str:
    return GUARD if isinstance(order, GuardOrder) else CREATE
