"""From what a clip shows, compared with what a release shows, to what the ladder is told.

The rules, where the clip bears the release's mark:
1. What the moments say counts: same, or other.
2. Where they cannot decide, or the release has none (it is older), a fingerprint that is another clip's
   counts only if the mark lies as it was drawn: a fingerprint does not survive a strong crop, a mark does.
3. A fingerprint that is alike never makes it the same: clips of one generator are.
Where no mark leads to the release but our own credential does, the fingerprint alone counts.
"""

from dataclasses import dataclass
from typing import Final

from pipeline.credentials import fingerprint as prints
from pipeline.credentials import moments
from pipeline.verify import content
from pipeline.verify.content import Content, ContentMatch
from pipeline.verify.ladder import FingerprintMatch
from pipeline.verify.observe import Observation

LIKELY: Final = 40  # alignments in time by which periods of the carrier are chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A clip against a release: its `match` in all, and what that rests on.

    ``alignments``: in time, the best first. ``content``: None where no mark says how the clip lies on it, or
    the release has no moments.
    """

    match: FingerprintMatch
    alignments: tuple[prints.Alignment, ...]
    content: ContentMatch | None = None


def compare(observation: Observation, stored: bytes, *, marked: bool) -> Compared:
    """Compare what a clip shows with what a release stores (`moments.with_moments`), by the rules above.

    ``marked``: the clip bears a mark that leads to this release. Raises: UsageError for bytes of no release.
    """
    kept, shown = moments.stored(stored)
    geometry = observation.detection.geometry if observation.detection else None
    query = observation.fingerprint.paced(geometry.speed if geometry else 1.0)
    alignments = prints.alignments(query, kept)
    alike = fingerprint_match(alignments)
    if geometry is None or not marked:
        return Compared(match=alike, alignments=alignments)
    found = None
    if shown is not None:
        likely = [alignment.offset for alignment in alignments[:LIKELY]]
        found = content.compare(observation.moments, shown, geometry, likely)
    match = content_match(found, alike, in_place=geometry.untouched)
    return Compared(match=match, alignments=alignments, content=found)


def fingerprint_match(alignments: tuple[prints.Alignment, ...]) -> FingerprintMatch:
    """What the best alignment says; between alike and another clip's, nothing."""
    if not alignments or prints.MATCH_DISTANCE <= alignments[0].distance < prints.OTHER_DISTANCE:
        return FingerprintMatch.UNDECIDED
    same = alignments[0].distance < prints.MATCH_DISTANCE
    return FingerprintMatch.SAME if same else FingerprintMatch.OTHER


def content_match(found: ContentMatch | None, alike: FingerprintMatch, *, in_place: bool) -> FingerprintMatch:
    """The rules above. `in_place`: the mark says that the picture was neither moved, turned nor cut."""
    if found is not None and found.content is Content.SAME:  # 1
        return FingerprintMatch.SAME
    if found is not None and found.content is Content.OTHER:
        return FingerprintMatch.OTHER
    if alike is FingerprintMatch.OTHER and in_place:  # 2
        return FingerprintMatch.OTHER
    return FingerprintMatch.UNDECIDED  # 3
