"""From material to scores, by the very functions that check clips and prompts. One gauge for each kind.

1. A gauge registers a group as the product would, then is shown what shows or means its subjects (``owner``:
   whose it is), what only looks like them (``alike``), and strangers (no owner).
2. Of what is somebody's own, the score for its subject counts; of a stranger, the best for any subject. In a
   crossed group, what is one subject's own also counts as a stranger to all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from classifiers.base import Embedder, Kind, Sight, TextEmbedder, Vectors
from classifiers.descriptions import (
    ASKED,
    PERHAPS,
    SURE,
    check_descriptions,
    look_at_texts,
    vectors_of_subject,
)
from classifiers.drawn import of_portrait
from classifiers.errors import TooFewScores
from classifiers.fitting import Scores, Target, demand, fitted
from classifiers.fused import layer_of
from classifiers.passages import MAX_PASSAGE
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
    FACE_PORTRAIT,
    FRAME_PICTURE,
    PROMPT_DESCRIPTION,
    PROMPT_PICTURE,
    Calibration,
)
from classifiers.weighing import FUSED, LISTED, PASSAGES
from classifiers.wording import CLIP_WINDOW, windows
from pipeline.calibrating.material import Group, Registered
from pipeline.calibrating.registered import Rows
from pipeline.checks import Faces

SCORING: Final = Scoring(cohort_weight=0.25, cohort_nearest=20, support_weight=0.5, support_moments=3)
SURE_SHARE: Final = 0.005
"""Share of strangers from whose score on a prompt's finding is sure: look-alikes are described alike."""
SURE_MARGIN: Final = 0.02
"""How far over the best stranger a description has to be to be sure."""
NOTHING: Final = -1.0
"""The score of a subject that is not near at all."""
EVERYTHING: Final = -1e6
"""A threshold that every score reaches."""


class Gauge(Protocol):
    """Collects the scores of one kind of comparison in one space."""

    @property
    def space(self) -> str: ...  # noqa: D102
    def register(self, group: Group) -> None:
        """Forget the group before, and register this one."""
        ...

    def show(self, sight: Sight, owner: str | None, *, alike: bool = False) -> None:
        """Take what was seen of a clip or picture."""
        ...

    def say(self, prompts: Sequence[str], owner: str | None) -> None:
        """Take prompts."""
        ...

    def scores(self, target: Target) -> Mapping[str, Scores]:
        """Every score by layer."""
        ...

    def numbers(self, target: Target) -> Mapping[str, float]:
        """What else a calibration has to say, so that these scores come out."""
        ...


@dataclass(slots=True)
class Frames:
    """Frames against registered pictures, in CLIP's space."""

    clip: Embedder
    cohort: Vectors
    _rows: Rows = field(default_factory=Rows)
    _crossed: bool = False
    _own: list[list[float]] = field(default_factory=list)
    _alike: list[list[float]] = field(default_factory=list)
    _strangers: list[list[list[float]]] = field(default_factory=list)

    @property
    def space(self) -> str:
        """CLIP's."""
        return self.clip.space

    def register(self, group: Group) -> None:
        """The pictures of every subject."""
        self._rows, self._crossed = Rows(), group.crossed
        for subject in group.registered:
            self._rows.add(
                subject.name, Kind.PICTURE, self.space, self.clip.embed_images(list(subject.pictures))
            )

    def show(self, sight: Sight, owner: str | None, *, alike: bool = False) -> None:
        """Scores of its moments, for every subject."""
        for seen in sight.of(Kind.FRAME):
            found = subject_moments(seen, self._rows, SCORING, self.cohort)
            each = {subject: [moment.score for moment in moments] for subject, moments in found.items()}
            if owner is not None:
                (self._alike if alike else self._own).append(each.pop(owner, [NOTHING]))
            if each and (owner is None or (self._crossed and not alike)):
                self._strangers.append(list(each.values()))

    def say(self, prompts: Sequence[str], owner: str | None) -> None:
        """Prompts show no frames."""

    def scores(self, target: Target) -> Mapping[str, Scores]:
        """Of the layer of frames."""
        return {FRAME_PICTURE: self._scored(self._scoring(target))}

    def numbers(self, target: Target) -> Mapping[str, float]:
        """How moments become a clip's score."""
        scoring = self._scoring(target)
        return {
            COHORT_WEIGHT: scoring.cohort_weight, COHORT_NEAREST: scoring.cohort_nearest,
            SUPPORT_WEIGHT: scoring.support_weight, SUPPORT_MOMENTS: scoring.support_moments,
            SINGLE_MARGIN: scoring.single_margin,
        }  # fmt: skip

    def _scoring(self, target: Target) -> Scoring:
        """`SCORING`, with the margin that makes a single moment as rarely wrong as several together."""
        if not self._strangers:
            return SCORING
        single = [max(moments[0] for moments in each) for each in self._strangers]
        together = self._scored(SCORING).strangers
        share = 1 - target.strangers
        margin = float(np.quantile(single, share) - np.quantile(together, share))
        return replace(SCORING, single_margin=round(max(0.0, margin), 4))

    def _scored(self, scoring: Scoring) -> Scores:
        return Scores(
            own=[clip_score(moments, scoring) for moments in self._own],
            strangers=[max(clip_score(moments, scoring) for moments in each) for each in self._strangers],
            alike=[clip_score(moments, scoring) for moments in self._alike],
        )


