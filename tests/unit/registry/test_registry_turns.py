"""A turn is one process's at a time, and the next one's when that has died."""

import threading
from pathlib import Path
from typing import Any

import pytest
from registry_builders import Home
from sqlalchemy import text

from registry import postgres
from registry.errors import RegistryUnusable
from registry.turns import turn, turn_if_free


def test_one_has_it_and_the_next_waits(home: Home, tmp_path: Path) -> None:
    order: list[str] = []
    path = tmp_path / "scan.lock"

    def second() -> None:
        with turn(home.engine, path):
            order.append("second")

    with turn(home.engine, path), turn_if_free(home.engine, tmp_path / "other.lock") as other:
        waiting = threading.Thread(target=second)
        waiting.start()
        with turn_if_free(home.engine, path) as had:
            assert (had, other) == (False, True)
        waiting.join(0.3)
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]
    with turn_if_free(home.engine, path) as had:
        assert had


def test_an_exception_ends_a_turn(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), turn(home.engine, tmp_path / "a.lock"):
        raise ZeroDivisionError
    with turn_if_free(home.engine, tmp_path / "a.lock") as had:
        assert had


@pytest.mark.parametrize("asked", [turn, turn_if_free])
def test_a_server_that_is_away_is_said_to_be_away(asked: Any, tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed here")
    engine = postgres.make_engine("postgresql://nobody@127.0.0.1:1/nothing", lambda: 0.1)
    with pytest.raises(RegistryUnusable), asked(engine, tmp_path / "a.lock"):
        pass


def test_the_server_drops_the_turn_of_a_connection_that_died(home: Home, tmp_path: Path) -> None:
    if home.engine.dialect.name == "sqlite":
        pytest.skip("does not apply: the kernel drops a file lock, which is tested with the jobs")
    ended = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with turn(home.engine, tmp_path / "a.lock"):
        with home.engine.connect() as conn:
            conn.execute(ended)
        with turn_if_free(home.engine, tmp_path / "a.lock") as had:
            assert had
    with turn_if_free(home.engine, tmp_path / "a.lock") as had:
        assert had
