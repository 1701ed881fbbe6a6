"""Pictures named in a foreign file are only ever opened below that file's folder.

Every part of a path is opened on its own from the folder before it, without following links, so that
nothing that changes meanwhile can lead elsewhere.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.credentials.text import safe_text
from pipeline.errors import PictureRefused
from pipeline.pictures.reader import cannot_open, read_open
from pipeline.pictures.types import LIMITS, PictureFile, PictureLimits

MAX_DEPTH: Final = 32
OUTSIDE: Final = "name pictures in the folder of the file or below it"
_UNNAMABLE: Final = re.compile(r"[\\\0\ud800-\udfff]")
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folder:
    """An open folder, out of which pictures are read; see `open_folder`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def load(self, path: str, limits: PictureLimits = LIMITS) -> PictureFile:
        """The picture at `path`. Raises: PictureRefused, also for a path or a link that leads elsewhere."""
        parts = checked(path)
        folder = self._descriptor
        try:
            for part in parts[:-1]:
                inner = _open(path, part, _FOLDER, folder)
                self._close(folder)
                folder = inner
            descriptor = _open(path, parts[-1], _FILE, folder)
        finally:
            self._close(folder)
        return read_open(descriptor, path, limits)

    def _close(self, folder: int) -> None:
        if folder != self._descriptor:
            os.close(folder)


def _open(path: str, part: str, flags: int, folder: int) -> int:
    try:
        return os.open(part, flags, dir_fd=folder)
    except (OSError, ValueError) as error:
        if _is_link(part, folder):
            raise PictureRefused(f"{safe_text(path)}: a symbolic link is not followed; {OUTSIDE}") from None
        raise cannot_open(path, error) from None


def _is_link(part: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def open_folder(path: Path) -> Iterator[Folder]:
    """The folder `path`. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Folder(descriptor)
    finally:
        os.close(descriptor)


def checked(path: str) -> tuple[str, ...]:
    """The parts of a relative path that stays below where it starts. Raises: PictureRefused."""
    parts = path.split("/")
    named = tuple(part for part in parts if part not in ("", "."))
    if path.startswith("/"):
        wrong = f"the path is absolute; {OUTSIDE}"
    elif ".." in parts:
        wrong = f"the path contains '..'; {OUTSIDE}"
    elif _UNNAMABLE.search(path):
        wrong = "the path has characters that no name should; rename the picture"
    elif not named or len(named) > MAX_DEPTH:
        wrong = f"this is no path of a picture; {OUTSIDE}"
    else:
        return named
    raise PictureRefused(f"{safe_text(path)}: {wrong}")
