"""The same file store, with what is held, released and stored of manifests in a bucket (S3), through fsspec.

Staging and evidence stay in the folder. What holds for folders holds for the bucket:
1. An object appears whole or not at all, under the digest of its bytes. It is read back and hashed before the
   staged file is given up.
2. From held to released is a copy, then a deletion. Killed in between, both are done again; nothing reads the
   held area but the job whose file it is.
3. Whoever needs a path gets a copy on this machine, hashed as it arrives; the latest are kept in ``cache/``.
4. A bucket that does not answer is `StorageAway`: what was asked for is to be tried again. It says nothing
   of requests, in which credentials may stand.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from registry.errors import NotFound, RegistryDamaged, StorageAway
from registry.store import READ_BYTES, Area, FileStore, Readable, storing

REMOTE: Final = frozenset({Area.HELD, Area.RELEASED, Area.MANIFESTS})
CACHE: Final = "cache"
CACHE_BYTES: Final = 4 << 30  # of copies that are kept on this machine
CACHE_SECONDS: Final = 600  # for which the youngest of them stay all the same: somebody may be reading
PART_BYTES: Final = 16 << 20  # of an upload; larger files are sent in such parts
PARTS_AT_ONCE: Final = 2
AHEAD_BYTES: Final = 1 << 20
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 30
ATTEMPTS: Final = 2
_MISSING: Final = "files_url names a bucket; install what speaks to it with: pip install 'countermark[s3]'"

_NO_BUCKET: Final = "the bucket of files_url does not exist; make it, or name another one"


def open_bucket(root: Path, url: str, *, create: bool = True) -> "BucketStore":
    """The store with its bucket at ``s3://bucket/prefix``; credentials and the address of the service come
    from where AWS' own tools take them. Raises `StorageAway` where s3fs is not installed.
    """
    try:
        from s3fs import S3FileSystem
    except ImportError as error:
        raise StorageAway(_MISSING) from error
    patience = {
        "connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
    }  # fmt: skip
    bucket = S3FileSystem(
        config_kwargs=patience, use_listings_cache=False, skip_instance_cache=True,
        default_block_size=AHEAD_BYTES,
    )  # fmt: skip
    return BucketStore(root, bucket, url.removeprefix("s3://").strip("/"), create=create)


class BucketStore(FileStore):
    """``files``: an fsspec file system whose writes are atomic; ``prefix``: bucket and what comes before
    the areas.
    """

    def __init__(self, root: Path, files: Any, prefix: str, *, create: bool = True) -> None:
        """Use the folder ``root`` for staging, evidence and copies."""
        super().__init__(root, create=create)
        self._files, self._prefix = files, prefix

    def find(self, area: Area, digest: str) -> Path:
        """A copy on this machine of a file that the area holds (3)."""
        if area not in REMOTE:
            return super().find(area, digest)
        key = self._key(area, digest)
        self._info(key, area, digest)
        return self._copy(digest) or self._fetch(key, digest)

    def check(self, area: Area, digest: str) -> Path:
        """As `find`; a copy that was damaged on this machine is fetched again."""
        try:
            return super().check(area, digest)
        except RegistryDamaged:
            if area not in REMOTE:
                raise
        self._cached(digest).unlink(missing_ok=True)
        return self.find(area, digest)

    def open(self, area: Area, digest: str) -> Readable:
        """A file to read and seek in, by ranges, without a copy on this machine."""
        if area not in REMOTE:
            return super().open(area, digest)
        key = self._key(area, digest)
        self._info(key, area, digest)
        return self._reading(key, AHEAD_BYTES)

    def move(self, digest: str, origin: Area, target: Area) -> Path:
        """Copy a file to another area, then delete it where it was (2)."""
        if origin not in REMOTE or target not in REMOTE:
            return super().move(digest, origin, target)
        source, aim = self._key(origin, digest), self._key(target, digest)
        try:
            size = self._info(source, origin, digest)["size"]
        except NotFound:
            return self.find(target, digest)
        with _reaching():
            self._files.cp_file(source, aim)
        if self._info(aim, target, digest)["size"] != size:
            raise StorageAway("the file store copied a file in part; try again")
        with _reaching():
            self._files.rm_file(source)
        return self.find(target, digest)

    def digests(self, area: Area) -> list[str]:
        """The digests of all files of an area; for small ones."""
        if area not in REMOTE:
            return super().digests(area)
        with _reaching():
            return sorted(Path(key).name for key in self._files.find(f"{self._prefix}/{area}"))

    def remove(self, area: Area, digest: str) -> None:
        """Delete a file for good, and the copy of it here."""
        if area not in REMOTE:
            super().remove(area, digest)
            return
        key = self._key(area, digest)
        with contextlib.suppress(NotFound), _reaching():
            self._files.rm_file(key)
        self._cached(digest).unlink(missing_ok=True)

    def demand_ready(self) -> None:
        """Raises `StorageAway` while the bucket does not answer."""
        try:
            with _reaching():
                self._files.call_s3("head_bucket", Bucket=self._prefix.partition("/")[0])
        except NotFound:
            raise StorageAway(_NO_BUCKET) from None

    def _take(self, area: Area, source: Path, digest: str) -> Path:
        """Upload a file of staging, read it back (1), and keep it as the copy here."""
        if area not in REMOTE:
            return super()._take(area, source, digest)
        key, found = self._key(area, digest), hashlib.sha256()
        try:
            with _reaching():
                self._files.put_file(str(source), key, chunksize=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
            for block in self._blocks(key):
                found.update(block)
        except NotFound:
            raise StorageAway(_NO_BUCKET) from None
        if found.hexdigest() != digest:
            raise StorageAway("the file store gives back other bytes than it was given; try again")
        return self._keep(source, digest)

    def _blocks(self, key: str) -> Iterator[bytes]:
        with contextlib.closing(self._reading(key, PART_BYTES)) as file:
            while block := file.read(READ_BYTES):
                yield block

    def _reading(self, key: str, ahead: int) -> "_Reading":
        with _reaching():
            return _Reading(self._files.open(key, "rb", cache_type="readahead", block_size=ahead))

    def _fetch(self, key: str, digest: str) -> Path:
        found = hashlib.sha256()
        with storing(), tempfile.TemporaryDirectory(dir=self._cached(digest).parent) as folder:
            made = Path(folder) / digest
            with made.open("wb") as copy:
                for block in self._blocks(key):
                    found.update(block)
                    copy.write(block)
            if found.hexdigest() != digest:
                raise RegistryDamaged(f"The stored file {digest[:16]}… was changed; restore a backup.")
            return self._keep(made, digest)

    def _copy(self, digest: str) -> Path | None:
        """The copy on this machine, as now used, if there is one."""
        place = self._cached(digest)
        try:
            os.utime(place)
        except FileNotFoundError:
            return None
        return place

    def _keep(self, made: Path, digest: str) -> Path:
        place = self._cached(digest)
        with storing():
            made.chmod(0o400)
            made.rename(place)
            os.utime(place)
            _thin_out(place.parent)
        return place

    def _cached(self, digest: str) -> Path:
        folder = self._root / CACHE
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / self._place(Area.RELEASED, digest).name

    def _info(self, key: str, area: Area, digest: str) -> dict[str, Any]:
        try:
            with _reaching():
                found: dict[str, Any] = self._files.info(key)
        except NotFound:
            raise NotFound(f"No file {digest[:16]}… is {area}.") from None
        return found

    def _key(self, area: Area, digest: str) -> str:
        return f"{self._prefix}/{self._place(area, digest).relative_to(self._root)}"


class _Reading:
    """A remote file whose failures are ours."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        with _reaching():
            data: bytes = self._file.read(size)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        place: int = self._file.seek(offset, whence)
        return place

    def close(self) -> None:
        self._file.close()


def _thin_out(folder: Path) -> None:
    """Delete the copies that were not used for the longest time, down to `CACHE_BYTES`."""
    found = []
    for place in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            told = place.stat()
            found.append((told.st_mtime, told.st_size, place))
    total, recent = sum(size for _, size, _ in found), time.time() - CACHE_SECONDS
    for used, size, place in sorted(found):
        if total <= CACHE_BYTES or used > recent:
            return
        if place.is_file():
            place.unlink(missing_ok=True)
            total -= size


@contextmanager
def _reaching() -> Iterator[None]:
    """Whatever goes wrong between here and the bucket is `StorageAway`, but a file that is not there (4)."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound("the file store has no such file, or no such bucket") from None
    except PermissionError:
        text = "the file store refuses us; check its credentials and the rights on the bucket of files_url"
        raise StorageAway(text) from None
    except Exception as error:  # noqa: BLE001 - of botocore, aiohttp, asyncio and the system
        text = f"the file store of files_url cannot be reached ({type(error).__name__}); try again later"
        raise StorageAway(text) from None
