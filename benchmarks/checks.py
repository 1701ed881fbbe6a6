"""What the checks of clips find, and what they hold by mistake: `python -m benchmarks.checks --clips DIR`.

1. Twenty drawn designs are registered by six pictures each. Clips of them in other poses, places and styles,
   of strangers, of look-alikes with one attribute changed and of empty scenes are coded as files and checked
   as a clip is; so are the real clips of --clips. Several rounds, each with other designs.
2. Drawn frames by anchors: a colour histogram and the same CLIP untrained, each with a threshold of its own
   from a calibration made the same way.
3. A photograph's portrait, in many conditions, as clips; with --faces, also photographs whose file names
   begin with who is shown (`benchmarks.tools.face_checks` has the rules).
4. Drawn characters that fill a tenth and a twentieth of the frame.
5. A real film character, beside four other ways to compare (`benchmarks.tools.real_character`).
6. Names that stand in frames, and words of nobody's.
7. What looking at a clip costs, part by part, and how fast a large CLIP embeds.

Drawn figures say nothing about production material.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.calibrate import SEED
from benchmarks.common import Conditions, Row, commit, machine, once, options, present, rate, say, whole
from benchmarks.tools import (
    drawn_checks,
    face_checks,
    face_rows,
    look_cost,
    real_character,
    shown_words,
    small_figures,
)
from benchmarks.tools.drawn_trials import draw_trial
from benchmarks.tools.plain_references import Pictures, PlainReferences
from classifiers import clip_source, thresholds
from classifiers.drawn import spaces_of
from classifiers.embed import OpenClipEmbedder
from classifiers.faces import FaceFinder
from classifiers.faces_dlib import DlibFaces
from classifiers.reader import WordReader
from classifiers.similarity import check_frames
from classifiers.thresholds import FRAME_PICTURE, Calibration
from pipeline import checks
from pipeline.media.types import MediaLimits

DESIGNS: Final = 20
EMPTY, BRIEF = 6, 10
FIRST_SEED: Final = 1_000
"""The calibration's seeds begin far behind."""
ANCHOR_GROUPS: Final = 3
FALSE_SHARE: Final = 0.04
UNTRAINED_SEED: Final = 3
PARTS: Final = ("frames", "anchors", "faces", "small", "real", "words", "cost", "large")


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """The models of this run."""

    clip: OpenClipEmbedder
    faces: FaceFinder
    words: WordReader


def main() -> None:
    """Measure and print."""
    given = _options()
    at_commit = commit()
    eyes = Eyes(clip=OpenClipEmbedder(), faces=DlibFaces(), words=WordReader())
    rows = machine()
    if "frames" in given.parts:
        rows += _frame_rows(given, eyes)
    if "anchors" in given.parts:
        rows += _anchors(given.rounds)
    if "faces" in given.parts:
        rows += _face_rows(given, eyes)
    rows += _more(given, eyes)
    present("checks", rows, at_commit, as_json=given.json)


def _options() -> Any:
    parser = options(__doc__, clips=True)
    parser.add_argument("--rounds", type=whole(1), default=3, help="rounds of twenty designs")
    parser.add_argument(
        "--small-rounds", type=whole(1), default=10, help="rounds of twenty designs, drawn small"
    )
    parser.add_argument("--faces", type=_folder, help="folder of photographs, named after who is shown")
    parser.add_argument("--strangers", type=whole(1), default=50, help="strangers whose faces become clips")
    parser.add_argument(
        "--shown", type=whole(1), help="photographs of each person that become clips; default: all"
    )
    parser.add_argument(
        "--conditions", type=whole(1), help="conditions that each photograph is shown in; default: all"
    )
    parser.add_argument("--parts", default=",".join(PARTS), type=_parts, help="what to measure")
    return parser.parse_args()


def _folder(told: str) -> Path:
    folder = Path(told).absolute()
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(
            f"{folder} is no folder; name one of photographs whose names begin with who is shown "
            "(jane1.jpg, jane2.jpg, john.png), or leave it out for the one that ships"
        )
    return folder


