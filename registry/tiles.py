"""The tlog-tiles layout (C2SP): where the hashes and entries of a log lie as static files, no database.

A *hash tile* ``tile/<L>/<N>`` holds up to 256 hashes of level ``8 L`` of the tree, from index ``256 N`` on;
an *entry bundle* ``tile/entries/<N>`` holds the same leaves' entries, each behind its length in two bytes.
The last one of a level may be partial, of width W: its name ends in ``.p/<W>``. A number is written in
groups of three digits, all but the last with an ``x``: 1234067 is ``x001/x234/067``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from registry.errors import ProofInvalid
from registry.merkle import HASH_BYTES

CHECKPOINT: Final = "checkpoint"
HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
ENTRIES: Final = -1
"""The "level" of entry bundles."""
LENGTH_BYTES: Final = 2
LEVEL_MAX: Final = 63
_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A hash tile of a level, or (level `ENTRIES`) an entry bundle; `WIDTH` wide when it is full."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def full(self) -> bool:
        """Whether it will never change."""
        return self.width == WIDTH

    @property
    def path(self) -> str:
        """Its place below the log's folder or URL."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.full else f".p/{self.width}"
        return f"tile/{level}/{number(self.index)}{partial}"


def number(index: int) -> str:
    """Return an index in groups of three digits."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def parse_path(path: str) -> Tile:
    """Return the tile of a path; `ProofInvalid` for anything that is not the one spelling of it."""
    found = _PATH.fullmatch(path)
    if found:
        level, groups, width = found.groups()
        tile = Tile(
            level=ENTRIES if level == "entries" else int(level),
            index=int(groups.replace("x", "").replace("/", "")), width=int(width or WIDTH),
        )  # fmt: skip
        if tile.level <= LEVEL_MAX and tile.path == path:
            return tile
    raise ProofInvalid(f"{path[:80]!r} is not the path of a tile.")


def tiles(size: int, *, since: int = 0) -> Iterator[Tile]:
    """Yield every tile of a tree of ``size`` leaves that one of ``since`` leaves does not have, lowest first.

    Entry bundles come first, then the levels; within one, full tiles and then the partial one.
    """
    for level in range(ENTRIES, LEVEL_MAX):
        shift = HEIGHT * max(level, 0)
        hashes, known = size >> shift, since >> shift
        if not hashes:
            return
        for index in range(known // WIDTH, -(-hashes // WIDTH)):
            tile = Tile(level, index, min(WIDTH, hashes - index * WIDTH))
            if tile.full or hashes != known:
                yield tile


def pack(entries: Sequence[bytes]) -> bytes:
    """Return the bytes of an entry bundle."""
    return b"".join(len(entry).to_bytes(LENGTH_BYTES) + entry for entry in entries)


def unpack(bundle: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle of this width; `ProofInvalid` unless it holds exactly those."""
    entries: list[bytes] = []
    at = 0
    while at < len(bundle):
        end = at + LENGTH_BYTES + int.from_bytes(bundle[at : at + LENGTH_BYTES])
        if end > len(bundle):
            break
        entries.append(bundle[at + LENGTH_BYTES : end])
        at = end
    if at != len(bundle) or len(entries) != width:
        raise ProofInvalid(f"An entry bundle does not hold {width} entries.")
    return entries


def unpack_hashes(tile: bytes, width: int) -> list[bytes]:
    """Return the hashes of a tile of this width; `ProofInvalid` unless it holds exactly those."""
    if len(tile) != width * HASH_BYTES:
        raise ProofInvalid(f"A tile does not hold {width} hashes.")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
