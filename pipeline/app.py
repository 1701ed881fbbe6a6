"""The composition root: puts a home's database, files, keys and jobs together.

Everything that makes releases passes through `open_app`; verifying does not (`pipeline.verify.opening`).
"""

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from classifiers.base import Kind
from pipeline import policy as policies
from pipeline import quarantine, reinstate
from pipeline.asking import Asking, Question
from pipeline.clock import clock, rfc3339
from pipeline.credentials.pki import ensure_pki
from pipeline.credentials.trust import TrustStore
from pipeline.errors import KeysUnusable, Refused, StorageFailed
from pipeline.evidence import Bundler
from pipeline.eyes import Eyes
from pipeline.gate import index_names
from pipeline.home import Home
from pipeline.incident import Incidents
from pipeline.keyring import MARKS_FILE, ensure_keyring, with_tsa_roots
from pipeline.optouts.desk import Desk
from pipeline.orders import (
    LOCAL_ACCOUNT,
    NO_USE,
    CreateOrder,
    GuardOrder,
    Order,
    Use,
    inputs_of,
    job_key,
    request_key,
)
from pipeline.past import Archive
from pipeline.retroscan import ScanReport, scan
from pipeline.review import Reviews
from pipeline.settings import Settings
from pipeline.sights import ensure_sealer
from pipeline.simulate import Report, Wanted, simulated
from pipeline.texts import Texts
from pipeline.tryout import TryOut
from pipeline.types import Decision
from pipeline.webhooks import Courier
from pipeline.workbench import OURS, Observer, Outcome, Workbench, note_signer, reason_json
from pipeline.workflow import CREATE, GUARD, KINDS, ReleaseRun
from registry import claims, evidence, holds, log, permissions, releases, uses
from registry.checkpoint import NoteSigner, verifier_key
from registry.db import open_database, read
from registry.errors import NotFound, RegistryError
from registry.ids import ENTROPY_BYTES, parse_time, uuid7
from registry.jobs import LocalJobs
from registry.permissions import Permission
from registry.segment_files import SegmentFiles
from registry.sights import forget_sights
from registry.store import Area, FileStore
from registry.types import Job, JobState, Release, ReleaseState
from registry.view import View

JOB_DIED: Final = "job_died"  # the registry's reason for holding a job
MAX_ATTEMPTS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """An interrupted job that was gone on with: its outcome, or the error that it ended with."""

    job: Job
    outcome: Outcome | None
    error: str | None


