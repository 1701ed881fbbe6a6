"""Which files `verify` means: files as they are named, folders, patterns; always in the same order.

The rules: (1) a file that is named is taken, whatever its suffix, hidden or a link; (2) of a folder, and of
what a pattern finds, hidden entries are left out, and links that lead out of the folder they were found in; a
link to a folder is never followed; (3) of a folder only files with a video's suffix, of its subfolders only
when asked; (4) each file once, arguments in their order, and below each by name; (5) what cannot be
listed or seen is told, never passed over; what is left out is counted.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from pipeline.credentials.text import safe_text
from pipeline.errors import UsageError

SUFFIXES: Final = (
    ".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".m2ts", ".mts", ".ts", ".3gp",
    ".3g2", ".wmv", ".flv", ".ogv", ".mxf",
)  # fmt: skip
MAGIC: Final = frozenset("*?[")
DEEP: Final = "**"
MAX_FILES: Final = 100_000
HIDDEN: Final = "hidden"
LINKS: Final = "links that lead elsewhere"
OTHERS: Final = "of another kind"
FOLDERS: Final = "in subfolders (see --recursive)"
UNLISTED: Final = "this folder cannot be listed ({why}); what it holds was not verified"
UNSEEN: Final = "what this is cannot be seen ({why}); it was not verified"
NOWHERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""Errors of a place where nothing is: as certain as any other answer."""


@dataclass(slots=True)
class Chosen:
    """What was chosen. ``left``: counts by reason.

    ``unlisted``: folders that could not be read and entries that could not be seen, a sentence about each.
    """

    files: list[Path] = field(default_factory=list)
    unlisted: list[tuple[Path, str]] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


def choose(arguments: Sequence[Path], *, recursive: bool, suffixes: Sequence[str]) -> Chosen:
    """The files that `arguments` mean. Raises: UsageError for an argument that means none, or too many."""
    chosen, seen = Chosen(), set[str]()
    wanted = _suffixes(suffixes)
    for argument in arguments:
        before = len(chosen.files) + len(chosen.unlisted)
        for path in _meant(argument, chosen, wanted, recursive=recursive):
            place = os.path.realpath(path)
            if place not in seen:
                seen.add(place)
                chosen.files.append(path)
            before = -1
            if len(chosen.files) > MAX_FILES:
                raise UsageError(f"these are more than {MAX_FILES:,} files; verify them folder by folder")
        if len(chosen.files) + len(chosen.unlisted) == before:
            raise UsageError(_nothing(argument, chosen))
    return chosen


def _suffixes(named: Iterable[str]) -> frozenset[str]:
    given = frozenset(f".{suffix.lower().lstrip('.')}" for suffix in named)
    return given or frozenset(SUFFIXES)


def _nothing(argument: Path, chosen: Chosen) -> str:
    left = ", ".join(f"{count} {why}" for why, count in sorted(chosen.left.items()))
    return f"{safe_text(str(argument))} holds no file to verify{f' ({left} left out)' if left else ''}"


def _meant(argument: Path, chosen: Chosen, suffixes: frozenset[str], *, recursive: bool) -> Iterator[Path]:
    if _is_folder(argument):
        yield from _folder(argument, _Tree(argument), chosen, suffixes, recursive=recursive)
    elif MAGIC & set(str(argument)) and not os.path.lexists(argument):
        yield from _pattern(argument, chosen)
    else:
        yield argument  # also one that is not there: the report says so


def _is_folder(path: Path) -> bool:
    """Whether it is seen to be one; what cannot be seen is not."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - as the rest of this module asks
    except OSError:
        return False


class _Kind(Enum):
    """What an entry of a folder is. ``LINK``: to anything but a file below the same folder."""

    FOLDER = auto()
    FILE = auto()
    LINK = auto()
    OTHER = auto()


class _Tree:
    """The folder that links may not leave."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))

    def kind(self, entry: os.DirEntry[str], path: Path) -> _Kind:
        """Ask the system only where the listing does not tell. Raises: OSError for what cannot be seen."""
        if entry.is_dir(follow_symlinks=False):
            return _Kind.FOLDER
        if entry.is_file(follow_symlinks=False):
            return _Kind.FILE
        if not entry.is_symlink():
            return _Kind.OTHER
        if not Path(os.path.realpath(path)).is_relative_to(self._root):
            return _Kind.LINK
        try:
            return _Kind.FILE if stat.S_ISREG(os.stat(path).st_mode) else _Kind.LINK  # noqa: PTH116
        except OSError as error:
            if error.errno in NOWHERE:
                return _Kind.LINK
            raise


