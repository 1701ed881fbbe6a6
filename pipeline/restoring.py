"""A home that was brought back from a backup, before it is used again.

1. The whole log is recomputed: what came back is one piece.
2. Payloads that were given out after the backup stand in clips that are in the world and that this registry
   has forgotten. None of them may be given to another clip, so that the counter jumps over them.
3. Every release that may be served has its file, and every release its manifest. What is lacking is told; it
   is served and recovered again when it is put back.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from registry import log
from registry.counter import skip_payload_counters
from registry.db import read
from registry.errors import NotFound
from registry.releases import list_releases
from registry.store import Area, FileStore
from registry.types import ReleaseState

SKIPPED: Final = 1 << 24
"""Payloads that are not given out any more: more than any service makes between two backups, and few of the
2^40 that there are.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was found: entries of the log, releases, and the ids of those that lack something."""

    entries: int
    releases: int
    without_file: tuple[str, ...]
    without_manifest: tuple[str, ...]


def restored(engine: Engine, store: FileStore) -> Restored:
    """Go through the rules above. Raises: `registry.errors.RegistryError`, `StorageAway` too."""
    with read(engine) as conn:
        log.audit(conn)  # 1
        entries = log.head(conn)
    skip_payload_counters(engine, SKIPPED)  # 2
    files, manifests = list[str](), list[str]()
    before, count = None, 0
    while page := list_releases(engine, before=before):
        before, count = page[-1].id, count + len(page)
        for release in page:
            if release.state is ReleaseState.RELEASED and not _has(store, Area.RELEASED, release.file_sha256):
                files.append(release.id)
            if not _has(store, Area.MANIFESTS, release.manifest_sha256):
                manifests.append(release.id)
    return Restored(
        entries=entries, releases=count, without_file=tuple(files), without_manifest=tuple(manifests)
    )


def _has(store: FileStore, area: Area, digest: str) -> bool:
    try:
        store.open(area, digest).close()
    except NotFound:
        return False
    return True
