"""What stands around a description thins nothing out: passages of neighbouring sentences, each by itself."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.base import Kind, Passage, Seen, Sight, Vectors
from classifiers.descriptions import check_descriptions, look_at_text, vectors_of_subject
from classifiers.fused import compared
from classifiers.minilm import MiniLm
from classifiers.ordinary import ordinary_prompts
from classifiers.passages import MAX_PASSAGE, MAX_SENTENCES, passages_of, sentences_of
from classifiers.thresholds import Calibration, Layer, load
from classifiers.weighing import FUSED, LISTED, PART_LESS
from classifiers.wording import MAX_WORDS, is_list, items, sentences, words
from registry.subject_types import SubjectRecord, VectorRow
from registry.subjectset import SubjectSet

OTTER = (
    "An otter in a yellow raincoat who keeps a lighthouse. It has one white ear, a brass telescope on a red "
    "cord and boots that are far too large."
)
OTHER_WORDS = (
    "A stocky otter wearing a bright yellow rain jacket tends the lighthouse. One of its ears is white. It "
    "looks through a brass telescope that hangs on a red cord, and its boots are much too big."
)
LISTING = "otter, yellow raincoat, lighthouse keeper, one white ear, brass telescope, red cord, huge boots"
HARMLESS = (
    "The morning light falls on the harbour.", "Birds sing in the trees behind the house.",
    "The camera moves slowly to the left!", "It is a calm day in late summer.",
    "Soft music plays in the background.", "Two boats lie at the pier.", "Does the wind move the grass?",
    "Everything is shown in warm colours.",
)  # fmt: skip
WORDS = ("red", "blue", "cap", "horn", "lamp", "tail", "sea", "old", "fox", "hat", "ring", "moss")


class WordBag:
    """Counts hashed words: texts with the same words are near."""

    space, dimension = "bag", 64

    def __init__(self) -> None:
        self.seen = 0

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.seen += len(texts)
        found = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().replace(",", " ").replace(".", " ").split():
                found[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def registered(description: str, model: WordBag | MiniLm) -> SubjectSet:
    rows = tuple(
        VectorRow(
            subject="s", reference="", space=seen.space, kind=seen.kind, polarity=1,
            vector=row.astype("<f2").tobytes(), dimension=len(row),
        )
        for seen in vectors_of_subject(description, (), (), None, model) for row in seen.vectors
    )  # fmt: skip
    return SubjectSet([
        SubjectRecord(
            id="s", kind="character", name="s", owner="O", party="p", mode="block", description="",
            attributes=(), exclusions=(), names=(), vectors=rows, rules=(), state="active", seq=1,
        )
    ])  # fmt: skip


def scores(
    text: str, shelf: SubjectSet, model: WordBag | MiniLm, made: Calibration, *, runs: bool = False
) -> dict[str, float]:
    """By layer; `runs`: without what is embedded of several sentences as they stand."""
    sight = look_at_text([text], None, model)
    [whole] = sight.of(Kind.PROMPT)
    if runs and len(whole.vectors) > 1:
        kept = [row for row, passage in enumerate(whole.passages) if passage.part]
        whole = replace(
            whole, vectors=whole.vectors[kept], passages=tuple(whole.passages[row] for row in kept)
        )
    told = compared(whole, sight.of(Kind.CLAUSE), shelf, made, FUSED, ["s"])
    return {layer: float(found[0]) for layer, found in told.items()}


def plain_calibration(less: float = 0.0) -> Calibration:
    layer = Layer(threshold=0.5, slope=1, intercept=0)
    numbers = {
        PART_LESS.format(layer=FUSED): less,
        PART_LESS.format(layer=LISTED): less,
        "passages": MAX_PASSAGE,
        "clause_weight": 0.4,
        "clause_share": 0.4,
        "clause_fewest": 2,
        "clause_full": 3,
    }
    return Calibration(space="bag", version=2, made={}, layers={FUSED: layer, LISTED: layer}, numbers=numbers)


said = st.lists(st.sampled_from(WORDS), min_size=2, max_size=7).map(lambda told: f"{' '.join(told)}.")


@settings(max_examples=60)
@given(
    described=st.lists(said, min_size=1, max_size=MAX_PASSAGE),
    before=st.lists(said, max_size=12), after=st.lists(said, max_size=12),
    between=st.sampled_from([" ", "\n", "  \n "]), less=st.sampled_from([0.0, 0.03]),
)  # fmt: skip
def test_sentences_around_a_description_never_make_its_score_less(
    described: list[str], before: list[str], after: list[str], between: str, less: float
) -> None:
    """But by what a part of a prompt counts less, whatever there is around it."""
    model, made = WordBag(), plain_calibration(less)
    shelf = registered("a red fox, an old blue cap, moss on the horn, a lamp", model)
    alone = scores(" ".join(described), shelf, model, made, runs=True)
    padded = between.join([*before, " ".join(described), *after])
    for layer, score in scores(padded, shelf, model, made).items():
        assert score >= alone.get(layer, -np.inf) - less - 1e-5


def test_a_part_of_a_prompt_counts_less_and_all_of_it_does_not() -> None:
    model, told = WordBag(), "red fox old blue cap moss horn lamp."
    shelf = registered("a red fox, an old blue cap, moss on the horn, a lamp", model)
    for text, less in ((told, 0.0), (f"{told} " + "Sea ring sea hat. " * 4, 0.03)):
        full, taken = (scores(text, shelf, model, plain_calibration(by))[FUSED] for by in (0.0, 0.03))
        assert full - taken == pytest.approx(less, abs=1e-5)


@cache
def minilm() -> MiniLm:
    return MiniLm()


@cache
def otter() -> SubjectSet:
    return registered(OTTER, minilm())


def held(text: str) -> bool:
    model = minilm()
    report = check_descriptions(look_at_text([text], None, model), otter(), {model.space: load(model.space)})
    return report.state != "completed" or bool(report.findings)


def test_what_is_harmless_is_not_held() -> None:
    assert not held(" ".join(HARMLESS))
    assert not held("An otter swims in a river. It dives for a fish and comes up again.")
    assert held(OTHER_WORDS)
    assert held(LISTING)


@settings(max_examples=12)
@given(
    described=st.sampled_from([OTHER_WORDS, f"{LISTING}.", OTTER]),
    before=st.lists(st.sampled_from(HARMLESS), max_size=6),
    after=st.lists(st.sampled_from(HARMLESS), max_size=6),
)  # fmt: skip
def test_a_description_among_harmless_sentences_is_held(
    described: str, before: list[str], after: list[str]
) -> None:
    assert held(" ".join([*before, described, *after]))


@pytest.mark.parametrize("described", [OTHER_WORDS, f"{LISTING}."])
def test_a_description_in_the_longest_prompt_is_held(described: str) -> None:
    around = [f"{one.rstrip('.')}." for one in ordinary_prompts() if one.isascii()]
    most = MAX_WORDS - words([described])
    kept: list[str] = []
    for one in around:
        if words([*kept, one]) > most or len(kept) >= MAX_SENTENCES // 2:
            break
        kept.append(one)
    middle = len(kept) // 2
    text = " ".join([*kept[:middle], described, *kept[middle:]])
    assert words([text]) > MAX_WORDS // 2
    assert held(text)
    assert not held(" ".join(kept))


def test_commas_for_full_stops_hide_nothing() -> None:
    around = "the morning light falls on the harbour, birds sing in the trees behind the house"
    assert held(f"{around}, {LISTING}, {around}")
    told = "a stocky otter wearing a bright yellow rain jacket tends the lighthouse with its brass telescope"
    assert held(f"{told}, one of its ears is white and its boots are much too big, {around}, {around}")


def test_what_is_looked_at_is_bounded() -> None:
    model = WordBag()
    whole = " ".join(["A fox sat."] * 3 + ["It ran on."] * (MAX_SENTENCES - 3))
    [seen] = look_at_text([whole], None, model).of(Kind.PROMPT)
    assert len(seen.vectors) <= MAX_SENTENCES * (MAX_PASSAGE + 2)
    assert model.seen <= 2 * 4
    for text in ("Go. " * 25_000, "Go. " * (MAX_SENTENCES + 1), "a, b, c. " * 11_000, "x" * 100_000):
        model = WordBag()
        sight = look_at_text([text], None, model)
        assert model.seen == 0
        report = check_descriptions(sight, otter(), {})
        assert (report.state, "shorten it" in report.detail) == ("skipped", True)


@given(st.text(alphabet="ab c.,;!?\n\"')。…", max_size=400))
def test_sentences_keep_every_word_in_order(text: str) -> None:
    found = sentences(text)
    assert all(words([one]) <= 30 or is_list(items(one)) for one in found)
    letters = [one for one in text if one.isalpha()]
    kept = iter(letters)
    for one in found:  # overlapping windows of a long one come again, single letters may be left out
        if words([one]) < 15:
            assert all(letter in kept for letter in one if letter.isalpha())


def test_how_a_text_is_cut() -> None:
    assert sentences('Look! "A fox." It sat;\nthen (it ran). 3.5 m') == [
        "Look!", '"A fox."', "It sat;", "then (it ran).", "3.5 m",
    ]  # fmt: skip
    long = "a fox in a red coat walks along the shore, " * 4
    assert len(sentences(long)) == 4
    listing = ", ".join(f"{one} cap" for one in map(str, range(40)))
    assert sentences(listing) == [listing]
    told = passages_of(
        sentences_of(["A fox sat. It ran, red cap, horn, moss, blue lamp, and it went on down to the shore."])
    )
    assert told.sentences[-1] == "It ran, red cap, horn, moss, blue lamp"
    assert told.told[-1] == Passage(
        first=len(told.clauses) - 5, end=len(told.clauses), listed=True, part=True
    )
    assert not told.told[0].listed
    # Two sentences, both, both as they stand, and the list within the second.
    assert [one.part for one in told.told] == [True, True, True, False, True]
    assert told.sentences[2] == " ".join(told.sentences[:2])


def test_passages_of_other_clauses_are_refused() -> None:
    whole = np.ones((1, 64), np.float32) / 8
    seen = (
        Seen(kind=Kind.PROMPT, space="bag", vectors=whole, passages=(Passage(first=0, end=3),)),
        Seen(kind=Kind.CLAUSE, space="bag", vectors=whole),
    )
    with pytest.raises(ValueError, match="belong together"):
        check_descriptions(
            Sight(texts=("x",), seen=seen), registered("a fox", WordBag()), {"bag": plain_calibration()}
        )
