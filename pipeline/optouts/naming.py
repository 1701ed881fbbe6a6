"""The names of orders: each measured on ordinary prompts before it is registered.

1. A name's words say its tier (`classifiers.ambiguity`).
2. The matcher that judges prompts goes through ordinary prompts with all names at once. A name found in any
   of them may not block alone: it needs context words.
3. A name that needs context words and has none is refused; so is one that is found too often although it
   has them.
4. Of the first name its holder is told how other scripts are likely to write it, as far as no name of the
   order is written in them (`classifiers.native`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from classifiers import native
from classifiers.ambiguity import demand_context, tier_of
from classifiers.base import NameTier
from classifiers.errors import NameRefused
from classifiers.ordinary import CONTEXT_SHARE, Asked, NameFit, measure_names, tier_measured
from pipeline.cohort import texts
from pipeline.optouts.order import OptOutOrder
from pipeline.types import Json
from registry.subject_types import NameDraft

OFFICIAL, ALIAS, NATIVE = "official", "alias", "native"
UNAMBIGUOUS, NEEDS_CONTEXT = "unambiguous", "needs context"
_TOLD: Final = {NameTier.BLOCK: UNAMBIGUOUS, NameTier.CONTEXT: NEEDS_CONTEXT}


@dataclass(frozen=True, slots=True, kw_only=True)
class NameTold:
    """What its holder is told of a name: unambiguous | needs context, and where ordinary prompts have it.

    ``suggested``: by language, how it is likely written in other scripts; ``unwritten``: languages in which
    it should be given, too, and nobody can guess how.
    """

    text: str
    tier: str
    fit: NameFit
    suggested: Mapping[str, str] = field(default_factory=dict)
    unwritten: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """As receipts and `optout try` give it."""
        return {
            "text": self.text, "tier": self.tier, "hits": self.fit.hits, "near": self.fit.near,
            "prompts": self.fit.prompts, "examples": list(self.fit.examples),
            "suggested": dict(self.suggested), "unwritten": list(self.unwritten),
        }  # fmt: skip

    def sentence(self) -> str:
        """The same for a person."""
        found = f"found in {self.fit.hits} of {self.fit.prompts} ordinary prompts"
        near = f", something close to it in {self.fit.near}" if self.fit.near else ""
        example = f", such as “{self.fit.examples[0]}”" if self.fit.examples else ""
        others = native.told(self.suggested, self.unwritten)
        return f"{self.text}: {self.tier}, {found}{example}{near}{'; ' if others else ''}{others}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The names of one order, and what is told of them."""

    names: tuple[NameDraft, ...]
    told: tuple[NameTold, ...]


def named(order: OptOutOrder) -> Named:
    """All names of an order, each with its tier. Raises: NameRefused for one that would hit everybody."""
    [found] = named_all([order])
    if isinstance(found, NameRefused):
        raise found
    return found


def more_names(order: OptOutOrder) -> Named:
    """The aliases of an order alone, for an opt-out that has its name already. Raises: NameRefused."""
    if not order.aliases:
        return Named(names=(), told=())
    first, *others = order.aliases
    found = named(order.model_copy(update={"name": first, "aliases": tuple(others), "names": {}}))
    told = tuple(replace(one, suggested={}, unwritten=()) for one in found.told)
    return Named(names=tuple(replace(name, kind=ALIAS) for name in found.names), told=told)


def named_all(orders: Sequence[OptOutOrder]) -> list[Named | NameRefused]:
    """The names of each order, or why they cannot be registered; ordinary prompts are gone through twice,
    however many names there are.
    """
    drafts: list[list[NameDraft] | NameRefused] = [_drafted(order) for order in orders]
    alone = _measured([draft for group in _taken(drafts) for draft in group])  # 2
    for number, (order, group) in enumerate(zip(orders, drafts, strict=True)):
        if not isinstance(group, NameRefused):
            drafts[number] = _with_tiers(order, group, alone)
    fits = _measured([draft for group in _taken(drafts) for draft in group])
    return [group if isinstance(group, NameRefused) else _named(group, fits) for group in drafts]


_Fits = dict[Asked, NameFit]


def _taken(drafts: Sequence[list[NameDraft] | NameRefused]) -> Iterator[list[NameDraft]]:
    return (group for group in drafts if not isinstance(group, NameRefused))


def _drafted(order: OptOutOrder) -> list[NameDraft] | NameRefused:
    listed = [(order.name, OFFICIAL, ""), *((alias, ALIAS, "") for alias in order.aliases)]
    listed += [(text, NATIVE, language) for language, group in order.names.items() for text in group]
    try:
        return [
            _with_tier(order, NameDraft(text=text, kind=kind, language=language), tier_of(text, language))
            for text, kind, language in listed
        ]
    except NameRefused as error:
        return error


def _with_tiers(
    order: OptOutOrder, drafts: Sequence[NameDraft], fits: _Fits
) -> list[NameDraft] | NameRefused:
    made = []
    try:
        for draft in drafts:
            fit = fits[_asked(draft)]
            tier = tier_measured(NameTier(draft.tier), fit)
            if tier is NameTier.CONTEXT:
                demand_context(draft.text, order.context, fit.hits, (*fit.examples, "")[0])  # 3
            made.append(_with_tier(order, draft, tier))
    except NameRefused as error:
        return error
    return made


def _with_tier(order: OptOutOrder, draft: NameDraft, tier: NameTier) -> NameDraft:
    return replace(draft, tier=str(tier), context=order.context if tier is NameTier.CONTEXT else ())


def _measured(drafts: Sequence[NameDraft]) -> _Fits:
    asked = [_asked(draft) for draft in drafts]
    return dict(zip(asked, measure_names(asked, texts()), strict=True))


def _asked(draft: NameDraft) -> Asked:
    return Asked(text=draft.text, tier=draft.tier, context=draft.context)


def _named(drafts: Sequence[NameDraft], fits: _Fits) -> Named | NameRefused:
    told = []
    for draft in drafts:
        fit = fits[_asked(draft)]
        if fit.share > CONTEXT_SHARE:  # 3
            return NameRefused(
                f"“{draft.text}” is found in {fit.hits} of {fit.prompts} ordinary prompts although context "
                f"words are asked for, such as “{fit.examples[0]}”; give context words that belong to it and "
                "to nothing else, or register a longer name"
            )
        told.append(NameTold(text=draft.text, tier=_TOLD[NameTier(draft.tier)], fit=fit))
    return Named(names=tuple(drafts), told=(_suggesting(told[0], drafts), *told[1:]))


def _suggesting(told: NameTold, drafts: Sequence[NameDraft]) -> NameTold:
    """What is told of the first name, with its likely forms in other scripts."""  # 4
    if drafts[0].kind != OFFICIAL:
        return told
    texts = tuple(draft.text for draft in drafts)
    suggested = native.suggestions(told.text, texts)
    return replace(told, suggested=suggested, unwritten=native.unknown(texts) if suggested else ())
