"""How a picture or a description fits what means nobody, before it is registered.

1. A picture is measured against pictures of nobody (of its space's calibration) as a clip would be, and
   against ordinary prompts (`pipeline.cohort`) as a prompt would be, by the same scores and thresholds.
2. The words of a subject are measured against ordinary prompts by the very check that judges prompts, in
   each space alone. What one model hardly understands resembles everything there: it is left to the other.
   It is also measured against pictures of nothing (`pipeline.optouts.blank`): a model may well know that a
   black picture is no drawing, and still find it in every fade to black.
3. What matches a large share, or one picture of nothing, is refused: it would stop everybody, a picture of
   noise as much as a famous one. What matches a smaller, still remarkable share is registered in quarantine,
   and the holder is told.
4. Portraits are not measured: no faces ship with this, and one that shows no face is not taken anyway. Nor
   are negative references, which can only take their own owner's matches away.
A space without a calibration is not measured: its scores mean nothing, and its checks hold everything.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from classifiers.base import Embedder, Kind, Sight, TextEmbedder, Vectors
from pipeline.cohort import Cohort
from pipeline.errors import PictureRefused, UsageError
from pipeline.optouts.blank import blanks
from registry.quarantine import PICTURE, WORDS
from registry.subject_types import OptOutDraft, QuarantineDraft, SubjectRecord, VectorDraft, VectorRow
from registry.subjectset import SubjectSet

if TYPE_CHECKING:
    from classifiers.thresholds import Calibration

REFUSED_SHARE: Final = 0.10
"""Share of what means nobody from which on a picture or a description is not taken."""
QUARANTINE_SHARE: Final = 0.02
"""The same, from which on it is taken into quarantine."""
MAX_EXAMPLES: Final = 3
HELD: Final = "it is in quarantine: what it finds is held, and nothing is refused for it"


class Measures(Protocol):
    """The models, their calibrations, and what means nobody (`pipeline.eyes.Eyes`)."""

    @property
    def clip(self) -> Embedder: ...  # noqa: D102
    @property
    def minilm(self) -> TextEmbedder: ...  # noqa: D102
    @property
    def calibrations(self) -> "Mapping[str, Calibration]": ...  # noqa: D102
    @property
    def cohort(self) -> Cohort: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFit:
    """Shares of pictures of nobody and of ordinary prompts that a picture would match."""

    name: str
    sha256: str
    clips: float
    prompts: float
    blank: bool = False

    @property
    def share(self) -> float:
        """The larger of both."""
        return max(self.clips, self.prompts)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsFit:
    """How many ordinary prompts the words of a subject would match in one space."""

    space: str
    hits: int
    prompts: int
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of them."""
        return self.hits / self.prompts if self.prompts else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a draft fits what means nobody. ``words``: by space, as far as they were measured."""

    pictures: tuple[PictureFit, ...] = ()
    words: tuple[WordsFit, ...] = ()

    def demand(self) -> None:
        """Raises: PictureRefused, UsageError for what would stop everybody."""
        for fit in self.pictures:
            if fit.blank:
                raise PictureRefused(
                    f"{fit.name}: it shows nothing, as noise and plain pictures do, and would stop whatever "
                    "is plain; choose a picture that shows it large"
                )
            if fit.share >= REFUSED_SHARE:
                raise PictureRefused(
                    f"{fit.name}: it resembles {_told(fit)} that mean nobody, as noise and plain pictures "
                    "do, and would stop everybody; choose a picture that shows it large"
                )
        if self.words and not self._counting:
            raise UsageError(
                f"description: it fits {_found(self.words[0])} and would stop everybody; say what it can be "
                "told by"
            )

    def left_out(self) -> frozenset[str]:
        """Spaces in which the words are not registered."""
        return frozenset(fit.space for fit in self.words) - {fit.space for fit in self._counting}

    def applied(self, draft: OptOutDraft) -> OptOutDraft:
        """The draft without what is left out, with what is quarantined. Raises: as `demand`."""
        self.demand()
        vectors = tuple(v for v in draft.vectors if v.reference or v.space not in self.left_out())
        return replace(draft, quarantine=self.quarantine(), vectors=vectors)

    def quarantine(self) -> tuple[QuarantineDraft, ...]:
        """What is to be taken into quarantine, with the reasons."""
        drafts = [
            QuarantineDraft(
                kind=PICTURE, item=fit.sha256, why=f"It resembles {_told(fit)} that mean nobody.",
                figures={"clips": round(fit.clips, 4), "prompts": round(fit.prompts, 4)},
            )
            for fit in self._doubtful_pictures
        ]  # fmt: skip
        drafts += [
            QuarantineDraft(
                kind=WORDS, item="", why=f"The words fit {fit.hits} of {fit.prompts} ordinary prompts.",
                figures={"hits": fit.hits, "prompts": fit.prompts},
            )
            for fit in self._doubtful_words[:1]
        ]  # fmt: skip
        return tuple(drafts)

    def notes(self) -> tuple[str, ...]:
        """Sentences about what is left out, and what goes into quarantine."""
        told = [
            f"{fit.name}: it resembles {_told(fit)} that mean nobody; {HELD}"
            for fit in self._doubtful_pictures
        ]
        if self.left_out():
            told.append(
                "description: the model that sees pictures knows too few of its words; prompts are compared "
                "with it by the sentence model alone"
            )
        told += [f"description: it fits {_found(fit)} {HELD}" for fit in self._doubtful_words[:1]]
        return tuple(told)

    @property
    def _counting(self) -> tuple[WordsFit, ...]:
        return tuple(fit for fit in self.words if fit.share < REFUSED_SHARE)

    @property
    def _doubtful_pictures(self) -> tuple[PictureFit, ...]:
        return tuple(fit for fit in self.pictures if QUARANTINE_SHARE <= fit.share < REFUSED_SHARE)

    @property
    def _doubtful_words(self) -> tuple[WordsFit, ...]:
        return tuple(fit for fit in self._counting if fit.share >= QUARANTINE_SHARE)


class Fitting:
    """Measures drafts with the models of one desk."""

    def __init__(self, eyes: Measures) -> None:
        self._eyes = eyes
        self._least: dict[str, Vectors] = {}
        self._nothing: Vectors | None = None

    def of(self, drafts: Sequence[OptOutDraft]) -> list[Fit]:
        """Measure these, all of them together. Raises: UsageError for a vector of another size."""
        words, pictures = _words_fits(drafts, self._eyes), self._picture_fits(drafts)
        return [Fit(pictures=tuple(pictures[n]), words=words.get(n, ())) for n in range(len(drafts))]

    def _picture_fits(self, drafts: Sequence[OptOutDraft]) -> dict[int, list[PictureFit]]:
        """By the draft's place, the pictures that show its subject, where their space is calibrated."""
        found: dict[int, list[PictureFit]] = defaultdict(list)
        by_space: dict[str, list[tuple[int, VectorDraft]]] = defaultdict(list)
        for n, draft in enumerate(drafts):
            for vector in draft.vectors:
                if vector.kind == Kind.PICTURE and vector.polarity > 0:
                    by_space[vector.space].append((n, vector))
        names = [{one.sha256: one.name for one in draft.references} for draft in drafts]
        for space, rows in by_space.items():
            calibration = self._eyes.calibrations.get(space)
            if calibration is None:
                continue
            clips, prompts = self._shares(calibration, [vector for _, vector in rows])
            blank = self._blank(calibration, np.stack([_numbers(vector) for _, vector in rows]))
            each = zip(rows, clips.tolist(), prompts.tolist(), blank, strict=True)
            for (n, vector), clip, prompt, nothing in each:
                name = names[n][vector.reference] or vector.reference[:12]
                fit = PictureFit(
                    name=name, sha256=vector.reference, clips=clip, prompts=prompt, blank=nothing
                )  # fmt: skip
                found[n].append(fit)
        return found

    def _blank(self, calibration: "Calibration", vectors: Vectors) -> list[bool]:
        """Which of the pictures would be found in a picture of nothing."""
        from classifiers.similarity import Scoring, nearness
        from classifiers.thresholds import FRAME_PICTURE

        if calibration.space != self._eyes.clip.space:
            return [False] * len(vectors)
        if self._nothing is None:
            self._nothing = self._eyes.clip.embed_images(blanks())
        offsets = nearness(self._nothing, calibration.cohort, Scoring.of(calibration))
        best = (vectors @ self._nothing.T - offsets).max(axis=1)
        return [bool(score >= calibration.layer(FRAME_PICTURE).threshold) for score in best]

    def _shares(self, calibration: "Calibration", shown: Sequence[VectorDraft]) -> tuple[Vectors, Vectors]:
        """Of pictures of nobody and of ordinary prompts, the share that each picture matches."""
        from classifiers.thresholds import PROMPT_PICTURE

        wanted = calibration.cohort.shape[1]
        if any(vector.dimension != wanted for vector in shown):
            raise UsageError(
                f"a vector of {calibration.space} has another size than its model makes ({wanted}); embed "
                "the picture again"
            )
        vectors = np.stack([_numbers(vector) for vector in shown])
        clips = vectors @ calibration.cohort.T >= self._over_cohort(calibration)
        ordinary = self._eyes.cohort.prompts_in(calibration.space, wanted, lambda: self._eyes.clip)
        prompts = vectors @ ordinary.T >= calibration.layer(PROMPT_PICTURE).threshold
        nobody = np.zeros(len(vectors), np.float32)
        return (clips.mean(axis=1, dtype=np.float32) if clips.size else nobody), prompts.mean(axis=1)

    def _over_cohort(self, calibration: "Calibration") -> Vectors:
        """From which cosine on each picture of nobody would be found, were it a clip; none is near itself."""
        from classifiers.similarity import Scoring, nearness
        from classifiers.thresholds import FRAME_PICTURE

        if calibration.space not in self._least:
            cohort, scoring = calibration.cohort, Scoring.of(calibration)
            offsets = [
                nearness(cohort[row : row + 1], np.delete(cohort, row, axis=0), scoring)[0]
                for row in range(len(cohort))
            ]
            least = calibration.layer(FRAME_PICTURE).threshold
            self._least[calibration.space] = np.array([least + offset for offset in offsets], np.float32)
        return self._least[calibration.space]


