"""The training text in other languages: what a line on hashed letters is fitted to.

1. Each language is a grammar of its own (``grammar/languages``), with a list for each category and harmless
   texts that use the same words and name the same groups of people. Nothing is translated by machine.
   English is one of them, for harm that harmless words tell by its motion, which the sentence model takes for
   an ordinary scene, and for dialects.
2. Known persons and works have no list: they are found by their names in any language.
3. Harmless texts stand in front of some, so that a request is found behind others.
4. Ordinary prompts of the project in further languages are harmless texts as well (`classifiers.ordinary`).
"""

from functools import partial
from operator import eq
from random import Random
from typing import Final

from classifiers.ordinary import ordinary_prompts
from classifiers.unsafe.taxonomy import TRAINED, Category
from training.safety.corpus import SEED, UNKNOWN, Text
from training.safety.grammar import FOLDER, PARTS, Grammar, part_of

LANGUAGES: Final = tuple(sorted(path.stem for path in (FOLDER / "languages").glob("*.txt")))
UNSPACED: Final = frozenset(("ja", "zh"))
"""Languages that are written without spaces."""
HARMLESS: Final = "benign"
JUDGED: Final = tuple(c for c in TRAINED if c not in (Category.REAL_PERSON, Category.KNOWN_WORK))
"""The categories that the grammars of languages have."""
LONG: Final = 0.25
"""Share of texts that have a harmless sentence before what they ask for."""


def foreign(each: int, harmless: int, seed: int = SEED) -> list[Text]:
    """For each language `each` texts of every category and `harmless` ones; then ordinary prompts."""
    found: list[Text] = []
    for language in LANGUAGES:
        for part in range(PARTS):
            grammar = Grammar(f"languages/{language}", partial(eq, part))
            random = Random(f"{seed} {language} {part}")  # noqa: S311 - no secret
            for category in (one for one in JUDGED if str(one) in grammar.lists):
                unknown = tuple(set(TRAINED) - set(JUDGED) | set(UNKNOWN[category]) - {category})
                found += [
                    Text(text=told(grammar, language, str(category), random), labels=(category,),
                         unknown=unknown, part=part, language=language)
                    for _ in range(each // PARTS)
                ]  # fmt: skip
            found += [
                Text(
                    text=told(grammar, language, HARMLESS, random),
                    labels=(),
                    unknown=(),
                    part=part,
                    language=language,
                )
                for _ in range(harmless // PARTS)
            ]
    return found + [Text(text=line, labels=(), unknown=(), part=part_of(line)) for line in ordinary_prompts()]


def told(grammar: Grammar, language: str, name: str, random: Random) -> str:
    """One text from the list `name`, dressed as its language dresses prompts."""
    gap = "" if language in UNSPACED else " "
    core = f"{{before}}{gap}{{{name}}}{{after}}"
    if random.random() < LONG:
        core = f"{{{HARMLESS}}}{{end}}{gap}{core}"
    text = grammar.fill(core, random)
    way = random.random()
    if way < 0.4:
        text = text[:1].upper() + text[1:]
    return text + grammar.fill("{end}", random) if random.random() < 0.5 else text
