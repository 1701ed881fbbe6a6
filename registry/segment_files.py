"""Large segments as files, so that a start need not read and index the whole registry again.

A cache, never the truth. A segment is ``NAME.segment`` (its arrays one after another) and ``NAME.json``,
which says what they are and of which log position, with the digest of the segment and one of itself. What
is missing, damaged, of another format or of another history of the log is not used and built again:
1. the sidecar is byte for byte what its own contents serialise to, and carries its own digest;
2. the segment's digest is that in the sidecar; it is read before anything in it is believed;
3. both are written to temporary files, synced, and renamed; a crash leaves files that are not listed.
Folder and files are for their owner only. A file that another process still reads may be deleted.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from registry.canonical import Json, canonical
from registry.columns import Columns
from registry.locks import exclusive
from registry.vectors import Halves

FORMAT: Final = 1
SEGMENT, SIDECAR, TEMPORARY, LOCK = ".segment", ".json", ".new", "lock"
ALIGNED: Final = 64  # bytes
READ_BYTES: Final = 1 << 22
SIDECAR_BYTES_MAX: Final = 1 << 16
VECTORS, DIGESTS = "vectors", "digests"
MAPPED: Final = (VECTORS, DIGESTS)
"""Not read, but mapped: what is large and needed only of the rows that are near a query."""

log = logging.getLogger("countermark.registry")


class FileUnusable(Exception):
    """A segment's file or sidecar is not what it was when it was written, or of another format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a segment holds, and of when: ``leaf`` is the hash of log entry ``seq``, which the rows are as of.

    ``library``: what wrote the index; another version's is not read.
    """

    space: str
    kind: str
    dimension: int
    seq: int
    leaf: str
    library: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stamps:
    """For each owner of a segment: the last log entry about it, and how many vectors it has in all."""

    seqs: NDArray[np.int64]
    totals: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """A segment as it was written; ``index`` are FAISS's own bytes, empty where vectors are all it needs."""

    name: str
    about: About
    labels: Columns
    vectors: Halves
    index: NDArray[np.uint8]
    stamps: Stamps


