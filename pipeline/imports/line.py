"""A line of a catalogue: an opt-out as `optout add --from` reads it, and whose and which work's it is."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import UsageError
from pipeline.optouts.naming import ALIAS, OFFICIAL
from pipeline.optouts.order import (
    LANGUAGE,
    MAX_NAMES,
    MAX_WORDS,
    Attribute,
    Name,
    OptOutLine,
    complaint,
)
from registry.subject_types import NameDraft

CONTEXT = "context"

NearLanguage = Annotated[str, Field(pattern=f"^$|{LANGUAGE}")]


class NearName(BaseModel):
    """A name that counts only near words of its own, whatever the line's ``context`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    context: Annotated[tuple[Attribute, ...], Field(min_length=1, max_length=MAX_WORDS)]
    language: NearLanguage = ""


class CatalogueLine(OptOutLine):
    """``member``: another word for ``owner``; ``near``: names with words of their own; a reference may be
    ``sha256:…`` of a picture that is known here.
    """

    near: Annotated[tuple[NearName, ...], Field(max_length=MAX_NAMES)] = ()

    @model_validator(mode="before")
    @classmethod
    def _member(cls, values: Any) -> Any:
        if isinstance(values, dict) and "member" in values:
            told = dict(values)
            member = told.pop("member")
            if told.setdefault("owner", member) != member:
                raise ValueError("member and owner are two words for the same; write one of them")
            return told
        return values

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name, the first one first."""
        return (*super().all_names, *(one.name for one in self.near))


def parse_line(document: dict[str, Any]) -> CatalogueLine:
    """The line that a document makes. Raises: UsageError."""
    try:
        return CatalogueLine.model_validate(document)
    except ValidationError as error:
        raise UsageError(complaint(error)) from None


def near_orders(line: CatalogueLine) -> list[OptOutLine]:
    """The names with words of their own, each as if it were all that the line says: to be measured."""
    alone: dict[str, Any] = {"aliases": (), "names": {}}
    return [line.model_copy(update=alone | {"name": one.name, "context": one.context}) for one in line.near]


def near_names(line: CatalogueLine) -> tuple[NameDraft, ...]:
    """The same as they are registered: they need their words, whatever they mean alone."""
    return tuple(
        NameDraft(
            text=one.name, tier=CONTEXT, context=one.context, language=one.language,
            kind=OFFICIAL if one.name == line.name else ALIAS,
        )
        for one in line.near
    )  # fmt: skip
