"""Connections to PostgreSQL that have gone: whoever asks next is told so, or gets another one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from registry_builders import NOW, Home, on_server

from benchmarks.tools.local_postgres import LocalServer
from registry import log, postgres
from registry.db import glance, open_database, read, write
from registry.errors import RegistryUnusable


@pytest.fixture
def home(postgres: Any, tmp_path: Path) -> Iterator[Home]:
    with on_server(postgres, tmp_path) as made:
        yield made


def test_after_a_restart_of_the_server_work_goes_on(tmp_path: Path) -> None:
    with LocalServer() as server:
        engine = open_database(server.create("registry"))
        with write(engine) as conn:
            log.append(conn, "name", {}, None, NOW)
        server.stop()
        with pytest.raises(RegistryUnusable, match="cannot be reached"), read(engine) as conn:
            log.head(conn)
        with pytest.raises(RegistryUnusable, match="cannot be reached"), glance(engine) as conn:
            log.head(conn)
        server.start()
        with write(engine) as conn:
            assert log.append(conn, "name", {}, None, NOW).seq == 2

        def interrupted() -> None:
            with write(engine) as conn:
                log.append(conn, "name", {}, None, NOW)
                server.restart()
                log.head(conn)

        with pytest.raises(RegistryUnusable, match="cannot be reached"):
            interrupted()
        with read(engine) as conn:
            assert log.head(conn) == 2
        engine.dispose()


def test_a_connection_that_nobody_used_for_a_while_is_asked_first(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closed it: what is asked next is asked of another."""
    monkeypatch.setattr(postgres, "PING_AFTER_SECONDS", 0.05)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
    with glance(home.engine) as first, glance(home.engine) as second:
        own = [conn.exec_driver_sql("SELECT pg_backend_pid()").scalar() for conn in (first, second)]
        assert own[0] != own[1]
    with read(home.engine) as conn:
        kept = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        (gone,) = {*own} - {kept}
        conn.exec_driver_sql(f"{ended} pid = {gone}")
    time.sleep(0.2)
    with read(home.engine) as one, read(home.engine) as other:
        assert gone not in [conn.exec_driver_sql("SELECT pg_backend_pid()").scalar() for conn in (one, other)]
