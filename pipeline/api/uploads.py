"""Multipart uploads: files go to disk as they arrive, under names of ours, and are deleted afterwards.

The rules: (1) at most so many uploads at a time, parts, and bytes (`pipeline.api.bounds` counts those);
(2) what a client calls a file is kept as a word for people, never as a path; (3) a folder that only we may
read, one for each request; (4) when the request ends the folder goes, unless a file was kept.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.requests import Request

from pipeline.credentials.keyfiles import sync_folder
from pipeline.credentials.text import safe_text
from pipeline.errors import (
    ContentUnsupported,
    LimitExceeded,
    RequestMalformed,
    StorageFailed,
    TooBusy,
    UsageError,
)
from pipeline.home import Home
from pipeline.settings import Settings

MULTIPART: Final = "multipart/form-data"
ARRIVING: Final = "arriving-"
MAX_NAME: Final = 120
STALE_SECONDS: Final = 86_400.0
UNNAMED: Final = "unnamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """A file that arrived. ``name``: what the client calls it, cleaned, no folders; ``path``: of ours."""

    field: str
    name: str
    path: Path
    size: int
    sha256: str


@dataclass(slots=True, kw_only=True)
class Upload:
    """One request's fields, each with all its values, and files, in the order in which they came."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[UploadedFile] = field(default_factory=list)

    def one(self, name: str, default: str = "") -> str:
        """The only value of a field. Raises: RequestMalformed when it came more than once."""
        values = self.fields.get(name, [default])
        if len(values) > 1:
            raise RequestMalformed(f"the field {name} came {len(values)} times; send it once")
        return values[0]

    def file(self, name: str, *others: str) -> UploadedFile:
        """The only file of that part; ``others``: parts that may come beside it.

        Raises: RequestMalformed when it is missing, empty, or not alone.
        """
        found = [file for file in self.files if file.field not in others]
        if len(found) != 1 or found[0].field != name:
            raise RequestMalformed(f"send exactly one file, as the part {name!r}")
        if not all(file.size for file in self.files):
            raise RequestMalformed("the file is empty; choose another one")
        return found[0]

    def only(self, *names: str) -> None:
        """Raises: RequestMalformed for a field that nobody reads, so that a misspelt one is not ignored."""
        for name in self.fields:
            if name not in names:
                raise RequestMalformed(f"there is no field {safe_text(name, 40)!r}; use {', '.join(names)}")


class Uploads:
    """Takes uploads in, under one folder of the home."""

    def __init__(self, home: Home, settings: Settings) -> None:
        """Use the home's folder, which is made if it is missing. Raises: StorageFailed."""
        self._root, self._kept, self._settings = home.uploads, home.kept_uploads, settings
        self._running = 0
        with _storing():
            self._kept.mkdir(mode=0o700, parents=True, exist_ok=True)

    @asynccontextmanager
    async def receive(
        self, request: Request, fields: dict[str, list[str]] | None = None
    ) -> AsyncIterator[Upload]:
        """Read a multipart request; its files are there until the block ends.

        ``fields``: gets the fields as they arrive, for who wants them also where the rest cannot be taken.

        Raises: ContentUnsupported, RequestMalformed, LimitExceeded, TooBusy, TooSlow, StorageFailed.
        """
        boundary = _boundary(request)
        async with self._arriving() as folder:
            parser = _Parser(boundary, folder, self._settings, {} if fields is None else fields)
            try:
                async for chunk in request.stream():
                    await asyncio.to_thread(parser.feed, chunk)
                yield parser.done()
            finally:
                parser.close()

    @asynccontextmanager
    async def receive_body(self, request: Request) -> AsyncIterator[UploadedFile]:
        """Read a request whose body is one file; it is there until the block ends.

        Raises: UsageError for an empty one, LimitExceeded, TooBusy, TooSlow, StorageFailed.
        """
        async with self._arriving() as folder:
            with _storing():
                file = _Writing(folder / "body")
            try:
                async for chunk in request.stream():
                    with _storing():
                        await asyncio.to_thread(file.write, chunk)
            finally:
                file.close()
            if not file.size:
                raise UsageError("the request is empty; send the file as its body")
            yield UploadedFile(
                field="", name=UNNAMED, path=file.path, size=file.size, sha256=file.sha256()
            )  # fmt: skip

    @asynccontextmanager
    async def _arriving(self) -> AsyncIterator[Path]:
        """A folder of its own for what one request brings. Raises: TooBusy, StorageFailed."""
        if self._running >= self._settings.max_uploads:
            raise TooBusy("the service takes in as many uploads as it can; try again in a moment")
        self._running += 1
        folder = self._root / f"{ARRIVING}{secrets.token_hex(16)}"
        try:
            with _storing():
                folder.mkdir(mode=0o700)
            yield folder
        finally:
            self._running -= 1
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def keep(self, file: UploadedFile, owner: str) -> Path:
        """Make a file outlast its request, durably; the same for the same owner and bytes.

        Raises: StorageFailed.
        """
        name = hashlib.sha256(f"{owner}\0{file.sha256}".encode()).hexdigest()
        return _keep(file, self._kept / name)

    def keep_together(self, files: Mapping[str, UploadedFile], owner: str) -> Path:
        """Make files outlast their request in a folder of their own, under the names given; the folder is the
        same for the same owner and bytes.

        Raises: StorageFailed.
        """
        told = "\0".join([owner, *(f"{name}\0{file.sha256}" for name, file in sorted(files.items()))])
        folder = self._kept / hashlib.sha256(told.encode()).hexdigest()
        with _storing():
            folder.mkdir(mode=0o700, exist_ok=True)
        for name, file in files.items():
            _keep(file, folder / name)
        return folder

    def forget(self, *paths: Path) -> None:
        """Delete files and folders that were kept; anything else is left alone."""
        for path in paths:
            if path.parent == self._kept:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def clean(self, now: float, awaited: Collection[Path]) -> None:
        """Delete what a process that died left behind, but not the files that jobs are still to read."""
        for path in (*self._root.glob(f"{ARRIVING}*"), *(self._kept).iterdir()):
            with contextlib.suppress(FileNotFoundError):
                if path not in awaited and now - path.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def _keep(file: UploadedFile, target: Path) -> Path:
    with _storing():
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        file.path.rename(target)
        sync_folder(target.parent)
    return target


