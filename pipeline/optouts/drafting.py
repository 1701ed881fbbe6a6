"""From an order and its pictures to what the registry writes."""

from collections.abc import Sequence
from dataclasses import dataclass

from classifiers.ambiguity import check_name
from classifiers.base import NameTier
from pipeline.optouts.looking import Eyes, look
from pipeline.optouts.order import OptOutOrder
from pipeline.pictures.types import ReadPicture
from registry.subject_types import NameDraft, OptOutDraft

OFFICIAL, ALIAS, NATIVE = "official", "alias", "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A draft, and sentences about pictures that were left out of it."""

    draft: OptOutDraft
    notes: tuple[str, ...]


def prepare(
    order: OptOutOrder, names: tuple[NameDraft, ...], shown: Sequence[ReadPicture],
    not_meant: Sequence[ReadPicture], eyes: Eyes,
) -> Prepared:  # fmt: skip
    """Look at everything and draft the opt-out. Raises: PictureRefused, ModelUnusable."""
    looked = look(order, shown, not_meant, eyes)
    draft = OptOutDraft(
        kind=order.kind, name=order.name, owner=order.owner, names=names, description=order.description,
        attributes=order.attributes, exclusions=order.exclusions, context=order.context, mode=order.mode,
        references=looked.references, vectors=looked.vectors, work=order.work, died_on=order.died_on,
    )  # fmt: skip
    return Prepared(draft=draft, notes=looked.notes)


def named(order: OptOutOrder) -> tuple[NameDraft, ...]:
    """All names of an order, each with its tier. Raises: NameRefused for one that would hit everybody."""
    texts = [(order.name, OFFICIAL, ""), *((alias, ALIAS, "") for alias in order.aliases)]
    texts += [(text, NATIVE, language) for language, group in order.names.items() for text in group]
    return tuple(_name(order, text, kind, language) for text, kind, language in texts)


def _name(order: OptOutOrder, text: str, kind: str, language: str) -> NameDraft:
    tier = check_name(text, order.context, language)
    words = order.context if tier is NameTier.CONTEXT else ()
    return NameDraft(text=text, tier=str(tier), context=words, kind=kind, language=language)
