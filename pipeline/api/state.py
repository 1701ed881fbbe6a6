"""What the routes work with, and how they come by it."""

import contextlib
import gc
import hashlib
import ipaddress
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter

from pipeline import auth, logs
from pipeline.api.counted import Counted
from pipeline.api.metrics import Metrics
from pipeline.api.queue import STOP_SECONDS, Pool
from pipeline.api.rates import UNCOUNTED, Rates, by_key
from pipeline.api.together import Together
from pipeline.api.uploads import Uploads
from pipeline.app import App
from pipeline.asking import Question
from pipeline.auth import Caller
from pipeline.clock import clock
from pipeline.credentials.keyfiles import Live
from pipeline.credentials.report_key import ReportSigner, live_report_key
from pipeline.credentials.safe import safe_of
from pipeline.home import Home
from pipeline.importing import Importing
from pipeline.optouts.desk import Desk
from pipeline.runner import Runner
from pipeline.settings import Settings
from pipeline.texts import Texts
from pipeline.types import Decision
from pipeline.verify.near_duplicates import NearDuplicates
from pipeline.verify.similar_releases import SimilarReleases
from pipeline.web.drafts import Drafts
from pipeline.workbench import OURS, carrying_on
from registry import suspensions
from registry.errors import KeyRefused, RegistryBehind
from registry.lookup import open_lookup
from registry.queries import Queries
from registry.types import Job

TEND_SECONDS: Final = 30.0
DELIVER_SECONDS: Final = 1.0
DECIDE_SECONDS: Final = 1.0  # between two looks for decisions that nobody can undo any more
SCAN_SECONDS: Final = 30.0  # also for opt-outs that other processes made
GATES: Final = 2  # threads that judge prompts
GATES_WAITING: Final = 64
TOGETHER: Final = 8  # prompts that are judged together
INDEX_SECONDS: Final = 1.0  # of a step in which the index catches up: stopping waits no longer
ASKER_KEY_BYTES: Final = 32
NETWORK_BITS: Final = 64  # of an IPv6 address: the rest is the client's to choose

