"""A `resolving.Search` by the index of everything that was released (`pipeline.verify.similar`).

1. Where the pictures prove that a clip shows releases, those are its matches, and nothing that only looks
   like it. Without a proof (a single picture, no motion, a changed part) those are that look the same.
2. A fingerprint's value proves nothing: the releases within `similar.PRINT_DISTANCE`, the nearest first.
3. The index looks at few: 24 by value are the most (`similar.LOADED`), by a clip or a picture 8 (`PROVED` in
   each of two stages).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.credentials import fingerprint as prints
from pipeline.home import Home
from pipeline.settings import Settings
from pipeline.verify.content import SAME_STRUCTURE
from pipeline.verify.observe import Observation
from pipeline.verify.resolving import Match
from pipeline.verify.similar import ClipQuery, Confirmed, Hit, Similar
from pipeline.verify.similar_releases import SimilarReleases
from registry.lookup import Lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """``lookup`` must be open as long as somebody searches."""

    similar: Similar
    lookup: Lookup

    @classmethod
    def of(cls, settings: Settings, lookup: Lookup) -> "Index":
        """The index of a registry as of now. Raises: RegistryBehind, RegistryError."""
        releases = SimilarReleases(lookup, settings.database, Home(settings.home).similar)
        return cls(similar=releases.current(), lookup=lookup)

    def clip(self, observation: Observation, most: int) -> Sequence[Match]:
        """Those that a clip shows, or looks like (1)."""
        return self._shown(ClipQuery(fingerprint=observation.fingerprint, moments=observation.moments), most)

    def value(self, query: prints.Fingerprint, most: int) -> Sequence[Match]:
        """Those whose fingerprint is like this one (2)."""
        return [*self._matches(self.similar.by_fingerprint(query.to_bytes(), most).hits)]

    def picture(self, luma: prints.Luma, most: int) -> Sequence[Match]:
        """Those that a picture looks like a moment of (1)."""
        even = luma[: luma.shape[0] // 2 * 2, : luma.shape[1] // 2 * 2]
        return self._shown(ClipQuery.from_frames([(0.0, even, None, None)]), most)

    def _shown(self, query: ClipQuery, most: int) -> Sequence[Match]:
        hits = self.similar.search(query, most).hits
        proven = [hit for hit in hits if hit.confirmed is Confirmed.SAME]
        alike = [hit for hit in hits if hit.structure is not None and hit.structure >= SAME_STRUCTURE]
        return [*self._matches(proven or alike)]

    def _matches(self, hits: Sequence[Hit]) -> Iterator[Match]:
        for hit in hits:
            release = self.lookup.find(release_id=hit.release)
            if release is not None:
                yield Match.of(release, hit.distance, proven=hit.confirmed is Confirmed.SAME)
