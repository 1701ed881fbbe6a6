"""What clients name: things by their ids, and the party that an account is called after."""

from collections.abc import Callable
from typing import TypeVar

from pipeline.api.state import Service
from registry import parties
from registry.errors import NotFound
from registry.ids import is_id

Found = TypeVar("Found")


def by_id(load: Callable[[str], Found], told: str) -> Found | None:
    """What has this id; None where nothing has it, and where it is no id."""
    try:
        return load(told) if is_id(told) else None
    except NotFound:
        return None


def party_of(here: Service, account: str) -> str | None:
    """The id of the party that an account is called after, if there is one."""
    try:
        return parties.find(here.app.engine, account).id
    except NotFound:
        return None
