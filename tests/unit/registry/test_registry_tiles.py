from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_world import LOG_KEY, OTHER_SIGNER, bulk, exported, fill, stranger
from registry_builders import NOW, Home

from registry import log, tiles
from registry.checkpoint import parse_note
from registry.db import read, write
from registry.errors import NotFound, ProofInvalid
from registry.export import read_checkpoint, read_entries
from registry.tiles import ENTRIES, WIDTH, Tile


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(1, 1000), "tile/1/x001/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(3, 5, 7), "tile/3/005.p/7"),
        (Tile(ENTRIES, 123456789, 255), "tile/entries/x123/x456/789.p/255"),
    ],
)
def test_paths_as_c2sp_writes_them(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert tiles.parse_path(path) == tile


@given(st.integers(-1, 62), st.integers(0, 10**12), st.integers(1, WIDTH))
def test_every_path_reads_back(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert tiles.parse_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    ["", "tile/0/0", "tile/0/1000", "tile/0/x000/001", "tile/00/000", "tile/64/000", "tile/0/000.p/256",
     "tile/0/000.p/0", "tile/0/000.p/01", "tile/-1/000", "tile/entries/x1/000", "tile/0/000/", "tile/0/٠٠٠"],
)  # fmt: skip
def test_other_spellings_are_refused(path: str) -> None:
    with pytest.raises(ProofInvalid):
        tiles.parse_path(path)


@given(st.integers(1, 200_000), st.integers(0, 200_000))
def test_the_tiles_of_a_tree(size: int, since: int) -> None:
    every = list(tiles.tiles(size))
    for level in {tile.level for tile in every}:
        of_level = [tile for tile in every if tile.level == level]
        assert sum(tile.width for tile in of_level) == size >> 8 * max(level, 0)
        assert all(tile.full for tile in of_level[:-1])
    since = min(since, size)
    known = set(tiles.tiles(since))
    assert {tile for tile in every if tile not in known} == set(tiles.tiles(size, since=since))


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=20))
def test_bundles_read_back_and_say_when_they_do_not(entries: list[bytes]) -> None:
    packed = tiles.pack(entries)
    assert tiles.unpack(packed, len(entries)) == entries
    for wrong, width in ((packed[:-1], len(entries)), (packed + b"\0", len(entries)), (packed, 0)):
        with pytest.raises(ProofInvalid):
            tiles.unpack(wrong, width)


def test_an_export_is_the_log_and_only_its_public_part(home: Home, tmp_path: Path) -> None:
    fill(home, 5)
    folder = tmp_path / "log"
    made = exported(home, folder)
    with read(home.engine) as conn:
        entries = [entry.entry for entry in log.entries(conn, 0, log.head(conn))]
        assert read_checkpoint(folder).root == log.audit(conn)
    assert read_entries(folder) == entries
    assert parse_note(made.note).size == made.size == len(entries)
    assert {path.name for path in folder.iterdir()} == {"checkpoint", "tile"}
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for word in (b"Person 0", b"studio 0", b"Angstr"):
        assert word not in everything
    answer = stranger(folder, folder=tmp_path)
    assert (answer.code, answer.err) == (0, "")
    assert f"{len(entries)} entries" in answer.out


@pytest.mark.parametrize("sizes", [(1, 2), (3, 255), (255, 257), (256, 512), (100, 700)])
def test_an_export_is_incremental(home: Home, tmp_path: Path, sizes: tuple[int, int]) -> None:
    folder = tmp_path / "log"
    bulk(home, sizes[0])
    exported(home, folder)
    full = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if ".p" not in str(path)}
    old = read_checkpoint(folder)
    again = exported(home, folder)
    assert (again.files, again.before, again.size) == (0, sizes[0], sizes[0])
    bulk(home, sizes[1] - sizes[0])
    made = exported(home, folder)
    assert (made.before, made.size) == sizes
    assert made.files == 1 + len(list(tiles.tiles(sizes[1], since=sizes[0])))
    unchanged = {path for path, at in full.items() if path.is_file() and path.stat().st_mtime_ns == at}
    assert unchanged == {path for path in full if path.is_file() and path.name != "checkpoint"}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert present == {"checkpoint", *(tile.path for tile in tiles.tiles(sizes[1]))}
    assert len(read_entries(folder)) == sizes[1]
    assert stranger(folder, folder=tmp_path).code == 0
    with read(home.engine) as conn:
        assert log.prove_extends(conn, old.size, made.size)


def test_an_export_of_another_log_is_refused(home: Home, tmp_path: Path) -> None:
    bulk(home, 3)
    exported(home, tmp_path / "log")
    (tmp_path / "other").mkdir()
    with Home(tmp_path / "other") as other:
        bulk(other, 5)
        before = read_entries(tmp_path / "log")
        with pytest.raises(ProofInvalid, match="another"):
            exported(other, tmp_path / "log")
        assert read_entries(tmp_path / "log") == before


def test_an_empty_log_has_nothing_to_export(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        exported(home, tmp_path / "log")


def test_a_checkpoint_of_another_key_is_noticed(home: Home, tmp_path: Path) -> None:
    with write(home.engine) as conn:
        log.append(conn, "opt-out", {}, None, NOW)
        log.add_checkpoint(conn, OTHER_SIGNER, NOW)
    exported(home, tmp_path / "log")
    answer = stranger(tmp_path / "log", folder=tmp_path)
    assert answer.code == 1
    assert "another key" in answer.out
    assert stranger(tmp_path / "log", folder=tmp_path, key=None).code == 2
    assert stranger(tmp_path / "nothing", folder=tmp_path, key=LOG_KEY).code == 2
