"""The check of likeness on photographs of known persons, each made a clip in many conditions.

1. Each photograph becomes a clip in each condition (`face_trials`), coded as H.264 and looked at as any clip.
   Strangers of a dependency, from whom nothing was learnt, become clips in some.
2. The one shown is registered by other photographs of theirs; where there is none, by the same one, and the
   row says which; what is drawn of a portrait at registration is registered with it. A frame in which no face
   was found counts as missed.
3. A *pair* is a frame in which a face was found and a person who is registered and is not the one shown. It
   is false where any face of the frame reaches any threshold of any space for any portrait of that person.
4. Once at the thresholds of the calibrations; once with all of them moved alike until no pair is false.

All faces are those of photographs. Frames of them count as real, also small, dark or covered; what is turned
about an ellipsoid or drawn by a filter counts as rendered, and apart.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Conditions, Row, once, rate
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.tools.face_material import STRANGERS, Photograph, photographs, strangers
from benchmarks.tools.face_styles import KEPT_APART, LEARNT
from benchmarks.tools.face_trials import DRAWN, FRAME_RATE, TRIALS, TURNED, FaceTrial, frames_of
from classifiers.base import Kind, Sight, Vectors
from classifiers.drawn import spaces_of
from classifiers.faces import FaceFinder
from classifiers.thresholds import FACE_PORTRAIT, Calibration
from pipeline import checks
from pipeline.media.types import MediaLimits

OTHER, SAME, NOBODY = "another photograph", "the same photograph", "nothing"
STRANGERS_IN: Final = (
    "panned", "40 pixels", "coded at crf 38", "stylization", "pencil", "cartoon", "oil",
)  # fmt: skip
"""Conditions in which strangers are shown."""
REAL, RENDERED = "real", "rendered"
Portraits = Mapping[str, Vectors]
"""By space: ``float32[n, d]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A clip: ``own``: of each space and frame the distance to the one shown, infinite where no face was
    found; ``others``: of each space, frame with a face and other person the distance.
    """

    trial: FaceTrial
    registered: str
    own: NDArray[np.float64]
    others: NDArray[np.float64]


def measured(
    folder: Path | None, eyes: checks.Eyes, faces: FaceFinder, say: Callable[[str], None],
    most_strangers: int = STRANGERS,
) -> list[Measured]:  # fmt: skip
    """Look at every photograph in every condition."""
    known = photographs(folder, faces)
    unknown = strangers(faces)[:most_strangers]
    say(f"{len(known)} photographs, {len(unknown)} strangers in whom a face is found")
    spaces = spaces_of(faces.space)
    found = []
    for one in [*known, *unknown]:
        say(f"  {one.name}")
        theirs = [other for other in known if other.who == one.who and other.name != one.name]
        registered = OTHER if theirs else SAME
        own = theirs or [one]
        if one in unknown:
            own, registered = [], NOBODY
        names = sorted({other.who for other in known} - {one.who})
        others = [[other for other in known if other.who == who] for who in names]
        trials = [trial for trial in TRIALS if registered != NOBODY or trial.name in STRANGERS_IN]
        for trial in trials:
            frames = list(_frames(_look(one, trial, eyes), spaces))
            seen = [frame for frame in frames if len(frame[0])]
            found.append(
                Measured(
                    trial=trial, registered=registered,
                    own=_table(frames, [own], spaces)[:, :, 0] if own else np.zeros((len(spaces), 0)),
                    others=_table(seen, others, spaces),
                )
            )  # fmt: skip
    return found


def _look(photograph: Photograph, trial: FaceTrial, eyes: checks.Eyes) -> Sight:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        write_clip(frames_of(photograph.picture, photograph.box, trial), file, FRAME_RATE, trial.crf)
        looked = checks.look(file, eyes, MediaLimits())
    assert not looked.unfinished, looked.unfinished
    return looked.sight


def _frames(sight: Sight, spaces: Sequence[str]) -> Iterator[list[Vectors]]:
    """Of each frame that was searched, the vectors of its faces in each space."""
    times = sorted({time for seen in sight.of(Kind.FRAME) for time in seen.times})
    if len(times) > checks.FACE_FRAMES:
        times = [times[round(place)] for place in np.linspace(0, len(times) - 1, checks.FACE_FRAMES)]
    seen = {one.space: one for one in sight.of(Kind.FACE)}
    for time in times:
        rows = [row for row, at in enumerate(seen[spaces[0]].times) if abs(at - time) < 1e-6]
        yield [seen[space].vectors[rows] for space in spaces]


def _table(
    frames: Sequence[list[Vectors]], persons: Sequence[Sequence[Photograph]], spaces: Sequence[str]
) -> NDArray[np.float64]:
    """Distances ``[spaces, frames, persons]``."""
    table = np.full((len(spaces), len(frames), len(persons)), np.inf)
    for place, space in enumerate(spaces):
        registered = [np.concatenate([one.portraits[space] for one in person]) for person in persons]
        for row, frame in enumerate(frames):
            for column, vectors in enumerate(registered):
                if len(frame[place]):
                    apart = np.linalg.norm(frame[place][:, None] - vectors[None], axis=2)
                    table[place, row, column] = apart.min()
    return table


def rows(found: Sequence[Measured], calibrations: Sequence[Calibration]) -> list[Row]:
    """``calibrations``: of each space, in order."""
    thresholds = np.array([-one.layer(FACE_PORTRAIT).threshold for one in calibrations])
    made: list[Row] = []
    for name, material, part in (
        ("photographs", REAL, [one for one in found if one.trial.group not in (DRAWN, TURNED)]),
        ("photographs turned about an ellipsoid", RENDERED, _of(found, TURNED)),
        ("photographs drawn by a filter", RENDERED, _of(found, DRAWN)),
    ):
        if part:
            made += _part_rows(part, thresholds, {"material": material, "frames": name})
    return made


def _of(found: Sequence[Measured], group: str) -> list[Measured]:
    return [one for one in found if one.trial.group == group]


def _margins(distances: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the best space is inside its threshold, without the first axis."""
    shape = (-1,) + (1,) * (distances.ndim - 1)
    return np.asarray((thresholds.reshape(shape) - distances).max(axis=0), np.float64)


