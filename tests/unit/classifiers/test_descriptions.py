"""Prompts that describe without naming, with a small embedder of words and a set of references."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import CheckState, Kind, Seen, Sight, Vectors
from classifiers.descriptions import check_descriptions, look_at_text, look_at_texts, vectors_of_subject
from classifiers.errors import CalibrationMissing
from classifiers.thresholds import Calibration, Layer
from classifiers.wording import (
    MAX_WORDS,
    as_read,
    clauses,
    readings,
    undisguised,
    windows,
    within,
    without_names,
    words,
)

DIMENSION = 256


@dataclass
class WordBag:
    """Counts hashed words: texts with the same words are near."""

    space: str
    dimension: int = DIMENSION
    seen: list[str] = field(default_factory=list)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            self.seen.append(text)
            for word in text.lower().replace(",", " ").split():
                found[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    subject: str
    reference: str
    kind: str
    polarity: int
    score: float


class Shelf:
    names = ()
    seq = 1

    def __init__(self, rows: Sequence[tuple[str, Seen]]) -> None:
        self._rows = rows

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> Sequence[Sequence[Near]]:
        found = []
        for vector in vectors:
            near = [
                Near(subject=who, reference="", kind=seen.kind, polarity=1, score=float(vector @ row))
                for who, seen in self._rows
                if seen.space == space and seen.kind in kinds
                for row in seen.vectors
            ]
            found.append(sorted(near, key=lambda match: -match.score)[:neighbours])
        return found


CLIP, MINILM = WordBag("clip-test"), WordBag("minilm-test")
CALIBRATIONS = {
    "clip-test": Calibration(
        space="clip-test", version=1, made={},
        layers={name: Layer(threshold=0.8, slope=10, intercept=-8)
                for name in ("prompt_picture", "prompt_description")},
    ),
    "minilm-test": Calibration(
        space="minilm-test", version=1, made={},
        layers={"prompt_fused": Layer(threshold=0.6, slope=10, intercept=-6)},
        numbers={"passages": 8, "clause_weight": 0.5, "clause_share": 0.6, "prompt_fused_sure": 0.9},
    ),
}  # fmt: skip
PLUMBER = "a stout plumber, red cap, blue overalls, big moustache"


def shelf() -> Shelf:
    seen = vectors_of_subject(PLUMBER, (), ("Mario",), CLIP, MINILM)
    ghost = vectors_of_subject("a pale ghost, long white hair", ["long white hair"], (), CLIP, MINILM)
    return Shelf([*(("plumber", part) for part in seen), *(("ghost", part) for part in ghost)])


def test_a_description_is_found_and_sure_only_when_very_near() -> None:
    near = look_at_text(["an old plumber, red cap, blue overalls, a dog"], None, MINILM)
    [finding] = check_descriptions(near, shelf(), CALIBRATIONS).findings
    assert (finding.subject, finding.code, finding.sure) == ("plumber", "description_match", False)
    same = look_at_text([PLUMBER], None, MINILM)
    [finding] = check_descriptions(same, shelf(), CALIBRATIONS).findings
    assert (finding.sure, finding.span) == (True, (0, len(PLUMBER)))
    assert finding.probability is not None
    assert 0.5 < finding.probability <= 1


def test_other_prompts_are_not() -> None:
    report = check_descriptions(look_at_text(["a dog in the snow"], CLIP, MINILM), shelf(), CALIBRATIONS)
    assert report.findings == ()
    assert report.scores["prompt_fused"] < 0.6


def test_pictures_are_compared_in_their_own_space() -> None:
    picture = Seen(kind=Kind.PICTURE, space="clip-test", vectors=CLIP.embed_texts(["round blue whale"]))
    sight = look_at_text(["a round blue whale"], CLIP, MINILM)
    [finding] = check_descriptions(sight, Shelf([("whale", picture)]), CALIBRATIONS).findings
    assert (finding.subject, finding.code) == ("whale", "prompt_resembles_picture")


def test_a_space_without_calibration_is_missing() -> None:
    with pytest.raises(CalibrationMissing):
        check_descriptions(look_at_text(["a dog"], CLIP, MINILM), shelf(), {})


def test_turns_are_compared_together() -> None:
    turns = ["a stout plumber, red cap", "blue overalls, big moustache"]
    alone = check_descriptions(look_at_text(turns[1:], None, MINILM), shelf(), CALIBRATIONS)
    both = check_descriptions(look_at_text(turns, None, MINILM), shelf(), CALIBRATIONS)
    assert both.scores["prompt_fused"] > alone.scores["prompt_fused"] + 0.05
    assert both.findings[0].turn == 1


def test_a_prompt_that_is_too_long_is_not_compared_in_part() -> None:
    sight = look_at_text(["word " * (MAX_WORDS + 1)], CLIP, MINILM)
    report = check_descriptions(sight, shelf(), CALIBRATIONS)
    assert report.state == "skipped"
    assert "shorten" in report.detail
    assert check_descriptions(Sight(), shelf(), CALIBRATIONS).state == "skipped"


def test_vectors_that_are_no_numbers_raise() -> None:
    broken = Seen(kind=Kind.PROMPT, space="minilm-test", vectors=np.full((1, DIMENSION), np.nan, np.float32))
    with pytest.raises(ValueError, match="no numbers"):
        check_descriptions(Sight(texts=("x",), seen=(broken,)), shelf(), CALIBRATIONS)


def test_names_are_never_embedded() -> None:
    minilm = WordBag("minilm-test")
    vectors_of_subject("Mario is a plumber. MARIO's cap", ["the cap of Mario"], ["Mario", "Io"], None, minilm)
    assert not any("mario" in text.lower() for text in minilm.seen)
    assert "the cap of it" in minilm.seen


def test_attributes_alone_are_a_description() -> None:
    seen = vectors_of_subject("", ["a red cap", "a moustache"], (), None, MINILM)
    assert [part.kind for part in seen] == [Kind.DESCRIPTION, Kind.ATTRIBUTE]


class Words(WordBag):
    """Sees eight words; knows those of `KNOWN` only, and says nothing of a text of which it knows few."""

    context = 8
    known_words = frozenset(("round", "blue", "whale", "in", "a", "sea"))

    def pieces(self, texts: Sequence[str]) -> list[int]:
        return [sum((len(word) + 7) // 8 for word in text.split()) for text in texts]

    def known(self, texts: Sequence[str]) -> list[str]:
        return [" ".join(word for word in text.lower().split() if word in self.known_words) for text in texts]

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        assert all(count <= self.context for count in self.pieces(texts))
        seen = super().embed_texts([" ".join(text.split()[: self.context]) for text in texts])
        shares = [len(known.split()) / max(1, len(text.split()))
                  for known, text in zip(self.known(texts), texts, strict=True)]  # fmt: skip
        return np.asarray(seen * (np.array(shares) >= 0.7)[:, None], np.float32)


def test_gibberish_hides_nothing() -> None:
    clip = Words("clip-test")
    picture = Seen(kind=Kind.PICTURE, space="clip-test", vectors=clip.embed_texts(["a round blue whale"]))
    whale = Shelf([("whale", picture)])
    long = "qzxvkjwpqzxvkjwpqzxvkjwp " * 12 + "a round blue whale"
    [finding] = check_descriptions(look_at_text([long], clip, MINILM), whale, CALIBRATIONS).findings
    assert finding.subject == "whale"
    clip.context = 60
    around = " ".join(["qq zz xx ww", *["round blue whale"] * 4, "vv uu tt ss"])
    assert not clip.embed_texts([around]).any()
    [finding] = check_descriptions(look_at_text([around], clip, MINILM), whale, CALIBRATIONS).findings
    assert finding.subject == "whale"
    assert not look_at_text(["round qq blue zz whale xx"], clip, MINILM).of(Kind.PROMPT)[0].vectors.any()


def test_more_pieces_than_are_compared_are_not_compared() -> None:
    many = Words("clip-test")
    many.pieces = lambda texts: [10_000 for _ in texts]  # type: ignore[method-assign]
    report = check_descriptions(look_at_text(["a whale"], many, MINILM), shelf(), CALIBRATIONS)
    assert (report.state, "shorten" in report.detail) == ("skipped", True)


def test_what_no_model_can_read_is_not_passed() -> None:
    zero = Seen(kind=Kind.PROMPT, space="minilm-test", vectors=np.zeros((1, DIMENSION), np.float32))
    report = check_descriptions(Sight(texts=("zzz",), seen=(zero,)), shelf(), CALIBRATIONS)
    assert (report.state, "no model knows" in report.detail) == ("skipped", True)


def test_disguised_words_are_read_as_a_person_reads_them() -> None:
    assert undisguised("a plain text, it's 50 per cent") == "a plain text, it's 50 per cent"
    styled = "\U0001d42b\U0001d41e\U0001d41d c\u0430p, &#98;lue over\u200balls"
    assert undisguised(styled) == "red cap, blue overalls"
    assert undisguised("красная кепка") == "красная кепка"
    near = look_at_text([f"an old plumber, {styled}, a dog"], None, MINILM)
    assert [one.subject for one in check_descriptions(near, shelf(), CALIBRATIONS).findings] == ["plumber"]


@given(text=st.text(max_size=300), most=st.integers(2, 40))
def test_parts_are_whole_and_leave_nothing_out(text: str, most: int) -> None:
    def count(texts: Sequence[str]) -> list[int]:
        return [sum(1 for letter in text if not letter.isspace()) for text in texts]

    cut = within(text, most, count)
    assert all(number <= most for number in count(cut))
    assert {letter for part in cut for letter in part if not letter.isspace()} == {
        letter for letter in text if not letter.isspace()
    }


def test_several_prompts_at_once_see_the_same() -> None:
    prompts = [["a red dog, a cat"], ["x", "a cat"], [""]]
    for one, sight in zip(prompts, look_at_texts(prompts, CLIP, MINILM), strict=True):
        alone = look_at_text(one, CLIP, MINILM)
        assert [(a.kind, a.space) for a in alone.seen] == [(b.kind, b.space) for b in sight.seen]
        assert all(np.allclose(a.vectors, b.vectors) for a, b in zip(alone.seen, sight.seen, strict=True))


def test_clauses_and_windows() -> None:
    assert clauses("A red cap, blue eyes; and... a cap") == ["A red cap", "blue eyes", "and", "a cap"]
    parts = windows(" ".join(map(str, range(100))), 40)
    assert [part.split()[0] for part in parts] == ["0", "20", "40", "60"]
    assert parts[-1].split()[-1] == "99"
    assert windows(" ", 4) == []
    assert without_names("Mario, marionette and mario", ["Mario", ""]) == "it, marionette and it"


def test_words_that_are_glued_together_are_counted_one_by_one() -> None:
    assert words(["the plumber's, red-cap; 1985"]) == 4
    assert words(["sea," * 100]) == 200
    assert words(["a" * 100_000]) > MAX_WORDS  # held, and given to no tokenizer
    assert words(["配管工" * 20]) == 60
    parts = windows("sea," * 100 + "a purple fox", 40)
    assert "a purple fox" in parts[-1]
    assert all(len(part) <= 100 for part in parts)
    sight = look_at_text(["sea," * 3000], CLIP, MINILM)
    report = check_descriptions(sight, shelf(), CALIBRATIONS)
    assert (report.state, report.findings) == (CheckState.SKIPPED, ())


def test_gaps_are_narrow_and_letters_that_stand_apart_are_words() -> None:
    assert as_read("a dog" + " " * 5000 + "runs\t\n \n far") == "a dog runs\nfar"
    assert readings("a plain text, in 4k, of the 1960s, 3d, U.S.A.") == [
        "a plain text, in 4k, of the 1960s, 3d, U.S.A."
    ]
    assert readings("a  h e r o n  and a w1ng")[-1] == "a heron and a wing"
    assert readings("br4ss w1ngs")[0] == "br4ss w1ngs"


class Lines(Words):
    """Notes how many lines it is given, each of which a tokenizer that mends texts takes time for."""

    lines = 0

    def pieces(self, texts: Sequence[str]) -> list[int]:
        self.lines += sum(text.count("\n") for text in texts)
        return super().pieces(texts)


def test_a_hundred_thousand_empty_lines_cost_nothing() -> None:
    clip = Lines("clip-test")
    look_at_text(["\n" * 99_000 + "a round whale\n\n\nin a sea"], clip, MINILM)
    assert 0 < clip.lines < 100
