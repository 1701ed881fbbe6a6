"""Pictures in a zip file, read entry by entry into memory; nothing is ever unpacked to disk.

1. Before it is opened: its size, how many entries it claims, and how large their list is.
2. Its entries: safe names, none twice, none inside another, none that is a link, encrypted or packed in a way
   that is not asked for; none that unpacks to more than its size allows.
3. An entry is read when a line names it, to the limit of a picture and not further.
"""

import functools
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from pipeline.credentials.text import safe_text
from pipeline.errors import LimitExceeded, PictureRefused, UsageError
from pipeline.optouts.files import checked, open_folder
from pipeline.pictures.types import LIMITS, MIB, PictureFile, PictureLimits

MAX_ARCHIVE_BYTES: Final = 16 * 1024 * MIB
MAX_ENTRIES: Final = 200_000
MAX_LIST_BYTES: Final = 64 * MIB
MAX_RATIO: Final = 200
"""Bytes out for one byte in; a picture is packed already, and only a drawing of few colours comes near."""
RATIO_COUNTS: Final = MIB
"""Below this size an entry may be packed as well as it likes."""
TAKEN: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED: Final = 0x1
_END: Final = struct.Struct("<4s4H2LH")
_END_MAGIC: Final = b"PK\x05\x06"
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_END64_MAGIC: Final = b"PK\x06\x06"
_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCATOR_MAGIC: Final = b"PK\x06\x07"
_COMMENT_MAX: Final = 65_535
_LOCAL_BYTES: Final = 30  # of an entry's own header, without its name


class Pictures(Protocol):
    """Where the pictures of a catalogue are."""

    def load(self, path: str, limits: PictureLimits = LIMITS) -> PictureFile:
        """The picture at `path`. Raises: PictureRefused."""


class Archive:
    """An open zip file, out of which pictures are read; see `open_pictures`."""

    def __init__(self, file: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> None:
        self._file, self._entries = file, entries

    def load(self, path: str, limits: PictureLimits = LIMITS) -> PictureFile:
        """The picture at `path`. Raises: PictureRefused."""
        entry, shown = self._entries.get(_place(path)), _shown(path)
        if entry is None:
            raise PictureRefused(f"{shown}: the archive has no such file; check its name")
        if entry.file_size > limits.bytes:
            raise PictureRefused(f"{shown}: larger than {limits.bytes // MIB} MiB; make it smaller")
        try:
            with self._file.open(entry) as packed:
                data = packed.read(limits.bytes + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
            raise PictureRefused(f"{shown}: damaged in the archive; pack it again") from None
        if len(data) != entry.file_size:
            raise PictureRefused(f"{shown}: not of the size that the archive claims; pack it again")
        return PictureFile(name=shown, data=data)


@contextmanager
def open_pictures(path: Path) -> Iterator[Pictures]:
    """A folder or a zip file of pictures. Raises: UsageError, LimitExceeded."""
    if path.is_dir():
        with open_folder(path) as folder:
            yield folder
        return
    with open_archive(path) as file:
        _demand_small(file, path)  # 1
        try:
            packed = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error):
            raise UsageError(
                f"{safe_text(path.name)} is no zip file, or a damaged one; pack it again"
            ) from None
        with packed:
            yield Archive(packed, _entries(packed, path))  # 2


def open_archive(path: Path) -> BinaryIO:
    """The open file. Raises: UsageError for what is none, LimitExceeded for a large one."""
    shown = safe_text(path.name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name is not usable"
        raise UsageError(f"{shown} cannot be read ({reason}); check its name") from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_ARCHIVE_BYTES:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISREG(status.st_mode):
        raise LimitExceeded(f"{shown} is larger than {MAX_ARCHIVE_BYTES // MIB // 1024} GiB; split it")
    raise UsageError(f"{shown} is neither a folder nor a zip file; name one with the pictures")


def _demand_small(file: BinaryIO, path: Path) -> None:
    """Compare what the archive claims, in both forms of its end record, before its list is read."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - _COMMENT_MAX - _END.size - _LOCATOR.size - _END64.size)
    file.seek(start)
    tail = file.read()
    claims = [*_short(tail), *_long(tail)]
    file.seek(0)
    for entries, length in claims:
        if entries > MAX_ENTRIES or length > MAX_LIST_BYTES:
            raise LimitExceeded(f"{safe_text(path.name)} has more than {MAX_ENTRIES} files; split it")


def _short(tail: bytes) -> Iterator[tuple[int, int]]:
    """Every end record that a reader could take: number of entries, bytes of their list."""
    place = tail.find(_END_MAGIC)
    while place != -1 and place + _END.size <= len(tail):
        told = _END.unpack_from(tail, place)
        if told[5] != 0xFFFFFFFF:
            yield (0 if told[4] == 0xFFFF else told[4]), told[5]
        place = tail.find(_END_MAGIC, place + 1)


def _long(tail: bytes) -> Iterator[tuple[int, int]]:
    place = tail.find(_END64_MAGIC)
    while place != -1 and place + _END64.size <= len(tail):
        told = _END64.unpack_from(tail, place)
        yield told[7], told[8]
        place = tail.find(_END64_MAGIC, place + 1)


def _entries(packed: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by their path. Raises: UsageError, LimitExceeded."""
    found: dict[str, zipfile.ZipInfo] = {}
    if len(packed.infolist()) > MAX_ENTRIES:
        raise LimitExceeded(f"{safe_text(path.name)} has more than {MAX_ENTRIES} files; split it")
    for entry in packed.infolist():
        if entry.is_dir():
            continue
        if wrong := _wrong(entry):
            raise UsageError(f"{_in(path, entry)} {wrong}; pack it again without")
        place = _place(entry.filename)
        if place in found:
            raise UsageError(f"{_in(path, entry)} is there twice; pack it again with one")
        found[place] = entry
    _demand_apart(packed, [*found.values()], path)
    return found


def _in(path: Path, entry: zipfile.ZipInfo) -> str:
    return f"{safe_text(path.name)}: {safe_text(entry.filename)}"


def _wrong(entry: zipfile.ZipInfo) -> str:
    """Why an entry is not taken, or nothing."""
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link or no file"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in TAKEN:
        return "is packed in a way that is not taken (stored and deflated are)"
    if entry.file_size > RATIO_COUNTS and entry.file_size > MAX_RATIO * entry.compress_size:
        return "unpacks to far more than it is"
    try:
        checked(entry.filename)
    except PictureRefused:
        return "has a name that leads elsewhere, or no name"
    return ""


def _demand_apart(packed: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Entries that share their bytes make a small file unpack to anything."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    ends = [*(entry.header_offset for entry in ordered[1:]), packed.start_dir]
    for entry, end in zip(ordered, ends, strict=True):
        if entry.header_offset + _LOCAL_BYTES + entry.compress_size > end:
            raise UsageError(f"{safe_text(path.name)}: entries lie one in the other; pack it again")


@functools.lru_cache(maxsize=1024)
def _shown(path: str) -> str:
    return safe_text(path)


def _place(path: str) -> str:
    """What makes two paths the same: parts, in composed form. Raises: PictureRefused."""
    return unicodedata.normalize("NFC", "/".join(checked(path)))
