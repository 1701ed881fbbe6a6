"""Makes material for `countermark calibrate --kind faces` of labelled photographs:

    python -m benchmarks.tools.face_folder --faces DIR --out FOLDER [--shown 1] [--conditions 5]
    countermark calibrate --kind faces --material FOLDER --false-positives 0.01

Photographs whose names begin with who is shown (`jane1.jpg`, `jane2.jpg`, `john.png`) become clips in
conditions, as strangers do that ship with scikit-image (`benchmarks.tools.face_checks`). Who is shown is
registered by other photographs of theirs; where there is none, by the same one.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2

from benchmarks.common import say, whole
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.tools.face_checks import STRANGERS_IN, Plan, conditions_of, shown_of
from benchmarks.tools.face_material import STRANGERS, Photograph, photographs, strangers
from benchmarks.tools.face_trials import FRAME_RATE, TRIALS, FaceTrial, frames_of
from classifiers.faces_dlib import DlibFaces


def make(folder: Path, out: Path, plan: Plan) -> int:
    """Write the material; how many clips there are. Raises: FileNotFoundError for a folder without any."""
    faces = DlibFaces()
    known = photographs(folder, faces)
    shown = shown_of(known, plan)
    clips = 0
    for number, one in enumerate(shown):
        place = out / "registered" / one.who
        mine = [other for other in known if other.who == one.who]
        _pictures([other for other in mine if other not in shown] or mine, place / "pictures")
        clips += _clips(one, conditions_of(number, plan), place / "shows")
        say(f"{number + 1} of {len(shown)}: {one.name}")
    for one in strangers(faces)[: plan.strangers]:
        trials = [trial for trial in TRIALS if trial.name in STRANGERS_IN]
        clips += _clips(one, trials, out / "strangers" / "shows")
    return clips


def _pictures(photographs_of: Sequence[Photograph], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in photographs_of:
        cv2.imwrite(str(folder / f"{one.name}.png"), cv2.cvtColor(one.picture, cv2.COLOR_RGB2BGR))


def _clips(one: Photograph, trials: Sequence[FaceTrial], folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for trial in trials:
        file = folder / f"{one.name}, {trial.name}.mp4"
        write_clip(frames_of(one.picture, one.box, trial), file, FRAME_RATE, trial.crf)
    return len(trials)


def main() -> None:
    """Make the folder and say what is in it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="photographs, named after who is shown")
    parser.add_argument("--out", type=Path, required=True, help="a folder that is made")
    parser.add_argument("--shown", type=whole(1), help="photographs of each person that become clips")
    parser.add_argument("--conditions", type=whole(1), help="conditions that each of them is shown in")
    parser.add_argument("--strangers", type=whole(1), default=STRANGERS, help="strangers that are shown")
    given = parser.parse_args()
    if not given.faces.is_dir():
        parser.error(
            f"{given.faces} is no folder; name one of photographs whose names begin with who is shown"
        )
    plan = Plan(shown=given.shown, conditions=given.conditions, strangers=given.strangers)
    say(f"{make(given.faces, given.out, plan)} clips in {given.out}")


if __name__ == "__main__":
    main()
