import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from registry_builders import KEY, NOW, ORIGIN, SIGNER, Home, place_of

import registry
from registry import checkpoint, merkle, releases
from registry.errors import EntryInvalid, RegistryUnusable
from registry.lookup import Lookup, open_lookup
from registry.types import JobState, ReleaseState


def opened(where: Path | str) -> Lookup:
    lookup = open_lookup(where)
    assert lookup is not None
    return lookup


def test_it_loads_no_database_toolkit() -> None:
    code = (
        "import sys, registry.lookup, registry.checkpoint, registry.merkle\n"
        "import registry.postgres_url, registry.lookup_postgres\n"
        "heavy = {'sqlalchemy', 'psycopg', 'alembic', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    root = str(Path(registry.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_registry_is_a_normal_case(tmp_path: Path) -> None:
    (tmp_path / "empty.db").write_bytes(b"")
    for name in ("no.db", "no/such/folder.db", "empty.db", "empty.db/below.db"):
        assert open_lookup(tmp_path / name) is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty.db"]


def test_a_release_is_found_by_each_name(home: Home) -> None:
    made = home.release()
    with opened(home.where) as lookup:
        found = lookup.find(payload=made.payload)
        assert found is not None
        assert found == lookup.find(urn=made.urn) == lookup.find(file_sha256=made.file_sha256)
        assert list(lookup.releases()) == [found]
        assert lookup.newest_payload() == made.payload
        for name in ("payload", "urn", "file_sha256", "fingerprint", "state", "log_seq", "published_at"):
            assert getattr(found, name) == getattr(made, name)
        assert (found.release_id, found.policy, found.policy_version) == (made.id, "test", 1)
        assert lookup.find(payload="0" * 16) is None
        assert lookup.find(urn="' OR 1=1 --") is None
        for wrong in ({}, {"payload": "x", "urn": "y"}):
            with pytest.raises(EntryInvalid):
                lookup.find(**wrong)


def test_it_sees_what_is_written_meanwhile(home: Home) -> None:
    with opened(home.where) as lookup:
        made = home.release()
        assert lookup.find(payload=made.payload) is not None
        releases.withdraw(home.engine, made.id, why={}, now=NOW, sign_checkpoint=SIGNER)
        found = lookup.find(payload=made.payload)
        assert found is not None
        assert found.state is ReleaseState.WITHDRAWN


def test_a_release_proves_itself_from_the_answer_alone(home: Home) -> None:
    made = [home.release(f"k{i}") for i in range(6)]
    with opened(home.where) as lookup:
        proofs = [lookup.prove(r.log_seq) for r in made]
        assert lookup.prove(made[-1].log_seq + 1) is None
        assert lookup.prove(0) is None
    for release, proof in zip(made, proofs, strict=True):
        assert proof is not None
        note = checkpoint.open_note(
            proof.note, origin=ORIGIN, name="guard", key_id=SIGNER.key_id, verify=_verify
        )
        assert note.size == proof.tree_size
        assert merkle.leaf_hash(proof.entry) == proof.leaf_hash
        merkle.verify_inclusion(proof.leaf_hash, proof.seq - 1, note.size, proof.path, note.root)
        assert release.file_sha256.encode() in proof.entry


def test_interrupted_jobs_are_counted(home: Home) -> None:
    jobs = [home.jobs.submit("make", str(i), {}) for i in range(3)]
    home.jobs.finish(jobs[0], JobState.FAILED, {})
    with opened(home.where) as lookup:
        assert lookup.interrupted_jobs(home.locks) == 0
        home.jobs.close()
        assert lookup.interrupted_jobs(home.locks) == 2
        assert len(home.jobs.resume()) == 2
        assert lookup.interrupted_jobs(home.locks) == 0


def test_it_cannot_write(home: Home) -> None:
    with opened(home.where) as lookup, pytest.raises(RegistryUnusable, match=r"(?i)read.?only"):
        lookup._reader.one("UPDATE payload_counter SET value = value + ?", 1)


def test_an_empty_database_is_a_normal_case_and_a_foreign_one_is_not(empty_root: Path, server: Any) -> None:
    if server is None:
        pytest.skip("does not apply: the same for a file is tested above")
    url = place_of(empty_root)
    assert open_lookup(url) is None
    with psycopg.connect(str(url), autocommit=True) as conn:
        conn.execute("CREATE TABLE bookmarks (url text)")
    with pytest.raises(RegistryUnusable, match="registry that this version can read"):
        open_lookup(url)


def test_a_server_that_is_not_there_raises(tmp_path: Path) -> None:
    """Silence would look like "not in the log"."""
    url = f"postgresql://u:s3cret@/registry?host={tmp_path}"
    with pytest.raises(RegistryUnusable, match="database_url") as caught:
        open_lookup(url)
    assert "s3cret" not in str(caught.value)


def test_a_file_of_somebody_else_is_refused(tmp_path: Path, sqlite_home: Home) -> None:
    (tmp_path / "text.db").write_bytes(b"hello" * 100)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as raw:
        raw.execute("CREATE TABLE bookmarks (url TEXT)")
    for name in ("text.db", "foreign.db", "."):
        with pytest.raises(RegistryUnusable):
            open_lookup(tmp_path / name)


def test_a_copy_in_a_read_only_folder(sqlite_home: Home) -> None:
    """A child without rights reads a copy: alone it can, with unread changes beside it it says so."""
    made = sqlite_home.release()
    with closing(sqlite3.connect(sqlite_home.path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        shutil.copyfile(sqlite_home.path, folder / "r.db")
        assert _as_nobody(folder, made.payload) == 0
        folder.chmod(0o755)
        (folder / "r.db-wal").write_bytes(b"changes")
        assert _as_nobody(folder, made.payload) == 3
        folder.chmod(0o755)


def _as_nobody(folder: Path, payload: str) -> int:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            lookup = open_lookup(folder / "r.db")
            code = 0 if lookup is not None and lookup.find(payload=payload) is not None else 2
        except RegistryUnusable as error:
            code = 3 if "changes beside it" in str(error) else 4
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _verify(signature: bytes, text: bytes) -> bool:
    KEY.public_key().verify(signature, text)
    return True
