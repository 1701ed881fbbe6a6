"""An opt-out as a form, a request or a line of a file says it: pydantic, since this is an edge."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import UsageError

MAX_NAME_CHARS: Final = 200
MAX_TEXT_CHARS: Final = 4000
MAX_ATTRIBUTE_CHARS: Final = 200
MAX_NAMES: Final = 200
MAX_WORDS: Final = 64
MAX_PICTURES: Final = 200
MAX_PATH_CHARS: Final = 1000
MAX_LANGUAGES: Final = 64
UNNAMED: Final = "owner not named"
LANGUAGE: Final = r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,3}$"
DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

# Controls, surrogates (what was no UTF-8), private use, unassigned, line and paragraph separators.
_UNWRITABLE: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
_LINE_BREAKS: Final = frozenset("\n\r\t")


def written(text: str) -> str:
    """`text` in composed form with single spaces. Raises: ValueError for what nobody can read as text."""
    for character in text:
        category = unicodedata.category(character)
        if category in _UNWRITABLE and character not in _LINE_BREAKS:
            what = "is not valid UTF-8" if category == "Cs" else f"has the character U+{ord(character):04X}"
            raise ValueError(f"{what}; write it as plain text")
    clean = unicodedata.normalize("NFC", " ".join(text.split()))
    if clean and all(unicodedata.category(character) == "Cf" for character in clean):
        raise ValueError("shows nothing; write it as plain text")
    return clean


def _filled(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS), AfterValidator(written)]
Name = Annotated[str, Field(max_length=MAX_NAME_CHARS), AfterValidator(written), AfterValidator(_filled)]
Attribute = Annotated[
    str, Field(max_length=MAX_ATTRIBUTE_CHARS), AfterValidator(written), AfterValidator(_filled)
]
Names = Annotated[tuple[Name, ...], Field(max_length=MAX_NAMES)]
Language = Annotated[str, Field(pattern=LANGUAGE)]
Attributes = Annotated[tuple[Attribute, ...], Field(max_length=MAX_WORDS)]
Path = Annotated[str, Field(min_length=1, max_length=MAX_PATH_CHARS)]
Paths = Annotated[tuple[Path, ...], Field(max_length=MAX_PICTURES)]


class OptOutOrder(BaseModel):
    """Whom or what to protect; unknown keys are refused, so that a misspelt one is never silently lost.

    ``names``: more names, by language (BCP 47); ``attributes``: what it can be told by, each on its own;
    ``exclusions``: what is not meant; ``context``: words of which one must stand near a name that is also a
    common word; ``mode``: what holds where no rule of the owner's says otherwise; ``work``: the title of the
    work it belongs to; ``died_on``: of a person who died, the day, as their estate told it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    kind: Literal["character", "person", "logo", "artwork", "portfolio"] = "character"
    name: Name
    aliases: Names = ()
    names: Annotated[dict[Language, Names], Field(max_length=MAX_LANGUAGES)] = {}
    description: Text = ""
    attributes: Attributes = ()
    exclusions: Attributes = ()
    context: Attributes = ()
    owner: Name = UNNAMED
    mode: Literal["block", "ask", "allow"] = "block"
    work: Annotated[str, Field(max_length=MAX_NAME_CHARS), AfterValidator(written)] = ""
    died_on: Annotated[str, Field(pattern=DAY)] | None = None

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name, the first one first."""
        return (self.name, *self.aliases, *(name for group in self.names.values() for name in group))

    @model_validator(mode="after")
    def _not_too_many(self) -> "OptOutOrder":
        if len(self.all_names) > MAX_NAMES:
            raise ValueError(f"it has more than {MAX_NAMES} names")
        return self


class OptOutLine(OptOutOrder):
    """A line of an import: an order with the paths of its pictures, relative to the file.

    ``negatives``: pictures of what looks alike and is not meant.
    """

    references: Paths = ()
    negatives: Paths = ()

    @model_validator(mode="after")
    def _not_both(self) -> "OptOutLine":
        if both := set(self.references) & set(self.negatives):
            raise ValueError(f"{min(both)[:80]!r} is a reference and a negative")
        return self


def parse_order(values: Mapping[str, Any]) -> OptOutOrder:
    """The order that these values make. Raises: UsageError."""
    try:
        return OptOutOrder.model_validate(values)
    except ValidationError as error:
        raise UsageError(complaint(error)) from None


def plain(what: str, text: str) -> str:
    """`text` as `written` gives it. Raises: UsageError, saying `what` it is."""
    try:
        return written(text)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from None


_PLAINER: Final = {
    "string_unicode": "is not valid UTF-8; write it as plain text",
    "string_pattern_mismatch": "is not written as it should be; write a language as ja or pt-BR, a day as "
    "2020-01-31",
    "missing": "is missing",
}


def complaint(error: ValidationError) -> str:
    """The first thing that is wrong with an order, as a sentence."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"])
    said = _PLAINER.get(first["type"]) or str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"there is no key {where!r}; see docs/opt-outs.md for those that there are"
    return f"{where}: {said[:1].lower()}{said[1:]}" if where else said
