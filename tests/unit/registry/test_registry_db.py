import hashlib
import importlib
import pkgutil
import sqlite3
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from registry_builders import NOW, SIGNER, Home, candidate, place_of
from sqlalchemy import Connection, select, text

import registry
from registry import (
    db,
    log,
    parties,
    releases,
    tables_appeals,  # noqa: F401 - its tables, as those below
    tables_imports,  # noqa: F401
    tables_queries,  # noqa: F401
    tables_sessions,  # noqa: F401
    tables_webhooks,  # noqa: F401
)
from registry.db import open_database, read, write
from registry.errors import (
    ConstraintBroken,
    EntryInvalid,
    PartyInvalid,
    RegistryBusy,
    RegistryDamaged,
    RegistryError,
    RegistryUnusable,
    SchemaNewer,
    StorageFull,
)
from registry.tables import decision, job, job_step, log_kind, metadata, party, release
from registry.types import Job, JobState


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_tables_of_queries_are_those_of_the_migrations(home: Home) -> None:
    for module in pkgutil.iter_modules(registry.__path__):
        if module.name.startswith("tables"):
            importlib.import_module(f"registry.{module.name}")
    with read(home.engine) as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    # constraints and indexes live in the migrations only; tables and columns must agree
    wrong = [d for d in differences if isinstance(d, list) or d[0] in {"add_table", "remove_table"}]
    wrong += [d for d in differences if d[0] in {"add_column", "remove_column"}]
    assert wrong == []


def test_the_kinds_of_the_database_are_those_of_the_code(home: Home) -> None:
    with read(home.engine) as conn:
        kinds = {row.kind: row.changes_verdict for row in conn.execute(log_kind.select())}
    assert {k for k, changes in kinds.items() if changes} == log.VERDICT_CHANGING_KINDS
    assert set(kinds) == log.VERDICT_CHANGING_KINDS | log.OTHER_KINDS


def test_no_row_stands_in_the_traceback_of_an_error(home: Home) -> None:
    """What a service logs of an error that it did not expect: neither a name nor a prompt."""
    row = {"id": "x", "name": "Vexmoor Quandle", "normal": "vexmoor quandle", "created_at": "yesterday"}
    with pytest.raises(ConstraintBroken) as caught, write(home.engine) as conn:
        conn.execute(party.insert().values(**row, verified_level="trusted"))
    assert "uandle" not in "".join(traceback.format_exception(caught.value))


def test_a_connection_is_durable_and_checks_foreign_keys(sqlite_home: Home) -> None:
    with read(sqlite_home.engine) as conn:
        asked = {p: conn.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "synchronous")}
        keys = conn.exec_driver_sql("PRAGMA foreign_keys").scalar()
    assert (asked, keys) == ({"journal_mode": "wal", "synchronous": 2}, 1)


def test_the_file_is_for_its_owner_only_and_opens_again(sqlite_home: Home) -> None:
    assert sqlite_home.path.stat().st_mode & 0o777 == 0o600
    made = sqlite_home.release()
    again = Home(sqlite_home.path.parent)
    with read(again.engine) as conn:
        assert log.head(conn) == made.log_seq