class App:
    """One home, open for work."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @property
    def eyes(self) -> Eyes:
        """The models, for whoever registers pictures and descriptions."""
        return self._bench.eyes

    @property
    def signer(self) -> NoteSigner:
        """Who signs the log's checkpoints."""
        return note_signer(self._bench.keyring)

    @property
    def log_vkey(self) -> str:
        """The key that checks the log's checkpoints, as C2SP signed-note writes keys."""
        key = self._bench.keyring.log_key
        return verifier_key(key.name, key.public)

    @property
    def bundler(self) -> Bundler:
        """Makes evidence bundles."""
        return Bundler(engine=self.engine, store=self.store, signer=self.signer, key=self.log_vkey)

    @property
    def incidents(self) -> Incidents:
        """What leaked keys made."""
        return Incidents(self._bench)

    @property
    def courier(self) -> Courier:
        """Sends the log's entries to webhooks."""
        home = Home(self.settings.home)
        return Courier(
            engine=self.engine, keys=home.keys, locks=home.locks, clock=clock, version=self._bench.version
        )

    @property
    def followed(self) -> int:
        """The registry's position that this process knows."""
        return self._bench.view.followed

    def catch_up(self) -> None:
        """Follow the registry to its head. Raises: `registry.errors.RegistryError`."""
        self._bench.view.current()

    @property
    def reviews(self) -> Reviews:
        """The cases that wait for people, and what they decide."""
        return Reviews(self._bench)

    @property
    def engine(self) -> Engine:
        """The registry's database, for whoever only asks it."""
        return self._bench.engine

    @property
    def staging(self) -> Path:
        """The folder for what unfinished imports have seen."""
        return Home(self._bench.settings.home).imports

    @property
    def settings(self) -> Settings:
        """The settings that it was opened with."""
        return self._bench.settings

    @property
    def trust(self) -> TrustStore:
        """Whose credentials are believed."""
        return self._bench.pki.trust

    @property
    def store(self) -> FileStore:
        """The file store, for the one route that serves released files, and for evidence."""
        return self._bench.store

    def resume(self, observer: Observer) -> Iterator[Resumed]:
        """Go on with every job whose process died; each is reported when it has ended, or was held.

        First requests for permission whose time is over are refused, jobs that waited for another day are
        opened again, and what finished jobs left in staging is deleted.
        """
        bench, since = self._bench, _first_id(self._bench.clock())
        self.expire_permissions()
        uses.lift_of_days_before(self.engine, self._bench.clock())
        bench.store.clean_finished(self._unfinished)
        self._forget_faces()
        self.sweep()
        quarantine.forget(bench.engine, now=bench.clock())
        waiting = bench.jobs.resume()
        # Each is taken again when its turn comes: were this process killed, only that one would be charged.
        for job in waiting:
            try:
                bench.jobs.abandon(job)
            except RegistryError:
                bench.jobs.leave(job)
        yield from self._given_up(since)
        for job in waiting:
            mine = bench.jobs.submit(job.kind, job.key, job.inputs)
            if mine.owner is not None:
                yield self._go_on(mine, observer)

    def expire_permissions(self) -> list[Permission]:
        """Take requests that no holder answered in time for refused."""
        return permissions.expire_due(self.engine, now=self._bench.clock(), sign_checkpoint=self.signer)

    def _go_on(self, job: Job, observer: Observer) -> Resumed:
        if job.kind not in KINDS:
            self._bench.jobs.abandon(job)
            return Resumed(job=job, outcome=None, error="another version of Countermark began it")
        try:
            return Resumed(job=job, outcome=ReleaseRun(self._bench, job, observer).run(), error=None)
        except OURS as error:
            return Resumed(job=job, outcome=None, error=str(error))

    def _forget_faces(self) -> None:
        oldest = datetime.now(UTC) - timedelta(days=self._bench.settings.face_days)
        forget_sights(self._bench.engine, Kind.FACE, before=rfc3339(oldest))

    def sweep(self) -> tuple[list[str], list[str]]:
        """End what its clock has ended: ids of claims, and of evidence whose files are deleted."""
        bench, now = self._bench, self._bench.clock()
        expired = claims.expire_due(bench.engine, now, self.signer)
        self.settle()
        return expired, evidence.purge_due(bench.engine, bench.store, now, self.signer)

    def forget_index(self) -> None:
        """Delete the files of the index after an erasure: vectors stand in them until they are written anew.

        Raises: StorageFailed.
        """
        try:
            SegmentFiles(Home(self._bench.settings.home).index).remove_all()
        except OSError as error:
            raise StorageFailed(f"the index cannot be deleted ({error.strerror}); delete its files") from None

    def settle(self) -> list[str]:
        """Serve again what ended claims and opt-outs kept away, unless somebody forbids it now."""
        return reinstate.settle(self._bench)

    def _given_up(self, since: str) -> Iterator[Resumed]:
        """Jobs that were held just now, because their process died again and again."""
        with read(self._bench.engine) as conn:
            found = holds.open_holds(conn, after=since)
        for hold in found:
            if any(reason.code == JOB_DIED for reason in hold.reasons):
                job = self._bench.jobs.get(hold.job_id)
                yield Resumed(job=job, outcome=self._known(job), error=None)

    def _unfinished(self, job_id: str) -> bool:
        try:
            return self._bench.jobs.get(job_id).state in (JobState.OPEN, JobState.HELD)
        except NotFound:  # an older backup of the registry was restored: delete nothing
            return True

    def guard(self, order: GuardOrder, observer: Observer) -> Outcome:
        """Take a clip made elsewhere to a release, or to a hold or refusal with reasons.

        The same order for the same bytes is one job: asked again, it gives the same release.
        Raises: MediaUnreadable, LimitExceeded, UsageError, Refused (another process works on it, or its
        release was withdrawn), and what the steps raise.
        """
        return self._through(order, observer)

    def create(self, order: CreateOrder, observer: Observer) -> Outcome:
        """Take a prompt to a release, or to a hold or refusal with reasons.

        The same order with the same seed is one job. Raises: as `guard`, and what the generator raises.
        """
        return self._through(order, observer)

    def _through(self, order: Order, observer: Observer) -> Outcome:
        inputs = inputs_of(order, self._bench.settings)
        for attempt in range(MAX_ATTEMPTS):
            job = self._bench.jobs.submit(_kind(order), job_key(inputs, attempt), inputs)
            if job.state is JobState.OPEN:
                if job.owner is None:
                    raise Refused("another process is working on this very order; wait for it to end")
                return _not_withdrawn(ReleaseRun(self._bench, job, observer).run())
            if job.state not in (JobState.FAILED, JobState.REFUSED):
                return _not_withdrawn(self._known(job))
        raise Refused("this order has failed a thousand times; look at its reasons before trying again")

    def retroscan(self, progress: Callable[[int], None] = lambda _count: None) -> ScanReport:
        """Compare what is out with every wish since the last scan; `progress` is told how many it has."""
        return scan(self._bench, progress)

    def withdraw(self, release_id: str, why: str) -> Release:
        """Stop serving a release by hand; what was made from it becomes cases. Raises: NotFound."""
        return reinstate.withdraw(self._bench, release_id, why)

    def reinstate(self, release_id: str, why: str) -> Release:
        """Serve a withdrawn release again, if no wish forbids it. Raises: NotFound, StillForbidden."""
        return reinstate.reinstate(self._bench, release_id, why)

    def accept(self, order: Order) -> Job:
        """Record a job durably without running it; its ``request`` must be set.

        The job's owner is set when this process is to `run` it: it is new, or its process died.
        Raises: as `guard`, and KeyReused when the request's name was used for something else.
        """
        inputs = inputs_of(order, self._bench.settings)
        return self._bench.jobs.submit(_kind(order), request_key(order), inputs)

    def run(self, job: Job, observer: Observer) -> Outcome:
        """Run a job that `accept` gave this process. Raises: what the steps raise; the job then says so."""
        return ReleaseRun(self._bench, job, observer).run()

    def put_back(self, job: Job) -> None:
        """Let go of an accepted job that was not begun, so that any process can resume it."""
        self._bench.jobs.abandon(job)

    def job(self, job_id: str) -> Job:
        """A job as anybody may see it. Raises: NotFound."""
        return self._bench.jobs.get(job_id)

    def try_out(self, desk: Desk, policy: str | None = None) -> TryOut:
        """To try opt-outs before they are made, under a policy; by default that of the settings."""
        bench = self._bench
        return TryOut(
            desk=desk, eyes=bench.eyes, view=bench.view, archive=self._archive, settings=bench.settings,
            policy=policies.preset(policy or bench.settings.policy),
        )  # fmt: skip

    def simulate(self, told: Wanted) -> Report:
        """Decide the past again with a change. Raises: UsageError."""
        return simulated(told, self._bench.view.current(), self.eyes.calibrations, self._archive, clock())

    @property
    def _archive(self) -> Archive:
        bench = self._bench
        return Archive(engine=bench.engine, sealer=bench.sealer, files=Home(bench.settings.home).files)

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

    @property
    def asking(self) -> Asking:
        """Asks what would become of a prompt, without a job."""
        return Asking(self._bench)

    def judge(
        self, prompt: str, *, policy: str, history: tuple[str, ...] = (), account: str = LOCAL_ACCOUNT,
        use: Use = NO_USE, enhanced: str | None = None, checks: tuple[str, ...] | None = None,
    ) -> Decision:  # fmt: skip
        """What the gate says of a prompt, without a job. Raises: UsageError, LimitExceeded."""
        texts = Texts(history=history, prompt=prompt, enhanced=enhanced)
        return self.asking.judge(texts, Question(policy=policy, account=account, use=use, checks=checks))


