"""Imports that accounts asked for over HTTP: they wait in the registry, and any process runs them.

1. An import is recorded, its files are kept, and only then it is answered.
2. Each is one process's at a time (`registry.turns`), of any host; when that dies, the next goes on after
   the last chunk that was written. A process runs one at a time, the oldest first.
3. It ends as done, as refused (nothing was registered), or as failed (it stopped on the way; the lines
   before are in force). What came of each line is told, and forgotten after weeks.
4. A key that was revoked meanwhile stops it before the next chunk.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pipeline import logs
from pipeline.app import App
from pipeline.clock import clock, rfc3339
from pipeline.errors import ImportRefused, Problem, describe
from pipeline.home import Home
from pipeline.imports.types import REGISTERING, ImportOrder, LinePlan, counts_of, tally
from pipeline.types import Json
from pipeline.workbench import OURS, LetGo, carrying_on
from registry import apikeys, import_requests, import_runs, parties
from registry.db import read
from registry.errors import ImportMoved, KeyRefused, RefusedBecause, RegistryBusy, RegistryUnusable
from registry.import_requests import DONE, FAILED, PROBLEM, REFUSED, ImportRequest, Told
from registry.import_types import ImportRun
from registry.jobs import Room
from registry.party_types import Filing
from registry.turns import turn_if_free

TRIES: Final = 3
TOLD_DAYS: Final = 30
"""Days for which it is told what came of each line."""
LOOK_SECONDS: Final = 5.0  # also for imports that other processes accepted, or left
PROGRESS_SECONDS: Final = 1.0
ARCHIVE: Final = "pictures.zip"
DIED: Final = "import_died"
LOCK: Final = "import-{}.lock"

log = logging.getLogger("countermark.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an account asks; ``file``: the catalogue's name in the folder; ``name``, ``pictures``: what the
    client calls its files; ``digests``: of these; ``party``: the party that says it all, in what kind of
    claim, with which statements; None: the operator, who vouches for the account.
    """

    file: str
    name: str
    digests: tuple[str, ...]
    pictures: str | None = None
    dry_run: bool = False
    skip_bad: bool = False
    party: Filing | None = None

    def to_json(self) -> Json:
        """As it is recorded."""
        told: Json = {
            "file": self.file, "name": self.name, "digests": [*self.digests], "pictures": self.pictures,
            "dry_run": self.dry_run, "skip_bad": self.skip_bad,
        }  # fmt: skip
        if self.party is None:
            return told
        return told | {
            "party": {
                "by": self.party.by, "kind": self.party.kind, "statements": {**self.party.statements},
                "signature": self.party.signature,
            }
        }  # fmt: skip


class Importing:
    """The imports of one home."""

    def __init__(self, app: App) -> None:
        self._app, self._engine = app, app.engine
        self._home = Home(app.settings.home)
        self._owed: set[str] = set()  # imports of which a try is still to be uncounted

    def room(self, account: str) -> Room:
        """How many imports may wait."""
        settings = self._app.settings
        return Room(all=settings.max_queue, each=settings.max_queue_account, account=account)

    def demand_room(self, account: str) -> None:
        """Whether another import may wait, so that nobody uploads in vain. Raises: QueueFull."""
        with read(self._engine) as conn:
            import_requests.demand_room(conn, self.room(account))

    def accept(self, wanted: Wanted, *, account: str, key: str, request: str, folder: Path) -> ImportRequest:
        """Record an import (1); the same request is the same one. Raises: KeyReused, QueueFull."""
        return import_requests.accept(
            self._engine, account=account, key=key, request=request, wanted=wanted.to_json(),
            folder=str(folder), room=self.room(account), now=clock(),
        )  # fmt: skip

    def filing(self, account: str, kind: str, statements: dict[str, str], signature: str) -> Filing:
        """What the party says that the account is called after. Raises: NotFound."""
        by = parties.find(self._engine, account).id
        return Filing(by=by, kind=kind, statements=statements, signature=signature)

    def run_waiting(self, stopped: Callable[[], bool]) -> int:
        """Run what waits and nobody else runs, until told to stop; how many ended. Raises: RegistryError."""
        ended = 0
        self._home.locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        for request in import_requests.unfinished(self._engine):
            if stopped():
                break
            lock = self._home.locks / LOCK.format(request.id)
            with turn_if_free(self._engine, lock) as mine:
                if mine and _Run(self._app, request, stopped, self._owed).run():
                    ended += 1
                    lock.unlink(missing_ok=True)
                    self._forget_files(Path(request.folder))
        return ended

    def keep_running(
        self, stopping: threading.Event, soon: threading.Event, ended: Callable[[], None] = lambda: None
    ) -> None:
        """Run imports that wait, also those of other processes, until told to stop; ``soon``: set where one
        was accepted; ``ended``: told when some came to their end.
        """
        while not stopping.is_set():
            with carrying_on("importing"):
                if self.run_waiting(stopping.is_set):
                    ended()
            soon.wait(LOOK_SECONDS)
            if soon is not stopping:
                soon.clear()

    def _forget_files(self, folder: Path) -> None:
        if folder.parent == self._home.kept_uploads:
            shutil.rmtree(folder, ignore_errors=True)

    def forget(self) -> None:
        """Delete what is told of lines for too long (3)."""
        old = rfc3339(datetime.now(UTC) - timedelta(days=TOLD_DAYS))
        import_requests.forget_told(self._engine, before=old)


