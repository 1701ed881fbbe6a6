"""Registered names in prompts: found in disguise, and not found in innocent words."""

import gc
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from classifiers.base import Match, NameTier, Sight, Vectors
from classifiers.layers import OfLayers
from classifiers.names import (
    NameMatcher,
    NameRefused,
    check_name,
    check_names,
    check_unregistered,
    tier_of,
)
from registry.names import Layer, Names, Part

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks.tools.disguises import EXACT, FURTHER


@dataclass(frozen=True, slots=True)
class Name:
    subject: str
    text: str
    tier: str = "block"
    context: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Registered:
    names: Sequence[Name]
    seq: int = 1

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> Sequence[Sequence[Match]]:
        return [[] for _ in vectors]


NAMES = (
    Name("spider", "Spider-Man"),
    Name("mario", "Mario"),
    Name("sponge", "SpongeBob SquarePants"),
    Name("link", "Link", "context", ("Hyrule", "Master Sword")),
    Name("up", "Up", "context", ("balloon house",)),
    Name("pan", "Peter Pan"),
    Name("dora", "Doraemon"),
    Name("dora", "ドラえもん"),
    Name("cheb", "Чебурашка"),
    Name("haechi", "해치맨"),
    Name("artist", "Hayao Miyazaki"),
    Name("groot", "Groot"),
    Name("andor", "Andor"),
)
MATCHER = NameMatcher(NAMES)
REGISTERED = Registered(NAMES)


def found(*texts: str) -> list[tuple[str, str, bool]]:
    report = check_names(Sight(texts=texts), REGISTERED, MATCHER)
    return [(finding.subject, finding.code, finding.sure) for finding in report.findings]


def subjects(*texts: str) -> set[str]:
    return {subject for subject, _, _ in found(*texts)}


@pytest.mark.parametrize("kind", [*EXACT, "base64", "URL encoding", "hex", "repeated letters"])
def test_names_are_found_in_disguise(kind: str) -> None:
    rng = random.Random(3)
    disguise = {**EXACT, **FURTHER}[kind]
    for name in NAMES[:3] + NAMES[5:7] + NAMES[11:12]:
        for _ in range(5):
            text = f"a clip of {disguise(name.text, rng)} walking through a city"
            assert name.subject in subjects(text), text


@pytest.mark.parametrize(
    "text",
    [
        "superb upmost pan",
        "a link to the sword",
        "they go up in a balloon, far from the house",
        "he waits, peter. Pan left",
        "a grot by the sea",
        "cats and or dogs",
        "a spider, man and woman",
        "marionettes dance",
        "a panther in the snow",
        "5 stars, 100 kg, 1080p, 3D!",
        "TWFyaWE=",
        "",
        "…",
    ],
)
def test_innocent_words_are_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Mario's hat", "Mario"),
        ("two Marios run", "Mario"),
        ("SuperMarioWorld", "Mario"),
        ("mario64", "mario"),
        ("red\u200bmario\u200bruns", "mario"),
        ("oiram jumps", "oiram"),
        ("see TWFyaW8= run", "TWFyaW8="),
        ("ma&#114;io!", "ma&#114;io"),
        ("M@r!o!", "M@r!o"),
        ("Then M4r10!", "M4r10"),
        ("($M@r!0$)", "M@r!0"),
    ],
)
def test_the_quote_is_what_stands_in_the_prompt(text: str, quote: str) -> None:
    [finding] = check_names(Sight(texts=(text,)), REGISTERED, MATCHER).findings
    assert (finding.subject, finding.quote, finding.sure) == ("mario", quote, True)
    assert finding.span is not None
    assert text[slice(*finding.span)] == quote


def test_a_common_word_needs_its_context() -> None:
    assert subjects("Link runs") == set()
    assert subjects("link runs through Hyrule") == {"link"}
    assert subjects("l.i.n.k lifts the master-sword") == {"link"}
    assert subjects("we are in Hyrule", "now link jumps") == {"link"}


def test_native_names_are_found_inside_sentences() -> None:
    assert subjects("ドラえもんが空を飛ぶ") == {"dora"}
    assert subjects("Вот Чебурашка в лесу") == {"cheb"}
    assert found("я вижу Чебурашку") == [("cheb", "name_near", False)]
    assert subjects("해치맨이 뛴다") == {"haechi"}
    assert found("Спайдер-Мэн") == [("spider", "name_near", False)]
    assert subjects("Марио бежит") == {"mario"}


def test_a_typo_and_words_run_together_are_for_a_person_to_see() -> None:
    assert found("Doremon flies") == [("dora", "name_near", False)]
    assert found("Spidre-Man flies") == [("spider", "name_near", False)]
    assert found("ma rio flies") == [("mario", "name_near", False)]


@pytest.mark.parametrize(
    "text",
    ["Dorae/mon flies", "Dorae(mon) flies", "Do[rae]mon flies", "Dorae|mon", "“Dorae” + “mon”", "Dorae\nmon"],
)
def test_a_name_that_signs_or_lines_break_is_for_a_person_to_see(text: str) -> None:
    assert found(text) == [("dora", "name_near", False)]


@pytest.mark.parametrize(
    "text",
    [
        "%2544oraemon flies", "&amp;#68;oraemon flies", "&#68oraemon flies", "&#000068;oraemon",
        r"\U00000044oraemon flies",
        "draw " + "".join(chr(0xE0000 + ord(letter)) for letter in "Doraemon") + " now",
    ],
)  # fmt: skip
def test_escapes_of_escapes_and_letters_that_are_not_seen(text: str) -> None:
    [finding] = check_names(Sight(texts=(text,)), REGISTERED, MATCHER).findings
    assert (finding.subject, finding.code) == ("dora", "name_match")
    assert finding.quote.startswith(text[text.index("draw ") + 5 if "draw" in text else 0])


