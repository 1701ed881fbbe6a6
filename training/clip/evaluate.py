"""How well the small CLIP tells registered characters from all others, on designs it was never trained on.

Usage: ``python -m training.clip.evaluate [MODEL_FOLDER] [--clips 200] [--seed 7] [--json]`` prints the
rows of the issue's table, each with n and a 95 % interval.

1. A hundred designs are registered by six pictures each.
2. Clips in other scenes are drawn: of them, of look-alikes with one attribute changed, of other designs
   (twice as many), of empty scenes, and some in each finish that no caption names. Four frames, cut as the
   product cuts them.
3. A clip's score for a design is the highest cosine over frames, regions and references (``best``), or as the
   product scores it, with a cohort and several moments (``product``).
4. The threshold is where one in a hundred clips of other designs passes for one of the hundred.

Everything is drawn; the figures say nothing about other pictures.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import Conditions, Row, commit, present, rate
from classifiers.sampling import cut_out, regions_of
from classifiers.similarity import Scoring, clip_score, nearness
from generator.embedded.world.design import Design, random_design, variant_of
from generator.embedded.world.finish import FINISHES, finished
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import STYLES, Scene, random_scene
from generator.embedded.world.words import captions, describe
from training.clip.batches import prepared
from training.clip.cache import squeezed
from training.clip.vocabulary import CONTEXT, tokenizer

if TYPE_CHECKING:
    from open_clip.model import CLIP

Picture = NDArray[np.uint8]
Vectors = NDArray[np.float32]

SHIPPED: Final = Path(__file__).resolve().parents[2] / "classifiers" / "embedded"
REGISTERED, LOOK_ALIKE, OTHER, EMPTY = "registered", "look-alike", "other", "empty"
DESIGNS: Final = 100
REFERENCES: Final = 6
FRAMES: Final = 4
COHORT: Final = 160
SIZE: Final = (320, 180)
FALSE_RATE, VARIANT_RATE, TEXT_RATE = 0.01, 0.05, 0.05
# The share of registered clips that a threshold should find, by the table.
FOUND_RATE: Final = 0.8
# As benchmarks.calibrate sets it for the product.
PRODUCT: Final = Scoring(cohort_weight=0.25, cohort_nearest=20, support_weight=0.5, support_moments=3)
SCORINGS: Final = {"best": Scoring(), "product": PRODUCT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Designs and clips to be told apart: pictures ``uint8[clips, frames, regions, side, side, 3]``, whose
    they are (-1: nobody's), of which kind and in which style; texts with the design that they describe.
    """

    references: Picture
    cohort: Picture
    clips: Picture
    owners: NDArray[np.int64]
    kinds: NDArray[np.str_]
    styles: NDArray[np.str_]
    texts: list[tuple[int, str]]

    @classmethod
    def drawn(cls, *, seed: int, registered: int, clips: int, frames: int, finish_clips: int = 0) -> "Trial":
        """So many designs, clips of each kind (others: twice as many), and clips in each finish."""
        rng = np.random.default_rng(seed)
        known = [random_design(rng) for _ in range(registered)]
        references = [_picture(design, rng) for design in known for _ in range(REFERENCES)]
        cohort = [_picture(random_design(rng) if index % 5 else None, rng) for index in range(COHORT)]
        shown: list[Picture] = []
        owners, kinds, styles = [], [], []
        for kind, design, owner, finish in _wanted(known, clips, finish_clips, rng):
            scene = random_scene(rng)
            shown.append(clip_views(design, scene, frames, rng, finish))
            owners.append(owner)
            kinds.append(kind)
            styles.append(finish or scene.style)
        return cls(
            references=np.stack(references), cohort=np.stack(cohort), clips=np.stack(shown),
            owners=np.array(owners), kinds=np.array(kinds), styles=np.array(styles),
            texts=list(_texts(known, clips, rng)),
        )  # fmt: skip


def _wanted(
    known: list[Design], clips: int, finish_clips: int, rng: np.random.Generator
) -> Iterator[tuple[str, Design | None, int, str]]:
    for index in range(clips):
        number = index % len(known)
        yield REGISTERED, known[number], number, ""
        yield LOOK_ALIKE, variant_of(known[number], rng), number, ""
        yield OTHER, random_design(rng), -1, ""
        yield OTHER, random_design(rng), -1, ""
        if index % 4 == 0:
            yield EMPTY, None, -1, ""
    for index in range(finish_clips):
        for place, finish in enumerate(FINISHES):
            number = (index * len(FINISHES) + place) % len(known)
            yield REGISTERED, known[number], number, finish
            yield OTHER, random_design(rng), -1, finish


