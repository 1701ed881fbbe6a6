"""A content-addressed file store: a file's name is the SHA-256 of its bytes.

Layout under the root: ``staging/<job id>/`` for work in progress, and ``held/``, ``released/``,
``manifests/``, ``evidence/``, with a two-character fan-out. Names are made from digests and job ids only,
never from a request. A file appears in an area whole and durable (file and folder fsynced, then renamed), or
not at all.
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from registry.errors import EntryInvalid, NotFound, RegistryDamaged, StorageFull
from registry.ids import is_id

READ_BYTES: Final = 1 << 20
STAGING: Final = "staging"
_READ_ONLY: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Area(StrEnum):
    """Where a file lies; only ``released`` may be served, and only while its release says so."""

    HELD = "held"
    RELEASED = "released"
    MANIFESTS = "manifests"
    EVIDENCE = "evidence"


class Readable(Protocol):
    """An open file, as `FileStore.open` gives it."""

    def read(self, size: int, /) -> bytes | None:
        """The next bytes, at most so many; nothing at the end."""
        ...

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Go to a place; which one it is."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class FileStore:
    """The store under one root folder; staging must be on the same file system, as it is by default."""

    def __init__(self, root: Path, *, create: bool = True) -> None:
        """Use ``root``; with ``create``, make it and its areas if they are missing."""
        self._root = root
        if not create:
            return
        with storing():
            for name in (STAGING, *Area):
                (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def staging(self, job_id: str) -> Path:
        """Return the folder for a job's work in progress, making it if needed."""
        folder = self._staging(job_id)
        with storing():
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def put(self, area: Area, source: Path, *, sha256: str | None = None) -> tuple[str, Path]:
        """Move a finished file from staging into an area; return its SHA-256 and its place.

        With ``sha256`` the file must have that digest, and a second call finds what the first one moved
        (so that a step killed right after the move can run again).

        1. Only a regular file in staging is taken. 2. It is hashed and made durable. 3. It did not change
        meanwhile. 4. It is renamed to its digest, and the folder is made durable.
        """
        if not source.parent.resolve().is_relative_to((self._root / STAGING).resolve()):  # 1
            raise EntryInvalid(f"{source.name} is not in the staging folder; write it there first.")
        with storing():
            if not os.path.lexists(source):
                if sha256 is None:
                    raise NotFound(f"{source.name} is not in the staging folder; make it again.")
                return sha256, self.find(area, sha256)
            with _opened(source) as fd:
                digest = _seal(fd, source.name)  # 2, 3
                if sha256 not in (None, digest):
                    raise RegistryDamaged(f"{source.name} is not what it was; make it again.")
            return digest, self._take(area, source, digest)  # 4

    def put_bytes(self, area: Area, data: bytes, job_id: str) -> tuple[str, Path]:
        """Store a small file that is in memory, such as a manifest, by way of the job's staging."""
        with storing(), tempfile.TemporaryDirectory(dir=self.staging(job_id)) as temporary:
            source = Path(temporary) / "data"
            source.write_bytes(data)
            return self.put(area, source)

    def move(self, digest: str, origin: Area, target: Area) -> Path:
        """Move a file between areas; done already is done."""
        place = self._place(target, digest)
        with storing():
            try:
                _rename(self._place(origin, digest), place)
            except FileNotFoundError:
                return self.find(target, digest)
        return place

    def find(self, area: Area, digest: str) -> Path:
        """Return the place of a file; `NotFound` if the area does not hold it."""
        place = self._place(area, digest)
        if not place.is_file():
            raise NotFound(f"No file {digest[:16]}… is {area}.")
        return place

    def check(self, area: Area, digest: str) -> Path:
        """Return the place of a file after reading it whole; `RegistryDamaged` if its bytes changed."""
        place = self.find(area, digest)
        with storing(), place.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise RegistryDamaged(f"The stored file {digest[:16]}… was changed; restore a backup.")
        return place

    def open(self, area: Area, digest: str) -> "Readable":
        """A file to read and seek in; its place is made of the digest. Raises: `NotFound`."""
        try:
            return os.fdopen(os.open(self.find(area, digest), _READ_ONLY), "rb", buffering=0)
        except FileNotFoundError:
            raise NotFound(f"No file {digest[:16]}… is {area}.") from None

    def demand_ready(self) -> None:
        """Raises `StorageAway` while the files cannot be reached; folders always can."""

    def digests(self, area: Area) -> list[str]:
        """The digests of all files of an area; for small ones."""
        with storing():
            names = [place.name for place in (self._root / area).glob("??/*")]
        return sorted(name for name in names if _DIGEST.fullmatch(name))

    def remove(self, area: Area, digest: str) -> None:
        """Delete a file for good; done already is done."""
        place = self._place(area, digest)
        with storing(), contextlib.suppress(FileNotFoundError):
            place.unlink()
            _sync_folder(place.parent)

    def clean(self, job_id: str) -> None:
        """Delete a finished job's work in progress."""
        with storing(), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._staging(job_id))

    def clean_finished(self, is_open: Callable[[str], bool]) -> int:
        """Delete the work in progress of every job that is not open; return how many folders went.

        ``is_open`` is asked after the folders are listed, so a job that starts meanwhile is safe.
        """
        with storing():
            listed = [entry.name for entry in (self._root / STAGING).iterdir() if is_id(entry.name)]
        gone = [job_id for job_id in listed if not is_open(job_id)]
        for job_id in gone:
            self.clean(job_id)
        return len(gone)

    def _take(self, area: Area, source: Path, digest: str) -> Path:
        """Bring a sealed file of staging to its place."""
        target = self._place(area, digest)
        _rename(source, target)
        target.chmod(0o400)
        return target

    def _staging(self, job_id: str) -> Path:
        if not is_id(job_id):
            raise EntryInvalid(f"{job_id[:40]!r} is not a job id.")
        return self._root / STAGING / job_id

    def _place(self, area: Area, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise EntryInvalid(f"{digest[:80]!r} is not a SHA-256 digest in lower-case hex.")
        return self._root / Area(area) / digest[:2] / digest


def _seal(fd: int, name: str) -> str:
    """Hash an open file and make it durable; refuse one that is written to meanwhile."""
    before = os.fstat(fd)
    if not stat.S_ISREG(before.st_mode):
        raise EntryInvalid(f"{name} is not a regular file.")
    digest = hashlib.sha256()
    while block := os.read(fd, READ_BYTES):
        digest.update(block)
    os.fsync(fd)
    after = os.fstat(fd)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise StorageFull(f"{name} changed while it was stored; close it before storing it.")
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _rename(source: Path, target: Path) -> None:
    made = not target.parent.exists()
    target.parent.mkdir(mode=0o700, exist_ok=True)
    source.rename(target)
    for folder in (target.parent, source.parent, *([target.parent.parent] if made else [])):
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    with _opened(folder) as fd:
        os.fsync(fd)


@contextmanager
def storing() -> Iterator[None]:
    """What the system refuses is `StorageFull`."""
    try:
        yield
    except OSError as error:
        raise StorageFull(
            f"Cannot write to the store: {error.strerror or error}; free space or fix its permissions."
        ) from error
