"""Makes the calibration of an embedding space from the drawn world: `python -m benchmarks.calibrate`.

1. Groups of twenty designs are registered by six pictures and a description each.
2. For frames: clips of them, of strangers and of empty scenes, by the same functions that check a clip. For
   prompts: captions of them and of strangers, and ordinary prompts where a file of them is given.
3. A threshold is where the given share of what shows or describes a stranger would be held or refused, with
   twenty subjects registered; ordinary prompts may be refused still more rarely.
4. The curve from score to probability is a logistic regression with both sides weighing the same.

Only designs of other seeds than those of `benchmarks.checks` are used. Without --out, the file replaces the
one that ships for the embedded model.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import ROOT, commit, say
from benchmarks.tools.drawn_trials import REGISTERED, UNREGISTERED, DrawnClip, Trial, draw_trial, picture_of
from benchmarks.tools.plain_references import Pictures, PlainReferences
from classifiers.base import Embedder, Kind, Seen, Vectors
from classifiers.descriptions import SURE
from classifiers.embed import OpenClipEmbedder
from classifiers.sampling import REGIONS, cut_out
from classifiers.similarity import (
    COHORT_NEAREST,
    COHORT_WEIGHT,
    SINGLE_MARGIN,
    SUPPORT_MOMENTS,
    SUPPORT_WEIGHT,
    Scoring,
    clip_score,
    subject_moments,
)  # fmt: skip
from classifiers.thresholds import (
    FRAME_PICTURE,
    PROMPT_DESCRIPTION,
    PROMPT_PICTURE,
    Calibration,
    Layer,
    dump,
    file_name,
)  # fmt: skip
from classifiers.wording import CLIP_WINDOW, windows
from generator.embedded.world.design import random_design
from generator.embedded.world.scene import random_scene
from generator.embedded.world.words import captions, describe

SHIPPED: Final = ROOT / "classifiers" / "calibrations"
VERSION: Final = 1
SEED: Final = 71_000
"""Groups have this seed and the next ones; `benchmarks.checks` stays below it."""
DESIGNS: Final = 20
MOMENTS: Final = 10
COHORT: Final = 320
EMPTY_SHARE: Final = 5  # one picture of the cohort in so many shows nobody
SCORING: Final = Scoring(cohort_weight=0.25, cohort_nearest=20, support_weight=0.5, support_moments=3)
ORDINARY_REFUSED: Final = 0.002
SURE_SHARE: Final = 0.005
"""Share of strangers from whose score on a prompt's finding is sure: look-alikes are described alike."""
ROUNDS, RIDGE = 50, 1e-3


@dataclass(slots=True)
class Scores:
    """Scores of what shows the subject it is compared with, of strangers, and of ordinary prompts."""

    own: list[float] = field(default_factory=list)
    strangers: list[float] = field(default_factory=list)
    ordinary: list[float] = field(default_factory=list)


@dataclass(slots=True)
class ClipScores:
    """Scores of moments, best first: of a clip's own subject, of every subject for a stranger's clip."""

    own: list[list[float]] = field(default_factory=list)
    strangers: list[list[list[float]]] = field(default_factory=list)

    def scoring(self, false_share: float) -> Scoring:
        """`SCORING`, with the margin that makes a single moment as rarely wrong as several together."""
        single = [max(moments[0] for moments in each) for each in self.strangers]
        together = self.scored(SCORING).strangers
        margin = float(np.quantile(single, 1 - false_share) - np.quantile(together, 1 - false_share))
        return replace(SCORING, single_margin=round(max(0.0, margin), 4))

    def scored(self, scoring: Scoring) -> Scores:
        """The scores of the clips."""
        return Scores(
            own=[clip_score(moments, scoring) if moments else -1.0 for moments in self.own],
            strangers=[max(clip_score(moments, scoring) for moments in each) for each in self.strangers],
        )


