"""Prompts that describe a registered subject without naming it.

1. In CLIP's space the prompt is compared with registered pictures and with descriptions.
2. In the sentence model's space the prompt is compared with descriptions and its clauses with the attributes
   by which a subject can be told; both together make one score.
3. What reaches a layer's calibrated threshold asks for a person's look. Only from the layer's second, higher
   threshold on it is sure, where the calibration has one: a description fits look-alikes too. What is in
   quarantine makes nothing sure.
A prompt of more words than the models are given is not compared in part: the check is skipped, never passed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

import numpy as np

from classifiers.base import (
    CheckReport,
    CheckState,
    Finding,
    Kind,
    Match,
    References,
    Seen,
    Sight,
    TextEmbedder,
    Vectors,
    doubted,
)
from classifiers.errors import CalibrationMissing
from classifiers.run import skipped
from classifiers.similarity import all_near, nearest_of
from classifiers.thresholds import HOW, PROMPT_DESCRIPTION, PROMPT_PICTURE, Calibration
from classifiers.wording import (
    CLIP_WINDOW,
    MAX_WORDS,
    SENTENCE_WINDOW,
    clauses,
    windows,
    without_names,
    words,
)

CHECK: Final = "prompt_descriptions"
FUSED: Final = "prompt_fused"
"""The layer of whole prompt and clauses together."""
SURE: Final = "{layer}_sure"
"""The number of a calibration from which on a finding of a layer is sure."""
DESCRIBED, RESEMBLES = "description_match", "prompt_resembles_picture"
CLAUSE_WEIGHT: Final = "clause_weight"
"""Share of the fused score that the clauses have."""
CLAUSE_COUNT: Final = "clause_count"
"""How many of a prompt's clauses, the best, count for a subject."""
NEIGHBOURS: Final = 128

_COMPARED: Final = (
    (PROMPT_PICTURE, Kind.PICTURE, RESEMBLES),
    (PROMPT_DESCRIPTION, Kind.DESCRIPTION, DESCRIBED),
)


def look_at_text(texts: Sequence[str], clip: TextEmbedder | None, minilm: TextEmbedder) -> Sight:
    """What the models see of a prompt: ``texts`` are its turns, the last is the prompt itself.

    The last text is seen alone, and all turns together. `clip`: None where no pictures are compared. Of more
    than `MAX_WORDS` words nothing is seen.
    """
    return look_at_texts([texts], clip, minilm)[0]


def look_at_texts(
    prompts: Sequence[Sequence[str]], clip: TextEmbedder | None, minilm: TextEmbedder
) -> list[Sight]:
    """`look_at_text` of several prompts, which a model sees together: faster than one by one."""
    given = [tuple(texts) for texts in prompts]
    cuts = [_cut(texts) for texts in given]
    by_clip = _embedded(clip, [cut.for_clip for cut in cuts]) if clip else None
    whole = _embedded(minilm, [cut.for_sentences for cut in cuts])
    parts = _embedded(minilm, [cut.clauses for cut in cuts])
    sights = []
    for row, texts in enumerate(given):
        seen = [Seen(kind=Kind.PROMPT, space=clip.space, vectors=by_clip[row])] if clip and by_clip else []
        seen.append(Seen(kind=Kind.PROMPT, space=minilm.space, vectors=whole[row]))
        seen.append(Seen(kind=Kind.CLAUSE, space=minilm.space, vectors=parts[row]))
        sights.append(Sight(texts=texts, seen=tuple(part for part in seen if len(part.vectors))))
    return sights


@dataclass(frozen=True, slots=True)
class _Cut:
    for_clip: list[str]
    for_sentences: list[str]
    clauses: list[str]


def _cut(texts: tuple[str, ...]) -> _Cut:
    if not texts or words(texts) > MAX_WORDS:
        return _Cut([], [], [])
    wholes = dict.fromkeys((texts[-1], "\n".join(texts)))
    parts = dict.fromkeys(part for whole in wholes for part in clauses(whole))
    return _Cut(_windows(wholes, CLIP_WINDOW), _windows(wholes, SENTENCE_WINDOW), list(parts))


def _embedded(embedder: TextEmbedder, groups: Sequence[Sequence[str]]) -> list[Vectors]:
    """The vectors of each group of texts; each text is embedded once."""
    places = {text: place for place, text in enumerate(dict.fromkeys(chain.from_iterable(groups)))}
    vectors = embedder.embed_texts(list(places))
    return [vectors[[places[text] for text in group]] for group in groups]


