"""What a calibration is measured on: subjects registered together, what shows or means them, and strangers.

Material comes from the drawn world (`pipeline.calibrating.drawn`) or from an operator's folder
(`pipeline.calibrating.folder`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from classifiers.base import Picture, Sight
from pipeline.checks import Eyes


class Show(Protocol):
    """A clip or a picture that shows somebody."""

    def seen(self, eyes: Eyes) -> Sight:
        """What `eyes` see of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A subject as it would be registered, and what shows it, means it, and only looks like it."""

    name: str
    pictures: Sequence[Picture] = ()
    description: str = ""
    attributes: Sequence[str] = ()
    shows: Sequence[Show] = ()
    alike: Sequence[Show] = ()
    prompts: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Subjects that are registered at the same time, and what shows or means none of them.

    ``crossed``: what shows or means one subject also counts as a stranger to all others.
    """

    registered: Sequence[Registered]
    shows: Sequence[Show] = ()
    prompts: Sequence[str] = ()
    crossed: bool = False


class Material(Protocol):
    """Groups, one after another; ``told``: what it is, in words for the record."""

    @property
    def told(self) -> str: ...  # noqa: D102
    @property
    def ordinary(self) -> Sequence[str]:
        """Prompts that mean nobody."""
        ...

    def groups(self) -> Iterator[Group]:
        """Every group; each time the same."""
        ...

    def cohort(self) -> Sequence[Picture]:
        """Pictures of nobody who is registered; may be empty."""
        ...
