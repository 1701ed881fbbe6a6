"""From what a clip shows, compared with what a release shows, to what the ladder is told.

The rules, where the clip bears the release's mark:
1. What the moments say counts: same, or other.
2. Where they cannot decide, or the release has none (it is older), a fingerprint that is another clip's
   counts only if the mark lies as it was drawn: a fingerprint does not survive a strong crop, a mark does.
3. A fingerprint that is alike never makes it the same: clips of one generator are.
Where no mark leads to the release but our own credential does, the fingerprint alone counts.
"""

from pipeline.credentials import fingerprint as prints
from pipeline.verify.content import Content, ContentMatch
from pipeline.verify.ladder import FingerprintMatch


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
