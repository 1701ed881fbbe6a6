"""What is PostgreSQL's own: whose database it is, what its errors say, rights, restarts, dead writers."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_builders import DATABASE_URL, NOW, Home, on_server
from sqlalchemy import text

import registry
from benchmarks.tools.local_postgres import programs
from registry import db, log, optouts, postgres, releases
from registry.db import beside, open_database, read, write
from registry.errors import (
    ConstraintBroken,
    RegistryBusy,
    RegistryError,
    RegistryUnusable,
    SchemaNewer,
    StorageFull,
)
from registry.lookup import open_lookup
from registry.migrations import plpgsql

SECRET = "s3cret-pass"


@pytest.fixture
def empty(postgres: Any) -> Iterator[str]:
    with postgres.make(empty=True) as url:
        yield url


@pytest.fixture
def home(postgres: Any, tmp_path: Path) -> Iterator[Home]:
    with on_server(postgres, tmp_path) as made:
        yield made


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as conn:
        done = conn.execute(statement.encode())
        return list(done.fetchall()) if done.description else []


def test_a_writer_that_is_stopped_in_the_middle_keeps_nobody_waiting(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_SECONDS", 0.2)

    def stall() -> None:
        with write(home.engine) as late:
            log.append(late, "name", {"by": "late"}, None, NOW)
            time.sleep(1)  # as its process would, had somebody stopped it
            with write(home.engine) as other:
                log.append(other, "name", {"by": "other"}, None, NOW)

    with pytest.raises(RegistryBusy):
        stall()
    with read(home.engine) as conn:
        assert [entry.public["by"] for entry in log.entries(conn, 0, 9)] == ["other"]


def test_every_text_is_compared_bytewise_and_every_number_is_wide(home: Home) -> None:
    """Ids and times are ordered as text, whatever the database's collation; holds for later tables, too."""
    with read(home.engine) as conn:
        columns = conn.exec_driver_sql(
            "SELECT table_name, column_name, data_type, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        ).all()
    assert {c[2] for c in columns} <= {"text", "bigint", "double precision", "bytea"}
    assert [c for c in columns if c[2] == "text" and c[3] != "C"] == []


def test_no_table_can_be_truncated(home: Home) -> None:
    home.release()
    with read(home.engine) as conn:
        tables = conn.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").all()
    for (table,) in tables:
        if table != "alembic_version":
            with pytest.raises(ConstraintBroken), write(home.engine) as conn:
                conn.exec_driver_sql(f"TRUNCATE {table} CASCADE")
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        conn.exec_driver_sql("TRUNCATE log_entry, log_node, log_private, checkpoint CASCADE")
    with read(home.engine) as conn:
        log.audit(conn)


def test_another_programs_database_is_refused_and_untouched(empty: str) -> None:
    execute(empty, "CREATE TABLE bookmarks (url text)")
    with pytest.raises(RegistryUnusable, match="another program"):
        open_database(empty)
    assert execute(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("bookmarks",)]


def test_a_newer_schema_is_refused(home: Home) -> None:
    assert isinstance(home.where, str)
    execute(home.where, "UPDATE alembic_version SET version_num = 'r9999'")
    with pytest.raises(SchemaNewer, match="update this installation"):
        open_database(home.where)


def test_a_database_that_is_not_utf8_is_refused(postgres: Any) -> None:
    url = postgres.local.create("latin", "template0", "ENCODING 'LATIN1' LOCALE 'C'")
    try:
        with pytest.raises(RegistryUnusable, match="UTF8"):
            open_database(url)
        assert execute(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    finally:
        postgres.local.drop("latin")


def test_an_old_server_is_refused(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "SERVER_MIN", 990000)
    with pytest.raises(RegistryUnusable, match="too old"):
        open_database(empty)


def test_a_schema_of_the_search_path_is_used(empty: str) -> None:
    execute(empty, "CREATE SCHEMA other; CREATE TABLE bookmarks (url text)")
    url = f"{empty}&options=-csearch_path%3Dother"
    with write(open_database(url)) as conn:
        log.append(conn, "name", {}, None, NOW)
    tables = execute(empty, "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'log_entry'")
    assert tables == [("other",)]


def test_a_role_without_rights_is_told_so(home: Home) -> None:
    url = str(home.where)
    execute(url, "CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    try:
        with pytest.raises(RegistryUnusable, match="read-only"):
            open_database(url.replace("countermark@", "reader@"))
        execute(url, "CREATE DATABASE bare")
        with pytest.raises(RegistryUnusable, match="grant"):
            open_database(url.replace("countermark@/" + url.split("/")[3].split("?")[0], "reader@/bare"))
    finally:
        execute(url, "DROP DATABASE IF EXISTS bare")
        execute(url, "DROP OWNED BY reader; DROP ROLE reader")


def test_an_ordinary_owner_of_the_database_is_enough(postgres: Any, tmp_path: Path) -> None:
    """Nothing needs a superuser: neither the migrations nor the work."""
    postgres.local.execute("CREATE ROLE owner LOGIN")
    postgres.local.execute("CREATE DATABASE owned OWNER owner TEMPLATE template0")
    try:
        url = postgres.local.url("owned").replace("countermark@", "owner@")
        (tmp_path / DATABASE_URL).write_text(url)
        with Home(tmp_path) as home:
            home.opt_out()
            made = home.release()
            home.engine.dispose()
        with open_lookup(url) or pytest.fail("no registry") as lookup:
            assert lookup.find(urn=made.urn) is not None
    finally:
        postgres.local.drop("owned")
        postgres.local.execute("DROP ROLE owner")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@/registry?host=/nowhere",
        f"postgresql://u:{SECRET}@127.0.0.1:1/registry",
        f"postgresql://u@127.0.0.1:1/registry?password={SECRET}",
        f"postgresql://u:{SECRET}@127.0.0.1:port/registry",
        f"postgresql://u:{SECRET}/{SECRET}@127.0.0.1/registry",
        f"postgresql://u:{SECRET}@{SECRET}@127.0.0.1/registry",
        f"postgresql://u:{SECRET}?{SECRET}@127.0.0.1/registry",
        f"postgresql://u:{SECRET}@127.0.0.1",
        f"mysql://u:{SECRET}@127.0.0.1/registry",
        f"registry.db {SECRET}",
    ],
)
def test_no_password_is_in_any_error(url: str) -> None:
    with pytest.raises(RegistryUnusable) as caught:
        open_database(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        error = error.__cause__


def test_no_password_is_in_the_engine(empty: str) -> None:
    engine = open_database(f"{empty}&password={SECRET}")
    assert SECRET not in repr(engine)
    assert SECRET not in str(engine.url)


def test_an_error_does_not_tell_the_row(home: Home) -> None:
    """PostgreSQL's DETAIL would: names and accounts stay out of errors."""
    row = {"id": "0" * 36, "normal": "somebody", "at": "never"}
    with pytest.raises(ConstraintBroken) as caught, write(home.engine) as conn:
        conn.execute(text("INSERT INTO party VALUES (:id, 'Somebody', :normal, :at)"), row)
    assert "created_at_form" in str(caught.value)
    assert "omebody" not in str(caught.value)


def test_text_that_it_cannot_hold_is_refused(home: Home) -> None:
    with pytest.raises(ConstraintBroken, match="NUL"), write(home.engine) as conn:
        conn.execute(text("INSERT INTO party VALUES (:id, 'a', 'b', :at)"), {"id": "\0" * 36, "at": NOW})


def test_a_reader_sees_one_snapshot_and_cannot_write(home: Home) -> None:
    home.opt_out("one")
    with read(home.engine) as conn:
        assert log.head(conn) == 1
        home.opt_out("two")
        assert log.head(conn) == 1
        assert len(list(optouts.records(conn))) == 1
    with pytest.raises(RegistryError), read(home.engine) as conn:
        log.append(conn, "name", {}, None, NOW)
    with read(home.engine) as conn:
        assert log.head(conn) == 2


def test_a_commit_waits_for_the_disk_whatever_the_server_does_by_default(home: Home) -> None:
    name = str(home.where).split("/")[3].split("?")[0]
    execute(str(home.where), f"ALTER DATABASE {name} SET synchronous_commit = off")
    home.engine.dispose()
    with read(home.engine) as conn:
        assert conn.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
    for begin in (write, beside):
        with begin(home.engine) as conn:
            assert conn.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_writer_lets_go_of_the_lock(home: Home, how: signal.Signals) -> None:
    code = (
        "import sys; from registry.db import open_database, write\n"
        "from registry import log\n"
        "with write(open_database(sys.argv[1])) as conn:\n"
        f"    log.append(conn, 'name', {{}}, None, {NOW!r})\n"
        "    print('locked', flush=True); sys.stdin.read()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(registry.__file__).parent.parent)}
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(home.where)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        child.send_signal(how)
        child.wait()
        began = time.monotonic()
        assert home.opt_out().seq == 1
        assert time.monotonic() - began < 10


def test_a_full_disk_and_a_crowded_server_are_named() -> None:
    class Diagnosis:
        message_primary = "no more"

    def told(state: str) -> RegistryError:
        error = psycopg.errors.lookup(state)()
        error.sqlstate = state
        return postgres.translate(error, 30)

    assert isinstance(told("53100"), StorageFull)
    assert isinstance(told("53300"), RegistryBusy)
    assert isinstance(told("57P03"), RegistryBusy)
    assert isinstance(told("42501"), RegistryUnusable)


def test_migrations_wait_for_each_other(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.2)
    with psycopg.connect(empty) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({postgres.WRITERS_LOCK})")
        with pytest.raises(RegistryBusy):
            open_database(empty)
    open_database(empty).dispose()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def asked(postgres: Any) -> Iterator[Any]:
    with postgres.make() as url, psycopg.connect(url, autocommit=True) as conn:
        yield conn


@given(value=JSON)
@settings(max_examples=60)
def test_json_is_told_as_sqlite_tells_it(asked: Any, value: Any) -> None:
    stored = json.dumps(value, ensure_ascii=False)
    query = "SELECT json_valid({0}), json_type({0}), json_array_length({0})"
    ours = asked.execute(query.format("%s::text"), [stored] * 3)
    valid, kind, length = ours.fetchone()
    with closing(sqlite3.connect(":memory:")) as conn:
        theirs = conn.execute(query.format("?"), [stored] * 3).fetchone()
    assert (int(valid), kind, length) == theirs


@pytest.mark.parametrize("wrong", ["", "{", "nul", "{'a': 1}", "[1,]", "01"])
def test_what_is_not_json_is_not_valid(asked: Any, wrong: str) -> None:
    assert asked.execute("SELECT json_valid(%s::text)", [wrong]).fetchone() == (False,)


def test_json_paths(asked: Any) -> None:
    document = '{"public": {"subject": "abc", "n": 5, "none": null}}'
    for path, found in (("subject", "abc"), ("n", "5"), ("none", None), ("missing", None)):
        query = "SELECT json_extract(%s::text, %s)"
        assert asked.execute(query, [document, f"$.public.{path}"]).fetchone() == (found,)


def test_the_greater_of_two(asked: Any) -> None:
    query = "SELECT max(3, 5), min(3, 5), max(3, NULL), (SELECT max(x) FROM (VALUES (1), (9)) AS t (x))"
    assert asked.execute(query).fetchone() == (5, 3, None, 9)


def test_a_dump_is_restored(home: Home, empty: str) -> None:
    tools = programs()
    assert tools is not None
    made = home.release()
    last = home.opt_out().seq
    with subprocess.Popen(
        [tools / "pg_dump", "--no-owner", "--dbname", str(home.where)], stdout=subprocess.PIPE
    ) as dump:
        restore = ["psql", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", empty]
        subprocess.run(restore, stdin=dump.stdout, stdout=subprocess.DEVNULL, check=True)
    restored = open_database(empty)
    with read(restored) as conn:
        assert log.head(conn) == last
        log.audit(conn)
    assert releases.get(restored, made.id) == made
    with pytest.raises(ConstraintBroken), write(restored) as conn:
        conn.exec_driver_sql("DELETE FROM release")
    restored.dispose()


def test_conditions_are_translated() -> None:
    assert plpgsql.condition("1") == "true"
    assert plpgsql.condition("NEW.a IS NOT NULL AND OLD.b IS NULL") == "NEW.a IS NOT NULL AND OLD.b IS NULL"
    assert plpgsql.condition("NEW.a IS NOT OLD.a") == "NEW.a IS DISTINCT FROM OLD.a"
    assert plpgsql.condition("NEW.a IS 'x IS y'") == "NEW.a IS NOT DISTINCT FROM 'x IS y'"
    with pytest.raises(ValueError, match="no such statement"):
        plpgsql.translated("PRAGMA application_id = 1")
    with pytest.raises(ValueError, match="no such statement"):
        plpgsql.translated("CREATE TRIGGER x AFTER INSERT ON y BEGIN SELECT RAISE(ABORT, 'z'); END")