def vectors_of_subject(
    description: str, attributes: Sequence[str], names: Sequence[str], clip: TextEmbedder | None,
    minilm: TextEmbedder,
) -> tuple[Seen, ...]:  # fmt: skip
    """What to register of a subject's words: each `Seen` is of one kind in one space.

    The names are taken out of the texts, since they would be all that is compared. Without attributes the
    description's clauses are taken for them.
    """
    described = [without_names(description, names)] if description.strip() else []
    single = [without_names(text, names) for text in attributes if text.strip()]
    single = single or [part for text in described for part in clauses(text)]
    pairs = [(Kind.DESCRIPTION, embedder, described) for embedder in (clip, minilm) if embedder]
    wanted = [*pairs, (Kind.ATTRIBUTE, minilm, single)]
    seen = (_understood(_seen(kind, embedder, texts)) for kind, embedder, texts in wanted if texts)
    return tuple(part for part in seen if len(part.vectors))


def _understood(seen: Seen) -> Seen:
    """Without the texts of which an embedder knows too few words: their vectors are zero."""
    return replace(seen, vectors=seen.vectors[seen.vectors.any(axis=1)])


def check_descriptions(
    sight: Sight, references: References, calibrations: Mapping[str, Calibration]
) -> CheckReport:
    """Which registered subjects the prompt of `sight` describes; `calibrations` by space.

    Raises: CalibrationMissing for a space without one; `classifiers.run` makes a report of it.
    """
    prompts = sight.of(Kind.PROMPT)
    if not prompts:
        return skipped(CHECK, _unseen(sight))
    found = [
        scored
        for seen in prompts
        for scored in _scored(seen, sight, references, _calibration(calibrations, seen.space))
    ]
    findings = [_finding(scored, sight) for scored in found if not scored.score < scored.threshold]
    best: dict[str, float] = {}
    for scored in found:
        best[scored.layer] = max(best.get(scored.layer, -1.0), scored.score)
    strongest = sorted(findings, key=lambda finding: (not finding.sure, finding.threshold - finding.score))
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=tuple(_one_each(strongest)), scores=best
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """How much a prompt resembles one subject by one layer."""

    layer: str
    code: str
    subject: str
    score: float
    sound: float  # the same without what is in quarantine
    threshold: float
    sure_from: float
    probability: float
    reference: str
    calibration: str

    @property
    def sure(self) -> bool:
        """Whether it is, also without what is in quarantine."""
        return self.sound >= self.sure_from


def fused_scores(
    whole: Seen, parts: Sequence[Seen], references: References, weight: float, count: int,
    least: float = np.inf,
) -> dict[str, float]:  # fmt: skip
    """The fused score of every subject that is near: prompt against description, clauses against attributes.

    ``weight``: share of the clauses, ``count``: how many of them count, the best. A subject without
    attributes is compared as a whole only, one without a description by clauses only. ``least``: from which
    score on no subject may be missing; its whole, or one of its clauses, then scores as much.
    """
    return {
        subject: near.score
        for subject, near in _fused(whole, parts, references, weight, count, least).items()
    }


@dataclass(frozen=True, slots=True)
class _Near:
    """A subject near a prompt: its score with everything, and without what is in quarantine."""

    score: float
    sound: float
    reference: str = ""


def _fused(
    whole: Seen, parts: Sequence[Seen], references: References, weight: float, count: int, least: float
) -> dict[str, _Near]:
    """The fused scores; all words of a subject are in quarantine together, or none."""
    nearest = _nearest(whole, Kind.DESCRIPTION, references, least)
    described = {subject: near.score for subject, near in nearest.items()}
    told, bounds, held = _by_clause(parts, references, least)
    held |= {subject for subject, near in nearest.items() if near.sound < near.score}
    rows = max(1, min(count, len(told)))
    by_clauses: dict[str, float] = {}
    for subject in {subject for near in told for subject in near}:
        # Of a subject that is not among a clause's neighbours only a bound is known.
        least = described.get(subject, 0.0)
        near = [one.get(subject, min(bound, least)) for one, bound in zip(told, bounds, strict=True)]
        by_clauses[subject] = sum(sorted(near)[-rows:]) / rows
    scores = {
        subject: (1 - weight) * described.get(subject, by_clauses.get(subject, 0.0))
        + weight * by_clauses.get(subject, described.get(subject, 0.0))
        for subject in {*described, *by_clauses}
    }
    return {subject: _Near(score, -np.inf if subject in held else score) for subject, score in scores.items()}


def _by_clause(
    parts: Sequence[Seen], references: References, least: float
) -> tuple[list[dict[str, float]], list[float], set[str]]:
    """For each clause the best attribute of each subject near it, and what no other can be over.

    Also whose words are in quarantine.
    """
    told, bounds = [], []
    held: set[str] = set()
    for seen in parts:
        # One attribute may well be that of thousands; it alone makes nobody found.
        for matches in _near(seen, Kind.ATTRIBUTE, references, least, demand=False):
            told.append({subject: match.score for subject, match in nearest_of(matches).items()})
            bounds.append(matches[-1].score if len(matches) >= NEIGHBOURS else 0.0)
            held |= {match.subject for match in matches if doubted(match)}
    return told, bounds, held


