"""The list of what was released, as a process keeps it from one check to the next."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from registry_builders import Home

from pipeline.verify.issued_list import IssuedList
from registry.lookup import open_lookup
from watermark.issued import Issued


def asked(where: Path | str) -> Issued:
    """What one check gets, with a connection of its own."""
    lookup = open_lookup(where)
    assert lookup is not None
    with lookup:
        return IssuedList(lookup, where).current()


def test_it_is_read_once_until_something_is_released(home: Home) -> None:
    assert len(asked(home.where)) == 0
    home.release()
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(asked, [home.where] * 8)
    assert len(first) == 1
    assert all(other is first for other in others)
    home.release("other")
    assert len(asked(home.where)) == 2
    assert asked(home.where) is asked(home.where)
