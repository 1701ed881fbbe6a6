"""Reading and writing key files: owner only, no symbolic links, replaced in one step."""

import contextlib
import fcntl
import os
import shlex
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Generic, TypeVar

from pipeline.errors import KeysUnusable

MAX_KEY_FILE_BYTES: Final = 4 * 1024 * 1024
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

T = TypeVar("T")


def read_private(path: Path) -> bytes:
    """The bytes of a key file.

    Raises: KeysUnusable when it is missing, a link, not a file of ours, too large, or open to others.
    """
    descriptor = _open(path)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeysUnusable(f"{path} is not a regular file; put the key file back in its place")
        if status.st_uid != os.geteuid():
            raise KeysUnusable(f"{path} belongs to another user; run: chown {os.geteuid()} {_quoted(path)}")
        if status.st_mode & OTHERS:
            raise KeysUnusable(f"{path} can be read by others; run: chmod 600 {_quoted(path)}")
        content = file.read(MAX_KEY_FILE_BYTES + 1)
    if not content or len(content) > MAX_KEY_FILE_BYTES:
        raise KeysUnusable(f"{path} is empty or too large to be a key file; restore it from a backup")
    return content


def write_private(path: Path, content: bytes) -> None:
    """Put `content` at `path` (mode 0600) in one step: readers see the old file or the new one.

    Raises: KeysUnusable when the folder cannot be written.
    """
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise KeysUnusable(f"cannot write {path} ({error.strerror}); check the folder and the disk") from None


def check_folder(folder: Path) -> None:
    """Raises: KeysUnusable when `folder` is not a folder of ours that is closed to others."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise KeysUnusable(f"{folder} is not a folder; move it away or name another folder for the keys")
    if status.st_mode & OTHERS:
        raise KeysUnusable(f"{folder} is open to others; run: chmod 700 {_quoted(folder)}")


def sync_folder(folder: Path) -> None:
    """Make names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Live(Generic[T]):
    """What a key file holds, as it is now: a running process notices when it is replaced."""

    def __init__(self, path: Path, load: Callable[[], T]) -> None:
        """Raises: what `load` does."""
        self._path, self._load, self._lock = path, load, threading.Lock()
        self._seen, self._value = self._look()

    def now(self) -> T:
        """As it is on the disk. Raises: what `load` does."""
        with self._lock:
            if _identity(self._path) != self._seen:
                self._seen, self._value = self._look()
            return self._value

    @property
    def latest(self) -> T:
        """What could be read last."""
        with contextlib.suppress(KeysUnusable):
            return self.now()
        return self._value

    def _look(self) -> tuple[object, T]:
        seen = _identity(self._path)  # first: a later change is then seen next time
        return seen, self._load()


def _identity(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` (made on first use) against other processes and threads.

    Raises: KeysUnusable when it cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeysUnusable(f"cannot use the lock file {path} ({error.strerror}); check the folder") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KeysUnusable(f"cannot read {path} ({error.strerror}); restore it from a backup") from None


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
