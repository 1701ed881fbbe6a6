"""Locks that die with their holder: ``flock`` on a file of a local file system.

The kernel drops the lock when the last descriptor closes, so kill -9 needs no clean-up and no guess
about process ids. Programs started with `subprocess` do not inherit the descriptor (PEP 446).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.errors import RegistryUnusable

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def make_folder(path: Path) -> None:
    """Make a folder for lock files, if it is missing."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RegistryUnusable(f"Cannot make the folder {path.name}: {error.strerror}.") from error


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file, waiting for it as long as it takes."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def try_acquire(path: Path) -> int | None:
    """Take the lock at once and return its descriptor (`release` lets go), or None if it is held."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    if os.fstat(fd).st_nlink == 0:  # its holder deleted the file between our open and our lock
        os.close(fd)
        return None
    return fd


def release(fd: int) -> None:
    """Let go of a lock, also where a child that was just forked still has a copy of the descriptor."""
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock; a file that is not there is not held."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS, 0o600)
    except OSError as error:
        raise RegistryUnusable(
            f"Cannot open the lock file {path.name}: {error.strerror}; make the folder writable."
        ) from error
