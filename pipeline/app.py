"""The composition root: puts a home's database, files, keys and jobs together.

Everything that makes releases passes through `open_app`; verifying does not (`pipeline.verify.opening`).
"""

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from pipeline import policy as policies
from pipeline import reinstate
from pipeline.asking import Asking, Question
from pipeline.clock import clock
from pipeline.credentials.pki import ensure_pki
from pipeline.credentials.safe import safe_of
from pipeline.credentials.trust import TrustStore
from pipeline.errors import KeysUnusable, StorageFailed
from pipeline.evidence import Bundler
from pipeline.eyes import Eyes
from pipeline.gate import index_names
from pipeline.home import Home
from pipeline.imports.importer import Importer
from pipeline.incident import Incidents
from pipeline.keyring import MARKS_FILE, LiveKeyring, ensure_keyring
from pipeline.optouts.desk import Desk
from pipeline.orders import (
    LOCAL_ACCOUNT,
    NO_USE,
    Use,
)
from pipeline.past import Archive
from pipeline.release.credential import keys_now
from pipeline.retroscan import ScanReport, scan
from pipeline.review import Reviews
from pipeline.roots import with_roots
from pipeline.settings import Settings
from pipeline.sights import ensure_sealer
from pipeline.simulate import Report, Wanted, simulated
from pipeline.storage import open_store
from pipeline.texts import Texts
from pipeline.tryout import TryOut
from pipeline.types import Decision
from pipeline.undoing import Undoing
from pipeline.viewing import Viewing
from pipeline.webhooks import Courier
from pipeline.workbench import Workbench, note_signer
from pipeline.working import Working, ownership_of
from registry import log
from registry.checkpoint import NoteSigner, verifier_key
from registry.db import open_database, read
from registry.jobs import StoredJobs
from registry.segment_files import SegmentFiles
from registry.store import FileStore
from registry.types import Release
from registry.view import View


class App(Working):
    """One home, open for work."""

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
            engine=self.engine, safe=safe_of(self.settings), locks=home.locks, clock=clock,
            version=self._bench.version,
        )  # fmt: skip

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
    def undoing(self) -> Undoing:
        """What people decided on pages, and can still undo."""
        return Undoing(self._bench, self.reviews)

    @property
    def engine(self) -> Engine:
        """The registry's database, for whoever only asks it."""
        return self._bench.engine

    @property
    def staging(self) -> Path:
        """The folder for what unfinished imports have seen."""
        return Home(self._bench.settings.home).imports

    @property
    def importer(self) -> Importer:
        """Imports catalogues."""
        calibrations = self.eyes.calibrations
        return Importer(
            engine=self.engine, eyes=self.eyes, signer=self.signer, clock=self._bench.clock,
            staging=self.staging, calibrated=lambda space: space in calibrations, terms=self.settings.terms,
        )  # fmt: skip

    @property
    def settings(self) -> Settings:
        """The settings that it was opened with."""
        return self._bench.settings

    @property
    def trust(self) -> TrustStore:
        """Whose credentials are believed now. Raises: SigningFailed."""
        return keys_now(self._bench.settings).trust

    @property
    def store(self) -> FileStore:
        """The file store, for the one route that serves released files, and for evidence."""
        return self._bench.store

    def forget_index(self) -> None:
        """Delete the files of the index after an erasure: vectors stand in them until they are written anew.

        Raises: StorageFailed.
        """
        try:
            SegmentFiles(Home(self._bench.settings.home).index).remove_all()
        except OSError as error:
            raise StorageFailed(f"the index cannot be deleted ({error.strerror}); delete its files") from None

    def retroscan(self, progress: Callable[[int], None] = lambda _count: None) -> ScanReport:
        """Compare what is out with every wish since the last scan; `progress` is told how many it has."""
        return scan(self._bench, progress)

    def withdraw(self, release_id: str, why: str) -> Release:
        """Stop serving a release by hand; what was made from it becomes cases. Raises: NotFound."""
        return reinstate.withdraw(self._bench, release_id, why)

    def reinstate(self, release_id: str, why: str) -> Release:
        """Serve a withdrawn release again, if no wish forbids it. Raises: NotFound, StillForbidden."""
        return reinstate.reinstate(self._bench, release_id, why)

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
        return Archive(engine=bench.engine, sealer=bench.sealer, files=bench.settings.files)

    @property
    def asking(self) -> Asking:
        """Asks what would become of a prompt, without a job."""
        return Asking(self._bench)

    @property
    def viewing(self) -> Viewing:
        """Asks what would become of a clip, without a job."""
        return Viewing(self._bench)

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
        safe = safe_of(settings)
        ensure_keyring(home.keys, safe)
        pki = ensure_pki(home.pki, now=datetime.now(UTC), safe=safe)
        with_roots(pki.trust, settings)  # what is wrong with them is said at once
        with StoredJobs(engine, ownership_of(settings, engine), clock) as jobs:
            yield App(
                Workbench(
                    settings=settings, engine=engine, store=open_store(settings), jobs=jobs,
                    keys=LiveKeyring(safe), clock=clock,
                    version=importlib.metadata.version("countermark"), view=view,
                    eyes=eyes or Eyes.of(settings),
                    sealer=ensure_sealer(safe),
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