def _scored(seen: Seen, sight: Sight, references: References, calibration: Calibration) -> Iterator[Scored]:
    if not np.isfinite(seen.vectors).all():
        raise ValueError("what was seen holds values that are no numbers")
    if FUSED in calibration.layers:
        parts = [part for part in sight.of(Kind.CLAUSE) if part.space == seen.space]
        numbers = calibration.numbers
        weight, count = numbers[CLAUSE_WEIGHT], int(numbers[CLAUSE_COUNT])
        scores = _fused(seen, parts, references, weight, count, calibration.layer(FUSED).threshold)
        told = _teller(FUSED, DESCRIBED, calibration)
        yield from (told(subject, near) for subject, near in scores.items())
        return
    for layer, kind, code in _COMPARED:
        told = _teller(layer, code, calibration)
        nearest = _nearest(seen, kind, references, calibration.layer(layer).threshold)
        yield from (told(subject, near) for subject, near in nearest.items())


def _teller(layer: str, code: str, calibration: Calibration) -> Callable[[str, _Near], Scored]:
    found = calibration.layer(layer)
    sure_from = calibration.numbers.get(SURE.format(layer=layer), np.inf)

    def tell(subject: str, near: _Near) -> Scored:
        return Scored(
            layer=layer, code=code, subject=subject, score=near.score, sound=near.sound,
            threshold=found.threshold, sure_from=sure_from, probability=found.probability(near.score),
            reference=near.reference, calibration=calibration.mark,
        )  # fmt: skip

    return tell


def _nearest(seen: Seen, kind: Kind, references: References, least: float) -> dict[str, _Near]:
    """Each subject's nearest registered vector of `kind` to any of the vectors seen."""
    found = _near(seen, kind, references, least)
    best = _best_of(found)
    if not any(doubted(match) for matches in found for match in matches):
        return {subject: _Near(m.score, m.score, m.reference) for subject, m in best.items()}
    sound = _best_of([[match for match in matches if not doubted(match)] for matches in found])
    return {
        subject: _Near(m.score, sound[subject].score if subject in sound else -np.inf, m.reference)
        for subject, m in best.items()
    }


def _best_of(found: Sequence[Sequence[Match]]) -> dict[str, Match]:
    best: dict[str, Match] = {}
    for matches in found:
        for subject, match in nearest_of(matches).items():
            if subject not in best or best[subject].score < match.score:
                best[subject] = match
    return best


def _near(
    seen: Seen, kind: Kind, references: References, least: float, *, demand: bool = True
) -> list[Sequence[Match]]:
    bounds = np.full(len(seen.vectors), least, np.float32)
    return all_near(references, seen, kind, NEIGHBOURS, bounds, demand=demand)


def _finding(scored: Scored, sight: Sight) -> Finding:
    last = sight.texts[-1] if sight.texts else ""
    return Finding(
        check=CHECK, subject=scored.subject, score=scored.score, threshold=scored.threshold,
        code=scored.code, sure=scored.sure, reference=scored.reference,
        probability=scored.probability, turn=len(sight.texts) - 1, span=(0, len(last)),
        quote=last[:MAX_QUOTE], quarantined=scored.sound < scored.threshold, calibration=scored.calibration,
    )  # fmt: skip


MAX_QUOTE: Final = 200  # characters


def _one_each(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The first finding of each subject and code."""
    told: set[tuple[str, str]] = set()
    for finding in findings:
        if (finding.subject, finding.code) not in told:
            told.add((finding.subject, finding.code))
            yield finding


def _calibration(calibrations: Mapping[str, Calibration], space: str) -> Calibration:
    found = calibrations.get(space)
    if found is None:
        raise CalibrationMissing(f"there is no calibration of {space}; make one with {HOW}")
    return found


def _unseen(sight: Sight) -> str:
    count = words(sight.texts)
    if count > MAX_WORDS:
        return f"the prompt has {count} words; more than {MAX_WORDS} are not compared: shorten it"
    return "nothing of the prompt was looked at"


def _windows(wholes: Iterable[str], size: int) -> list[str]:
    return list(dict.fromkeys(part for whole in wholes for part in windows(whole, size)))


def _seen(kind: Kind, embedder: TextEmbedder, texts: Sequence[str]) -> Seen:
    return Seen(kind=kind, space=embedder.space, vectors=embedder.embed_texts(texts))
