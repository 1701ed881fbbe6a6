"""Makes `registry_builders` importable for these tests and for the child processes they start.

A test that asks for `home`, `root` or `new_root` runs twice: on SQLite and on PostgreSQL.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import migrated_once
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from registry_builders import DATABASE_URL, LEASE, LEASED, Home, place_of

from registry import building, indexes, segments, sqlite, view
from registry.db import open_database


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """Which database the test is about."""
    return str(request.param)


@pytest.fixture(scope="session")
def server(database: str, request: pytest.FixtureRequest) -> Any:
    """The PostgreSQL server, or None for SQLite."""
    return request.getfixturevalue("postgres") if database == "postgres" else None


@pytest.fixture
def root(server: Any, tmp_path: Path) -> Iterator[Path]:
    """A folder in which `Home` finds a registry of its own."""
    with ExitStack() as stack:
        if server is not None:
            (tmp_path / DATABASE_URL).write_text(stack.enter_context(server.make()))
        else:
            open_database(place_of(tmp_path)).dispose()
        yield tmp_path


@pytest.fixture
def empty_root(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, with a database in which there is nothing yet, for the migrations themselves."""
    monkeypatch.setattr(sqlite, "create_file", migrated_once.CREATE)
    with ExitStack() as stack:
        if server is not None:
            (tmp_path / DATABASE_URL).write_text(stack.enter_context(server.make(empty=True)))
        yield tmp_path


@pytest.fixture(scope="module")
def new_root(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Makes such folders that live as long as the module's tests."""
    with ExitStack() as stack:

        def make(name: str) -> Path:
            folder = tmp_path_factory.mktemp(name)
            if server is not None:
                (folder / DATABASE_URL).write_text(stack.enter_context(server.make()))
            else:
                open_database(place_of(folder)).dispose()
            return folder

        yield make


@pytest.fixture
def home(root: Path) -> Iterator[Home]:
    with Home(root) as made:
        yield made


@pytest.fixture(params=["locks", "leases"])
def owned_root(request: pytest.FixtureRequest, root: Path) -> Path:
    """The same as `root`, once for each way to own jobs."""
    if request.param == "leases":
        (root / LEASED).write_text(LEASE)
    return root


@pytest.fixture
def owned_home(owned_root: Path) -> Iterator[Home]:
    with Home(owned_root) as made:
        yield made


@pytest.fixture
def sqlite_home(tmp_path: Path) -> Iterator[Home]:
    """For what is about SQLite's files."""
    with Home(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason for a view to refuse, but where a test is about that."""
    monkeypatch.setattr(view, "BEHIND_SECONDS", 120.0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of codes, files and merges from a few dozen vectors on; re-ranking leaves nothing out."""
    monkeypatch.setattr(indexes, "COARSE_FROM", 40)
    monkeypatch.setattr(building, "KEPT_FROM", 40)
    monkeypatch.setattr(indexes, "CANDIDATES", 10_000)
    monkeypatch.setattr(segments, "AT_ONCE", 12)
    monkeypatch.setattr(segments, "PIECE", 8)