def is_multipart(headers: Headers) -> bool:
    """Whether a request with these headers says that it is a form with files."""
    kind, _ = parse_options_header(headers.get("content-type", ""))
    return kind.decode("latin-1").lower() == MULTIPART


def _boundary(request: Request) -> bytes:
    _, options = parse_options_header(request.headers.get("content-type", ""))
    if not is_multipart(request.headers):
        raise ContentUnsupported(f"send this as {MULTIPART}")
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise RequestMalformed("the multipart request names no boundary; let your HTTP library write it")
    return boundary


class _Parser:
    """Parts as they come: fields stay in memory, within the limit of a request without files."""

    def __init__(
        self, boundary: bytes, folder: Path, settings: Settings, fields: dict[str, list[str]]
    ) -> None:
        self._folder, self._settings = folder, settings
        self._upload = Upload(fields=fields)
        self._parts = self._text = 0
        self._header, self._value, self._headers = bytearray(), bytearray(), dict[bytes, bytes]()
        self._field = ""
        self._name: str | None = None
        self._data = bytearray()
        self._file: _Writing | None = None
        self._ended = False
        calls: Any = {
            "on_part_begin": self._begin, "on_header_field": self._header_field,
            "on_header_value": self._header_value, "on_header_end": self._header_end,
            "on_headers_finished": self._headers_done, "on_part_data": self._part_data,
            "on_part_end": self._part_end, "on_end": self._end,
        }  # fmt: skip
        with _reading():
            self._parser = MultipartParser(boundary, calls)

    def feed(self, chunk: bytes) -> None:
        with _reading(), _storing():
            self._parser.write(chunk)

    def done(self) -> Upload:
        if not self._ended:
            raise RequestMalformed("the multipart request ends too early; send it again")
        return self._upload

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._settings.max_upload_parts:
            raise LimitExceeded(f"the upload has more than {self._settings.max_upload_parts} parts")
        self._headers, self._data = {}, bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _headers_done(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise RequestMalformed("a part has no name; send form-data")
        self._field = _decoded(options[b"name"])
        self._name = None
        if b"filename" in options:
            # What a file is called need not be UTF-8, and is a word for people only.
            self._name = _plain_name(options[b"filename"].decode("utf-8", "replace"))
            self._file = _Writing(self._folder / str(self._parts))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += end - start
        if self._text > self._settings.max_json_bytes:
            raise LimitExceeded(f"the fields are longer than {self._settings.max_json_bytes} bytes together")
        self._data += data[start:end]

    def _part_end(self) -> None:
        if self._file is None:
            self._upload.fields.setdefault(self._field, []).append(_decoded(bytes(self._data)))
            return
        file, self._file = self._file, None
        file.close()
        if file.size or self._name:  # browsers send an empty part without a name where no file was chosen
            self._upload.files.append(
                UploadedFile(
                    field=self._field, name=self._name or UNNAMED, path=file.path, size=file.size,
                    sha256=file.sha256(),
                )
            )  # fmt: skip

    def _end(self) -> None:
        self._ended = True


class _Writing:
    """A file that arrives: written and digested at once."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._digest = hashlib.sha256()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._digest.update(data)
        self.size += len(data)

    def sha256(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _plain_name(name: str) -> str:
    return safe_text(PurePosixPath(PureWindowsPath(name).name).name, MAX_NAME)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestMalformed("a field is not valid UTF-8; send UTF-8") from None


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except FormParserError:
        raise RequestMalformed("the multipart request is malformed; send it again") from None


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"the upload cannot be stored ({error.strerror}); try again later") from None
