"""Segments in files: used when whole and of this history, built again otherwise, never trusted."""

import contextlib
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_builders import (
    SIZE,
    SPACE,
    add,
    assert_right,
    files,
    opened,
    settled,
    withdraw,
)
from registry_builders import NOW, SIGNER, Home

from registry import building, indexes, optouts, rules, segment_files
from registry.columns import Columns, block
from registry.segment_files import About, FileUnusable, SegmentFiles, Stamps
from registry.subject_types import VectorRow


@pytest.fixture
def filled(home: Home, tmp_path: Path, small: None) -> tuple[Home, Path]:
    add(home, *range(30))
    folder = tmp_path / "index"
    view = opened(home, folder)
    assert_right(home, settled(view))
    view.close()
    return home, folder


def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many vectors are read from the database from now on."""
    counted: list[int] = []
    from registry import loading

    plain = loading.blocks

    def counting(record: object) -> object:
        counted.append(len(record.vectors))  # type: ignore[attr-defined]
        return plain(record)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "blocks", counting)
    return counted


def test_all_files_can_go_and_are_made_again(filled: tuple[Home, Path]) -> None:
    home, folder = filled
    withdraw(home, optouts.list_subjects(home.engine)[3].id)
    assert files(folder)
    SegmentFiles(folder).remove_all()
    assert not list(folder.glob("*.segment"))
    assert not list(folder.glob("*.json"))
    view = opened(home, folder)
    assert_right(home, settled(view))
    view.close()
    assert files(folder)
    SegmentFiles(folder / "nowhere").remove_all()


def test_a_start_reads_files_and_only_what_is_new(
    filled: tuple[Home, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder = filled
    assert {path.suffix for path in folder.glob("*.*")} == {".segment", ".json"}
    counted = reads(monkeypatch)
    before = files(folder)
    assert_right(home, settled(opened(home, folder)))
    # 30 descriptions are too few for a file, so everybody's vectors are still compared with the database;
    # to write the other files anew would not change that.
    assert len(counted) == 30
    assert files(folder) == before
    monkeypatch.setattr(building, "KEPT_FROM", 20)
    settled(opened(home, folder))
    counted.clear()
    view = opened(home, folder)
    assert_right(home, view.current())
    assert counted == []
    [new] = add(home, 77)
    gone = next(one for one in view.current().subjects if one != new)
    withdraw(home, gone)
    assert_right(home, settled(view))
    counted.clear()
    again = opened(home, folder).current()
    assert_right(home, again)
    assert counted == [7]
    assert new in again.subjects
    assert gone not in again.subjects


def test_nobody_else_reads_them(filled: tuple[Home, Path]) -> None:
    _home, folder = filled
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.*")} == {0o600}


def test_a_rule_leaves_the_vectors_where_they_are(filled: tuple[Home, Path]) -> None:
    home, folder = filled
    view = opened(home, folder)
    before = settled(view)
    subject = sorted(before.subjects)[3]
    rules.grant_licence(home.engine, subject, "friend", now=NOW, sign_checkpoint=SIGNER)
    after = view.current()
    assert after.shelves.keys() == before.shelves.keys()
    for key, shelf in after.shelves.items():
        assert [id(segment.index) for segment in shelf] == [id(one.index) for one in before.shelves[key]]
    assert len(after.subjects[subject].rules) == 1
    assert_right(home, opened(home, folder).current())


def test_many_changed_subjects_have_the_files_written_anew(
    filled: tuple[Home, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every start would read them from the database again."""
    home, folder = filled
    monkeypatch.setattr(building, "KEPT_FROM", 20)
    settled(opened(home, folder))
    before = files(folder)
    for subject in opened(home, folder).current().subjects:
        rules.grant_licence(home.engine, subject, "friend", now=NOW, sign_checkpoint=SIGNER)
    view = opened(home, folder)
    assert_right(home, settled(view))
    assert not before.keys() & files(folder).keys()
    counted = reads(monkeypatch)
    assert_right(home, opened(home, folder).current())
    assert counted == []


@pytest.mark.parametrize("damage", ["gone", "no sidecar", "no segment", "short", "empty", "long", "swapped"])
def test_damaged_files_are_built_again(filled: tuple[Home, Path], damage: str) -> None:
    home, folder = filled
    segment, other, *_ = sorted(folder.glob("*.segment"))
    match damage:
        case "gone":
            shutil.rmtree(folder)
        case "no sidecar":
            segment.with_suffix(".json").unlink()
        case "no segment":
            segment.unlink()
        case "short":
            os.truncate(segment, segment.stat().st_size - 1)
        case "empty":
            segment.with_suffix(".json").write_bytes(b"")
        case "long":
            segment.write_bytes(segment.read_bytes() + b"\0")
        case "swapped":
            first, second = segment.read_bytes(), other.read_bytes()
            segment.write_bytes(second)
            other.write_bytes(first)
    view = opened(home, folder)
    assert_right(home, settled(view))
    assert len(list(folder.glob("*.segment"))) == len(list(folder.glob("*.json"))) == 2


