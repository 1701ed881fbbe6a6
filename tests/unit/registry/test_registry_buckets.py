"""What is peculiar to a bucket: it can be away, or refuse us; copies of it are kept, and thinned out."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from registry import buckets
from registry.buckets import CACHE, open_bucket
from registry.errors import StorageAway
from registry.ids import new_id
from registry.store import Area, FileStore

JOB = new_id("2026-01-31T12:00:00Z")
DATA = os.urandom(3 << 20)
DIGEST = hashlib.sha256(DATA).hexdigest()


def staged(store: FileStore, data: bytes = DATA) -> Path:
    path = store.staging(JOB) / "out.mp4"
    path.write_bytes(data)
    return path


def test_away_and_back(tmp_path: Path, bucket: str, bucket_server: Any) -> None:
    """Nothing is lost while it is away; what was staged is there for the next try."""
    store = open_bucket(tmp_path, bucket)
    store.demand_ready()
    source = staged(store)
    bucket_server.stop()
    began = time.monotonic()
    try:
        for ask in (
            lambda: store.put(Area.HELD, source, sha256=DIGEST),
            lambda: store.move(DIGEST, Area.HELD, Area.RELEASED),
            lambda: store.open(Area.RELEASED, DIGEST),
            lambda: store.find(Area.RELEASED, DIGEST),
            store.demand_ready,
        ):
            with pytest.raises(StorageAway, match="cannot be reached") as told:
                ask()
            assert "hush-hush" not in str(told.value)
    finally:
        bucket_server.start()
    assert time.monotonic() - began < 60
    assert store.put(Area.HELD, source, sha256=DIGEST)[0] == DIGEST
    assert not source.exists()


def test_away_in_the_middle_of_reading(tmp_path: Path, bucket: str, bucket_server: Any) -> None:
    store = open_bucket(tmp_path, bucket)
    store.put(Area.RELEASED, staged(store))
    file = store.open(Area.RELEASED, DIGEST)
    assert file.read(10) == DATA[:10]
    bucket_server.stop()
    try:
        file.seek(2 << 20)
        with pytest.raises(StorageAway):
            file.read(1 << 20)
    finally:
        bucket_server.start()


def test_large_files_go_up_in_parts(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PART_BYTES", 5 << 20)  # the smallest that S3 takes
    data = os.urandom(12 << 20)
    store = open_bucket(tmp_path, bucket)
    digest, path = store.put(Area.HELD, staged(store, data))
    path.unlink()
    assert store.move(digest, Area.HELD, Area.RELEASED).read_bytes() == data


@pytest.mark.parametrize("what", ["put", "ready"])
def test_no_such_bucket(what: str, tmp_path: Path, bucket: str) -> None:
    store = open_bucket(tmp_path, "s3://nobody-made-it/clips")
    with pytest.raises(StorageAway, match="does not exist"):
        _ = store.put(Area.HELD, staged(store)) if what == "put" else store.demand_ready()


def test_copies_are_thinned_out(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was not used for longest goes first; young ones stay, whatever their size."""
    monkeypatch.setattr(buckets, "CACHE_BYTES", 2500)
    store = open_bucket(tmp_path, bucket)
    paths = [store.put(Area.RELEASED, staged(store, bytes([index]) * 1000))[1] for index in range(3)]
    assert all(path.exists() for path in paths)
    for index, path in enumerate(paths):
        os.utime(path, (1000 - index, 1000 - index))
    store.find(Area.RELEASED, paths[2].name)  # used now
    store.put(Area.RELEASED, staged(store, b"x" * 1000))
    assert [path.exists() for path in paths] == [False, False, True]
    assert store.find(Area.RELEASED, paths[0].name).read_bytes() == bytes(1000)
    assert {path.parent for path in (tmp_path / CACHE).iterdir()} == {tmp_path / CACHE}
