"""The training text: so many texts of each category and of harmless ones, all from grammars of our own.

1. Each text is of one category, or harmless. What a text of one category often is as well (gore is violence)
   is neither said nor denied: it is left out of that category's fit.
2. Each text is made of the lines of one part (`training.safety.grammar`), so that a fit to the other parts
can be
   judged on words that it has not learnt.
3. Some texts are of two categories.
4. A prompt is judged whole and sentence by sentence (`classifiers.unsafe.units`), so the sentences of
   harmless texts are there too: nothing is fitted to them, but thresholds come from a text's worst part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import eq
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.unsafe.taxonomy import TRAINED, Category
from classifiers.unsafe.units import units
from training.safety.dress import Dresser
from training.safety.grammar import PARTS, Grammar

SEED: Final = 20261128
HARMLESS: Final = "benign"
EVERYDAY: Final = "everyday"
"""Harmless texts near what is unsafe, short ones and long ones."""
UNKNOWN: Final[Mapping[Category, tuple[Category, ...]]] = {
    Category.SEXUAL: (),
    Category.VIOLENCE: (Category.GORE, Category.ILLEGAL, Category.DISTURBING, Category.HATE),
    Category.GORE: (Category.VIOLENCE, Category.DISTURBING),
    Category.DISTURBING: (Category.GORE, Category.VIOLENCE),
    Category.SELF_HARM: (Category.DISTURBING, Category.VIOLENCE, Category.ILLEGAL),
    Category.HATE: (Category.HARASSMENT, Category.VIOLENCE, Category.POLITICAL),
    Category.HARASSMENT: (Category.HATE, Category.SEXUAL, Category.VIOLENCE, Category.ILLEGAL),
    Category.ILLEGAL: (Category.VIOLENCE, Category.FRAUD),
    Category.POLITICAL: (Category.REAL_PERSON, Category.MISINFORMATION, Category.VIOLENCE, Category.HATE),
    Category.MISINFORMATION: (Category.POLITICAL, Category.REAL_PERSON, Category.FRAUD, Category.VIOLENCE),
    Category.FRAUD: (Category.ILLEGAL, Category.REAL_PERSON, Category.POLITICAL, Category.MISINFORMATION),
    Category.REAL_PERSON: (Category.POLITICAL, Category.MISINFORMATION),
    Category.KNOWN_WORK: (),
}
"""What else a text of a category may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text, what it is (nothing: harmless), what it may be besides, and the part its words come from.

    ``of``: the place of the text that this is a sentence of; -1 for a whole text. ``language``: of a text in
    another language than English.
    """

    text: str
    labels: tuple[Category, ...]
    unknown: tuple[Category, ...]
    part: int
    of: int = -1
    language: str = ""


def corpus(each: int, harmless: int, seed: int = SEED, *, everyday: int = 0) -> list[Text]:
    """`each` texts of every category, `harmless` ones and `everyday` ones; the same seed, the same texts."""
    common = Grammar(HARMLESS)
    found: list[Text] = []
    for part in range(PARTS):
        keep = partial(eq, part)
        quiet = Grammar(HARMLESS, keep)
        dresser = Dresser(quiet, common)
        kinds: dict[Category, Grammar] = {category: Grammar(category, keep) for category in TRAINED}
        for category, grammar in kinds.items():
            random = Random(f"{seed} {category} {part}")  # noqa: S311 - no secret; one for each, so that a new
            for _ in range(each // PARTS):  # line changes only the texts of its own grammar
                found.append(_unsafe(category, grammar, kinds, dresser, random, part))
        for kind, count in ((HARMLESS, harmless), (EVERYDAY, everyday)):
            random, grammar = Random(f"{seed} {kind} {part}"), Grammar(kind, keep)  # noqa: S311
            for _ in range(count // PARTS):
                text = dresser.dress(grammar.make(random), random)
                found.append(Text(text=text, labels=(), unknown=(), part=part))
    return found


def sentences(texts: Sequence[Text]) -> list[Text]:
    """The sentences of harmless texts that have several, each as a text that is only judged."""
    return [
        replace(text, text=piece.text, unknown=TRAINED, of=place)
        for place, text in enumerate(texts)
        if not text.labels
        for piece in units((text.text,)) or ()
        if piece.text != text.text
    ]


def _unsafe(
    category: Category, grammar: Grammar, kinds: Mapping[Category, Grammar], dresser: Dresser, random: Random,
    part: int,
) -> Text:  # fmt: skip
    core, labels = grammar.make(random), [category]
    if random.random() < 0.05:
        other = random.choice(TRAINED)
        core = f"{core}, {kinds[other].make(random)}"
        labels.append(other)
    unknown = {one for label in labels for one in UNKNOWN[label]} - set(labels)
    return Text(
        text=dresser.dress(core, random),
        labels=tuple(dict.fromkeys(labels)),
        unknown=tuple(unknown),
        part=part,
    )


def targets(texts: Sequence[Text]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What each text is, and where that counts: both ``float32[texts, categories]``."""
    wanted = np.array([[c in text.labels for c in TRAINED] for text in texts], np.float32)
    counts = np.array([[c not in text.unknown for c in TRAINED] for text in texts], np.float32)
    return wanted, counts