@dataclass(slots=True)
class Prompts:
    """Prompts against registered pictures and descriptions, in CLIP's space."""

    clip: Embedder
    ordinary: Sequence[str] = ()
    _rows: dict[str, dict[str, Vectors]] = field(default_factory=dict)
    _crossed: bool = False
    _usual: Vectors | None = None
    _scores: dict[str, Scores] = field(default_factory=dict)

    @property
    def space(self) -> str:
        """CLIP's."""
        return self.clip.space

    def register(self, group: Group) -> None:
        """Pictures and descriptions; ordinary prompts are compared with them at once."""
        self._crossed = group.crossed
        pictures = {
            one.name: self.clip.embed_images(list(one.pictures)) for one in group.registered if one.pictures
        }
        described = {
            one.name: self.clip.embed_texts([one.description]) for one in group.registered if one.description
        }
        self._rows = {PROMPT_PICTURE: pictures, PROMPT_DESCRIPTION: described}
        if self._usual is None:
            parts = [part for prompt in self.ordinary for part in windows(prompt, CLIP_WINDOW)]
            self._usual = self.clip.embed_texts(parts)
        for layer, rows in self._rows.items():
            if rows and len(self._usual):
                best = self._usual @ np.concatenate(list(rows.values())).T
                self._of(layer).ordinary += best.max(axis=1).tolist()

    def show(self, sight: Sight, owner: str | None, *, alike: bool = False) -> None:
        """Clips say nothing."""

    def say(self, prompts: Sequence[str], owner: str | None) -> None:
        """The best cosine of each prompt with each subject."""
        if not prompts:
            return
        said = self.clip.embed_texts(list(prompts))
        for layer, rows in self._rows.items():
            each = {name: (said @ own.T).max(axis=1) for name, own in rows.items()}
            if owner is not None and owner in each:
                self._of(layer).own += each.pop(owner).tolist()
            if each and (owner is None or self._crossed):
                self._of(layer).strangers += np.max(list(each.values()), axis=0).tolist()

    def scores(self, target: Target) -> Mapping[str, Scores]:
        """Of both layers, which the check asks for together."""
        return {layer: self._of(layer) for layer in (PROMPT_PICTURE, PROMPT_DESCRIPTION)}

    def numbers(self, target: Target) -> Mapping[str, float]:
        """From which score on each layer is sure."""
        sure = Target(strangers=SURE_SHARE)
        return {
            SURE.format(layer=layer): fitted(scores, sure).threshold for layer, scores in self._scores.items()
        }

    def _of(self, layer: str) -> Scores:
        return self._scores.setdefault(layer, Scores())


