"""Prompts that describe a registered subject without naming it.

1. In CLIP's space the prompt is compared with registered pictures and with descriptions.
2. In the sentence model's space each passage of the prompt, some neighbouring sentences, is compared with
   descriptions and its clauses with the attributes by which a subject can be told; both together make one
   score (`classifiers.fused`), and the best passage counts.
3. What reaches a layer's calibrated threshold asks for a person's look. Only from the layer's second, higher
   threshold on it is sure, where the calibration has one: a description fits look-alikes too. What is in
   quarantine makes nothing sure.
A prompt of more words or sentences than are compared is not compared in part: the check is skipped, never
passed.
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
    Reader,
    References,
    Seen,
    Sight,
    TextEmbedder,
    Vectors,
    doubted,
)
from classifiers.errors import CalibrationMissing
from classifiers.fused import NEIGHBOURS, fused, layer_of
from classifiers.passages import MAX_SENTENCES, Passages, passages_of, sentences_of
from classifiers.run import skipped
from classifiers.similarity import all_near, nearest_of
from classifiers.thresholds import HOW, PROMPT_DESCRIPTION, PROMPT_PICTURE, Calibration
from classifiers.weighing import FUSED
from classifiers.wording import (
    CLIP_WINDOW,
    MAX_WORDS,
    SENTENCE_WINDOW,
    as_read,
    clauses,
    readable_run,
    undisguised,
    windows,
    within,
    without_names,
    words,
)

CHECK: Final = "prompt_descriptions"
SURE: Final = "{layer}_sure"
"""The number of a calibration from which on a finding of a layer is sure."""
PERHAPS: Final = "{layer}_perhaps"
"""The number under which nobody is meant; from it on a judge is asked, where there is one."""
ASKED: Final = 0.15
"""Share of look-alikes that reach that number."""
DESCRIBED, RESEMBLES = "description_match", "prompt_resembles_picture"
MAX_PIECES_SEEN: Final = 6000
"""Pieces that a model makes of a prompt with its turns; one of more is not compared at all."""

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
    cuts = [_cut(texts, clip, minilm) for texts in given]
    by_clip = _embedded(clip, [cut.for_clip for cut in cuts]) if clip else None
    told = [group for cut in cuts for group in (cut.for_sentences.sentences, cut.for_sentences.clauses)]
    vectors = _embedded(minilm, told)
    single, parts = vectors[::2], vectors[1::2]
    sights = []
    for row, (texts, cut) in enumerate(zip(given, cuts, strict=True)):
        seen = [Seen(kind=Kind.PROMPT, space=clip.space, vectors=by_clip[row])] if clip and by_clip else []
        made = cut.for_sentences
        whole = made.vectors(single[row], _weights(made.sentences, minilm))
        seen.append(Seen(kind=Kind.PROMPT, space=minilm.space, vectors=whole, passages=made.told))
        seen.append(Seen(kind=Kind.CLAUSE, space=minilm.space, vectors=parts[row]))
        sights.append(Sight(texts=texts, seen=tuple(part for part in seen if len(part.vectors))))
    return sights


@dataclass(frozen=True, slots=True)
class _Cut:
    for_clip: list[str]
    for_sentences: Passages


_NOTHING: Final = _Cut([], passages_of(()))


def _cut(texts: tuple[str, ...], clip: TextEmbedder | None, minilm: TextEmbedder) -> _Cut:
    """What each model is given of a prompt: all of it, or nothing."""
    if not texts or words(texts) > MAX_WORDS:
        return _NOTHING
    plain = [as_read(text) for text in texts]
    whole = "\n".join(plain)
    if any(_pieces(whole, model) > MAX_PIECES_SEEN for model in (clip, minilm) if model):
        return _NOTHING
    turns = [_cut_to(one, minilm, SENTENCE_WINDOW) for one in sentences_of(plain)]
    if sum(map(len, turns)) > MAX_SENTENCES:
        return _NOTHING
    wholes = dict.fromkeys((plain[-1], whole))
    return _Cut(
        _readable(_windows(wholes, clip, CLIP_WINDOW), clip) if clip else [],
        passages_of(turns, lambda parts: _cut_to(parts, minilm, SENTENCE_WINDOW)),
    )  # fmt: skip


def _weights(texts: Sequence[str], model: TextEmbedder) -> Sequence[int]:
    """How much each text counts in a mean: its pieces, or its words where the model does not say."""
    return model.pieces(texts) if isinstance(model, Reader) else [words([text]) for text in texts]


def _pieces(text: str, model: TextEmbedder) -> int:
    return model.pieces([text])[0] if isinstance(model, Reader) else 0


def _windows(wholes: Iterable[str], model: TextEmbedder, size: int) -> list[str]:
    """The texts in windows that the model sees whole, each once."""
    return list(dict.fromkeys(_cut_to(wholes, model, size)))


def _cut_to(wholes: Iterable[str], model: TextEmbedder, size: int) -> list[str]:
    """The texts in windows that the model sees whole: `size` words where it does not say what it sees."""
    if isinstance(model, Reader):
        cut = (within(whole, model.context, model.pieces) for whole in wholes)
    else:
        cut = (windows(whole, size) for whole in wholes)
    return list(chain.from_iterable(cut))


def _readable(parts: Sequence[str], clip: TextEmbedder) -> list[str]:
    """The windows, and of each the run of words that the model can read: what it cannot hides no others."""
    if not isinstance(clip, Reader):
        return list(parts)
    runs = (
        readable_run(part, lambda texts: [bool(one.strip()) for one in clip.known(texts)]) for part in parts
    )
    return list(dict.fromkeys(text for text in (*parts, *runs) if text))


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
    description's clauses are taken for them, and without a description the list of the attributes.
    """
    described = [_plain(description, names)] if description.strip() else []
    single = [_plain(text, names) for text in attributes if text.strip()]
    described = described or ([", ".join(single)] if single else [])
    single = single or [part for text in described for part in clauses(text)]
    pairs = [(Kind.DESCRIPTION, embedder, described) for embedder in (clip, minilm) if embedder]
    wanted = [*pairs, (Kind.ATTRIBUTE, minilm, single)]
    seen = (_understood(_seen(kind, embedder, texts)) for kind, embedder, texts in wanted if texts)
    return tuple(part for part in seen if len(part.vectors))