log = logging.getLogger("countermark.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One running service: the application, and the pools that its work runs on."""

    settings: Settings
    app: App
    uploads: Uploads
    runner: Runner
    importing: Importing
    looks: Pool
    views: Pool
    gates: Pool
    gate: Together[tuple[Texts, Question], Decision]
    wishes: Pool
    desk: Desk
    drafts: Drafts
    near: NearDuplicates
    reports: Live[ReportSigner]
    asker_key: bytes = field(repr=False)
    stopping: threading.Event
    changed: threading.Event
    imported: threading.Event
    loaded: threading.Event
    indexed: threading.Event
    beside: list[threading.Thread]
    metrics: Metrics
    counted: Counted
    limiter: RateLimiter
    rates: Rates

    @staticmethod
    def on(app: App, settings: Settings, metrics: Metrics | None = None) -> "Service":
        """A service on an open application."""
        waiting, numbers, loaded = settings.max_queue, metrics or Metrics(), threading.Event()
        gates = Pool("gates", GATES, GATES_WAITING)
        loaded.set()  # but for `start`, which may load models first
        return Service(
            settings=settings, app=app, uploads=Uploads(Home(settings.home), settings),
            runner=Runner(app, settings.workers, numbers.step, partial(_count, numbers)),
            importing=Importing(app),
            looks=Pool("looks", max(1, settings.workers), waiting),
            views=Pool("views", max(1, settings.workers), waiting),
            gates=gates, gate=Together(gates, app.asking.judge_all, TOGETHER),
            wishes=Pool("wishes", 1, waiting),
            desk=Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock, terms=settings.terms),
            drafts=Drafts(Home(settings.home).drafts),
            near=NearDuplicates(
                store=Queries(app.engine), each=settings.near_queries, all=settings.near_queries_all,
                hours=settings.near_hours,
            ),
            reports=live_report_key(safe_of(settings)),
            asker_key=secrets.token_bytes(ASKER_KEY_BYTES),
            stopping=threading.Event(), changed=threading.Event(), imported=threading.Event(),
            loaded=loaded, indexed=threading.Event(), beside=[], metrics=numbers,
            counted=Counted(app.engine),
            limiter=MovingWindowRateLimiter(MemoryStorage()), rates=Rates(settings),
        )  # fmt: skip

    def asker(self, request: Request) -> str:
        """A word for the address that a request came from, under a key that ends with this process."""
        address = request.client.host if request.client else ""
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(address).version == 6:
                address = str(ipaddress.ip_network(f"{address}/{NETWORK_BITS}", strict=False))
        return hashlib.blake2b(address.encode(), key=self.asker_key, digest_size=16).hexdigest()

    def keep_tending(self) -> None:
        """Do what time brings, now and then, until the service stops; and delete what a process that died
        left of uploads, and drafts of opt-outs that were not finished.
        """
        self.loaded.wait()
        while not self.stopping.is_set():
            with carrying_on("tending"):
                self.app.tend()
                self.uploads.clean(time.time(), self.app.awaited_files())
                self.drafts.forget_old()
                self.importing.forget()
            self.stopping.wait(TEND_SECONDS)

    def keep_indexing(self) -> None:
        """Follow what is released with the index by content, before the first client has to wait for it."""
        while not self.stopping.is_set():
            with carrying_on("following the index by content"):
                if not self.follow_index():
                    continue
            self.stopping.wait(TEND_SECONDS)

    def follow_index(self) -> bool:
        """Take a step of a second at most, and say whether the index has caught up; `indexed` says it too.

        Raises: RegistryError when the registry cannot be read.
        """
        with open_lookup(self.settings.database) or contextlib.nullcontext() as lookup:
            if lookup is None:
                return True
            releases = SimilarReleases(lookup, self.settings.database, Home(self.settings.home).similar)
            try:
                releases.current(INDEX_SECONDS)
            except RegistryBehind:
                self.indexed.clear()
                return False
        self.indexed.set()
        return True

    def resume_soon(self) -> None:
        """A job was accepted, or a hold was lifted: it goes on."""
        self.runner.soon()

    def scan_soon(self) -> None:
        """An opt-out was made: what is out is to be looked through."""
        self.changed.set()

    def import_soon(self) -> None:
        """An import was accepted."""
        self.imported.set()

    def keep_importing(self) -> None:
        """Run imports that wait, once the models are loaded."""
        self.loaded.wait()
        self.importing.keep_running(self.stopping, self.imported, self.scan_soon)

    def keep_scanning(self) -> None:
        """Look through what is out, and what may come back, after every opt-out, every withdrawal of one and
        now and then, until the service stops.
        """
        while not self.stopping.is_set():
            self.changed.clear()
            with carrying_on("looking through releases"):
                self.app.retroscan()
                self.app.settle()
            self.changed.wait(SCAN_SECONDS)

    def keep_deciding(self) -> None:
        """Carry out what people decided and can no longer undo, until the service stops."""
        self.loaded.wait()
        while not self.stopping.wait(DECIDE_SECONDS):
            with carrying_on("carrying out decisions"):
                if self.app.undoing.carry_out():
                    self.resume_soon()

    def keep_delivering(self) -> None:
        """Tell webhooks what is new in the log, until the service stops."""
        while not self.stopping.wait(DELIVER_SECONDS):
            with carrying_on("telling webhooks"):
                self.app.courier.deliver(self.stopping.is_set)

    def warm_up(self, load: Callable[[], None]) -> None:
        """Load the models, and what the gate needs, before the first client has to wait for them.

        Where they cannot be loaded, nothing that needs them begins: ``load`` has the service stopped.
        """
        try:
            load()
        except OURS as error:
            log.warning("the models cannot be used: %s", error)
            return
        except Exception:
            log.exception("loading the models")
            return
        with carrying_on("the first prompt"):  # a registry that is away just now comes back
            self.app.judge("a clip", policy=self.settings.policy)
        # What is loaded stays. Going through all of it for garbage stopped every request for half a second.
        gc.collect()
        gc.freeze()
        self.loaded.set()
        self.runner.start()

    def start(self, load: Callable[[], None] | None = None) -> None:
        """Begin what goes on beside requests; with ``load``, also `warm_up`, and jobs only after it."""
        work_beside = [
            self.keep_tending, self.keep_scanning, self.keep_delivering, self.keep_deciding,
            self.keep_indexing,
        ]  # fmt: skip
        if self.settings.workers:
            work_beside.append(self.keep_importing)
        if load is None:
            self.runner.start()
        else:
            self.loaded.clear()
            work_beside.append(partial(self.warm_up, load))
        for work in work_beside:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self.beside.append(thread)

    def stop(self) -> bool:
        """Begin nothing more. False if work still runs after a while; it is resumed by the next process."""
        self.stopping.set()
        self.changed.set()
        self.imported.set()
        self.loaded.set()
        stopped = [pool.stop() for pool in (self.gates, self.looks, self.views, self.wishes)]
        stopped.append(self.runner.stop())
        until = time.monotonic() + STOP_SECONDS
        for thread in self.beside:
            thread.join(max(0.0, until - time.monotonic()))
        return all(stopped) and not any(thread.is_alive() for thread in self.beside)