def calibrate(
    clip: Embedder, *, groups: int, false_share: float, prompts: Sequence[str], made: Mapping[str, str]
) -> Calibration:
    """Measure a space; see the module."""
    cohort = _cohort(clip)
    scores = {layer: Scores() for layer in (PROMPT_PICTURE, PROMPT_DESCRIPTION)}
    clips = ClipScores()
    parts = [part for prompt in prompts for part in windows(prompt, CLIP_WINDOW)]
    ordinary = clip.embed_texts(parts) if parts else np.zeros((0, cohort.shape[1]), np.float32)
    for number in range(groups):
        say(f"group {number + 1} of {groups}")
        trial = draw_trial(SEED + number, designs=DESIGNS)
        pictures = np.stack([clip.embed_images(own) for own in trial.pictures])
        _frames(clip, trial, pictures, cohort, clips)
        _prompts(clip, trial, pictures, ordinary, np.random.default_rng(SEED - 1 - number), scores)
    scoring = clips.scoring(false_share)
    scores[FRAME_PICTURE] = clips.scored(scoring)
    layers = {name: fitted(found, false_share) for name, found in scores.items()}
    told = {
        f"{name} found": f"{_share(found.own, layers[name]):.3f} of {len(found.own)}"
        for name, found in scores.items()
    }
    return Calibration(
        space=clip.space, version=VERSION, made={**made, **told}, layers=layers, cohort=cohort,
        numbers=_numbers(scoring, scores),
    )  # fmt: skip


def _numbers(scoring: Scoring, scores: Mapping[str, Scores]) -> dict[str, float]:
    sure = {
        SURE.format(layer=name): fitted(scores[name], SURE_SHARE).threshold
        for name in (PROMPT_PICTURE, PROMPT_DESCRIPTION)
    }
    return {
        COHORT_WEIGHT: scoring.cohort_weight, COHORT_NEAREST: scoring.cohort_nearest,
        SUPPORT_WEIGHT: scoring.support_weight, SUPPORT_MOMENTS: scoring.support_moments,
        SINGLE_MARGIN: scoring.single_margin, **sure,
    }  # fmt: skip


def _cohort(clip: Embedder) -> Vectors:
    rng = np.random.default_rng(SEED - 500)
    shown = (random_design(rng) if number % EMPTY_SHARE else None for number in range(COHORT))
    vectors = clip.embed_images([picture_of(design, rng) for design in shown])
    return np.asarray(vectors.astype(np.float16), dtype=np.float32)  # as the file keeps it


def _frames(clip: Embedder, trial: Trial, pictures: Vectors, cohort: Vectors, scores: ClipScores) -> None:
    references = PlainReferences(clip.space, Kind.PICTURE, {str(n): own for n, own in enumerate(pictures)})
    for drawn in trial.clips:
        if drawn.kind not in (REGISTERED, UNREGISTERED):
            continue
        found = subject_moments(seen_of(drawn, clip), references, SCORING, cohort)
        each = {subject: [moment.score for moment in moments] for subject, moments in found.items()}
        if drawn.kind == REGISTERED:
            scores.own.append(each.get(str(drawn.owner), []))
        else:
            scores.strangers.append(list(each.values()))


def seen_of(drawn: DrawnClip, clip: Pictures) -> Seen:
    """What is seen of a drawn clip, as of a file."""
    moments = list(drawn.moments(MOMENTS))
    vectors = clip.embed_images([cut_out(frame, box) for _, frame in moments for box in REGIONS])
    return Seen(
        kind=Kind.FRAME, space=clip.space, vectors=vectors,
        times=tuple(at for at, _ in moments for _ in REGIONS), boxes=REGIONS * len(moments),
    )  # fmt: skip


def _prompts(
    clip: Embedder, trial: Trial, pictures: Vectors, ordinary: Vectors, rng: np.random.Generator,
    scores: Mapping[str, Scores],
) -> None:  # fmt: skip
    described = clip.embed_texts([describe(design, rng) for design in trial.designs])[:, None]
    own = np.stack([clip.embed_texts(captions(design, random_scene(rng), rng)) for design in trial.designs])
    strangers = np.concatenate(
        [clip.embed_texts(captions(random_design(rng), random_scene(rng), rng)) for _ in trial.designs]
    )
    for layer, rows in ((PROMPT_PICTURE, pictures), (PROMPT_DESCRIPTION, described)):
        scores[layer].own += [
            float(value) for number, said in enumerate(own) for value in (said @ rows[number].T).max(axis=1)
        ]
        flat = rows.reshape(-1, rows.shape[-1])
        scores[layer].strangers += (strangers @ flat.T).max(axis=1).tolist()
        if len(ordinary):
            scores[layer].ordinary += (ordinary @ flat.T).max(axis=1).tolist()


