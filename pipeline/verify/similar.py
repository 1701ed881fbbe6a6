"""Which releases a clip shows, among all of them, without a mark or a credential: by its pictures.

1. The query is looked at in several ways: whole, without bars, as a picture in a picture, without the part in
   which captions stand, plain and mirrored (`similar_query`).
2. Its keys are compared with those of all releases, then with those of their parts (`similar_index`).
3. The nearest are loaded, and their moments laid under the query (`similar_places`, `similar_proof`).
4. A hit is `same` where the pictures prove it, `undecided` otherwise. A query that cannot be says why.

An index knows what releases show, nothing else: whether one is withdrawn, its registry says.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from pipeline.credentials import fingerprint as prints
from pipeline.credentials import moments as shown
from pipeline.credentials.fingerprint import Fingerprint
from pipeline.credentials.moments import Moments
from pipeline.verify.content import SAME_MOMENT, SAME_STRUCTURE
from pipeline.verify.similar_index import Ask, Near, Segment, joined, merged, nearest
from pipeline.verify.similar_keys import WINDOWS, stored_keys
from pipeline.verify.similar_proof import LEAST_MOMENTS, Glance, Proof, Shown, Start, glance, prove
from pipeline.verify.similar_query import FLAT, PLAIN, STILL, Asked, ClipQuery, asked, asked_by_print, moves

__all__ = ["FLAT", "PLAIN", "STILL", "ClipQuery", "Confirmed", "Found", "Hit", "Similar"]

Load = Callable[[str], bytes | None]

RADIUS: Final = 10  # of the 44 signs of a query's key
PRINT_RADIUS: Final = 16  # of the 64 of a fingerprint's
LOADED: Final = 24  # candidates of a stage that are loaded and glanced at
PROVED: Final = 4  # of those, how many are compared at all moments
WORTH_IT: Final = 0.4  # structure at one moment below which a candidate is not
ALIKE: Final = 0.5  # structure below which a candidate is no hit
LARGE: Final = 1 << 15  # and of one that is not merged any more

# Calibrated in benchmarks/fingerprint.py; docs/adr/0063 has the figures.
SAME_SHARE: Final = 0.8  # of the shorter one; less is another cut, or what comes before or after
SAME_MOTION: Final = 0.8
SAME_DIFFERS: Final = 1.6


class Confirmed(StrEnum):
    """What the pictures say of a hit."""

    SAME = "same"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A release that the query may show.

    ``distance``: mean share of differing signs, 0 … 1 (of the query's clear ones; of all 64 for a
    fingerprint). ``offset_seconds``: seconds of the release at the query's start; ``speed``: seconds of the
    release for one of the query. ``structure``: how well the pictures correlate, 0 … 1; None where only
    fingerprints were compared.
    """

    release: str
    distance: float
    mirrored: bool
    offset_seconds: float
    speed: float = 1.0
    structure: float | None = None
    confirmed: Confirmed = Confirmed.UNDECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Hits, the best first. ``undecided``: why none can be `same` (`FLAT`, `PLAIN`, `STILL`), or empty."""

    hits: tuple[Hit, ...]
    undecided: str = ""


class Similar:
    """An index of releases in memory. Any number of threads may search while one adds and removes.

    ``load``: gives what a release stores (`moments.with_moments`), None where it is gone.
    """

    def __init__(self, load: Load, segments: Iterable[Segment] = ()) -> None:
        self._load = load
        self._segments: tuple[Segment, ...] = tuple(segments)
        self._removed: frozenset[str] = frozenset()

    def add(self, release_id: str, stored: bytes) -> None:
        """Take in a release; again changes nothing. Raises: UsageError for bytes that are no fingerprint."""
        self.add_all([(release_id, stored)])

    def add_all(self, releases: Iterable[tuple[str, bytes]]) -> None:
        """Take in many at once, which is much faster. Raises: as `add`, before anything is taken in."""
        keyed = [(name, stored_keys(*shown.stored(stored))) for name, stored in releases]
        if keyed:
            names = [name for name, _ in keyed]
            self._removed -= frozenset(names)
            self._segments = _compact((*self._segments, joined(names, [keys for _, keys in keyed])))

    def remove(self, release_id: str) -> None:
        """Leave a release out of all answers from now on."""
        self._removed |= {release_id}

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What is in memory."""
        return self._segments

    def search(self, query: ClipQuery, most: int) -> Found:
        """The releases that the query may show, at most `most` of them."""
        wanted = asked(query.moments)
        if isinstance(wanted, str):
            return Found(hits=(), undecided=wanted)
        clip, still = Shown(query.moments), not moves(query.moments)
        hits: dict[str, Hit] = {}
        for asks in wanted.stages:
            for hit in self._stage(clip, wanted, asks, still=still):
                hits[hit.release] = min(hit, hits.get(hit.release, hit), key=_rank)
            if any(hit.confirmed is Confirmed.SAME for hit in hits.values()):
                break
        found = sorted(hits.values(), key=_rank)[:most]
        return Found(hits=tuple(found), undecided=STILL if still else "")

    def by_fingerprint(self, content: bytes, most: int) -> Found:
        """The releases whose fingerprint is like this one's, at most `most`: never more than undecided.

        Raises: UsageError for bytes that are no fingerprint of a known version.
        """
        query = Fingerprint.from_bytes(content)
        wanted = asked_by_print(query)
        if isinstance(wanted, str):
            return Found(hits=(), undecided=wanted)
        near = nearest(self._segments, wanted.stages[0], PRINT_RADIUS, LOADED, self._removed)
        found = sorted((hit for one in near if (hit := self._aligned(query, one.name))), key=_rank)
        return Found(hits=tuple(found[:most]))

    def _stage(self, clip: Shown, wanted: Asked, asks: Sequence[Ask], *, still: bool) -> list[Hit]:
        near = nearest(self._segments, asks, RADIUS, LOADED, self._removed)
        seen = [one for one in (self.glanced(clip, wanted, candidate) for candidate in near) if one]
        seen = [one for one in seen if one.glance.structure >= WORTH_IT]
        seen.sort(key=lambda one: (-one.glance.structure, one.name))
        return [hit for one in seen[:PROVED] if (hit := _hit(clip, one, still=still))]

    def glanced(self, clip: Shown, wanted: Asked, near: Near) -> "Seen | None":
        """A candidate loaded and laid at one moment; None where it is gone or has no moments."""
        stored = self._load(near.name)
        release = shown.stored(stored)[1] if stored is not None else None
        if release is None or not release.taken:
            return None
        look = wanted.looks[near.way]
        start = Start(part=look.part, window=WINDOWS[near.window], mirrored=look.mirrored)
        return Seen(near.name, release, glance(clip, release, start))

    def _aligned(self, query: Fingerprint, name: str) -> Hit | None:
        stored = self._load(name)
        found = prints.align(query, shown.stored(stored)[0]) if stored is not None else None
        if found is None or found.distance >= prints.OTHER_DISTANCE:
            return None
        return Hit(
            release=name, distance=found.distance, mirrored=found.mirrored, offset_seconds=found.offset
        )


