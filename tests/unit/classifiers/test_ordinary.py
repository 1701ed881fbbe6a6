"""Ordinary prompts: what is in the file, and what names do among them."""

import time
from dataclasses import dataclass

import pytest

from classifiers.ambiguity import tier_of
from classifiers.base import NameTier
from classifiers.matcher import NameMatcher
from classifiers.ordinary import Asked, measure_names, ordinary_prompts, tier_measured

PROMPTS = ("A golden retriever sleeps", "Zib the fox runs", "a quiet lake in Hyrule", "a zibb on a hill")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    text: str
    subject: str = "one"
    tier: str = "block"
    context: tuple[str, ...] = ()


def test_the_file_has_hundreds_of_sentences_in_many_scripts() -> None:
    prompts = ordinary_prompts()
    assert len(prompts) > 400
    assert len(set(prompts)) == len(prompts)
    letters = "".join(prompts)
    for script in ("ß", "ж", "ق", "ह", "の", "개", "海", "ป", "ט", "λ"):
        assert script in letters
    assert all(len(prompt.split()) < 40 for prompt in prompts)  # a model sees each whole


def test_a_name_is_measured_by_the_matcher_that_judges_prompts() -> None:
    asked = [
        Asked(text="Golden Retriever", tier="block"), Asked(text="Zibble", tier="block"),
        Asked(text="Lake", tier="context", context=("Hyrule",)),
        Asked(text="Lake", tier="context", context=("sword",)), Asked(text="Golden Retriever", tier="block"),
    ]  # fmt: skip
    dog, zibble, lake, other, again = measure_names(asked, PROMPTS)
    assert (dog.hits, dog.prompts, dog.examples) == (1, 4, (PROMPTS[0],))
    assert (zibble.hits, lake.hits, other.hits) == (0, 1, 0)
    assert again == dog
    assert dog.share == 0.25


def test_near_hits_are_counted_apart() -> None:
    [found] = measure_names([Asked(text="Zorblax", tier="block")], ["the Zorblux sings", "nobody"])
    assert (found.hits, found.near) == (0, 1)


@pytest.mark.parametrize("text", ["Golden Retriever", "Red Fox", "Polar Bear", "Frozen Pond"])
def test_phrases_that_everybody_writes_lose_their_tier(text: str) -> None:
    assert tier_of(text) is NameTier.BLOCK  # their words are rare enough
    [fit] = measure_names([Asked(text=text, tier="block")], ordinary_prompts())
    assert tier_measured(NameTier.BLOCK, fit) is NameTier.CONTEXT


@pytest.mark.parametrize("text", ["Zorblax", "Quimbo Larr", "Elsa", "Hollowmere Tix", "ゾーブラックス"])
def test_names_that_mean_only_themselves_keep_it(text: str) -> None:
    [fit] = measure_names([Asked(text=text, tier="block")], ordinary_prompts())
    assert tier_measured(tier_of(text), fit) is NameTier.BLOCK


def test_ten_thousand_names_take_seconds() -> None:
    names = [Asked(text=f"Zor{chr(97 + n % 26)}blax {n // 26} Quimbo", tier="block") for n in range(10_000)]
    began = time.process_time()
    assert len(measure_names(names, ordinary_prompts())) == 10_000
    assert time.process_time() - began < 20


def test_nothing_is_missed_by_asking_a_sieve_first() -> None:
    texts = ("Zorblax", "Golden Retriever", "Fishermann", "Wite Snow", "Up", "Лев", "old woman", "…")
    asked = [Asked(text=text, tier="block") for text in texts]
    prompts = [*ordinary_prompts()[::7], "a fisherman in white snow", "a zorblaks"]
    for one, fit in zip(asked, measure_names(asked, prompts), strict=True):
        matcher = NameMatcher([Named(text=one.text)])
        found = [matcher.match(prompt) for prompt in prompts]
        sure = sum(any(hit.sure for hit in hits) for hits in found)
        assert (fit.hits, fit.near) == (sure, sum(map(bool, found)) - sure), one
    assert measure_names(asked[:1], [])[0].prompts == 0