def fitted(scores: Scores, false_share: float) -> Layer:
    """Threshold and curve of a layer."""
    threshold = float(np.quantile(scores.strangers, 1 - false_share))
    if scores.ordinary:
        threshold = max(threshold, float(np.quantile(scores.ordinary, 1 - ORDINARY_REFUSED)))
    slope, intercept = logistic(np.array(scores.own), np.array(scores.strangers))
    return Layer(threshold=round(threshold, 6), slope=round(slope, 4), intercept=round(intercept, 4))


def logistic(own: NDArray[np.float64], others: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of a logistic regression, both sides weighing the same; Newton's method."""
    values = np.concatenate([own, others])
    truth = np.concatenate([np.ones(len(own)), np.zeros(len(others))])
    weights = np.where(truth == 1, 0.5 / len(own), 0.5 / len(others))
    middle, spread = float(values.mean()), float(values.std()) or 1.0
    design = np.stack([(values - middle) / spread, np.ones(len(values))], axis=1)
    solution = np.zeros(2)
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(design @ solution, -30, 30)))
        gradient = design.T @ (weights * (chance - truth)) + RIDGE * solution
        curvature = (design * (weights * chance * (1 - chance))[:, None]).T @ design + RIDGE * np.eye(2)
        solution -= np.linalg.solve(curvature, gradient)
    slope = float(solution[0] / spread)
    return slope, float(solution[1] - slope * middle)


def _share(values: Iterable[float], layer: Layer) -> float:
    return float(np.mean([value >= layer.threshold for value in values]))


def _texts(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield str(json.loads(line)["text"])


def main() -> None:
    """Make the file and say where it is."""
    given = _options()
    begun = time.monotonic()
    clip = OpenClipEmbedder(given.model, tag=given.tag) if given.model else OpenClipEmbedder()
    prompts = list(_texts(given.prompts)) if given.prompts else []
    calibration = calibrate(
        clip, groups=given.groups, false_share=given.false_share, prompts=prompts,
        made=_made(given, clip.name, len(prompts)),
    )  # fmt: skip
    if given.out is None and given.model is None:
        for older in SHIPPED.glob("clip-*.json"):
            older.unlink()
    target = (given.out or SHIPPED) / file_name(clip.space)
    target.write_bytes(dump(calibration))
    say(f"{target}: {time.monotonic() - begun:.0f} s")
    layers = {name: asdict(layer) for name, layer in calibration.layers.items()}
    print(json.dumps({"made": dict(calibration.made), "layers": layers}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the calibration of an embedding space.")
    parser.add_argument("--model", help="open_clip model: a folder or a name; default: the embedded one")
    parser.add_argument("--tag", default="", help="tag of a named model")
    parser.add_argument("--groups", type=int, default=10, help="groups of twenty designs")
    parser.add_argument("--false-share", type=float, default=0.04, help="of strangers that may be held")
    parser.add_argument("--prompts", type=Path, help="ordinary prompts, a JSON object with `text` a line")
    parser.add_argument("--out", type=Path, help="folder; default: that of the calibrations that ship")
    return parser.parse_args()


def _made(given: argparse.Namespace, model: str, prompts: int) -> dict[str, str]:
    # Folders of this machine are nobody's business.
    told = [Path(part).name if "/" in part else part for part in sys.argv[1:]]
    return {
        "command": shlex.join(["python", "-m", "benchmarks.calibrate", *told]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(),
        "model": Path(model).name if "/" in model else model,
        "data": f"{given.groups} groups of {DESIGNS} drawn designs, seeds from {SEED}; {prompts} ordinary "
        "prompts; the drawn world says nothing about production material",
        "threshold": f"{given.false_share:g} of strangers held with {DESIGNS} subjects registered; prompts: "
        f"also at most {ORDINARY_REFUSED:g} of the ordinary ones",
    }  # fmt: skip


if __name__ == "__main__":
    main()
