"""A home with releases in it that no model had to look at: what was seen of them follows from numbers.

Releases are published through the registry with its fence, and scanned by the product; only what was seen
(`benchmarks.tools.fence_world`) was never a clip.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from classifiers import thresholds
from classifiers.base import Sight
from classifiers.sieve import skeleton
from classifiers.thresholds import Calibration
from pipeline import policy as policies
from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.credentials.safe import Safe
from pipeline.eyes import CALIBRATIONS
from pipeline.home import Home
from pipeline.settings import load
from pipeline.sights import ensure_sealer
from pipeline.types import Decision, Verdict
from registry import log, releases
from registry.counter import reserve_payload_counter
from registry.db import read
from registry.jobs import StoredJobs
from registry.looks import READING
from registry.owners import LockFiles
from registry.types import Candidate, Held, Parent, Release

NOW: Final = "2026-01-31T12:00:00Z"


class PastHome:
    """An open home; `publish` puts a release into it."""

    def __init__(self, app: App, folder: Path) -> None:
        self.app, self.home = app, Home(folder)
        self._sealer = ensure_sealer(Safe(folder=self.home.keys))
        self._jobs = StoredJobs(app.engine, LockFiles(self.home.locks), clock)
        self._made = 0

    def publish(
        self, sight: Sight, *, account: str = "account", key: str = "", policy: str = "opt-out",
        parents: Sequence[str] = (), reading: bool = True,
    ) -> Release:  # fmt: skip
        """A release of which `sight` was seen; its texts are its prompt after the turns before it."""
        self._made += 1
        engine = self.app.engine
        with read(engine) as conn:
            seen = log.registry_seq(conn)
        decision = Decision(
            verdict=Verdict.ALLOW, policy=policy, policy_version=policies.PRESETS[policy].version,
            reasons=(), checks={}, registry_seq=seen, decided_at=clock(),
        )  # fmt: skip
        *history, prompt = sight.texts or (None,)
        facts: dict[str, Any] = {
            "prompt": prompt, "history": history, "account": account, "key": key, "policy": policy,
        }  # fmt: skip
        facts |= {READING: skeleton(sight.texts)} if reading and sight.texts else {}
        job = self._jobs.submit("create/1", f"made {self._made}", {"account": account})
        digest = hashlib.sha256(job.id.encode()).hexdigest()
        reserve_payload_counter(engine)
        candidate = Candidate(
            job_id=job.id, owner=job.owner, payload=digest[:16], urn=f"urn:c2pa:{digest[:32]}",
            file_sha256=digest, manifest_sha256=digest, visible_variant=3, mark_log10_chance=-12.5,
            detected_payload=digest[:16], signer_sha256=digest, timestamped_at=NOW, reread_verdict="intact",
            fingerprint=bytes(64), decision=decision, facts=facts, sight=self._sealer.rows(sight),
            parents=tuple(Parent(release=p, relation="guard", evidence="credential") for p in parents),
        )  # fmt: skip
        made = releases.publish(
            engine, candidate, lambda _changes: decision, now=clock(), sign_checkpoint=self.app.signer
        )
        if isinstance(made, Held):
            raise RuntimeError(f"the release was held: {made.reasons}")
        return made

    def state(self, release_id: str) -> str:
        """Whether a release is released or withdrawn."""
        found = releases.get(self.app.engine, release_id)
        return str(found.state) if found else "unknown"

    def close(self) -> None:
        """Let go of the jobs' locks."""
        self._jobs.close()


@contextlib.contextmanager
def opened(
    folder: Path, calibrations: Sequence[Calibration], settings: dict[str, str] | None = None
) -> Iterator[PastHome]:
    """Open a home in `folder`, made at first, that has these calibrations."""
    place = folder / CALIBRATIONS
    place.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for calibration in calibrations:
        (place / thresholds.file_name(calibration.space)).write_bytes(thresholds.dump(calibration))
    with open_app(load(folder).model_copy(update=settings or {})) as app:
        made = PastHome(app, folder)
        try:
            yield made
        finally:
            made.close()
