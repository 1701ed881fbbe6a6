"""The categories of what is unsafe, with their public names: codes, and a sentence each.

1. A code never changes its meaning: ``unsafe_prompt_sexual`` for what was asked, ``unsafe_clip_sexual``
   for what the clip shows. Both sides share the categories, whatever finds them.
2. A sentence says what was found and not how sure anything was: scores are for the operator alone.
3. What becomes of a category (refused, looked at, noted) is policy, and stands in `pipeline.policy`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Category(StrEnum):
    """What is unsafe; safety.md, section 2, and what the public test sets add."""

    SEXUAL = "sexual"
    SEXUAL_LIKENESS = "sexual_likeness"  # of a person who can be told
    MINORS = "minors"  # sexual, and about somebody under age: the strictest
    VIOLENCE = "violence"
    GORE = "gore"
    DISTURBING = "disturbing"
    SELF_HARM = "self_harm"
    HATE = "hate"  # and extremism
    HARASSMENT = "harassment"
    ILLEGAL = "illegal"  # drugs, theft, trade in what must not be traded
    POLITICAL = "political"  # persuasion and mockery with a likeness or the signs of a state
    MISINFORMATION = "misinformation"  # and invented news footage
    FRAUD = "fraud"  # and impersonation
    REAL_PERSON = "real_person"  # a person in public life, by name
    KNOWN_WORK = "known_work"  # a work or brand that nobody registered
    OTHER = "other"  # what a configured judge refuses without saying why


class Side(StrEnum):
    """Where it was found: in what was asked, or in what was made."""

    PROMPT = "prompt"
    CLIP = "clip"


TRAINED: Final = tuple(
    category
    for category in Category
    if category not in (Category.SEXUAL_LIKENESS, Category.MINORS, Category.OTHER)
)
"""The categories that have weights of their own; two are made of theirs, and one is for other judges."""

_WHAT: Final[Mapping[Category, str]] = {
    Category.SEXUAL: "nudity or sexual acts",
    Category.SEXUAL_LIKENESS: "a named or recognisable person in a sexual scene",
    Category.MINORS: "somebody under age in a sexual context, which is never made",
    Category.VIOLENCE: "violence against people or animals",
    Category.GORE: "blood, wounds or dead bodies in detail",
    Category.DISTURBING: "shocking or disgusting imagery",
    Category.SELF_HARM: "suicide or self-harm",
    Category.HATE: "hatred of a group of people, or praise of extremists",
    Category.HARASSMENT: "insults, bullying or stalking",
    Category.ILLEGAL: "a crime, such as drugs, theft or illegal trade",
    Category.POLITICAL: "political persuasion or mockery with a real politician or the signs of a state",
    Category.MISINFORMATION: "invented news or a false claim presented as fact",
    Category.FRAUD: "fraud, or posing as somebody else",
    Category.REAL_PERSON: "a real person in public life, by name",
    Category.KNOWN_WORK: "a well-known work, character or brand",
    Category.OTHER: "something that the service's judge refuses",
}
_HELP: Final[Mapping[Category, str]] = {
    Category.SELF_HARM: "If this is about yourself: you are not alone; findahelpline.com lists whom to call.",
}


def code(category: Category, side: Side) -> str:
    """The public reason code."""
    return f"unsafe_{side}_{category}"


def category_of(reason_code: str) -> Category | None:
    """The category of a reason code of either side; None for any other code."""
    for side in Side:
        start = f"unsafe_{side}_"
        if reason_code.startswith(start) and reason_code.removeprefix(start) in set(Category):
            return Category(reason_code.removeprefix(start))
    return None


def sentence(category: Category, side: Side, quote: str = "", when: str = "", whom: str = "") -> str:
    """What a person is told: what was found, in which words or when, and who helps.

    `when`: as " at 1.5 s"; `whom`: the registered person whom a face in it resembles. How to object is told
    once with the decision, not with each reason (`pipeline.appeals`).
    """
    where = "The prompt asks for" if side is Side.PROMPT else "The clip seems to show"
    words = f" (“{quote}”)" if quote else ""
    seen = f"A face in it looks like {whom}." if whom else ""
    told = [f"{where} {_WHAT[category]}{words}{when}.", seen, _HELP.get(category, "")]
    return " ".join(part for part in told if part)