def _parts(told: str) -> list[str]:
    named = told.split(",")
    if unknown := sorted(set(named) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return named


def _more(given: Any, eyes: Eyes) -> list[Row]:
    rows: list[Row] = []
    calibration = thresholds.load(eyes.clip.space)
    told = _conditions(calibration)
    if "small" in given.parts:
        rows += small_figures.rows(given.small_rounds, DESIGNS, eyes, calibration, told, say)
    if "real" in given.parts:
        rows += real_character.rows(given.clips, eyes.clip, untrained(), calibration, say)
    if "words" in given.parts:
        rows += shown_words.rows(given.clips, eyes.words, say) + shown_words.reading_rows(eyes.words)
    if "cost" in given.parts:
        rows += look_cost.cost_rows(given.clips, eyes)
    if "large" in given.parts:
        rows += look_cost.large_rows()
    return rows


def _frame_rows(given: Any, eyes: Eyes) -> list[Row]:
    calibration = thresholds.load(eyes.clip.space)
    told = _conditions(calibration)
    rows: list[Row] = []
    every: list[drawn_checks.Checked] = []
    for number in range(given.rounds):
        say(f"round {number + 1} of {given.rounds}")
        trial = draw_trial(FIRST_SEED + number, designs=DESIGNS, empty=EMPTY, brief=BRIEF)
        references = drawn_checks.references_of(trial, eyes.clip)
        found = list(drawn_checks.checked(trial, references, eyes, calibration, say))
        every += found
        if number == 0:
            rows += drawn_checks.rows(found, {**told, "rounds": 1})
            rows += drawn_checks.frame_rows(found, references, calibration, told)
            rows += _real_rows(given.clips, references, eyes, calibration, told)
    more = drawn_checks.rows(every, {**told, "rounds": given.rounds}) if given.rounds > 1 else []
    return [*rows, *more]


def _conditions(calibration: Calibration) -> dict[str, str | int | float]:
    return {
        "designs registered": DESIGNS, "space": calibration.space,
        "calibration": f"version {calibration.version}, {calibration.made['date']}",
        "threshold": calibration.layer(FRAME_PICTURE).threshold,
        "threshold set for": calibration.made["threshold"],
    }  # fmt: skip


def _real_rows(
    clips: Sequence[Path], references: PlainReferences, eyes: Eyes, calibration: Calibration, told: Conditions
) -> list[Row]:
    rows, released = [], 0
    for path in clips:
        looked = checks.look(path, eyes, MediaLimits())
        report = check_frames(looked.sight, references, {calibration.space: calibration})
        released += not report.findings and not looked.unfinished
        best = report.scores[FRAME_PICTURE]
        rows.append(once("best score of a real clip", best, "score", {**told, "clip": path.name}))
        say(f"  {path.name}: {best:.3f}")
    return [rate("real clips released", released, len(clips), told), *rows]


def _anchors(rounds: int) -> list[Row]:
    seeds = [FIRST_SEED + number for number in range(rounds)]
    calibration_seeds = [SEED + number for number in range(ANCHOR_GROUPS)]
    rows: list[Row] = []
    anchors: dict[str, Pictures] = {
        "colour histogram": drawn_checks.ColourHistogram(), "untrained CLIP": untrained(),
    }  # fmt: skip
    for name, anchor in anchors.items():
        say(name)
        rows += drawn_checks.anchor_rows(name, anchor, seeds, calibration_seeds, FALSE_SHARE)
    return rows


def untrained() -> OpenClipEmbedder:
    """The embedded model's shape with random weights."""
    import tempfile

    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = Path(tempfile.mkdtemp(prefix="untrained-"))
    for file in clip_source.EMBEDDED.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    torch.manual_seed(UNTRAINED_SEED)
    settings = json.loads((folder / clip_source.CONFIG).read_text())["model_cfg"]
    model = open_clip.model.CLIP(**settings)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return OpenClipEmbedder(folder)


def _face_rows(given: Any, eyes: Eyes) -> list[Row]:
    calibrations = [thresholds.load(space) for space in spaces_of(eyes.faces.space)]
    say("faces")
    plan = face_checks.Plan(shown=given.shown, conditions=given.conditions, strangers=given.strangers)
    return face_rows.rows(face_checks.measured(given.faces, eyes.faces, say, plan), calibrations)


if __name__ == "__main__":
    main()