class SegmentFiles:
    """The segments in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spool(self) -> "Spool":
        """Begin to write a segment. Raises: OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        return Spool(self.folder)

    def load(self, library: str) -> Iterator[Loaded]:
        """Yield every segment that is whole, the newest first; what is not whole is deleted."""
        if not self.folder.is_dir():
            return
        self._clean()
        told: list[tuple[int, str, dict[str, Any]]] = []
        for sidecar in sorted(self.folder.glob(f"*{SIDECAR}")):
            with self._deleting(sidecar.stem):
                document = _sidecar(sidecar)
                told.append((document["seq"], sidecar.stem, document))
        for _seq, name, document in sorted(told, key=lambda one: one[:2], reverse=True):
            with self._deleting(name):
                if document["library"] != library:
                    raise FileUnusable("another version wrote it")
                yield _loaded(self.folder / f"{name}{SEGMENT}", document)

    def remove(self, name: str) -> None:
        """Delete a segment that is not needed any more; who has it open keeps it."""
        with contextlib.suppress(OSError):
            (self.folder / f"{name}{SIDECAR}").unlink(missing_ok=True)
            (self.folder / f"{name}{SEGMENT}").unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Delete every segment: what was erased may stand in any, with rows that do not count any more.

        Whoever has one open keeps it and writes nothing of such rows; the next start makes them again.
        Raises: OSError.
        """
        if not self.folder.is_dir():
            return
        with exclusive(self.folder / LOCK):
            for ending in (SIDECAR, SEGMENT):
                for path in self.folder.glob(f"*{ending}"):
                    path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _deleting(self, name: str) -> Iterator[None]:
        try:
            yield
        except (FileUnusable, OSError) as error:
            log.warning("the segment %s of the index is built again: %s", name, error)
            self.remove(name)

    def _clean(self) -> None:
        """Delete what a process that died left behind."""
        with contextlib.suppress(OSError), exclusive(self.folder / LOCK):
            for path in self.folder.glob(f"*{TEMPORARY}"):
                with contextlib.suppress(OSError), path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held while it is written
                    path.unlink()
            for path in self.folder.glob(f"*{SEGMENT}"):
                if not path.with_suffix(SIDECAR).exists():
                    path.unlink()


class Spool:
    """A segment on its way into a file: vectors first, as they come, the rest at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed in __exit__
            dir=folder, suffix=TEMPORARY, delete=False, buffering=0
        )
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._path = Path(self._file.name)
        self._digest, self._bytes = hashlib.sha256(), 0
        self._parts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)  # no longer there once it was kept

    def write(self, vectors: Halves) -> None:
        """Add vectors. Raises: OSError."""
        self._put(np.ascontiguousarray(vectors).tobytes())

    def vectors(self, dimension: int) -> Halves:
        """What was written so far, mapped."""
        vectors: Halves = _mapped(self._path, np.float16, [self._bytes // (2 * dimension), dimension])
        return vectors

    def keep(
        self, about: About, labels: Columns, index: NDArray[np.uint8], stamps: Stamps
    ) -> tuple[str, Halves, Columns]:
        """Write the rest, and return the segment's name, vectors and labels, mapped. Raises: OSError."""
        rows = self._bytes // (2 * about.dimension)
        self._parts[VECTORS] = ["float16", [rows, about.dimension], 0]
        rest = labels.parts() | {"seqs": stamps.seqs, "totals": stamps.totals, "index": index}
        for part, array in rest.items():
            self._put(bytes(-self._bytes % ALIGNED))
            self._parts[part] = [array.dtype.str, list(array.shape), self._bytes]
            self._put(array.tobytes())
        os.fsync(self._file.fileno())
        name = self._path.name.removesuffix(TEMPORARY)
        final = self._folder / f"{name}{SEGMENT}"
        document = _document(name, about, self._parts, self._bytes, self._digest.hexdigest())
        sidecar = self._folder / f"{name}{SIDECAR}{TEMPORARY}"
        with exclusive(self._folder / LOCK):
            _write(sidecar, document)
            self._path.rename(final)
            sidecar.rename(self._folder / f"{name}{SIDECAR}")
        _sync_folder(self._folder)
        digests = _mapped(final, np.uint8, *self._parts[DIGESTS][1:])
        vectors = _mapped(final, np.float16, *self._parts[VECTORS][1:])
        return name, vectors, replace(labels, digests=digests)

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._digest.update(data)  # what was written in part does not count
        self._bytes += len(data)


def load_one(folder: Path, name: str) -> Loaded:
    """Read one segment, if it is whole. Raises: FileUnusable, OSError."""
    return _loaded(folder / f"{name}{SEGMENT}", _sidecar(folder / f"{name}{SIDECAR}"))


def _document(name: str, about: About, parts: Mapping[str, Any], size: int, digest: str) -> bytes:
    told: Json = {
        "format": FORMAT, "name": name, "space": about.space, "kind": about.kind,
        "dimension": about.dimension, "seq": about.seq, "leaf": about.leaf, "library": about.library,
        "bytes": size, "sha256": digest, "parts": dict(parts),
    }  # fmt: skip
    return canonical(told | {"check": hashlib.sha256(canonical(told)).hexdigest()})


def _sidecar(path: Path) -> dict[str, Any]:
    """Read a sidecar; see rule 1. Raises: FileUnusable, OSError."""
    with path.open("rb") as file:
        data = file.read(SIDECAR_BYTES_MAX + 1)
    try:
        told = json.loads(data)
        check = told.pop("check")
        whole = canonical(told | {"check": hashlib.sha256(canonical(told)).hexdigest()})
    except Exception as error:
        raise FileUnusable("its sidecar cannot be read") from error
    if whole != data or told.get("format") != FORMAT or told.get("name") != path.stem:
        raise FileUnusable(f"its sidecar is damaged or of another format (check {str(check)[:8]})")
    return dict(told)


def _loaded(path: Path, told: Mapping[str, Any]) -> Loaded:
    """Read a segment whose sidecar is whole; see rule 2. Raises: FileUnusable, OSError."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != told["bytes"]:
            raise FileUnusable("its file has another size")
        buffer = bytearray(READ_BYTES)
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
        if digest.hexdigest() != told["sha256"]:
            raise FileUnusable("its file is damaged")
        forms = told["parts"]
        parts = {part: _array(file, *form) for part, form in forms.items() if part not in MAPPED}
        vectors = _mapped(file, np.float16, *forms[VECTORS][1:])
        parts[DIGESTS] = _mapped(file, np.uint8, *forms[DIGESTS][1:])
    return Loaded(
        name=told["name"],
        about=About(**{field: told[field] for field in About.__slots__}),
        labels=Columns(**{field: parts[field] for field in Columns.__slots__}),
        vectors=vectors, index=parts["index"],
        stamps=Stamps(seqs=parts["seqs"], totals=parts["totals"]),
    )  # fmt: skip


def _array(file: IO[bytes], dtype: str, shape: list[int], offset: int) -> NDArray[Any]:
    file.seek(offset)
    return np.fromfile(file, np.dtype(dtype), int(np.prod(shape))).reshape(shape)


def _mapped(file: Path | IO[bytes], dtype: type[np.generic], shape: list[int], offset: int = 0) -> Any:
    """An array in a file: mapped, since it is looked into here and there and not read through."""
    return np.asarray(np.memmap(file, dtype, mode="r", shape=tuple(shape), offset=offset))


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