def hypothetical(draft: OptOutDraft, subject_id: str) -> SubjectRecord:
    """The subject that a draft would make, as if it were registered."""
    return SubjectRecord(
        id=subject_id, kind=draft.kind, name=draft.name, owner=draft.owner, party="", mode=draft.mode,
        description=draft.description, attributes=draft.attributes, exclusions=draft.exclusions, names=(),
        vectors=tuple(_row(vector, subject_id) for vector in draft.vectors), rules=(), state="active", seq=0,
    )  # fmt: skip


def _all_calibrated(eyes: Measures, vectors: Sequence[VectorDraft]) -> bool:
    return all(eyes.calibrations.get(space) is not None for space in {vector.space for vector in vectors})


def _words_fits(drafts: Sequence[OptOutDraft], eyes: Measures) -> dict[int, tuple[WordsFit, ...]]:
    """Fits by the draft's place, of those that have words."""
    texts = [
        replace(draft, vectors=tuple(v for v in draft.vectors if v.reference == ""), references=())
        for draft in drafts
    ]
    worded = {n: draft for n, draft in enumerate(texts) if draft.vectors}
    vectors = [vector for draft in worded.values() for vector in draft.vectors]
    if not worded or not _all_calibrated(eyes, vectors):
        return {}
    records = {n: hypothetical(draft, str(n)) for n, draft in worded.items()}
    sights = eyes.cohort.sights(eyes.clip, eyes.minilm)
    spaces = sorted({vector.space for vector in vectors})
    found = {space: _found_in(space, sights, records, eyes) for space in spaces}
    return {
        n: tuple(
            WordsFit(
                space=space, hits=len(found[space].get(n, ())), prompts=len(sights),
                examples=tuple(found[space].get(n, ())[:MAX_EXAMPLES]),
            )
            for space in spaces if any(vector.space == space for vector in draft.vectors)
        )
        for n, draft in worded.items()
    }  # fmt: skip