def _part_rows(found: Sequence[Measured], thresholds: NDArray[np.float64], told: Conditions) -> list[Row]:
    pairs = np.concatenate([_margins(one.others, thresholds).ravel() for one in found])
    worst = float(pairs.max())
    at = {**told, "thresholds": " and ".join(f"{one:.3g}" for one in thresholds)}
    clean = {**at, "thresholds": f"moved by {-worst:+.3f}: none of {len(pairs)} pairs false"}
    made = [
        rate("pairs of a frame and another person, false", int((pairs >= 0).sum()), len(pairs), at),
        once("nearest other person, beyond the threshold", -worst, "distance", {**told, "pairs": len(pairs)}),
    ]  # fmt: skip
    for registered in (OTHER, SAME):
        some = [one for one in found if one.registered == registered]
        by = {"registered by": registered}
        for name, beyond, how in (("", 0.0, at), (", at 0 false pairs", np.nextafter(worst, 2.0), clean)):
            if some:
                made += _found_rows(some, thresholds, beyond, name, {**how, **by})
    for group, those in _groups(found):
        made += _frame_rows(those, thresholds, 0.0, "", {**at, **group})
    return made


def _groups(found: Sequence[Measured]) -> Iterator[tuple[Conditions, list[Measured]]]:
    """By group and by condition, whoever is shown and however registered."""
    mine = [one for one in found if one.registered != NOBODY]
    for group in dict.fromkeys(one.trial.group for one in mine):
        if group not in (DRAWN, TURNED):
            yield {"group": group}, _of(mine, group)
    for styles, told in ((LEARNT, "filters learnt from"), (KEPT_APART, "filters kept apart")):
        those = [one for one in mine if one.trial.name in styles]
        if those:
            yield {"group": told}, those
    for name in dict.fromkeys(one.trial.name for one in mine):
        yield {"condition": name}, [one for one in mine if one.trial.name == name]


def _found_rows(
    found: Sequence[Measured], thresholds: NDArray[np.float64], beyond: float, name: str, told: Conditions
) -> list[Row]:
    """By frame and by clip: a clip is found where one of its frames is."""
    hits = [bool((_margins(one.own, thresholds) >= beyond).any()) for one in found]
    clips = rate(f"person found in a clip{name}", sum(hits), len(hits), told)
    return [*_frame_rows(found, thresholds, beyond, name, told), clips]


def _frame_rows(
    found: Sequence[Measured], thresholds: NDArray[np.float64], beyond: float, name: str, told: Conditions
) -> list[Row]:
    own = np.concatenate([_margins(one.own, thresholds) for one in found])
    return [rate(f"person found in a frame{name}", int((own >= beyond).sum()), len(own), told)]
