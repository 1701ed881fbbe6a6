"""The forms in which guard models are asked and answer: a small table, one entry each.

Sources: the model cards of Qwen3Guard-Gen ("Safety: Unsafe", then "Categories: Violent"), Llama Guard 3 and 4
("unsafe", then "S1,S10"), and Granite Guardian 3 (one risk at a time, "Yes" or "No"). Their chat templates
hold the rest.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from classifiers.unsafe.taxonomy import Category

SURELY: Final = 0.99
"""The share for what a guard model says in words, which come without a number."""
PERHAPS: Final = 0.6


class UnreadableAnswer(ValueError):
    """A judge answered in another form than its own: it said nothing that can be used."""


Read = Callable[[str], Mapping[Category, float]]
_ALL_WELL: Final[Mapping[Category, float]] = dict.fromkeys(Category, 1 - SURELY)


def _unread(_answer: str) -> Mapping[Category, float]:
    raise UnreadableAnswer("this form is asked by questions")


def _same(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """``sign``: what the model's name holds, in small letters without signs; ``read``: its answer to shares.

    ``questions``: instead, one question for each category; ``options``: how the template is told of it.
    """

    name: str
    sign: str
    read: Read = _unread
    questions: Mapping[Category, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    content: Callable[[str], str] = _same


_QWEN: Final[Mapping[str, Category]] = {
    "violent": Category.VIOLENCE, "non-violent illegal acts": Category.ILLEGAL,
    "sexual content or sexual acts": Category.SEXUAL, "pii": Category.HARASSMENT,
    "personally identifiable information": Category.HARASSMENT,
    "suicide & self-harm": Category.SELF_HARM, "unethical acts": Category.HATE,
    "politically sensitive topics": Category.POLITICAL, "copyright violation": Category.KNOWN_WORK,
    "jailbreak": Category.OTHER, "none": Category.OTHER,
}  # fmt: skip
_LLAMA: Final[Mapping[str, Category]] = {
    "S1": Category.VIOLENCE, "S2": Category.ILLEGAL, "S3": Category.SEXUAL, "S4": Category.MINORS,
    "S5": Category.HARASSMENT, "S6": Category.OTHER, "S7": Category.HARASSMENT, "S8": Category.KNOWN_WORK,
    "S9": Category.VIOLENCE, "S10": Category.HATE, "S11": Category.SELF_HARM, "S12": Category.SEXUAL,
    "S13": Category.MISINFORMATION, "S14": Category.OTHER,
}  # fmt: skip
_SAFETY: Final = re.compile(r"\s*Safety:\s*(Safe|Controversial|Unsafe)\b", re.IGNORECASE)
_CATEGORIES: Final = re.compile(r"Categories:\s*([^\n]*)", re.IGNORECASE)
_VERDICT: Final = re.compile(r"\s*(safe|unsafe)\b\s*((?:S\d{1,2}\s*,?\s*)*)", re.IGNORECASE)


def read_qwen(answer: str) -> Mapping[Category, float]:
    """``Safety: Unsafe`` and ``Categories: Violent, …``. Raises: UnreadableAnswer."""
    safety = _SAFETY.match(answer)
    if safety is None:
        raise UnreadableAnswer(f"the judge answered {answer[:60]!r} and not in its form")
    told = safety.group(1).lower()
    if told == "safe":
        return _ALL_WELL
    named = _CATEGORIES.search(answer)
    words = [word.strip().lower() for word in (named.group(1) if named else "").split(",") if word.strip()]
    found = {_QWEN.get(word, Category.OTHER) for word in words} or {Category.OTHER}
    return {**_ALL_WELL, **dict.fromkeys(found, SURELY if told == "unsafe" else PERHAPS)}


def read_llama(answer: str) -> Mapping[Category, float]:
    """``safe``, or ``unsafe`` and a line of codes. Raises: UnreadableAnswer."""
    verdict = _VERDICT.match(answer)
    if verdict is None:
        raise UnreadableAnswer(f"the judge answered {answer[:60]!r} and not in its form")
    if verdict.group(1).lower() == "safe":
        return _ALL_WELL
    codes = re.findall(r"S\d{1,2}", verdict.group(2).upper())
    found = {_LLAMA.get(one, Category.OTHER) for one in codes} or {Category.OTHER}
    return {**_ALL_WELL, **dict.fromkeys(found, SURELY)}


_QUESTIONS: Final[Mapping[Category, str]] = {
    Category.SEXUAL: "nudity or sexual acts",
    Category.MINORS: "somebody under eighteen in a sexual context",
    Category.VIOLENCE: "violence against people or animals",
    Category.GORE: "blood, wounds or dead bodies in detail",
    Category.DISTURBING: "shocking, horrifying or disgusting imagery",
    Category.SELF_HARM: "suicide or self-harm",
    Category.HATE: "hatred of a group of people, or praise of extremists",
    Category.HARASSMENT: "insulting, bullying or stalking somebody",
    Category.ILLEGAL: "a crime such as drug dealing, theft or illegal trade",
    Category.POLITICAL: "political persuasion or mockery with a real politician",
    Category.MISINFORMATION: "invented news or a false claim presented as fact",
    Category.FRAUD: "fraud, or posing as somebody else",
}
_GRANITE: Final[Mapping[Category, str]] = {
    Category.OTHER: "harm", Category.HATE: "social_bias", Category.VIOLENCE: "violence",
    Category.HARASSMENT: "profanity", Category.SEXUAL: "sexual_content", Category.ILLEGAL:
    "unethical_behavior",
}  # fmt: skip

FORMS: Final[Mapping[str, Form]] = {
    form.name: form
    for form in (
        Form(name="qwen3guard", sign="qwen3guard", read=read_qwen),
        Form(name="llama-guard", sign="llamaguard", read=read_llama),
        Form(
            name="granite-guardian",
            sign="graniteguardian",
            questions=_GRANITE,
            options={"risk_name": "{what}"},
        ),
        Form(name="questions", sign="", questions=_QUESTIONS),
    )
}

_LABELS: Final = (
    ("minor", Category.MINORS), ("child", Category.MINORS), ("self", Category.SELF_HARM),
    ("suicid", Category.SELF_HARM), ("sexual", Category.SEXUAL), ("nsfw", Category.SEXUAL),
    ("porn", Category.SEXUAL), ("nud", Category.SEXUAL), ("hentai", Category.SEXUAL), ("gore", Category.GORE),
    ("graphic", Category.GORE), ("violen", Category.VIOLENCE), ("threat", Category.VIOLENCE),
    ("weapon", Category.VIOLENCE), ("hate", Category.HATE), ("identity", Category.HATE),
    ("racis", Category.HATE), ("extremis", Category.HATE), ("terror", Category.HATE),
    ("harass", Category.HARASSMENT), ("insult", Category.HARASSMENT), ("bully", Category.HARASSMENT),
    ("obscen", Category.HARASSMENT), ("toxic", Category.HARASSMENT), ("offens", Category.HARASSMENT),
    ("drug", Category.ILLEGAL), ("illegal", Category.ILLEGAL), ("crim", Category.ILLEGAL),
    ("politic", Category.POLITICAL), ("misinfo", Category.MISINFORMATION), ("fake", Category.MISINFORMATION),
    ("fraud", Category.FRAUD), ("scam", Category.FRAUD), ("disturb", Category.DISTURBING),
    ("shock", Category.DISTURBING), ("unsafe", Category.OTHER), ("harm", Category.OTHER),
    ("inappropriate", Category.OTHER), ("inject", Category.OTHER),
)  # fmt: skip
_WELL: Final = re.compile(
    r"\A(?:not?[\W_]|non[\W_]?|un(?!safe)|safe|sfw|neutral|normal|ok|benign|clean|none|harmless)",
    re.IGNORECASE,
)


def label_category(label: str) -> Category | None:
    """The category that a model's label means; None for one that means that all is well, or nothing."""
    if _WELL.match(label.strip()):
        return None
    plain = label.lower()
    return next((category for sign, category in _LABELS if sign in plain), None)
