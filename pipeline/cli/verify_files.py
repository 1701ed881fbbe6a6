"""Which files `verify` means: files as they are named, folders, patterns; always in the same order.

The rules: (1) a file that is named is taken, whatever its suffix, hidden or a link; (2) of a folder, and of
what a pattern finds, hidden entries are left out, and links that lead out of the folder they were found in; a
link to a folder is never followed; (3) of a folder only files with a video's suffix, of its subfolders only
when asked; (4) each file once, arguments in their order, and below each by name; (5) what cannot be
listed is told, never passed over; what is left out is counted.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.credentials.text import safe_text
from pipeline.errors import UsageError

SUFFIXES: Final = (
    ".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".m2ts", ".mts", ".ts", ".3gp",
    ".3g2", ".wmv", ".flv", ".ogv", ".mxf",
)  # fmt: skip
MAGIC: Final = frozenset("*?[")
MAX_FILES: Final = 100_000
HIDDEN: Final = "hidden"
LINKS: Final = "links that lead elsewhere"
OTHERS: Final = "of another kind"
FOLDERS: Final = "in subfolders (see --recursive)"


@dataclass(slots=True)
class Chosen:
    """What was chosen. ``unlisted``: folders that could not be read, and why. ``left``: counts by reason."""

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
    if argument.is_dir():
        yield from _folder(argument, _Tree(argument), chosen, suffixes, recursive=recursive)
    elif MAGIC & set(str(argument)) and not os.path.lexists(argument):
        yield from _pattern(argument, chosen)
    else:
        yield argument  # also one that is not there: the report says so


class _Tree:
    """The folder that links may not leave."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))

    def holds(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._root)


def _folder(
    folder: Path, tree: _Tree, chosen: Chosen, suffixes: frozenset[str], *, recursive: bool
) -> Iterator[Path]:
    # A stack, not a recursion: how deep folders lie is not ours to choose.
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            chosen.unlisted.append((here, error.strerror or type(error).__name__))
            continue
        deeper: list[Path] = []
        for entry in entries:
            path = here / entry.name
            why = _left_out(entry, path, tree, suffixes, recursive=recursive)
            if why:
                chosen.left[why] += 1
            elif entry.is_dir(follow_symlinks=False):
                deeper.append(path)
            else:
                yield path
        waiting += reversed(deeper)


def _left_out(
    entry: os.DirEntry[str], path: Path, tree: _Tree, suffixes: frozenset[str], *, recursive: bool
) -> str:
    if entry.name.startswith("."):
        return HIDDEN
    if entry.is_dir(follow_symlinks=False):
        return "" if recursive else FOLDERS
    if entry.is_symlink() and (not path.is_file() or not tree.holds(path)):
        return LINKS
    return "" if path.suffix.lower() in suffixes and path.is_file() else OTHERS


def _pattern(argument: Path, chosen: Chosen) -> Iterator[Path]:
    parts = argument.parts
    first = next(place for place, part in enumerate(parts) if MAGIC & set(part))
    root, pattern = Path(*parts[:first]), str(Path(*parts[first:]))
    tree = _Tree(root)
    try:
        found = sorted(root.glob(pattern))
    except (ValueError, NotImplementedError, OSError) as error:
        raise UsageError(
            f"{safe_text(str(argument))} is no pattern ({error}); quote and correct it"
        ) from None
    for path in found:
        if path.is_dir():
            continue
        if any(part.startswith(".") for part in path.parts[len(root.parts) :]):
            chosen.left[HIDDEN] += 1
        elif not tree.holds(path) or not path.exists():
            chosen.left[LINKS] += 1
        elif path.is_file():
            yield path
        else:
            chosen.left[OTHERS] += 1
