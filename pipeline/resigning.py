"""The steps from the signature to the stored file, which begin again when their signer is revoked.

A revocation may fall between any two of them. So before the clip is read back, and once more before it is
published, the signer table is asked as it is now: a clip of a signer who is not believed any more is signed
again, by the signer who took over. What has left already is not: its verdict tells of the revocation, and a
job that goes on after that goes on with the file that left.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pipeline.errors import SigningFailed
from pipeline.release import credential
from pipeline.types import Json
from pipeline.workbench import StepRun
from registry import releases
from registry.store import Area

Again = Callable[[str, Callable[[], Json]], dict[str, Any]]
"""Runs a recorded step by its name."""


class SigningRun(StepRun):
    """The part of a job that signs."""

    def _signed_and_stored(
        self, again: Again, sign: Callable[[], Json], payload: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the steps ``sign`` and ``reread`` recorded of the signature that is believed now."""
        for turn in _turns():
            signed = again(f"sign{turn}", sign)
            if self._believed(signed):
                break
            for area, name in ((Area.HELD, "file_sha256"), (Area.MANIFESTS, "manifest_sha256")):
                self._bench.store.remove(area, signed[name])
        reread = again(f"reread{turn}", partial(self._reread, signed, payload))
        again(f"store{turn}", partial(self._store, signed))
        return signed, reread

    def _demand_believed(self, signed: dict[str, Any]) -> None:
        """Raises: SigningFailed, so that the job is tried again, where its signer was revoked meanwhile."""
        if not self._believed(signed):
            raise SigningFailed("the signer was revoked before the clip left; it is signed again: try again")

    def _believed(self, signed: dict[str, Any]) -> bool:
        released = releases.find_by_job(self._bench.engine, self._job.id)
        if released is not None:
            return bool(released.file_sha256 == signed["file_sha256"])
        return credential.believed(
            credential.keys_now(self._bench.settings), signed["signer_sha256"], signed["timestamped_at"]
        )

    def _reread(self, signed: dict[str, Any], payload: int) -> Json:
        file, limits = self._staging.path(signed["file"]), self._bench.settings.process_limits
        pki = credential.keys_now(self._bench.settings)
        return {"verdict": credential.reread(file, pki, payload, limits)}

    def _store(self, signed: dict[str, Any]) -> Json:
        store = self._bench.store
        store.put(Area.MANIFESTS, self._staging.path(signed["manifest"]), sha256=signed["manifest_sha256"])
        store.put(Area.HELD, self._staging.path(signed["file"]), sha256=signed["file_sha256"])
        return {"stored": True}


def _turns() -> Iterator[str]:
    """What the names of the steps end with: nothing at the first turn, then /r2, /r3 …"""
    yield ""
    yield from (f"/r{turn}" for turn in itertools.count(2))