@dataclass(slots=True)
class _Run:
    """One import in this process."""

    app: App
    request: ImportRequest
    stopped: Callable[[], bool]
    owed: set[str]
    _noted: float = field(default=0.0)
    _wrote: bool = field(default=False)

    def run(self) -> bool:
        """Go on with it; whether it has ended."""
        if self.request.id in self.owed:
            self._put_back()
        request = import_requests.begin(self.app.engine, self.request.id, clock())
        if request is None:
            return True
        self.request = request  # it may be further than when it was listed
        log.info("import begun, or gone on with", extra=logs.with_fields(job=self.request.id))
        try:
            self._go(request)
        except (LetGo, ImportMoved, RegistryBusy, RegistryUnusable) as error:
            log.info("import %s: let go: %s", self.request.id, error or "this process stops")
            self.owed.add(self.request.id)
            self._put_back()
            return False
        except ImportRefused as error:
            self._end(error, _problems(error.problems))
        except OURS as error:
            self._end(error)
        except Exception:
            log.exception("import %s", self.request.id)  # a defect: it is tried again, so often
            return False
        return True

    def _put_back(self) -> None:
        """Have this try not count. Raises: RegistryError; then it is owed, and done before the next one."""
        import_requests.put_back(self.app.engine, self.request.id, clock())
        self.owed.discard(self.request.id)

    def _go(self, request: ImportRequest) -> None:
        if request.tries > TRIES:
            message = f"it was begun {TRIES} times, and never came to its end; tell the operator"
            self._close(FAILED, error={"code": DIED, "message": message})
            return
        self._demand_key(request)
        wanted: dict[str, Any] = dict(request.wanted)
        order, importer = order_of(request), self.app.importer
        if wanted["dry_run"]:
            plans = importer.plan(order, self._progress(request))
            self._close(DONE, counts=tally(plans), told=[_told(plan) for plan in plans])
            return
        run = None if request.run_id is None else import_runs.get(self.app.engine, request.run_id)
        if run is None or run.state != "done":  # else the process died just before it could say so
            run = importer.run(order, self._progress(request), self._begun).run
        self._close(DONE, counts=counts_of(run))

    def _begun(self, run: ImportRun, plans: Sequence[LinePlan]) -> None:
        """Tell what is wrong with lines, and noted of them, before the first is written."""
        self._wrote = True
        told = [_told(plan) for plan in plans if plan.problem is not None or plan.notes]
        import_requests.note_run(self.app.engine, self.request.id, run.id, told)

    def _progress(self, request: ImportRequest) -> Callable[[str, int, int], None]:
        def progress(step: str, done: int, total: int) -> None:
            if self.stopped():
                raise LetGo
            if time.monotonic() - self._noted < PROGRESS_SECONDS:
                return
            self._noted = time.monotonic()
            self._demand_key(request)
            told: Json = {"step": step, "done": done, "of": total}
            wrote = step == REGISTERING
            import_requests.note_progress(self.app.engine, self.request.id, told, clock(), wrote=wrote)

        return progress

    def _demand_key(self, request: ImportRequest) -> None:
        """Raises: KeyRefused (4)."""
        key = apikeys.get(self.app.engine, request.key_id)
        if key is None or key.revoked_seq is not None:
            told = "The API key that this import was asked with was revoked; ask for a new one."
            raise KeyRefused(told, RefusedBecause.REVOKED)

    def _end(self, error: Exception, told: Sequence[Told] = ()) -> None:
        said = describe(error)
        state = FAILED if self._wrote or self.request.run_id is not None else REFUSED
        self._close(state, error={"code": said.code, "message": said.message}, told=told)

    def _close(
        self, state: str, *, counts: Mapping[str, int] | None = None, error: Json | None = None,
        told: Sequence[Told] = (),
    ) -> None:  # fmt: skip
        import_requests.end(
            self.app.engine, self.request.id, state, now=clock(), counts={**counts} if counts else None,
            error=error, told=told,
        )  # fmt: skip
        log.info("import", extra=logs.with_fields(job=self.request.id, state=state))


def order_of(request: ImportRequest) -> ImportOrder:
    """What the importer is asked."""
    wanted: dict[str, Any] = dict(request.wanted)
    folder, party = Path(request.folder), wanted.get("party")
    return ImportOrder(
        file=folder / wanted["file"], pictures=folder / ARCHIVE if wanted["pictures"] else None,
        filing=Filing(**party) if party else None, skip_bad=wanted["skip_bad"], account=request.account,
    )  # fmt: skip


def _told(plan: LinePlan) -> Told:
    code = None if plan.problem is None else plan.problem.code
    message = None if plan.problem is None else plan.problem.message
    return Told(line=plan.line, outcome=plan.outcome, code=code, message=message, notes=plan.notes)


def _problems(problems: Sequence[Problem]) -> list[Told]:
    return [
        Told(line=one.line, outcome=PROBLEM, code=one.code, message=one.message)
        for one in {problem.line: problem for problem in problems}.values()
    ]
