"""The closed vocabulary of rules: what a condition may name. Pure; no code is ever part of a rule.

All conditions of a rule must hold. What the one who asks does not say (no region, no purpose, no class of
content) never opens a door and never keeps one open: an allow that names it does not hold, a review or a
block that names it does.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from registry.canonical import Json
from registry.errors import OptOutInvalid

EFFECTS: Final = ("allow", "review", "block")  # from mild to strict
PURPOSES: Final = (
    "personal", "editorial", "parody", "education", "research", "commercial", "advertising", "political",
    "training",
)  # fmt: skip
"""What a clip is for, as the one who asks says."""
CONTENT_CLASSES: Final = (
    "general", "violence", "sexual", "political", "medical", "religious", "minors", "news", "gambling",
    "alcohol-tobacco",
)  # fmt: skip
"""What a clip is about, as the service says."""
DEPICT: Final = "depict"
STYLE: Final = "style"
INTENTS: Final = (DEPICT, STYLE)
"""Whether a subject is shown or named itself, or a holder's name is used as a style."""

_EU: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
GROUPS: Final[dict[str, frozenset[str]]] = {
    "EU": frozenset(_EU.split()),
    "EEA": frozenset([*_EU.split(), "IS", "LI", "NO"]),
}
"""Names for several regions; neither is a code of ISO 3166-1 that a country has."""
_CODES: Final = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT "
    "BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH "
    "ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT "
    "HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS "
    "LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI "
    "NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG "
    "SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG "
    "UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
REGIONS: Final = frozenset(_CODES.split())
"""ISO 3166-1 alpha-2."""

LISTED_MAX: Final = 250  # regions, accounts or tags of one condition
TEXT_MAX: Final = 200
CAP_MAX: Final = 1_000_000_000
_UNPRINTED: Final = {"Cc", "Cs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What must hold besides account and time for a rule to apply; an empty one asks nothing.

    ``accounts``: where a rule is for several; ``tags``: one of them is the account's; ``job``: only this
    job; ``cap_account``, ``cap_all``: releases a day (UTC) under this rule, of one account and of all;
    ``credit``: the line that a release must carry; ``licence_ref``: the holder's own number of a licence;
    ``ask``: a review for which the holder is asked; ``permission``: the answer that made the rule.
    """

    accounts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    intent: str = ""
    job: str = ""
    cap_account: int | None = None
    cap_all: int | None = None
    credit: str = ""
    licence_ref: str = ""
    ask: bool = False
    permission: str = ""

    @property
    def capped(self) -> bool:
        """Whether the rule can be used up."""
        return self.cap_account is not None or self.cap_all is not None

    def countries(self) -> frozenset[str]:
        """The regions, groups spelt out."""
        return frozenset(code for name in self.regions for code in GROUPS.get(name, {name}))


NO_CONDITIONS: Final = Conditions()
_LISTS: Final = ("accounts", "tags", "regions", "purposes", "content")
_TEXTS: Final = ("intent", "job", "credit", "licence_ref", "permission")
_CAPS: Final = ("cap_account", "cap_all")


def to_json(conditions: Conditions) -> Json:
    """The conditions as a rule's row and its log entry keep them: only what is asked."""
    told: Json = {name: list(getattr(conditions, name)) for name in _LISTS if getattr(conditions, name)}
    told |= {name: getattr(conditions, name) for name in _TEXTS if getattr(conditions, name)}
    told |= {name: getattr(conditions, name) for name in _CAPS if getattr(conditions, name) is not None}
    return told | ({"ask": True} if conditions.ask else {})


def from_json(told: Mapping[str, Any]) -> Conditions:
    """Read `to_json`'s document; `OptOutInvalid` for a word that this version does not know."""
    unknown = sorted(set(told) - {*_LISTS, *_TEXTS, *_CAPS, "ask"})
    if unknown:
        raise OptOutInvalid(f"A rule has no condition {unknown[0][:40]!r}; see docs/rules.md.")
    lists = {name: tuple(told[name]) for name in _LISTS if name in told}
    return Conditions(**{**told, **lists})


def check_conditions(conditions: Conditions, *, effect: str, account: str | None) -> None:
    """Raise `OptOutInvalid` unless the conditions can stand with that effect and account.

    1. Words are of the closed lists. 2. What is free text can be printed and is short. 3. Caps, credit and
    a licence's number belong to an allow, asking to a review. 4. One account is named in one place.
    """
    _of("region", conditions.regions, (*sorted(REGIONS), *GROUPS), told="ISO 3166-1 alpha-2, EU or EEA")  # 1
    _of("purpose", conditions.purposes, PURPOSES)
    _of("class of content", conditions.content, CONTENT_CLASSES)
    _of("intent", (conditions.intent,) if conditions.intent else (), INTENTS)
    texts = (conditions.credit, conditions.licence_ref, conditions.job, conditions.permission)
    for text in (*conditions.accounts, *conditions.tags, *filter(None, texts)):  # 2
        _phrase(text)
    caps = [cap for cap in (conditions.cap_account, conditions.cap_all) if cap is not None]  # 3
    if any(not 0 < cap <= CAP_MAX for cap in caps):
        raise OptOutInvalid(f"A cap is a number of releases a day, 1 to {CAP_MAX}.")
    if effect != "allow" and (caps or conditions.credit or conditions.licence_ref):
        raise OptOutInvalid("Caps, a credit line and a licence's number belong to a rule that allows.")
    if effect != "review" and conditions.ask:
        raise OptOutInvalid("Only a rule with the effect review can ask the holder.")
    if account is not None and conditions.accounts:  # 4
        raise OptOutInvalid("Name the account of a rule in one place: alone, or in a list.")


def check_word(what: str, word: str, choices: Sequence[str] | frozenset[str]) -> None:
    """Raise `OptOutInvalid` unless the word is one of the choices, or empty."""
    if word:
        _of(what, (word,), choices, told="ISO 3166-1 alpha-2" if what == "region" else "")


def _of(what: str, words: Sequence[str], choices: Sequence[str] | frozenset[str], told: str = "") -> None:
    if len(words) > LISTED_MAX or len(set(words)) != len(words):
        raise OptOutInvalid(f"A condition lists each {what} once, and at most {LISTED_MAX}.")
    for word in words:
        if word not in choices:
            known = told or ", ".join(choices)
            raise OptOutInvalid(f"{word[:40]!r} is no {what}; choose one of: {known}.")


def _phrase(text: str) -> None:
    if not text.strip() or len(text) > TEXT_MAX:
        raise OptOutInvalid(f"An account, a tag, a credit line has 1 to {TEXT_MAX} characters.")
    if any(unicodedata.category(character) in _UNPRINTED for character in text):
        raise OptOutInvalid("A condition holds characters that cannot be printed; remove them.")