def _texts(known: list[Design], others: int, rng: np.random.Generator) -> Iterator[tuple[int, str]]:
    for number, design in enumerate(known):
        yield number, describe(design, rng)
        yield number, captions(design, random_scene(rng), rng)[1]
    for _ in range(others):
        yield -1, captions(random_design(rng), random_scene(rng), rng)[1]


def _picture(design: Design | None, rng: np.random.Generator) -> Picture:
    frame = render_frame(design, random_scene(rng), width=240, height=240, time=float(rng.uniform(0, 3)))
    return squeezed(frame.picture)


def clip_views(
    design: Design | None, scene: Scene, frames: int, rng: np.random.Generator, finish: str = ""
) -> Picture:
    """The regions of some frames of a clip, ``uint8[frames, regions, side, side, 3]``."""
    begin = float(rng.uniform(0, 1))
    views = []
    for index in range(frames):
        time = begin + index * 2.0 / max(1, frames)
        frame = render_frame(design, scene, width=SIZE[0], height=SIZE[1], time=time)
        picture = finished(frame, finish) if finish else frame.picture
        views.append(np.stack([squeezed(part) for part in regions(picture)]))
    return np.stack(views)


def regions(frame: Picture) -> list[Picture]:
    """The parts of a frame that are looked at."""
    return [cut_out(frame, box) for box in regions_of(frame.shape[1], frame.shape[0])]


