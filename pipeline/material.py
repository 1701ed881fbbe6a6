"""What a clip is made from besides its prompt: pictures and clips that are given to a generator.

1. Each is read by another process under limits, as any file of a stranger is; what cannot be read is refused.
2. It is looked at as frames of a clip are, and compared before anything is drawn. What an eye missed holds.
3. Words that stand in it are texts beside the prompt: what is written in a picture may be drawn.
4. What was seen is kept with the clip that is made from it, so that the publish fence and the retro-scan
   compare it too: a clip made from a picture of somebody concerns them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from classifiers.base import CheckReport, Kind, Sight
from classifiers.words import texts_in
from pipeline import checks
from pipeline import policy as policies
from pipeline.examine import Calibrations, examine
from pipeline.media.types import MediaLimits
from pipeline.pictures.header import is_picture
from pipeline.pictures.reader import load_picture, read_all
from pipeline.pictures.types import GIVEN, PictureFile
from pipeline.recheck import in_full
from pipeline.texts import PICTURE
from pipeline.types import Decision, Reason
from registry.view import Snapshot

TOLD: Final = " It is in a picture or clip that this one is made from."


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What was seen of it, the words in it, and a report for each check whose eye failed."""

    sight: Sight
    words: tuple[str, ...] = ()
    unfinished: tuple[CheckReport, ...] = ()


def look_at_material(paths: Sequence[Path], eyes: checks.Eyes, limits: MediaLimits) -> Material:
    """Look at files, each a picture (PNG, JPEG, WebP) or a clip.

    Raises: PictureRefused, MediaUnreadable, MediaUnsupported, LimitExceeded, SandboxFailed for one that
    cannot be read.
    """
    pictures = [path for path in paths if is_picture(path)]
    looks = [checks.look(path, eyes, limits) for path in paths if path not in pictures]
    if pictures:
        looks.append(checks.look_at_pictures([read.rgb for read in read_all(_named(pictures), GIVEN)], eyes))
    sight = Sight(seen=tuple(seen for look in looks for seen in look.sight.seen))
    unfinished = tuple(report for look in looks for report in look.unfinished)
    return Material(sight=sight, words=words_in(sight), unfinished=unfinished)


def _named(pictures: Sequence[Path]) -> Iterator[PictureFile]:
    """The pictures, called as whoever gave them knows them: staging has names of its own."""
    for number, path in enumerate(pictures, start=1):
        name = "the picture" if len(pictures) == 1 else f"picture {number}"
        yield replace(load_picture(path, GIVEN), name=name)


def words_in(sight: Sight) -> tuple[str, ...]:
    """The words that were read in pictures, a text for each picture or moment."""
    return tuple(text for seen in sight.of(Kind.WORDS) for text in dict.fromkeys(texts_in([seen])))


def reports_of(
    material: Material, policy: policies.Policy, snapshot: Snapshot, calibrations: Calibrations
) -> tuple[CheckReport, ...]:
    """What the checks of clips that the policy asks for say of it; an eye that failed counts."""
    asked = policy.only(policies.CLIP_CHECKS).required
    compared = in_full(examine(asked, material.sight, snapshot, calibrations), material.sight, snapshot)
    failed = {report.check: report for report in material.unfinished}
    return tuple(failed.get(report.check, report) for report in compared)


def with_origin(decision: Decision) -> Decision:
    """The decision, whose reasons say that they are about the material and not about the clip."""
    return replace(decision, reasons=tuple(map(_told, decision.reasons)))


def _told(reason: Reason) -> Reason:
    return replace(reason, detail=reason.detail + TOLD, evidence={**reason.evidence, "origin": PICTURE})