def _count(metrics: Metrics, job: Job) -> None:
    """Count how a job has ended."""
    decision = (job.result or {}).get("decision")
    verdict = str(decision["verdict"]) if isinstance(decision, dict) else None
    metrics.ended(job.kind.partition("/")[0], str(job.state), verdict)


def service_of(request: Request) -> Service:
    """The service that answers this request."""
    found: Service = request.app.state.service
    return found


async def _here(request: Request) -> Service:
    """`service_of`, as a dependency: one that is no coroutine goes by way of another thread."""
    return service_of(request)


Here = Annotated[Service, Depends(_here)]


async def count_by_address(request: Request) -> None:
    """A dependency of every route: who comes without a key asks as often as an address may.

    Raises: AskedTooOften.
    """
    path = request.url.path
    if path not in UNCOUNTED and not by_key(request.method, path, has_key="authorization" in request.headers):
        _spend_address(service_of(request), request)


def _spend_address(here: Service, request: Request) -> None:
    if not _is_loopback(request.client.host if request.client else ""):
        here.rates.spend(request.scope, here.asker(request))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _admitted(here: Service, request: Request, scopes: tuple[str, ...]) -> Caller:
    """Who asks, by their key; counted, and suspended where the key comes from too many addresses.

    Raises: KeyRefused, AskedTooOften.
    """
    try:
        caller = auth.admit(here.app.engine, request.headers.getlist("authorization"), scopes, clock())
    except KeyRefused:
        _spend_address(here, request)
        raise
    logs.note(key=caller.key)
    many = here.rates.addresses.note(caller.key, here.asker(request))
    if many:
        log.warning("the key %s is suspended: it was used from %d addresses in an hour", caller.key, many)
        suspensions.suspend(here.app.engine, caller.key, many, now=clock(), sign_checkpoint=here.app.signer)
        return auth.admit(here.app.engine, request.headers.getlist("authorization"), scopes, clock())
    here.rates.spend(request.scope, caller.key)
    return caller


# It only tells OpenAPI how to authenticate; `auth.admit` reads the header itself.
_documented = Security(HTTPBearer(auto_error=False, description="An API key: `countermark apikeys create`."))


def caller_with(*scopes: str) -> Callable[..., Caller]:
    """A dependency: the caller, if the request has a key with one of these scopes."""

    def admitted(request: Request, here: Here, _: Annotated[object, _documented]) -> Caller:
        return _admitted(here, request, scopes)

    return admitted


def optional_caller(*scopes: str) -> Callable[..., Caller | None]:
    """A dependency: None without a key; a key that comes must be good, for one of these scopes."""

    def admitted(request: Request, here: Here, _: Annotated[object, _documented]) -> Caller | None:
        return _admitted(here, request, scopes) if "authorization" in request.headers else None

    return admitted