def _entries(folder: Path, tree: _Tree, chosen: Chosen) -> list[tuple[Path, _Kind]]:
    """What a folder holds, by name. What cannot be read, the folder or an entry, is told."""
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        chosen.unlisted.append((folder, UNLISTED.format(why=error.strerror or type(error).__name__)))
        return []
    seen: list[tuple[Path, _Kind]] = []
    for entry in entries:
        path = folder / entry.name
        try:
            seen.append((path, tree.kind(entry, path)))
        except OSError as error:
            chosen.unlisted.append((path, UNSEEN.format(why=error.strerror or type(error).__name__)))
    return seen


def _folder(
    folder: Path, tree: _Tree, chosen: Chosen, suffixes: frozenset[str], *, recursive: bool
) -> Iterator[Path]:
    # A stack, not a recursion: how deep folders lie is not ours to choose.
    waiting = [folder]
    while waiting:
        deeper: list[Path] = []
        for path, kind in _entries(waiting.pop(), tree, chosen):
            why = _left_out(path, kind, suffixes, recursive=recursive)
            if why:
                chosen.left[why] += 1
            elif kind is _Kind.FOLDER:
                deeper.append(path)
            else:
                yield path
        waiting += reversed(deeper)


def _left_out(path: Path, kind: _Kind, suffixes: frozenset[str], *, recursive: bool) -> str:
    if path.name.startswith("."):
        return HIDDEN
    if kind is _Kind.FOLDER:
        return "" if recursive else FOLDERS
    if kind is _Kind.LINK:
        return LINKS
    return "" if path.suffix.lower() in suffixes and kind is _Kind.FILE else OTHERS


def _pattern(argument: Path, chosen: Chosen) -> Iterator[Path]:
    """Not by `Path.glob`, which passes over folders that it may not read, and says nothing."""
    parts = argument.parts
    first = next(place for place, part in enumerate(parts) if MAGIC & set(part))
    root, parts = Path(*parts[:first]), parts[first:]
    if any(DEEP in part and part != DEEP for part in parts):
        raise UsageError(f"{safe_text(str(argument))} is no pattern: ** stands alone; quote and correct it")
    if not _is_folder(root) and _is_seen(root):
        return
    tree, waiting = _Tree(root), [(root, frozenset({0}))]
    while waiting:
        here, places = waiting.pop()
        deeper: list[tuple[Path, frozenset[int]]] = []
        for path, kind in _entries(here, tree, chosen):
            after = _after(path.name, places, parts)
            onward = frozenset(place for place in after if place < len(parts))
            linked = kind is _Kind.LINK and bool(onward) and _is_folder(path)
            if not (onward if kind is _Kind.FOLDER else linked or len(parts) in after):
                continue
            if path.name.startswith("."):
                chosen.left[HIDDEN] += 1
            elif kind is _Kind.FOLDER:
                deeper.append((path, onward))
            elif kind is _Kind.FILE:
                yield path
            else:
                chosen.left[LINKS if kind is _Kind.LINK else OTHERS] += 1
        waiting += reversed(deeper)


def _is_seen(path: Path) -> bool:
    """Whether it is certain what is there, also if that is nothing."""
    try:
        os.stat(path)  # noqa: PTH116
    except OSError as error:
        return error.errno in NOWHERE
    return True


def _after(name: str, places: Iterable[int], parts: Sequence[str]) -> set[int]:
    """How far in the pattern an entry of this name leads, from these places; to its end: it is meant."""
    after = set[int]()
    for place in places:
        while place < len(parts) and parts[place] == DEEP:  # any folder, or none
            after.add(place)
            place += 1
        if place < len(parts) and fnmatchcase(name, parts[place]):
            after.add(place + 1)
    return after