@dataclass(slots=True)
class Sentences:
    """Prompts against descriptions and attributes, in the sentence model's space.

    ``before``: the calibration in force, whose weights of clauses stay. Lists of keywords have a threshold of
    their own where there are enough of them; else the one before stays.
    """

    minilm: TextEmbedder
    before: Calibration
    ordinary: Sequence[str] = ()
    _rows: Rows = field(default_factory=Rows)
    _crossed: bool = False
    _found: dict[str, Scores] = field(default_factory=lambda: {FUSED: Scores(), LISTED: Scores()})

    @property
    def space(self) -> str:
        """The sentence model's."""
        return self.minilm.space

    def register(self, group: Group) -> None:
        """Descriptions and attributes; ordinary prompts are compared with them at once."""
        self._rows, self._crossed = Rows(), group.crossed
        for one in group.registered:
            for seen in vectors_of_subject(one.description, one.attributes, (), None, self.minilm):
                self._rows.add(one.name, seen.kind, seen.space, seen.vectors)
        for found, each in self._each(self.ordinary):
            found.ordinary.append(max(each.values(), default=NOTHING))

    def show(self, sight: Sight, owner: str | None, *, alike: bool = False) -> None:
        """Clips say nothing."""

    def say(self, prompts: Sequence[str], owner: str | None) -> None:
        """The score of each prompt for each subject."""
        for found, each in self._each(prompts):
            if owner is not None:
                found.own.append(each.pop(owner, NOTHING))
            if each and (owner is None or self._crossed):
                found.strangers.append(max(each.values()))

    def scores(self, target: Target) -> Mapping[str, Scores]:
        """Of the fused layer, and of lists where there are enough."""
        try:
            demand(self._found[LISTED], LISTED, target)
        except TooFewScores:
            return {FUSED: self._found[FUSED]}
        return self._found

    def numbers(self, target: Target) -> Mapping[str, float]:
        """Those before, from which score on a layer is sure, and from which on a judge is asked."""
        fitted = {**self.before.numbers, PASSAGES: MAX_PASSAGE}
        for layer, scores in self.scores(target).items():
            strangers = np.array(scores.strangers or [1.0])
            fitted[SURE.format(layer=layer)] = round(float(strangers.max()) + SURE_MARGIN, 3)
            fitted[PERHAPS.format(layer=layer)] = round(float(np.quantile(strangers, 1 - ASKED)), 3)
        return fitted

    def _each(self, prompts: Sequence[str]) -> list[tuple[Scores, dict[str, float]]]:
        """Where the scores of each prompt belong, and its score for each subject that is near at all."""
        if not prompts:
            return []
        every = {name: replace(layer, threshold=EVERYTHING) for name, layer in self.before.layers.items()}
        lowered = {self.space: replace(self.before, layers=every)}
        sights = look_at_texts([[prompt] for prompt in prompts], None, self.minilm)
        reports = [check_descriptions(sight, self._rows, lowered) for sight in sights]
        return [
            (
                self._found[layer_of([prompt], self.before)],
                {one.subject: one.score for one in report.findings},
            )
            for prompt, report in zip(prompts, reports, strict=True)
        ]


class Portraits:
    """The portraits of a group, in every space of faces: each picture is looked at once for all of them."""

    def __init__(self, faces: Faces) -> None:
        self.faces = faces
        self._group: Group | None = None
        self._found: dict[str, dict[str, Vectors]] = {}

    def of(self, group: Group, space: str) -> dict[str, Vectors]:
        """By subject, what is registered of the surest face of every picture."""
        if group is not self._group:
            self._group, self._found = group, {}
            for one in group.registered:
                self._look(one)
        return self._found.get(space, {})

    def _look(self, one: Registered) -> None:
        found: dict[str, list[Vectors]] = {}
        for picture in one.pictures:
            for face in self.faces.look(picture)[:1]:
                for space, vectors in of_portrait(picture, face, self.faces).items():
                    found.setdefault(space, []).append(vectors)
        for space, parts in found.items():
            self._found.setdefault(space, {})[one.name] = np.concatenate(parts)


@dataclass(slots=True)
class Likeness:
    """Faces against portraits in one space. What shows no face has no score; ``faceless`` counts it."""

    portraits: Portraits
    space: str
    faceless: int = 0
    _rows: dict[str, Vectors] = field(default_factory=dict)
    _crossed: bool = False
    _found: Scores = field(default_factory=Scores)

    def register(self, group: Group) -> None:
        """The portraits of every subject."""
        self._rows, self._crossed = self.portraits.of(group, self.space), group.crossed

    def show(self, sight: Sight, owner: str | None, *, alike: bool = False) -> None:
        """The least distance of any face to any portrait of each subject, as a negative number."""
        found = [seen for seen in sight.of(Kind.FACE) if seen.space == self.space]
        vectors = [seen.vectors for seen in found if len(seen.vectors)]
        if not vectors:
            self.faceless += 1
            return
        shown = np.concatenate(vectors)
        each = {name: _nearness(shown, own) for name, own in self._rows.items()}
        if owner is not None and owner in each:
            (self._found.alike if alike else self._found.own).append(each.pop(owner))
        if each and (owner is None or (self._crossed and not alike)):
            self._found.strangers.append(max(each.values()))

    def say(self, prompts: Sequence[str], owner: str | None) -> None:
        """Prompts show no faces."""

    def scores(self, target: Target) -> Mapping[str, Scores]:
        """Of the layer of portraits."""
        return {FACE_PORTRAIT: self._found}

    def numbers(self, target: Target) -> Mapping[str, float]:
        """Nothing."""
        return {}


def _nearness(shown: Vectors, own: Vectors) -> float:
    return float(-np.linalg.norm(shown[:, None] - own[None], axis=2).min())