def vectors(model: "CLIP", pictures: Picture, size: int = 128) -> Vectors:
    """Unit vectors ``float32[n, d]`` of pictures ``uint8[n, side, side, 3]``."""
    with torch.inference_mode():
        parts = [
            model.encode_image(prepared(pictures[at : at + size]), normalize=True)
            for at in range(0, len(pictures), size)
        ]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def text_vectors(model: "CLIP", texts: list[str]) -> Vectors:
    """Unit vectors ``float32[n, d]`` of texts."""
    words = tokenizer()
    words.enable_truncation(CONTEXT)
    words.enable_padding(length=CONTEXT, pad_id=0, pad_token="<pad>")  # noqa: S106 (a token of text)
    coded = torch.tensor([coding.ids for coding in words.encode_batch(texts)])
    with torch.inference_mode():
        return np.asarray(model.encode_text(coded, normalize=True).numpy(), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a model makes of a trial: ``float32[clips, designs]`` for each scoring, and of the texts."""

    trial: Trial
    scores: dict[str, Vectors]
    texts: Vectors

    @classmethod
    def by(cls, model: "CLIP", trial: Trial) -> "Judged":
        """Embed everything once."""
        references = vectors(model, trial.references)
        cohort = vectors(model, trial.cohort)
        shape = trial.clips.shape[:3]
        seen = vectors(model, trial.clips.reshape(-1, *trial.clips.shape[3:]))
        cosines = (seen @ references.T).reshape(len(seen), -1, REFERENCES).max(axis=2)
        scores = {}
        for name, scoring in SCORINGS.items():
            counted = cosines - nearness(seen, cohort, scoring)[:, None]
            moments = counted.reshape(*shape, -1).max(axis=2)
            scores[name] = _clip_scores(moments, scoring)
        said = text_vectors(model, [text for _, text in trial.texts]) @ references.T
        return cls(trial=trial, scores=scores, texts=said.reshape(len(said), -1, REFERENCES).max(axis=2))

    def threshold(self, scoring: str) -> float:
        """Where `FALSE_RATE` of the clips of other designs, without finishes, pass."""
        return float(np.quantile(self.scores[scoring][self._plain(OTHER)].max(axis=1), 1 - FALSE_RATE))

    def strict(self, scoring: str) -> float:
        """The threshold that also at most `VARIANT_RATE` of the look-alikes pass."""
        level = float(np.quantile(self._own(scoring, self._plain(LOOK_ALIKE)), 1 - VARIANT_RATE))
        return max(level, self.threshold(scoring))

    def useful(self, scoring: str) -> float:
        """The threshold that `FOUND_RATE` of registered clips pass, and at most `FALSE_RATE` of others."""
        level = float(np.quantile(self._own(scoring, self._plain(REGISTERED)), 1 - FOUND_RATE))
        return max(level, self.threshold(scoring))

    def rows(self, told: Conditions) -> list[Row]:
        """Every figure; see the module."""
        made = []
        for scoring in SCORINGS:
            made += self._open_set({**told, "scoring": scoring}, scoring)
        return [*made, *self._text_rows(told)]

    def _open_set(self, told: Conditions, scoring: str) -> list[Row]:
        level, strict, useful = self.threshold(scoring), self.strict(scoring), self.useful(scoring)
        registered, strangers = self._plain(REGISTERED), self._plain(OTHER)
        told = {**told, "threshold": round(level, 3), "strangers' clips": int(strangers.sum())}
        first = self.scores[scoring].argmax(axis=1) == self.trial.owners
        tight = {**told, "threshold": round(strict, 3)}
        made = [
            _share("recall@1, clip", first[registered], told),
            _share("open-set TPR at 1 % FPR, clip", self._own(scoring, registered) > level, told),
            _share(
                "one-attribute variants accepted at 1 % FPR",
                self._own(scoring, self._plain(LOOK_ALIKE)) > level,
                told,
            ),
            _share(
                f"one-attribute variants accepted, {FOUND_RATE:.0%} found",
                self._own(scoring, self._plain(LOOK_ALIKE)) > useful,
                {**told, "threshold": round(useful, 3)},
            ),
            _share(
                f"open-set TPR, variants accepted at most {VARIANT_RATE:.0%}",
                self._own(scoring, registered) > strict,
                tight,
            ),
        ]
        for style in (*STYLES, *FINISHES):
            there = (self.trial.kinds == REGISTERED) & (self.trial.styles == style)
            if there.any():
                by_style = {**told, "style": style}
                made.append(
                    _share("open-set TPR at 1 % FPR, clip", self._own(scoring, there) > level, by_style)
                )
        for kind, those in ((OTHER, self._finished(OTHER)), (EMPTY, self._plain(EMPTY))):
            if those.any():
                over = self.scores[scoring][those].max(axis=1) > level
                named = "of other designs in finishes" if kind == OTHER else "of empty scenes"
                made.append(_share(f"clips {named} over the threshold", over, told))
        return made

    def _text_rows(self, told: Conditions) -> list[Row]:
        owners = np.array([owner for owner, _ in self.trial.texts])
        level = float(np.quantile(self.texts[owners < 0].max(axis=1), 1 - TEXT_RATE))
        own = owners >= 0
        right = self.texts[own, owners[own]]
        return [
            _share("recall@1, description to pictures", self.texts[own].argmax(axis=1) == owners[own], told),
            _share("descriptions found at 5 % FPR", right > level, {**told, "threshold": round(level, 3)}),
        ]

    def _plain(self, kind: str) -> NDArray[np.bool_]:
        return (self.trial.kinds == kind) & np.isin(self.trial.styles, STYLES)

    def _finished(self, kind: str) -> NDArray[np.bool_]:
        return (self.trial.kinds == kind) & np.isin(self.trial.styles, FINISHES)

    def _own(self, scoring: str, those: NDArray[np.bool_]) -> Vectors:
        return self.scores[scoring][those, self.trial.owners[those]]


def _clip_scores(moments: Vectors, scoring: Scoring) -> Vectors:
    """Scores of clips from those of their moments ``float32[clips, frames, designs]``."""
    ordered = -np.sort(-moments, axis=1)
    flat = ordered.transpose(0, 2, 1).reshape(-1, ordered.shape[1])
    scores = [clip_score(one, scoring) for one in flat.tolist()]
    return np.array(scores, dtype=np.float32).reshape(len(moments), -1)


def _share(metric: str, hits: NDArray[np.bool_], told: Conditions) -> Row:
    return rate(metric, int(hits.sum()), len(hits), told)


def figures(model: "CLIP", trial: Trial) -> str:
    """One line of the most telling figures, for the log of a training."""
    found = Judged.by(model, trial)
    rows = [row for row in found.rows({}) if "style" not in row.conditions]
    told = {f"{row.metric} ({row.conditions.get('scoring', 'texts')})": round(row.value, 3) for row in rows}
    return json.dumps(told)


def main() -> None:
    """Print the figures of a folder."""
    from training.clip.load import load_folder

    parser = argparse.ArgumentParser(description="Evaluate the small CLIP.")
    parser.add_argument("folder", type=Path, nargs="?", default=SHIPPED)
    parser.add_argument("--registered", type=int, default=DESIGNS)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--finish-clips", type=int, default=25)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    given = parser.parse_args()
    torch.set_num_threads(1)
    trial = Trial.drawn(
        seed=given.seed, registered=given.registered, clips=given.clips, frames=FRAMES,
        finish_clips=given.finish_clips,
    )  # fmt: skip
    told: Conditions = {
        "material": "rendered", "designs registered": given.registered, "seed": given.seed,
        "model": given.folder.name,
    }  # fmt: skip
    rows = Judged.by(load_folder(given.folder), trial).rows(told)
    present("clip", rows, commit(), as_json=given.json)


if __name__ == "__main__":
    main()