def test_a_newer_schema_is_refused_and_untouched(sqlite_home: Home) -> None:
    with write(sqlite_home.engine) as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = 'r9999'")
    with closing(sqlite3.connect(sqlite_home.path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = digest(sqlite_home.path)
    with pytest.raises(SchemaNewer, match="update this installation"):
        open_database(sqlite_home.path)
    assert digest(sqlite_home.path) == before


@pytest.mark.parametrize(
    "content", [b"not a database", b"\x00" * 4096, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(content)
    with pytest.raises((RegistryUnusable, RegistryDamaged)):
        open_database(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE bookmarks (url TEXT)")
    before = digest(path)
    with pytest.raises(RegistryUnusable, match="another program"):
        open_database(path)
    assert digest(path) == before


def test_a_folder_and_a_missing_parent_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "registry.db"):
        with pytest.raises(RegistryUnusable):
            open_database(path)


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(RegistryUnusable, match="too old"):
        open_database(tmp_path / "registry.db")


def test_a_full_disk_rolls_back_with_one_sentence(sqlite_home: Home) -> None:
    """``max_page_count`` makes SQLite find the disk full, as ENOSPC does."""

    def fill() -> None:
        with write(sqlite_home.engine) as conn:
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
            conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            for _ in range(100):
                log.append(conn, "name", {"n": "x" * 4000}, None, NOW)

    with pytest.raises(StorageFull, match="free space"):
        fill()
    with read(sqlite_home.engine) as conn:
        assert log.head(conn) == 0


def test_a_failed_migration_leaves_an_empty_database_that_opens_later(
    empty_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place_of(empty_root)
    monkeypatch.setattr("registry.migrations.r0001_triggers.ALL", ["CREATE NONSENSE"])
    with pytest.raises(RegistryError):
        open_database(path)
    monkeypatch.undo()
    with read(open_database(path)) as conn:
        assert log.head(conn) == 0


def test_any_exception_rolls_a_write_back(home: Home) -> None:
    def fail() -> None:
        with write(home.engine) as conn:
            log.append(conn, "name", {}, None, NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(EntryInvalid):
        home.publish(facts={"x": float("nan")})
    with pytest.raises(ConstraintBroken):
        home.publish(fingerprint=b"")
    with read(home.engine) as conn:
        assert log.head(conn) == 0


def test_connections_stay_open_and_follow_a_restored_file(sqlite_home: Home) -> None:
    sqlite_home.opt_out("before the backup")
    with closing(sqlite3.connect(sqlite_home.path)) as raw:
        raw.execute("VACUUM INTO ?", (str(sqlite_home.path.with_name("backup.db")),))
    sqlite_home.opt_out("after the backup")
    with read(sqlite_home.engine) as conn:
        first = conn.connection.dbapi_connection
        assert log.head(conn) == 2
    with read(sqlite_home.engine) as conn:
        assert conn.connection.dbapi_connection is first
    sqlite_home.path.with_name("registry.db-wal").unlink(missing_ok=True)
    sqlite_home.path.with_name("backup.db").rename(sqlite_home.path)
    with read(sqlite_home.engine) as conn:
        assert log.head(conn) == 1
    assert sqlite_home.opt_out("after the restoration").seq == 2


def test_a_writer_waits_for_another_and_gives_up_after_the_limit(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_database(home.where)
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.2)
    with write(other), pytest.raises(RegistryBusy):
        home.opt_out()
    other.dispose()
    assert home.opt_out().seq == 1


def test_parties_that_were_there_keep_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "HEAD", "r0003")
    with Home(tmp_path) as old, write(old.engine) as conn:
        conn.exec_driver_sql(
            f"INSERT INTO party (id, name, normal, created_at) VALUES ('{'0' * 36}', 'Acme', 'acme', '{NOW}')"
        )
    monkeypatch.undo()
    with Home(tmp_path) as home:
        found = parties.find(home.engine, "Acme")
        assert (found.kind, found.level, found.verified) == (None, "trusted", True)
        made = home.opt_out()
        assert made.standing == "active"
        told = parties.add(home.engine, "Acme", "company", now=NOW, sign_checkpoint=SIGNER)
        assert (told.id, told.kind, told.level) == (found.id, "company", "trusted")
        with pytest.raises(PartyInvalid):
            parties.add(home.engine, "ACME", "person", now=NOW, sign_checkpoint=SIGNER)


def _release_of_then(conn: Connection) -> str:
    """Publish as the first version did: the decision was no entry of the log."""
    made_job = Job(
        id="00000000-0000-7000-8000-000000000001", kind="make", key="k", inputs={}, state=JobState.OPEN,
        result=None, created_at=NOW, finished_at=None, owner=None,
    )  # fmt: skip
    of_then = (
        "INSERT INTO job (id, kind, key, inputs, created_at, state, current_step, deaths) "
        "VALUES (:id, 'make', 'k', '{}', :now, 'open', 'prompt', 0)"
    )
    conn.execute(text(of_then), {"id": made_job.id, "now": NOW})
    conn.execute(job_step.insert().values(job_id=made_job.id, name="draw", result="{}", recorded_at=NOW))
    told = {"id": "a" * 64, "job_id": made_job.id, "verdict": "allow", "policy": "test", "policy_version": 1}
    conn.execute(
        decision.insert().values(**told, checks={}, reasons=[], registry_seq=0, decided_at=NOW)
    )  # fmt: skip
    entry = log.append(conn, "release", {"release": made_job.id}, None, NOW)
    row = releases._row(candidate(made_job, 99), "a" * 64)
    row |= {"id": made_job.id, "registry_seq": 0, "log_seq": entry.seq, "published_at": NOW}
    conn.execute(release.insert().values(**row, state="released", state_seq=entry.seq))
    log.add_checkpoint(conn, SIGNER, NOW)
    return made_job.id


def test_a_database_of_the_release_before_is_migrated(
    empty_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "HEAD", "r0001")
    with Home(empty_root) as old, write(old.engine) as conn:
        released = _release_of_then(conn)
    monkeypatch.undo()
    with Home(empty_root) as home:
        made = releases.get(home.engine, released)
        assert made is not None
        assert home.opt_out().seq == made.log_seq + 1
        assert home.release("new").registry_seq == made.log_seq + 1
        with read(home.engine) as conn:
            log.audit(conn)
            assert conn.execute(select(job.c.last_step).where(job.c.id == made.job_id)).scalar() == "draw"