def written(folder: Path, rows: int, size: int) -> tuple[str, SegmentFiles]:
    rng = np.random.default_rng(1)
    groups = [
        [
            VectorRow(
                subject=f"s{number}", reference="", space=SPACE, kind="picture", polarity=1, dimension=size,
                vector=rng.normal(size=size).astype("<f2").tobytes(),
            )
        ]
        for number in range(rows)
    ]  # fmt: skip
    made, kept = block(groups), SegmentFiles(folder)
    coarse = indexes.Coarse("picture", made.vectors)
    while coarse.step():
        pass
    about = About(
        space=SPACE, kind="picture", dimension=size, seq=5, leaf="ab" * 32, library=indexes.library()
    )
    stamps = Stamps(seqs=np.ones(rows, np.int64), totals=np.ones(rows, np.int32))
    with kept.spool() as spool:
        spool.write(made.vectors)
        name, *_ = spool.keep(about, Columns.of([made]), indexes.packed(coarse.index), stamps)
    return name, kept


def usable(kept: SegmentFiles, name: str) -> bool:
    """Whether a load would use it; nothing is deleted."""
    try:
        segment_files.load_one(kept.folder, name)
    except FileUnusable:
        return False
    return True


def test_every_flipped_byte_is_detected(tmp_path: Path) -> None:
    name, kept = written(tmp_path / "index", rows=3, size=8)
    assert usable(kept, name)
    for suffix in (".segment", ".json"):
        path = kept.folder / f"{name}{suffix}"
        whole = path.read_bytes()
        for place in range(len(whole)):
            for flip in (1, 0x20, 0x80):
                damaged = bytearray(whole)
                damaged[place] ^= flip
                path.write_bytes(damaged)
                assert not usable(kept, name), (suffix, place, flip)
        path.write_bytes(whole)
    assert usable(kept, name)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, SegmentFiles]:
    return written(tmp_path_factory.mktemp("large") / "index", rows=2000, size=64)


@settings(max_examples=150)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_of_a_large_one_is_detected(
    large: tuple[str, SegmentFiles], share: float, bit: int
) -> None:
    name, kept = large
    path = kept.folder / f"{name}.segment"
    place = int(share * path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(place)
        [byte] = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))
        file.flush()
        assert not usable(kept, name)
        file.seek(place)
        file.write(bytes([byte]))
    assert usable(kept, name)


def test_files_of_another_history_or_library_are_deleted(
    filled: tuple[Home, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _home, folder = filled
    before = files(folder).keys()
    (tmp_path / "other").mkdir()
    with Home(tmp_path / "other") as other:
        add(other, *range(100, 140))
        assert_right(other, settled(opened(other, folder)))
        assert not before & files(folder).keys()
        before = files(folder).keys()
        monkeypatch.setattr(indexes, "library", lambda: "faiss 0")
        assert_right(other, settled(opened(other, folder)))
        assert not before & files(folder).keys()


def test_a_restored_backup_does_not_use_what_came_after_it(
    sqlite_home: Home, tmp_path: Path, small: None
) -> None:
    home = sqlite_home
    add(home, *range(20))
    kept, folder = tmp_path / "backup.db", tmp_path / "index"
    copy(home.path, kept)
    add(home, *range(20, 40))
    settled(opened(home, folder))
    copy(kept, home.path)
    assert_right(home, settled(opened(home, folder)))
    add(home, *range(50, 90))
    assert_right(home, settled(opened(home, folder)))


def copy(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def test_a_full_disk_leaves_the_segment_in_memory(
    home: Home, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(home, *range(30))
    folder = tmp_path / "index"
    plain = segment_files.Spool._put
    for left in (0, 3, 11, 30, 33):
        room = [left]

        def put(self: segment_files.Spool, data: bytes, room: list[int] = room) -> None:
            room[0] -= 1
            if room[0] < 0:
                self._file.write(data[: len(data) // 2])
                raise OSError(28, "No space left on device")
            plain(self, data)

        with monkeypatch.context() as patch:
            patch.setattr(segment_files.Spool, "_put", put)
            view = opened(home, folder)
            assert_right(home, settled(view))
        assert not list(folder.glob("*.new"))
        shutil.rmtree(folder, ignore_errors=True)


def test_what_a_dead_process_left_is_cleaned_up(filled: tuple[Home, Path]) -> None:
    home, folder = filled
    (folder / "tmpdead.new").write_bytes(b"half")
    (folder / "tmpdead.json.new").write_bytes(b"half")
    (folder / "tmphalf.segment").write_bytes(b"half")
    with SegmentFiles(folder).spool() as spool:
        spool.write(np.ones((2, SIZE), np.float16))
        assert_right(home, settled(opened(home, folder)))
        left = {path.name for path in folder.glob("*.new")}
        assert left == {spool._path.name}
    assert not list(folder.glob("*.new"))
    assert not list(folder.glob("tmphalf*"))
