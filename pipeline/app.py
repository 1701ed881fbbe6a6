"""The composition root: puts a home's database, files, keys and jobs together.

Everything that makes releases passes through `open_app`; verifying does not (`pipeline.verify.local`).
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipeline import policy as policies
from pipeline.credentials.keyfiles import sync_folder
from pipeline.credentials.pki import ensure_pki
from pipeline.credentials.text import safe_text
from pipeline.errors import (
    CountermarkError,
    HomeUnusable,
    MediaUnreadable,
    Refused,
    StorageFailed,
    UsageError,
)
from pipeline.keyring import ensure_keyring
from pipeline.settings import Settings
from pipeline.types import Json
from pipeline.workflow import KIND, GuardRun, Observer, Outcome, Workbench
from registry import releases
from registry.db import open_database
from registry.errors import RegistryError
from registry.jobs import LocalJobs
from registry.store import Area, FileStore
from registry.types import Job, JobState
from watermark.errors import WatermarkError

DATABASE: Final = "registry.db"
KEYS: Final = "keys"
PKI: Final = "pki"
FILES: Final = "files"
LOCKS: Final = "locks"
MAX_ATTEMPTS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardOrder:
    """What `guard` is asked: the clip, the policy preset, what to do with sound, the prompt if known."""

    source: Path
    policy: str
    sound: policies.Sound
    prompt: str | None = None


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

    def resume(self, observer: Observer) -> Iterator[Resumed]:
        """Go on with every job whose process died; each is reported when it has ended."""
        for job in self._bench.jobs.resume():
            try:
                yield Resumed(job=job, outcome=GuardRun(self._bench, job, observer).run(), error=None)
            except (CountermarkError, RegistryError, WatermarkError) as error:
                yield Resumed(job=job, outcome=None, error=str(error))

    def guard(self, order: GuardOrder, observer: Observer) -> Outcome:
        """Take a clip made elsewhere to a release, or to a hold or refusal with reasons.

        The same order for the same bytes is one job: asked again, it gives the same release.
        Raises: MediaUnreadable, UsageError, Refused (another process works on it), and what the steps raise.
        """
        inputs = self._inputs(order)
        for attempt in range(MAX_ATTEMPTS):
            job = self._bench.jobs.submit(KIND, _key(inputs, attempt), inputs)
            if job.state is JobState.OPEN:
                if job.owner is None:
                    raise Refused("another process is working on this very clip; wait for it to end")
                return GuardRun(self._bench, job, observer).run()
            if job.state not in (JobState.FAILED, JobState.REFUSED):
                return self._known(job)
        raise Refused("this clip has failed a thousand times; look at its reasons before trying again")

    def _known(self, job: Job) -> Outcome:
        """What came of a job that ended before."""
        result = job.result or {}
        release = releases.find_by_job(self._bench.engine, job.id)
        reasons, decision = result.get("reasons"), result.get("decision")
        told = reasons if isinstance(reasons, list) else []
        file = self._bench.store.check(Area.RELEASED, release.file_sha256) if release else None
        return Outcome(
            job=job, decision=decision if isinstance(decision, dict) else None, release=release,
            held=tuple(reason for reason in told if isinstance(reason, dict)), stages={}, file=file,
        )  # fmt: skip

    def _inputs(self, order: GuardOrder) -> Json:
        settings, policy = self._bench.settings, policies.preset(order.policy)
        return {
            "source": str(order.source.absolute()), "name": safe_text(order.source.name),
            "sha256": _digest(order.source, settings.max_bytes), "policy": policy.name,
            "policy_version": policy.version, "sound": str(order.sound), "prompt": order.prompt,
            "label": settings.label, "service": settings.service, "crf": settings.crf,
        }  # fmt: skip


@contextlib.contextmanager
def open_app(settings: Settings) -> Iterator[App]:
    """Open (and on first use make) the home of `settings`.

    Raises: HomeUnusable, KeysUnusable, and `registry.errors.RegistryError`.
    """
    home = settings.home
    _make(home)
    engine = open_database(home / DATABASE)
    try:
        with LocalJobs(engine, home / LOCKS, clock) as jobs:
            yield App(
                Workbench(
                    settings=settings,
                    engine=engine,
                    store=FileStore(home / FILES),
                    jobs=jobs,
                    keyring=ensure_keyring(home / KEYS),
                    pki=ensure_pki(home / KEYS / PKI, now=datetime.now(UTC)),
                    clock=clock,
                    version=importlib.metadata.version("countermark"),
                )
            )
    finally:
        engine.dispose()


def clock() -> str:
    """Now, UTC, RFC 3339 with Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_output(source: Path, target: Path) -> None:
    """Raises: UsageError when `target` cannot or should not be written, before any work is done."""
    name = safe_text(str(target))
    if target.is_symlink():
        raise UsageError(f"{name} is a symbolic link; name the file itself")
    if target.exists():
        if not target.is_file():
            raise UsageError(f"{name} is not a file; name a file for the release")
        if source.exists() and target.samefile(source):
            raise UsageError("the output would overwrite the input; name another file")
        if target.stat().st_size:
            raise UsageError(f"{name} exists already; remove it or name another file")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"the folder of {name} does not exist; make it first")


def deliver(file: Path, target: Path) -> None:
    """Copy a released file to `target`, which appears whole or not at all. Raises: StorageFailed."""
    temporary: Path | None = None
    try:
        with (
            file.open("rb") as source,
            tempfile.NamedTemporaryFile(
                dir=target.absolute().parent, prefix=".countermark-", delete=False
            ) as copy,
        ):
            temporary = Path(copy.name)
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
        sync_folder(target.absolute().parent)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise StorageFailed(
            f"cannot write {safe_text(str(target))} ({error.strerror}); the release is safe in the home"
        ) from None


def _make(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise HomeUnusable(f"{home} is not a folder; name another home") from None
    except OSError as error:
        raise HomeUnusable(f"cannot make the home {home} ({error.strerror}); name another one") from None


def _digest(source: Path, max_bytes: int) -> str:
    name = safe_text(source.name)
    try:
        if not source.is_file():
            what = "there is no such file" if not source.exists() else "it is not a file"
            raise MediaUnreadable(f"cannot read {name}: {what}; check the name")
        if source.stat().st_size > max_bytes:
            raise MediaUnreadable(f"{name} is larger than {max_bytes} bytes; raise max_bytes or shorten it")
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name is not usable"
        raise MediaUnreadable(f"cannot read {name} ({reason}); check it") from None


def _key(inputs: Json, attempt: int) -> str:
    content = json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()
    return f"{hashlib.sha256(content).hexdigest()}#{attempt}"