def test_a_name_over_two_turns_may_have_digits_for_letters() -> None:
    assert subjects("a D0ra", "3mon flies") == {"dora"}


def test_a_style_is_for_a_person_to_see() -> None:
    style = [("artist", "style_of_holder", False)]
    assert found("a hill in the style of Hayao Miyazaki") == style
    assert found("like a Hayao Miyazaki film") == style
    assert found("a Hayao Miyazaki-style hill") == style
    often = found("in the style of Hayao Miyazaki, " * 30 + "and Hayao Miyazaki walks in")
    assert ("artist", "name_match", True) in often  # what is asked for besides is not hidden by it
    assert len(found("Andor " * 500)) == len(found("Andor " * 6))


def test_a_common_word_often_said_does_not_hide_the_title() -> None:
    assert not found("a link in a chain. " * 30)
    told = found("a link in a chain. " * 30 + "And we watch the video game Link with friends.")
    assert told == [("link", "name_near", False)]
    assert found("Hayao Miyazaki walks") == [("artist", "name_match", True)]


def test_a_name_over_two_turns_is_found_in_the_later() -> None:
    report = check_names(Sight(texts=("draw a spider", "man in red")), REGISTERED, MATCHER)
    assert [(f.subject, f.turn, f.quote) for f in report.findings] == [("spider", 1, "man")]
    report = check_names(Sight(texts=("Mario", "a dog")), REGISTERED, MATCHER)
    assert [(f.subject, f.turn) for f in report.findings] == [("mario", 0)]


def test_two_subjects_may_have_the_same_name() -> None:
    both = NameMatcher([Name("one", "Wobblekin"), Name("two", "Wobble-Kin")])
    assert {hit.entry.subject for hit in both.match("a wobblekin")} == {"one", "two"}
    assert {hit.entry.subject for hit in both.match("a woblekin")} == {"one", "two"}


def test_names_that_come_later_are_found_beside_the_others() -> None:
    many = tuple(Name(f"s{number}", f"Wobblekin{number}") for number in range(40))
    for count in (20, 21, 40, 22):
        registered = Registered(many[:count])
        text = f"Wobblekin{count - 1} meets Wobblekin0 and Wobblekin{count}"
        report = check_names(Sight(texts=(text,)), registered)
        assert {finding.subject for finding in report.findings if finding.sure} == {"s0", f"s{count - 1}"}
    changed = Registered((*many[1:20], Name("new", "Zorblax")))
    report = check_names(Sight(texts=("Zorblax and Wobblekin0",)), changed)
    assert [finding.subject for finding in report.findings if finding.sure] == ["new"]


def test_names_in_layers_are_found_as_if_there_were_one() -> None:
    """Also where some are gone, in the texts of all disguises."""
    parts = [Part(Layer(NAMES[:4])), Part(Layer(NAMES[4:7])), Part(Layer(NAMES[7:]), frozenset({"groot"}))]
    layered = Registered(Names(parts))
    plain = Registered(tuple(name for name in NAMES if name.subject != "groot"))
    texts = [
        "Spider-Man and Mario meet Groot", "link in Hyrule", "a link", "ドラえもん", "S p i d e r m a n",
        "Peter Pann flies", "n3k0 and 4nd0r", "in the style of Hayao Miyazaki", "Andor Andor Andor",
    ]  # fmt: skip
    for text in [*texts, " ".join(texts)]:
        for sight in (Sight(texts=(text,)), Sight(texts=("Peter", f"Pan and {text}"))):
            assert check_names(sight, layered) == check_names(sight, plain)
            assert check_unregistered(sight, layered) == check_unregistered(sight, plain)


def test_a_layer_is_indexed_once_and_forgotten_with_its_names() -> None:
    made: list[int] = []
    of_layers = OfLayers(lambda names: made.append(len(names)) or len(names))
    layer = Layer(NAMES)
    threads = [threading.Thread(target=of_layers.of, args=(layer,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(of_layers.parts(Names([Part(layer)]))) == [(len(NAMES), frozenset())]
    assert made == [len(NAMES)]
    del layer, threads, thread
    gc.collect()
    assert not of_layers._made


def test_nothing_registered_finds_nothing() -> None:
    report = check_names(Sight(texts=("Mario",)), Registered(()))
    assert (report.state, report.findings) == ("completed", ())


def test_hidden_patterns_stay_bounded() -> None:
    started = time.process_time()
    for text in (
        "mario " * 16_000,
        "m a r i o " * 10_000,
        "&#77;" * 20_000,
        "a" * 100_000,
        "M4r10 " * 16_000,
    ):
        MATCHER.match(text)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "name", ["Spider-Man", "Mario", "Batman", "Doraemon", "Wall-E", "ドラえもん", "Yoda"]
)
def test_names_that_block_alone(name: str) -> None:
    assert check_name(name) is NameTier.BLOCK


@pytest.mark.parametrize(
    "name", ["It", "Up", "Apple", "Frozen", "Her", "The Office", "Inside Out", "E.T.", "007"]
)
def test_common_words_need_context(name: str) -> None:
    assert tier_of(name) is NameTier.CONTEXT
    assert check_name(name, ["film"]) is NameTier.CONTEXT
    with pytest.raises(NameRefused, match="add context words"):
        check_name(name)


@pytest.mark.parametrize(
    ("name", "told"), [("", "fewer than two"), ("🙂", "fewer"), ("x" * 201, "200 characters")]
)
def test_what_is_no_name_is_refused(name: str, told: str) -> None:
    with pytest.raises(NameRefused, match=told):
        check_name(name, ["film"])