def vectors_of_exclusions(
    exclusions: Sequence[str], names: Sequence[str], minilm: TextEmbedder
) -> tuple[Seen, ...]:  # fmt: skip
    """What to register, with polarity -1, of what a subject's owner says is not meant: its clauses."""
    single = [part for text in exclusions for part in clauses(_plain(text, names))]
    found = _understood(_seen(Kind.ATTRIBUTE, minilm, list(dict.fromkeys(single)))) if single else None
    return (found,) if found is not None and len(found.vectors) else ()


def _plain(text: str, names: Sequence[str]) -> str:
    return without_names(undisguised(text), names)


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
    if not any(seen.vectors.any() for seen in prompts):
        return skipped(CHECK, _unseen(sight, unreadable=bool(prompts)))
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


@dataclass(frozen=True, slots=True)
class _Near:
    """A subject near a prompt: its score with everything, and without what is in quarantine."""

    score: float
    sound: float
    reference: str = ""


def _scored(seen: Seen, sight: Sight, references: References, calibration: Calibration) -> Iterator[Scored]:
    if not np.isfinite(seen.vectors).all():
        raise ValueError("what was seen holds values that are no numbers")
    if FUSED in calibration.layers:
        parts = [part for part in sight.of(Kind.CLAUSE) if part.space == seen.space]
        scores = fused(seen, parts, references, calibration, layer_of(sight.texts, calibration))
        for subject, told in scores.items():
            yield _teller(told.layer, DESCRIBED, calibration)(subject, _Near(told.score, told.sound))
        return
    for layer, kind, code in _COMPARED:
        tell = _teller(layer, code, calibration)
        nearest = _nearest(seen, kind, references, calibration.layer(layer).threshold)
        yield from (tell(subject, near) for subject, near in nearest.items())


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


def _near(seen: Seen, kind: Kind, references: References, least: float) -> list[Sequence[Match]]:
    bounds = np.full(len(seen.vectors), least, np.float32)
    return all_near(references, seen, kind, NEIGHBOURS, bounds)


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


def _unseen(sight: Sight, *, unreadable: bool) -> str:
    count = words(sight.texts)
    if count > MAX_WORDS:
        return f"the prompt has {count} words; more than {MAX_WORDS} are not compared: shorten it"
    if unreadable:
        return "no model knows the words of the prompt; say it in others"
    if sum(map(len, sentences_of(map(as_read, sight.texts)))) > MAX_SENTENCES:
        return f"the prompt has more than {MAX_SENTENCES} sentences, which are not compared: shorten it"
    if sight.texts:
        return "the prompt is of more letters and signs than are compared; shorten it or use ordinary words"
    return "nothing of the prompt was looked at"


def _seen(kind: Kind, embedder: TextEmbedder, texts: Sequence[str]) -> Seen:
    return Seen(kind=kind, space=embedder.space, vectors=embedder.embed_texts(texts))