def _found_in(
    space: str, sights: Sequence[Sight], records: Mapping[int, SubjectRecord], eyes: Measures
) -> dict[int, list[str]]:
    """By the place of each draft the ordinary prompts that its words in a space are found in.

    The check is asked about those drafts only of which a vector is near enough to one of the prompt's for the
    check to find anything (`classifiers.bounds`).
    """
    from classifiers.bounds import bounds_of
    from classifiers.descriptions import check_descriptions

    rows: dict[str, list[tuple[int, VectorRow]]] = defaultdict(list)
    for n, record in records.items():
        for row in record.vectors:
            if row.space == space and row.polarity > 0:
                rows[row.kind].append((n, row))
    tables = {
        kind: np.stack([np.frombuffer(row.vector, "<f2").astype(np.float32) for _, row in mine])
        for kind, mine in rows.items()
    }
    bounds = [bound for bound in bounds_of(eyes.calibrations[space]) if bound.registered in tables]
    found: dict[int, list[str]] = defaultdict(list)
    for sight in sights:
        there = replace(sight, seen=tuple(seen for seen in sight.seen if seen.space == space))
        asked: set[int] = set()
        for bound in bounds:
            for seen in there.of(bound.seen):
                near = seen.vectors @ tables[bound.registered].T >= bound.least
                asked |= {rows[bound.registered][place][0] for place in np.flatnonzero(near.any(axis=0))}
        if asked:
            references = SubjectSet(records[n] for n in sorted(asked))
            report = check_descriptions(there, references, eyes.calibrations)
            for n in {int(finding.subject) for finding in report.findings}:
                found[n].append(sight.texts[-1])
    return found


def _found(fit: WordsFit) -> str:
    return f"{fit.hits} of {fit.prompts} ordinary prompts, such as “{fit.examples[0]}”,"


def _told(fit: PictureFit) -> str:
    clips, prompts = _share(fit.clips), _share(fit.prompts)
    return f"{clips} of pictures and {prompts} of prompts"


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= QUARANTINE_SHARE else f"{share:.1%}"


def _numbers(vector: VectorDraft) -> Vectors:
    return np.frombuffer(vector.vector, "<f2").astype(np.float32)


def _row(vector: VectorDraft, subject_id: str) -> VectorRow:
    return VectorRow(
        subject=subject_id, reference=vector.reference, space=vector.space, kind=vector.kind,
        polarity=vector.polarity, vector=vector.vector, dimension=vector.dimension,
    )  # fmt: skip
