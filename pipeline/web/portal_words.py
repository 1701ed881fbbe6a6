"""What the pages of the opt-out say and ask: choices, fields, and what of them makes an order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.errors import RequestMalformed
from registry.vocabulary import PURPOSES, Conditions

STEPS: Final = {1: "Whom", 2: "Name and pictures", 3: "What may be done", 4: "Who you are"}
WHOM: Final = {
    "work": ("A character or a work", "from a film, a game, a book; a logo, a picture of yours"),
    "myself": ("Myself", "my face and my name"),
    "represented": ("Someone I represent", "a performer, a child, an estate"),
}
KINDS: Final = {
    "character": "A character", "artwork": "A picture, a sculpture, a design", "logo": "A logo or a sign",
}  # fmt: skip
MODES: Final = {
    "block": ("Nothing", "Every request is refused."),
    "ask": ("Ask me", "A request waits, and you answer it on a page of yours."),
    "some": ("Allowed for some purposes", "You choose them below; everything else is refused."),
}
PURPOSE_WORDS: Final = {
    "personal": "Private fun", "editorial": "News and reporting", "parody": "Parody", "education": "Teaching",
    "research": "Research", "commercial": "Products and entertainment", "advertising": "Advertising",
    "political": "Political messages", "training": "Training of models",
}  # fmt: skip
PARTIES: Final = {
    "person": "Only for myself, or for my family", "company": "For a company",
    "association": "For an association", "agency": "For an agency",
}  # fmt: skip
DECLARATIONS: Final = {
    "authority": "I am the rights holder or the person concerned, or I may act for them.",
    "good_faith": "I believe in good faith that what I protect may not be used without leave.",
    "accuracy": "What I state here is accurate as far as I know.",
}
LANGUAGES: Final = {"ru": "Russian", "ja": "Japanese", "ko": "Korean", "zh": "Chinese"}
FOUND: Final = {
    "name_match": "its name is in it", "name_near": "something close to its name is in it",
    "style_of_holder": "a style with its name is asked for", "description_match": "it describes it",
    "prompt_resembles_picture": "it describes what your pictures show",
    "picture_match": "it shows what your pictures show", "likeness_match": "it shows this face",
    "words_match": "its name is written in it", "words_near": "something close to its name is written in it",
}  # fmt: skip

TEXTS: Final = {
    1: ("whom",),
    2: ("kind", "name", "aliases", "context", "description", "sentence"),
    3: ("mode", "credit"),
    4: ("party", "who", "email", "died_on", "signature"),
}
"""Fields of one value, by step."""
LISTS: Final = {1: (), 2: ("native",), 3: ("purposes", "catalogue"), 4: tuple(DECLARATIONS)}
"""Fields of several values, or ticks: one that is not there is empty."""
LAST: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What was typed, with a word for each thing that is asked of it."""

    typed: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.typed.get(name, "")

    def lines(self, name: str) -> list[str]:
        """Values one on each line, or between commas."""
        return [line.strip() for line in self[name].replace(",", "\n").splitlines() if line.strip()]

    @property
    def kind(self) -> str:
        """The kind of subject."""
        if self["whom"] != "work":
            return "person"
        return self["kind"] if self["kind"] in KINDS else "character"

    @property
    def natives(self) -> list[tuple[str, str]]:
        """Spellings in other scripts that were chosen: language and text."""
        told = [line.partition("=") for line in self["native"].splitlines()]
        return [(language, text) for language, _, text in told if language in LANGUAGES and text.strip()]

    @property
    def names(self) -> dict[str, list[str]]:
        """The same as an order's names."""
        found: dict[str, list[str]] = {}
        for language, text in self.natives:
            found.setdefault(language, []).append(text)
        return found

    @property
    def purposes(self) -> tuple[str, ...]:
        """What it may be used for."""
        return tuple(one for one in self["purposes"].splitlines() if one in PURPOSES)

    @property
    def wants_catalogue(self) -> bool:
        """Whether everything of this holder is meant as well."""
        return self["whom"] == "work" and bool(self["catalogue"])

    @property
    def conditions(self) -> Conditions | None:
        """Of the rule that allows something, where one is wanted. Raises: RequestMalformed."""
        if self["mode"] != "some":
            return None
        if not self.purposes:
            raise RequestMalformed("choose at least one purpose, or “Nothing”, in step 3")
        return Conditions(purposes=self.purposes, credit=self["credit"].strip())

    def demand_whom(self) -> None:
        """Raises: RequestMalformed where step 1 is open."""
        if self["whom"] not in WHOM:
            raise RequestMalformed("say whom you protect, in step 1")

    def order(self) -> dict[str, Any]:
        """The members of an order but its owner. Raises: RequestMalformed."""
        self.demand_whom()
        if not self["name"].strip():
            raise RequestMalformed("the name is missing, in step 2")
        died_on = self["died_on"].strip() if self["whom"] == "represented" else ""
        return {
            "kind": self.kind, "name": self["name"], "aliases": self.lines("aliases"), "names": self.names,
            "description": self["description"], "context": self.lines("context"),
            "mode": "ask" if self["mode"] == "ask" else "block", "died_on": died_on or None,
        }  # fmt: skip

    def catalogue(self, owner: str) -> dict[str, Any]:
        """The members of an order for everything of its owner."""
        return {
            "kind": "portfolio", "name": owner, "mode": "ask" if self["mode"] == "ask" else "block",
            "context": self.lines("context"),
        }  # fmt: skip
