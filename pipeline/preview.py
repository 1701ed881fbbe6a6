"""A frame of a clip that is still being generated, judged as the frames of a finished clip are.

1. It is looked at for what is registered, for faces and for what is unsafe; not for words: letters that are
   half drawn say nothing.
2. One frame counts as if it were all of the clip that counts: what a clip has to reach, it has to reach less
   the margin that a single moment loses among others (`classifiers.similarity.clip_score`). So no frame stops
   what a finished clip that holds this very frame would not be stopped for.
3. Only what is found stops. A check that fails, runs out of time, is not set up or cannot compare everybody
   is left out and named, and what rests on quarantined references alone is left to the finished clip.
4. Nothing is passed by it: the finished clip is judged as if no frame had been looked at.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from classifiers.base import CheckReport, CheckState, Picture
from classifiers.similarity import Scoring
from classifiers.thresholds import FRAME_PICTURE, Calibration
from classifiers.unsafe.check import SURE
from classifiers.unsafe.taxonomy import Category, Side, code
from generator.base import Peek
from pipeline import checks
from pipeline import policy as policies
from pipeline.examine import examine
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter
from pipeline.recheck import in_full
from pipeline.texts import PREVIEW
from pipeline.types import Decision, Json, Reason, Verdict
from registry.view import Snapshot

if TYPE_CHECKING:
    from pipeline.eyes import Eyes

T = TypeVar("T")

CHECKS: Final = (policies.FRAMES, policies.UNSAFE_FRAMES, policies.LIKENESS)
OFF, REFUSE, HOLD = "off", "refuse", "hold"
"""The setting `preview`."""
SECONDS: Final = 60.0
"""Time for looking; what is not done then is not waited for."""
SKIPPED: Final = "skipped"
RATE: Final = Fraction(12)
NEARLY_LOSSLESS: Final = 4.0
_OF_CLIPS: Final = (FRAME_PICTURE, *(code(category, Side.CLIP) for category in Category))


def reports_of(
    picture: Picture, policy: policies.Policy, eyes: "Eyes", snapshot: Snapshot, texts: tuple[str, ...]
) -> tuple[CheckReport, ...]:
    """What the checks (1) that the policy asks for say of RGB ``uint8[h, w, 3]``; `texts`: of the clip."""
    seen = checks.look_at_frames(picture[None], float(RATE), eyes, SECONDS, words=False)
    sight, asked = replace(seen.sight, texts=texts), policy.only(CHECKS).required
    compared = in_full(examine(asked, sight, snapshot, OfOneFrame(eyes.calibrations)), sight, snapshot)
    failed = {report.check: report for report in seen.unfinished}
    return tuple(_counting(failed.get(report.check, report)) for report in compared)


def completed(reports: Sequence[CheckReport]) -> tuple[str, ...]:
    """The checks that can have found something (3)."""
    return tuple(report.check for report in reports if report.state is CheckState.COMPLETED)


def with_origin(decision: Decision, peek: Peek) -> Decision:
    """The decision, whose reasons say that they are about a frame on the way, and after which step."""
    told = f" Seen in a preview, after step {peek.step} of {peek.steps}."
    place: Json = {"origin": PREVIEW, "step": peek.step, "steps": peek.steps}
    return replace(decision, reasons=tuple(_placed(reason, told, place) for reason in decision.reasons))


def worthwhile(policy: policies.Policy, setting: str, *, resumable: bool) -> bool:
    """Whether a look can stop anything: pictures and faces resemble, and are never refused outright."""
    asked = policy.only(CHECKS).required
    held = setting == HOLD and resumable
    return setting != OFF and (policies.UNSAFE_FRAMES in asked or (held and bool(asked)))


def stops(decision: Decision, setting: str, *, resumable: bool) -> bool:
    """Whether to generate no further. `resumable`: once a hold is lifted there will be a clip after all."""
    held = decision.verdict is Verdict.REVIEW and setting == HOLD and resumable
    return decision.verdict is Verdict.BLOCK or held


def noted(peek: Peek, reports: Sequence[CheckReport] = (), *, seconds: float, why: str = "") -> Json:
    """What is written down of a look: ``skipped`` unless every check that was asked for completed.

    ``why``: nothing was seen, or it could not be judged; ``seconds``: that judging took.
    """
    states: Json = {report.check: str(report.state) for report in reports}
    whole = bool(reports) and len(completed(reports)) == len(reports)
    told = "; ".join(filter(None, [why or peek.skipped, *(report.detail for report in reports)]))
    return {
        "state": str(CheckState.COMPLETED) if whole else SKIPPED, "step": peek.step, "steps": peek.steps,
        "checks": states, "seconds": round(seconds, 3), "why": "" if whole else told,
    }  # fmt: skip


def looked(
    peek: Peek,
    judge: Callable[[Peek], tuple[Decision, Sequence[CheckReport]]],
    ended: Callable[[Picture, Decision, Json], T | None],
) -> tuple[Json, T | None]:
    """What is written down of a look, and what it ends the generation with, if it does.

    `judge` judges the frame; `ended` says of its picture, decision and note what comes of it. A look that
    fails stops nothing, and passes nothing.
    """
    if peek.picture is None:
        return noted(peek, seconds=0.0), None
    began = time.monotonic()
    try:
        decision, reports = judge(peek)
        told = noted(peek, reports, seconds=time.monotonic() - began)
        return told, ended(peek.picture, decision, told)
    except Exception as error:  # noqa: BLE001 - whatever fails, and wherever
        why = f"it could not be judged ({type(error).__name__})"
        return noted(peek, seconds=time.monotonic() - began, why=why), None


def write(picture: Picture, target: Path) -> None:
    """RGB ``uint8[h, w, 3]`` as a clip of one frame, for people; odd sides lose a pixel.

    Raises: StorageFailed, MediaUnsupported.
    """
    even = picture[: picture.shape[0] & ~1, : picture.shape[1] & ~1]
    info = ClipInfo(
        width=even.shape[1], height=even.shape[0], time_base=1 / RATE, frame_rate=RATE, variable=False,
        colour=BT601_LIMITED,
    )  # fmt: skip
    with ClipWriter(target, info, crf=NEARLY_LOSSLESS, preset="veryfast") as writer:
        writer.write(frame_from_rgb(even, 0, 0.0))


class OfOneFrame(Mapping[str, Calibration]):
    """Calibrations whose thresholds for clips are those for a clip of which one moment is known (2)."""

    def __init__(self, calibrations: Mapping[str, Calibration]) -> None:
        self._calibrations = calibrations

    def __getitem__(self, space: str) -> Calibration:
        found = self._calibrations[space]
        scoring = Scoring.of(found)
        margin = scoring.single_margin if scoring.support_weight else 0.0
        sure = {SURE.format(layer=name) for name in _OF_CLIPS}
        layers = {
            name: replace(layer, threshold=layer.threshold + margin) if name in _OF_CLIPS else layer
            for name, layer in found.layers.items()
        }
        numbers = {
            name: number + margin if name in sure else number for name, number in found.numbers.items()
        }
        return replace(found, layers=layers, numbers=numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._calibrations)

    def __len__(self) -> int:
        return len(self._calibrations)


def _counting(report: CheckReport) -> CheckReport:
    """Without what is in quarantine; a frame on the way has no time in the clip."""
    findings = tuple(replace(one, times=()) for one in report.findings if not one.quarantined)
    return replace(report, findings=findings)


def _placed(reason: Reason, told: str, place: Json) -> Reason:
    return replace(reason, detail=reason.detail + told, evidence={**reason.evidence, **place})
