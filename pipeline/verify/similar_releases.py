"""The index of everything that a registry released, kept current by following its log.

1. Whoever searches asks for the current state; the registry is asked each time whether there is more.
2. New releases are read in batches, in the order of the log, and become a segment; small segments are merged.
3. Segments are kept in files (`similar_files`), so a start reads only what came since.
4. A registry with another history than the one a segment is of (a backup that was restored) is read anew.
5. What cannot be caught up with in time raises: no answer would look like "not found".
6. Withdrawn releases stay: that a clip was ours is no less true. Whoever shows hits asks for the state.
7. A release whose fingerprint cannot be read cannot be found; how many there are is told.

    with open_lookup(settings.database) as lookup:
        index = SimilarReleases(lookup, settings.database, home.similar).current()
        found = index.search(ClipQuery.from_frames((f.time, f.y, f.u, f.v) for f in clip.frames()), most=10)
"""

import logging
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Final

from pipeline.credentials import moments
from pipeline.errors import UsageError
from pipeline.verify.similar import Similar
from pipeline.verify.similar_files import Ranged, SimilarFiles
from pipeline.verify.similar_index import joined, merged
from pipeline.verify.similar_keys import NONE, Keys, stored_keys
from registry.errors import RegistryBehind
from registry.lookup import Lookup

BATCH: Final = 256  # releases read at a time
SAVED: Final = 1 << 10  # releases of a segment from which it is kept in a file
LARGE: Final = 1 << 16  # and from which it is not merged any more
WAIT_SECONDS: Final = 20.0
KEPT: Final = 4  # registries whose index a process keeps; a service has one

log = logging.getLogger("countermark.verify")


class SimilarReleases:
    """The index of a registry. `where`: the registry, for which the process keeps one index for all checks.

    ``folder``: where segments are kept (`Home.similar`), None for nowhere.
    """

    def __init__(self, lookup: Lookup, where: Path | str, folder: Path | None = None) -> None:
        self._lookup, self._kept = lookup, _kept(where, folder)

    def current(self, wait: float = WAIT_SECONDS) -> Similar:
        """The index as of now, to be used while the lookup is open.

        Raises: RegistryBehind when it cannot catch up within `wait` seconds (it has got further, ask again);
        RegistryError when the registry cannot be read.
        """
        ranges = self._kept.current(self._lookup, wait)
        return Similar(self._stored, [one.segment for one in ranges])

    @property
    def unreadable(self) -> int:
        """Releases read by this process that cannot be found by content."""
        return self._kept.unreadable

    def _stored(self, release_id: str) -> bytes | None:
        found = self._lookup.find(release_id=release_id)
        return bytes(found.fingerprint) if found else None


class _Kept:
    def __init__(self, folder: Path | None) -> None:
        self._files = SimilarFiles(folder) if folder is not None else None
        self._lock, self._ranges, self._loaded = threading.Lock(), list[Ranged](), False
        self._saved: set[tuple[int, int]] = set()
        self.unreadable = 0

    def current(self, lookup: Lookup, wait: float) -> tuple[Ranged, ...]:
        until = time.monotonic() + wait
        if not self._lock.acquire(timeout=wait):  # whoever comes meanwhile waits instead of reading it too
            raise _behind()
        try:
            self._load()
            self._check_history(lookup)
            self._follow(lookup, until)
            return tuple(self._ranges)
        finally:
            self._lock.release()

    def _load(self) -> None:
        if not self._loaded and self._files is not None:
            self._ranges = self._files.load()
            self._saved = {(one.after, one.upto) for one in self._ranges}
        self._loaded = True

    def _check_history(self, lookup: Lookup) -> None:
        """Drop what is of another history, from its first segment on."""
        if not self._ranges or lookup.leaf(self._ranges[-1].upto) == self._ranges[-1].leaf:
            return
        kept = 0
        while kept < len(self._ranges) and lookup.leaf(self._ranges[kept].upto) == self._ranges[kept].leaf:
            kept += 1
        for one in self._ranges[kept:]:
            self._forget(one)
        self._ranges = self._ranges[:kept]

    def _follow(self, lookup: Lookup, until: float) -> None:
        while True:
            at = self._ranges[-1].upto if self._ranges else 0
            batch = lookup.stored_after(at, BATCH)
            if not batch:
                return
            upto = batch[-1][0]
            keys = [self._keys(name, content) for _, name, content in batch]
            segment = joined([name for _, name, _ in batch], keys)
            self._ranges.append(Ranged(after=at, upto=upto, leaf=lookup.leaf(upto), segment=segment))
            self._compact()
            if time.monotonic() > until and len(batch) == BATCH:
                raise _behind()

    def _keys(self, name: str, content: bytes) -> Keys:
        try:
            return stored_keys(*moments.stored(content))
        except UsageError:
            self.unreadable += 1
            log.warning("Release %s cannot be found by content: its fingerprint cannot be read.", name)
            return NONE

    def _compact(self) -> None:
        while len(self._ranges) > 1:
            one, other = self._ranges[-2:]
            if len(one.segment.names) >= min(LARGE, 2 * len(other.segment.names)):
                break
            whole = Ranged(
                after=one.after, upto=other.upto, leaf=other.leaf,
                segment=merged([one.segment, other.segment]),
            )  # fmt: skip
            self._ranges[-2:] = [whole]
            self._save(whole)
            self._forget(one)
            self._forget(other)

    def _save(self, ranged: Ranged) -> None:
        if self._files is None or len(ranged.segment.names) < SAVED:
            return
        try:
            self._files.save(ranged)
            self._saved.add((ranged.after, ranged.upto))
        except OSError as error:
            log.warning("The index by content cannot be kept (%s): the next start makes it again.", error)

    def _forget(self, ranged: Ranged) -> None:
        where = (ranged.after, ranged.upto)
        if self._files is not None and where in self._saved:
            self._saved.discard(where)
            self._files.remove(ranged)


def _behind() -> RegistryBehind:
    return RegistryBehind(
        "The index by content has not caught up with the registry yet; ask again in a minute."
    )


@lru_cache(maxsize=KEPT)
def _kept(_where: Path | str, folder: Path | None) -> _Kept:
    return _Kept(folder)
