"""Names that are not quite written out: a person is asked to look, and innocent words are left alone."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from classifiers.base import Sight
from classifiers.lines import line_of, parsed, words_of
from classifiers.matcher import NameMatcher, readings_of
from classifiers.names import check_names
from classifiers.normalise import fold
from classifiers.ordinary import ordinary_prompts
from classifiers.stack import Stack


@dataclass(frozen=True, slots=True)
class Name:
    subject: str
    text: str
    tier: str = "block"
    context: tuple[str, ...] = ()


NAMES = [
    Name("fox", "The Lantern Fox"), Name("brin", "Brindle Quackenbush"), Name("mox", "Moxie Fizzlebottom"),
    Name("pip", "Pipkin"), Name("oko", "Okor"), Name("spi", "Spider Duchess"),
    Name("cap", "Captain Thistlewick"),
    Name("star", "Starweaver"), Name("hat", "Hat", "context", ("Milliner of Moon",)),
]  # fmt: skip
MATCHER = NameMatcher(NAMES)


def found(*texts: str) -> list[tuple[str, str, bool, str]]:
    return [
        (hit.entry.subject, hit.code, hit.sure, texts[-1][hit.start : hit.end])
        for hit in MATCHER.match_turns(texts)[-1]
    ]


@pytest.mark.parametrize(
    ("text", "subject", "quote"),
    [
        ("we meet Brindel Quackenbush today", "brin", "Brindel Quackenbush"),  # one mistake
        ("we meet Brndle Quackenbsh today", "brin", "Brndle Quackenbsh"),  # two
        ("a pipken hops", "pip", "pipken"),
        ("an okro hops", "oko", "okro"),
        ("Moksy Fizzelbotom waves", "mox", "Moksy Fizzelbotom"),  # another spelling
        ("a brindul kwakenboosh", "brin", "brindul kwakenboosh"),
        ("quackenbush brindle sings", "brin", "quackenbush brindle"),  # another order
        ("fizzlebottom, she said, moxie", "mox", "fizzlebottom, she said, moxie"),  # apart
        ("Quackenbush, Brindle: a portrait", "brin", "Quackenbush, Brindle"),
        ("Moxie the great Fizzlebottom", "mox", "Moxie the great Fizzlebottom"),
        ("her name is Moxie, and she lives alone in a lighthouse. A tall Quackenbush waves", "", ""),
        ("Weaverstar dances", "star", "Weaverstar"),
        ("thistlewick catpain laughs", "cap", "thistlewick catpain"),
        ("eldnirb hsubnekcauq", "brin", "eldnirb hsubnekcauq"),  # each word backwards
        ("the lantern 🦊 sleeps", "fox", "the lantern 🦊"),  # a picture
        ("🕷️ duchess at the ball", "spi", "🕷️ duchess"),
        ("la duchess паук", "spi", "duchess паук"),  # a word of another language, and the order
        ("the Lantern 狐 sleeps", "fox", "the Lantern 狐"),
        ("Мокси Fizzlebottom поёт", "mox", "Мокси Fizzlebottom"),  # half in another script
        ("목시 Fizzlebottom", "mox", "목시 Fizzlebottom"),
    ],
)
def test_what_is_near_a_name_is_for_a_person_to_see(text: str, subject: str, quote: str) -> None:
    hits = found(text)
    assert hits == ([(subject, "name_near", False, quote)] if subject else [])


@pytest.mark.parametrize(
    "text",
    [
        "a brindled cow in the bush", "the fox with a lantern", "a pumpkin by the door",
        "stars, weavers and looms",
        "the captain picks a thistle", "a spider and a duchess", "the duchess saw a big spider",
        "the duke spied her",
        "a hat on a chair", "a bottom of fizzling soda", "4k, 8 mm film, 2 dogs & a cat",
        "🦊🦊🦊", "男 狐 蜘蛛",
    ],
)  # fmt: skip
def test_innocent_words_stay_innocent(text: str) -> None:
    assert found(text) == []


def test_ordinary_prompts_of_all_languages_are_let_through() -> None:
    hits = [text for text in ordinary_prompts() if any(MATCHER.match(text))]
    assert hits == []


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("the movie Hat opens with rain", True), ("a scene from the film “Hat”", True),
        ("Hat, the game hero, runs", True),
        ("the character Hat jumps", True), ("a film about a hat", False), ("Hat shops in London", False),
        ("A HAT IN A MOVIE", False), ("he wears a hat in the movie", False),
    ],
)  # fmt: skip
def test_a_common_word_as_a_title_is_for_a_person_to_see(text: str, hit: bool) -> None:
    assert [one[:3] for one in found(text)] == ([("hat", "name_near", False)] if hit else [])
    assert [one[:3] for one in found(f"{text}, milliner of moon")][:1] == [("hat", "name_match", True)]


STYLES = [
    "a hill in the style of {}", "Ein Hügel im Stil von {}", "ein Hafen im {}-Stil", "wie in einem {}-Film",
    "une colline dans le style de {}", "à la {}", "comme dans un film de {}", "una colina al estilo de {}",
    "inspirado en {}", "como en una película de {}", "nello stile di {}", "ispirato a {}",
    "alla maniera di {}",
    "no estilo de {}", "como num filme de {}", "inspirado em {}", "{}風の丘", "{}のような画風で",
    "{}スタイルの港",
]  # fmt: skip
SUBJECTS = [
    "{} walks up a hill", "{} geht nach Hause", "{} monte une colline", "{} sube",
    "il film mostra {} che dorme",
    "um filme com {}", "{}が丘を登る", "a stylish hat for {}",
]  # fmt: skip


@pytest.mark.parametrize("sentence", STYLES)
def test_a_style_is_told_in_seven_languages(sentence: str) -> None:
    assert _codes(sentence) == {("style_of_holder", False)}


@pytest.mark.parametrize("sentence", SUBJECTS)
def test_who_is_meant_is_no_style(sentence: str) -> None:
    assert _codes(sentence) == {("name_match", True)}


@dataclass(frozen=True, slots=True)
class Registered:
    names: Sequence[Name]
    seq: int = 1

    def search(self, *_asked: object) -> list[list[object]]:
        return []


def _codes(sentence: str) -> set[tuple[str, bool]]:
    holder = "遠山カスミ" if any("\u3040" < letter < "\u9fff" for letter in sentence) else "Orsolya Vantreek"
    sight = Sight(texts=(sentence.format(holder),))
    report = check_names(sight, Registered([Name("holder", holder)]))  # type: ignore[arg-type]
    return {(finding.code, finding.sure) for finding in report.findings}


def test_lines_say_what_the_reading_says() -> None:
    for text in ("Мокси Fizzlebottom, a dog. The okkor 🦊!", "", "ブリンドル in Zürich\nand 夜", "a"):
        read = readings_of(text, fold(text)).near
        stack = Stack(read, [0] * len(read))
        seen = words_of(stack, len(stack.letters), text)
        words, lines = parsed([line_of(reading, text) for reading in read])
        assert words.letters == seen.letters
        for one in ("starts", "ends", "heavy", "strange", "notable", "foreign", "function"):
            assert getattr(words, one).tolist() == getattr(seen, one).tolist(), one
        assert len(lines) == len(words.starts)


def test_names_without_letters_and_texts_without_words_find_nothing() -> None:
    for names in ([Name("none", "…")], [Name("none", "…"), Name("one", "!!")], NAMES):
        matcher = NameMatcher(names)
        for text in ("", "…", "a", "…" * 50, "\u200b", "狐", "\ud800", "🦊", "1", "aa"):
            assert matcher.match(text) == []
            assert matcher.match_turns([text, text, ""]) == [[], [], []]


def test_a_context_word_is_no_name() -> None:
    """Also where thousands of them share a small table, so that hashes agree by chance."""
    words = tuple(f"Milliner{number} of Moon" for number in range(4000))
    matcher = NameMatcher([Name("hat", "Hat", "context", words)])
    drawn = random.Random(8)
    for _ in range(300):
        matcher.match(" ".join("".join(drawn.choices("milnerofn0123", k=9)) for _ in range(20)))


def test_near_names_stay_bounded() -> None:
    many = NameMatcher([Name(str(number), f"Zorblax Quim{number:04}n") for number in range(3000)])
    letters = random.Random(5)
    strange = " ".join("".join(letters.choices("zorblaxquim", k=7)) for _ in range(5_000))
    began = time.process_time()
    for text in (
        "zorblax quimn " * 2500,
        strange,
        "🦊" * 8_000,
        "狐蜘蛛" * 4_000,
        "8&" * 40_000,
    ):
        many.match(text)
    assert time.process_time() - began < 8


PEOPLE = NameMatcher(
    [Name("per", "Ilvane Torresk"), Name("usual", "Taylor Swift"), Name("far", "Мосса Пондри")]
)


@pytest.mark.parametrize(
    ("turns", "subject", "quote"),
    [
        (("call her Ilvane", "rain falls", "her family name is Torresk; let her row"), "per", "Torresk"),
        (("first Torresk", "Ilvane comes after it"), "per", "Ilvane"),
        (("Swift, Taylor sings",), "usual", "Swift, Taylor"),
        (("a swift river behind the old red barn where our friend Taylor lives",), "", ""),
        (("the hero is Taylor", "a swift horse"), "", ""),  # words seen now and then, in two turns
        (("Ilvane rows", "a boat"), "", ""),
        (("Пондри, по имени Мосса, танцует",), "far", "Пондри, по имени Мосса"),
    ],
)
def test_the_words_of_a_name_may_stand_apart(turns: tuple[str, ...], subject: str, quote: str) -> None:
    hits = PEOPLE.match_turns(turns)
    told = [
        (hit.entry.subject, hit.sure, text[hit.start : hit.end])
        for text, some in zip(turns, hits, strict=True) for hit in some
    ]  # fmt: skip
    assert told == ([(subject, False, quote)] if subject else [])


def test_no_texts_hold_no_names() -> None:
    assert PEOPLE.match_turns([]) == []
    assert PEOPLE.match_turns([""]) == [[]]
    assert PEOPLE.match_turns(["", ""]) == [[], []]


def test_words_apart_are_looked_for_in_long_prompts_too() -> None:
    text = "Taylor " * 7000 + "Ilvane " * 7000 + "swift"
    begun = time.process_time()
    assert not any(hit.entry.subject == "per" for hit in PEOPLE.match(text))
    assert time.process_time() - begun < 5.0
