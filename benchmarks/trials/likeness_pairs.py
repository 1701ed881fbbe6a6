"""Pairs of clips of which neither shows the other, and how alike fingerprint and search take them to be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.footage import Footage, planes
from benchmarks.trials.likeness import Clip
from benchmarks.trials.likeness_attacks import planes_of
from pipeline.credentials import fingerprint as prints
from pipeline.credentials.fingerprint import (
    BITS,
    MIN_OVERLAP,
    MIN_OVERLAP_SHARE,
    MIRROR,
    Fingerprint,
    Fingerprinter,
)
from pipeline.credentials.moments import Taker, with_moments
from pipeline.verify import similar
from pipeline.verify.similar import ClipQuery, Similar
from pipeline.verify.similar_index import nearest
from pipeline.verify.similar_proof import Proof, Shown, prove
from pipeline.verify.similar_query import asked, moves

CANDIDATES: Final = 12  # that are near in a crowd of few; those beyond have other pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A clip as a release and as a query."""

    clip: Clip
    fingerprint: Fingerprint
    stored: bytes
    query: ClipQuery | None


def kept(clip: Clip, footage: Footage, *, query: bool) -> Kept:
    """Play the footage once or twice; ``query``: whether it is searched for, too."""
    maker, taker = Fingerprinter(), Taker()
    for time, image in footage.play():
        y, u, v = planes(image)
        maker.add(time, y)
        taker.add(time, y, u, v)
    fingerprint, moments = maker.finish(), taker.finish()
    return Kept(
        clip=clip, fingerprint=fingerprint, stored=with_moments(fingerprint, moments),
        query=ClipQuery.from_frames(planes_of(footage)) if query else None,
    )  # fmt: skip


def distances(query: Fingerprint, stored: Sequence[Fingerprint]) -> NDArray[np.float64]:
    """`fingerprint.align(query, one).distance` for each of very many at once; NaN where it is undecided.

    Only for fingerprints of one step that is a multiple of the query's: those of clips of like length.
    """
    factor = 2 ** (stored[0].doublings - query.doublings)
    length = max(one.indices[-1] for one in stored if one.indices) + 1
    words, present = np.zeros((len(stored), length), np.uint64), np.zeros((len(stored), length), bool)
    for row, one in enumerate(stored):
        words[row, list(one.indices)], present[row, list(one.indices)] = one.hashes, True
    dense = dict(zip(query.indices, query.hashes, strict=True))
    usable = np.minimum(present.sum(axis=1), -(-len(query.indices) // factor))
    needed = np.maximum(MIN_OVERLAP, np.ceil(usable * MIN_OVERLAP_SHARE))
    best = np.full(len(stored), np.nan)
    for shift in range(-factor * (length - 1), query.indices[-1] + 1 if query.indices else 0):
        columns = [at for at in range(length) if factor * at + shift in dense]
        if len(columns) < MIN_OVERLAP:
            continue
        mine = np.array([dense[factor * at + shift] for at in columns], np.uint64)
        both = present[:, columns]
        for mask in (0, MIRROR):
            bits = np.bitwise_count(words[:, columns] ^ mine ^ np.uint64(mask))
            counts = both.sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = (bits * both).sum(axis=1) / counts / BITS
            best = np.fmin(best, np.where(counts >= needed, mean, np.nan))
    return best


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the search makes of a pair that it looks at: None where the places do not agree at all."""

    query: Clip
    other: Clip
    proof: Proof | None
    still: bool

    @property
    def same(self) -> bool:
        """Whether it says that they are the same."""
        return self.proof is not None and similar.is_same(self.proof) and not self.still


def judged(query: Kept, others: Sequence[Kept], index: Similar) -> Iterator[Judged]:
    """All of the others that the search looks at closely, were the query itself no release.

    Every candidate whose place agrees is compared at all moments, not only the likeliest.
    """
    assert query.query is not None
    wanted = asked(query.query.moments)
    if isinstance(wanted, str):
        return
    by_name = {one.clip.name: one for one in others}
    clip, still = Shown(query.query.moments), not moves(query.query.moments)
    removed = frozenset({query.clip.name})
    by_stage = [nearest(index.segments, asks, similar.RADIUS, CANDIDATES, removed) for asks in wanted.stages]
    for near in {one.name: one for stage in reversed(by_stage) for one in stage}.values():
        seen = index.glanced(clip, wanted, near)
        proof = None
        if seen is not None and seen.glance.structure >= similar.WORTH_IT:
            proof = prove(clip, seen.release, seen.glance)
        yield Judged(query=query.clip, other=by_name[near.name].clip, proof=proof, still=still)


def tail(values: NDArray[np.float64], shares: Sequence[float]) -> list[tuple[float, float]]:
    """Quantiles of what is known of the values, from the smallest."""
    known = values[~np.isnan(values)]
    return [(share, float(np.quantile(known, share))) for share in shares]


def alike(value: float) -> bool:
    """Whether a fingerprint's distance says that the clips are alike."""
    return not np.isnan(value) and value < prints.MATCH_DISTANCE