@contextlib.contextmanager
def open_app(settings: Settings, eyes: Eyes | None = None) -> Iterator[App]:
    """Open (and on first use make) the home of `settings`; ``eyes``: its models, where they are loaded.

    Raises: HomeUnusable, KeysUnusable, and `registry.errors.RegistryError`.
    """
    home = Home(settings.home)
    home.make()
    engine = open_database(settings.database)
    view = View(engine, home.index, prepare=index_names)
    try:
        _demand_keys(home, engine)
        keyring, pki = ensure_keyring(home.keys), ensure_pki(home.pki, now=datetime.now(UTC))
        trust = with_tsa_roots(pki.trust, settings.tsa_roots)
        with LocalJobs(engine, home.locks, clock) as jobs:
            yield App(
                Workbench(
                    settings=settings, engine=engine, store=FileStore(home.files), jobs=jobs,
                    keyring=keyring, pki=replace(pki, trust=trust), clock=clock,
                    version=importlib.metadata.version("countermark"), view=view,
                    eyes=eyes or Eyes.of(settings),
                    sealer=ensure_sealer(home.keys),
                )
            )  # fmt: skip
    finally:
        view.close()
        engine.dispose()


def _demand_keys(home: Home, engine: Engine) -> None:
    """New keys are made for a new home only: in another, they would hide that the old ones are lost."""
    with read(engine) as conn:
        begun = log.head(conn) > 0
    missing = [path for path in (home.keys / MARKS_FILE, home.pki) if not os.path.lexists(path)]
    if begun and missing:
        raise KeysUnusable(f"this home has releases, but {missing[0]} is gone; restore it from a backup")


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