class Seen(NamedTuple):
    """A candidate, loaded and laid at one moment."""

    name: str
    release: Moments
    glance: Glance


def _hit(clip: Shown, one: Seen, *, still: bool) -> Hit | None:
    proof = prove(clip, one.release, one.glance)
    if proof is None or proof.structure < ALIKE:
        return None
    return Hit(
        release=one.name, distance=one.glance.distance, mirrored=one.glance.start.mirrored,
        offset_seconds=proof.line.offset, speed=proof.line.speed, structure=proof.structure,
        confirmed=Confirmed.SAME if is_same(proof) and not still else Confirmed.UNDECIDED,
    )  # fmt: skip


def is_same(proof: Proof) -> bool:
    """Whether the pictures prove that the clip shows the release (4)."""
    return (
        proof.moments >= LEAST_MOMENTS
        and proof.share >= SAME_SHARE and proof.structure >= SAME_STRUCTURE and proof.least >= SAME_MOMENT
        and proof.motion is not None and proof.motion >= SAME_MOTION
        and proof.differs is not None and proof.differs < SAME_DIFFERS
    )  # fmt: skip


def _rank(hit: Hit) -> tuple[bool, float, float, str]:
    return hit.confirmed is not Confirmed.SAME, -(hit.structure or 0.0), hit.distance, hit.release


def _compact(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """With the last ones merged until each is larger than what follows, or large enough."""
    kept = list(segments)
    while len(kept) > 1 and len(kept[-2].names) < LARGE and len(kept[-2].names) < 2 * len(kept[-1].names):
        kept[-2:] = [merged(kept[-2:])]
    return tuple(kept)
