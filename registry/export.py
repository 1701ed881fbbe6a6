"""The whole log as static files in the tlog-tiles layout, and reading them back.

Only what everybody may read leaves: entries (public JSON and commitments), hashes and the signed checkpoint.
Salts and private parts stay in the database.
"""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from registry.checkpoint import Checkpoint, parse_note
from registry.errors import NotFound, ProofInvalid, StorageFull
from registry.log import head, nodes
from registry.merkle import Nodes, leaf_hash, new_nodes, root
from registry.tables import checkpoint, log_entry, log_node
from registry.tiles import (
    CHECKPOINT,
    ENTRIES,
    HEIGHT,
    WIDTH,
    Tile,
    pack,
    tiles,
    unpack,
    unpack_hashes,
)

MODE: Final = 0o644  # it is there to be published


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote: files, and the size of the tree before and now."""

    files: int
    before: int
    size: int
    note: str


def export(conn: Connection, folder: Path) -> Exported:
    """Write what ``folder`` lacks of the log, up to the latest checkpoint.

    1. What the folder holds must be an earlier state of this very log; else nothing is written.
    2. Full tiles that lie there are left alone: they never change.
    3. Each file appears whole or not at all; the checkpoint comes last, so that it never promises more than
       lies there.
    4. Partial tiles that wider ones replace go after that: what lies there is what the checkpoint needs.
    """
    last = conn.execute(select(checkpoint).order_by(checkpoint.c.tree_size.desc()).limit(1)).first()
    if last is None:
        raise NotFound("The log has no checkpoint yet: there is nothing to export.")
    before = _before(folder, parse_note(last.note), nodes(conn))  # 1
    written = 0
    with _storing(folder):
        for tile in tiles(last.tree_size, since=before):
            place = folder / tile.path
            if place.is_file() and tile.full:  # 2
                continue
            _put(place, content(conn, tile))  # 3
            written += 1
        if before != last.tree_size:
            _put(folder / CHECKPOINT, last.note.encode())
            written += 1
        for tile in tiles(last.tree_size, since=before):
            _drop_narrower(folder, tile)  # 4
    return Exported(files=written, before=before, size=last.tree_size, note=last.note)


def read_entries(folder: Path) -> list[bytes]:
    """Return the entries of an exported log, checked against its tiles and its checkpoint's root.

    The checkpoint's signature is the caller's to check. Raises `ProofInvalid` at the first disagreement.
    """
    told = read_checkpoint(folder)
    rebuilt: dict[tuple[int, int], bytes] = {}
    entries: list[bytes] = []
    for tile in tiles(told.size):
        content = _get(folder / tile.path)
        if tile.level == ENTRIES:
            for entry in unpack(content, tile.width):
                _add(rebuilt, len(entries), leaf_hash(entry))
                entries.append(entry)
            continue
        first = tile.index * WIDTH
        wanted = [rebuilt[tile.level * HEIGHT, first + number] for number in range(tile.width)]
        if unpack_hashes(content, tile.width) != wanted:
            raise ProofInvalid(f"{tile.path} does not follow from the entries.")
    if root(told.size, lambda level, index: rebuilt[level, index]) != told.root:
        raise ProofInvalid("The exported entries do not lead to the root of the checkpoint.")
    return entries


def read_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint of an exported log, its signature not checked."""
    try:
        return parse_note(_get(folder / CHECKPOINT).decode())
    except UnicodeDecodeError:
        raise ProofInvalid("The checkpoint is not UTF-8 text.") from None


def _add(rebuilt: dict[tuple[int, int], bytes], index: int, leaf: bytes) -> None:
    rebuilt[0, index] = leaf
    for level, position, value in new_nodes(index, leaf, lambda lv, i: rebuilt[lv, i]):
        rebuilt[level, position] = value


def _before(folder: Path, last: Checkpoint, node: Nodes) -> int:
    """The size that the folder has; it must be a beginning of this log."""
    if not (folder / CHECKPOINT).exists():
        return 0
    old = read_checkpoint(folder)
    if old.origin != last.origin or old.size > last.size or root(old.size, node) != old.root:
        raise ProofInvalid(
            f"{folder.name} holds another log, or another history of this one; name an empty folder."
        )
    return old.size


def content(conn: Connection, tile: Tile) -> bytes:
    """Return the bytes of a tile of the log. Raises `NotFound` where the log is not so long."""
    first = tile.index * WIDTH
    upto = first + tile.width
    if upto > head(conn) >> HEIGHT * max(tile.level, 0):
        raise NotFound(f"The log is not so long that it has {tile.path}.")
    if tile.level in (ENTRIES, 0):
        column: Any = log_entry.c.entry if tile.level == ENTRIES else log_entry.c.leaf_hash
        query = (
            select(column).where(log_entry.c.seq > first, log_entry.c.seq <= upto).order_by(log_entry.c.seq)
        )
        found: Sequence[Any] = conn.execute(query).scalars().all()
        return pack([text.encode() for text in found]) if tile.level == ENTRIES else b"".join(found)
    query = select(log_node.c.hash).where(
        log_node.c.level == tile.level * HEIGHT, log_node.c.idx >= first, log_node.c.idx < upto
    )
    return b"".join(conn.execute(query.order_by(log_node.c.idx)).scalars())


def _put(place: Path, content: bytes) -> None:
    """Write a file that appears whole and durable."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".new-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), MODE)
            os.fsync(file.fileno())
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _drop_narrower(folder: Path, tile: Tile) -> None:
    partial = folder / Tile(tile.level, tile.index, 1).path
    if partial.parent.is_dir():
        for file in partial.parent.iterdir():
            if tile.full or file.name != str(tile.width):
                file.unlink()
        if tile.full:
            partial.parent.rmdir()


def _get(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError as error:
        raise ProofInvalid(f"The exported log lacks {place.name} ({error.strerror}).") from None


@contextlib.contextmanager
def _storing(folder: Path) -> Any:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageFull(f"Cannot write to {folder.name} ({error.strerror}); name another folder.") from None
