import hashlib
import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.buckets import CACHE, BucketStore, open_bucket
from registry.errors import EntryInvalid, NotFound, RegistryDamaged, StorageFull
from registry.ids import new_id
from registry.store import Area, FileStore

JOB = new_id("2026-01-31T12:00:00Z")
DATA = b"a clip" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["folder", "bucket"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> FileStore:
    """What holds for one holds for the other."""
    if request.param == "folder":
        return FileStore(tmp_path / "store")
    return open_bucket(tmp_path / "store", request.getfixturevalue("bucket"))


def staged(store: FileStore, data: bytes = DATA, name: str = "out.mp4") -> Path:
    path = store.staging(JOB) / name
    path.write_bytes(data)
    return path


def files(tmp_path: Path, store: FileStore | None = None) -> list[str]:
    """All that is stored, but for copies of what lies in a bucket."""
    root, kept = tmp_path / "store", list[str]()
    if isinstance(store, BucketStore):
        kept = [key.removeprefix(f"{store._prefix}/") for key in store._files.find(store._prefix)]
    here = [str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir()]
    return sorted(kept + [name for name in here if not name.startswith(f"{CACHE}/")])


def test_a_file_is_named_by_its_digest(store: FileStore, tmp_path: Path) -> None:
    digest, path = store.put(Area.HELD, staged(store))
    assert (digest, path.read_bytes()) == (DIGEST, DATA)
    assert files(tmp_path, store) == [f"held/{DIGEST[:2]}/{DIGEST}"]
    assert path.stat().st_mode & 0o777 == 0o400
    assert store.find(Area.HELD, DIGEST) == store.check(Area.HELD, DIGEST) == path
    with pytest.raises(NotFound):
        store.find(Area.RELEASED, DIGEST)


def test_putting_twice_is_putting_once(store: FileStore, tmp_path: Path) -> None:
    first = store.put(Area.HELD, staged(store))
    assert store.put(Area.HELD, staged(store)) == first
    gone = store.staging(JOB) / "out.mp4"
    assert store.put(Area.HELD, gone, sha256=DIGEST) == first  # the replay of a killed step
    with pytest.raises(NotFound):
        store.put(Area.HELD, gone)
    with pytest.raises(NotFound):
        store.put(Area.RELEASED, gone, sha256=DIGEST)
    assert len(files(tmp_path, store)) == 1


def test_a_file_that_is_not_what_was_expected_is_not_stored(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(RegistryDamaged):
        store.put(Area.HELD, staged(store, b"other"), sha256=DIGEST)
    assert files(tmp_path, store) == [f"staging/{JOB}/out.mp4"]


def test_moving_between_areas_can_be_repeated(store: FileStore) -> None:
    store.put(Area.HELD, staged(store))
    path = store.move(DIGEST, Area.HELD, Area.RELEASED)
    assert store.move(DIGEST, Area.HELD, Area.RELEASED) == path
    assert path.read_bytes() == DATA
    with pytest.raises(NotFound):
        store.find(Area.HELD, DIGEST)
    with pytest.raises(NotFound):
        store.move("0" * 64, Area.HELD, Area.RELEASED)


def test_small_bytes(store: FileStore, tmp_path: Path) -> None:
    digest, path = store.put_bytes(Area.MANIFESTS, DATA, JOB)
    assert (digest, path.read_bytes()) == (DIGEST, DATA)
    assert len(files(tmp_path, store)) == 1


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "outside", "dotdot"])
def test_only_a_regular_file_in_staging_is_taken(store: FileStore, tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    path = store.staging(JOB) / "x"
    if kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "outside":
        path = tmp_path / "secret"
    else:
        path = store.staging(JOB) / ".." / ".." / ".." / "secret"
    with pytest.raises((EntryInvalid, StorageFull)):
        store.put(Area.HELD, path)
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert not any(name.startswith("held") for name in files(tmp_path, store))


@given(st.text(max_size=70))
def test_no_text_but_a_digest_is_a_name(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    store = FileStore(tmp_path_factory.getbasetemp() / "names")
    for bad in (name, f"../{DIGEST}", DIGEST.upper(), DIGEST + "\n"):
        with pytest.raises(EntryInvalid):
            store.find(Area.RELEASED, bad)
        with pytest.raises(EntryInvalid):
            store.staging(bad)


def test_a_changed_file_is_found(store: FileStore) -> None:
    _, path = store.put(Area.RELEASED, staged(store))
    path.chmod(0o600)
    path.write_bytes(DATA[:-1] + b"X")
    if isinstance(store, BucketStore):  # it was a copy, which is made again
        assert store.check(Area.RELEASED, DIGEST).read_bytes() == DATA
        store._files.pipe_file(store._key(Area.RELEASED, DIGEST), DATA[:-1] + b"X")
        path.unlink()
    with pytest.raises(RegistryDamaged):
        store.check(Area.RELEASED, DIGEST)


def test_a_file_is_read_by_ranges(store: FileStore) -> None:
    with pytest.raises(NotFound):
        store.open(Area.RELEASED, DIGEST)
    store.put(Area.RELEASED, staged(store))
    file = store.open(Area.RELEASED, DIGEST)
    assert (file.seek(0, 2), file.seek(7), file.read(5)) == (len(DATA), 7, DATA[7:12])
    assert (file.seek(len(DATA) - 2), file.read(100), file.read(100)) == (len(DATA) - 2, DATA[-2:], b"")
    file.close()


def test_a_move_that_was_interrupted_is_done_again(store: FileStore) -> None:
    """Killed between copy and deletion, both areas hold it."""
    store.put(Area.RELEASED, staged(store))
    store.put(Area.HELD, staged(store))
    store.move(DIGEST, Area.HELD, Area.RELEASED)
    assert (store.digests(Area.HELD), store.digests(Area.RELEASED)) == ([], [DIGEST])
    store.remove(Area.RELEASED, DIGEST)
    store.remove(Area.RELEASED, DIGEST)
    assert store.digests(Area.RELEASED) == []


def test_a_full_disk_leaves_nothing_partial(store: FileStore, tmp_path: Path) -> None:
    """The limit on file size makes write() fail half-way, as a full disk does."""
    store.staging(JOB)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageFull, match="free space"):
            store.put_bytes(Area.MANIFESTS, DATA, JOB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path, store) == []


def test_cleaning_spares_open_jobs_and_strangers(store: FileStore, tmp_path: Path) -> None:
    finished = new_id("2026-01-31T12:00:01Z")
    (store.staging(finished) / "part").mkdir()
    (store.staging(finished) / "part" / "x").write_bytes(b"x")
    staged(store)
    (tmp_path / "store" / "staging" / "README").write_text("not ours")
    assert store.clean_finished(lambda job_id: job_id == JOB) == 1
    assert files(tmp_path, store) == [f"staging/{JOB}/out.mp4", "staging/README"]
    store.clean(JOB)
    store.clean(JOB)
    assert files(tmp_path, store) == ["staging/README"]


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFull):
        FileStore(tmp_path / "file")
