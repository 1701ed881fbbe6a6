"""The check of likeness on photographs of known persons, each made a clip in many conditions.

1. Photographs become clips in conditions (`face_trials`), coded as H.264 and looked at as any clip; each in
   all of them, or in so many, so that every condition has as many. Strangers of a dependency, from whom
   nothing was learnt, become clips in some.
2. The one shown is registered by other photographs of theirs; where there is none, by the same one, and the
   row says which; what is drawn of a portrait at registration is registered with it. A frame in which no face
   was found counts as missed.
3. A *pair* is a frame in which a face was found and a person who is registered and is not the one shown. It
   is false where any face of the frame reaches any threshold of any space for any portrait of that person.
4. Once at the thresholds of the calibrations; once with all of them moved alike until no pair is false
   (`face_rows` has the figures).

All faces are those of photographs. Frames of them count as real, also small, dark or covered; what is turned
about an ellipsoid or drawn by a filter counts as rendered, and apart.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.tools.drawn_trials import write_clip
from benchmarks.tools.face_material import STRANGERS, Photograph, photographs, strangers
from benchmarks.tools.face_trials import FRAME_RATE, TRIALS, FaceTrial, frames_of
from classifiers.base import Kind, Sight, Vectors
from classifiers.drawn import spaces_of
from classifiers.faces import FaceFinder
from pipeline import checks
from pipeline.calibrating.measure import Unasked
from pipeline.media.types import MediaLimits

OTHER, SAME, NOBODY = "another photograph", "the same photograph", "nothing"
STRANGERS_IN: Final = (
    "panned", "40 pixels", "coded at crf 38", "stylization", "pencil", "cartoon", "oil",
)  # fmt: skip
"""Conditions in which strangers are shown."""
STRIDE: Final = 7
"""From one photograph's first condition to the next one's: prime to the number of conditions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured: photographs of each person that are shown, conditions that each is shown in
    (None: all), strangers that are shown.
    """

    shown: int | None = None
    conditions: int | None = None
    strangers: int = STRANGERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A clip of ``who``: ``own``: of each space and frame the distance to the one shown, infinite where no
    face was found; ``others``: of each space, frame with a face and other person (``names``) the distance.
    ``grey``: persons of whom all photographs are.
    """

    who: str
    trial: FaceTrial
    registered: str
    own: NDArray[np.float64]
    others: NDArray[np.float64]
    names: tuple[str, ...]
    grey: frozenset[str] = frozenset()


class FacesOnly:
    """Eyes that look for faces alone."""

    def __init__(self, faces: checks.Faces) -> None:
        self.clip, self.faces, self.words = Unasked(), faces, Unasked()


def measured(
    folder: Path | None, faces: FaceFinder, say: Callable[[str], None], plan: Plan | None = None
) -> list[Measured]:
    """Look at photographs in conditions, as `plan` says."""
    plan = plan or Plan()
    known, unknown = photographs(folder, faces), strangers(faces)[: plan.strangers]
    persons = sorted({one.who for one in known})
    say(f"{len(known)} photographs of {len(persons)} persons, {len(unknown)} strangers with a face found")
    grey = frozenset(who for who in persons if all(one.grey for one in known if one.who == who))
    shown = [(one, conditions_of(number, plan)) for number, one in enumerate(shown_of(known, plan))]
    shown += [(one, [trial for trial in TRIALS if trial.name in STRANGERS_IN]) for one in unknown]
    found = []
    for number, (one, trials) in enumerate(shown):
        say(f"  {number + 1} of {len(shown)}: {one.name}")
        found += [_measured(one, trial, known, faces, grey) for trial in trials]
    return found


def shown_of(known: Sequence[Photograph], plan: Plan) -> list[Photograph]:
    """Those that become clips: of each person the first ones."""
    persons = sorted({one.who for one in known})
    return [one for who in persons for one in [one for one in known if one.who == who][: plan.shown]]


def conditions_of(number: int, plan: Plan) -> list[FaceTrial]:
    """Those that the photograph of this number is shown in: in turn, so that each has as many."""
    count = len(TRIALS) if plan.conditions is None else min(plan.conditions, len(TRIALS))
    return [TRIALS[(number * count + at) * STRIDE % len(TRIALS)] for at in range(count)]


def _measured(
    one: Photograph, trial: FaceTrial, known: Sequence[Photograph], faces: FaceFinder, grey: frozenset[str]
) -> Measured:
    spaces = spaces_of(faces.space)
    theirs = [other for other in known if other.who == one.who]
    others = sorted({other.who for other in known} - {one.who})
    portraits = [[other for other in known if other.who == who] for who in others]
    own = [other for other in theirs if other.name != one.name] or theirs
    frames = list(_frames(_look(one, trial, FacesOnly(faces)), spaces))
    seen = [frame for frame in frames if len(frame[0])]
    registered = NOBODY if not theirs else SAME if own == theirs else OTHER
    return Measured(
        who=one.who, trial=trial, registered=registered, names=tuple(others), grey=grey,
        own=_table(frames, [own], spaces)[:, :, 0] if own else np.zeros((len(spaces), 0)),
        others=_table(seen, portraits, spaces),
    )  # fmt: skip


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
    seen = {one.space: one for one in sight.of(Kind.FACE)}
    for time in checks.spread(times, checks.FACE_FRAMES):
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
