"""The parent's side: files become bytes, bytes become pictures, and each failure names its picture."""

import base64
import contextlib
import hashlib
import os
import stat
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from pipeline import sandbox
from pipeline.credentials.text import safe_text
from pipeline.errors import CountermarkError, LimitExceeded, PictureRefused, SandboxFailed
from pipeline.pictures.types import (
    LIMITS,
    MESSAGE,
    MIB,
    PICTURE,
    REFUSED,
    PictureFile,
    PictureLimits,
    ReadPicture,
)
from pipeline.types import Json

MAX_BATCH: Final = 32
MAX_BATCH_BYTES: Final = 32 * MIB
MAX_SENTENCE_BYTES: Final = 1000
HOSTILE: Final = "the process that reads pictures answered nonsense; the file may be hostile"
# Decoding 50 megapixels takes about a second and, with 16 bits and transparency, under a gigabyte.
# The seconds on the wall are those of one picture, the others those of a batch.
PROCESS: Final = sandbox.ProcessLimits(memory_mib=2048, cpu_seconds=120, wall_seconds=60.0)

Result = ReadPicture | CountermarkError


def load_picture(path: Path, limits: PictureLimits = LIMITS) -> PictureFile:
    """The bytes of a picture that the caller named. Raises: PictureRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise cannot_open(path.name, error) from None
    return read_open(descriptor, path.name, limits)


def cannot_open(name: str, error: OSError | ValueError) -> PictureRefused:
    """The error for a picture that cannot be opened."""
    reason = error.strerror if isinstance(error, OSError) else "the name is not usable"
    return PictureRefused(f"{safe_text(name)}: cannot be opened ({reason}); check its name")


def read_open(descriptor: int, name: str, limits: PictureLimits = LIMITS) -> PictureFile:
    """Read an open file to its end and close it. Raises: PictureRefused for no plain file or a large one."""
    shown = safe_text(name)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PictureRefused(f"{shown}: this is not a file; name a picture")
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(limits.bytes + 1)
        except OSError as error:
            raise cannot_open(name, error) from None
    if len(data) > limits.bytes:
        raise PictureRefused(f"{shown}: larger than {limits.bytes // MIB} MiB; make it smaller")
    return PictureFile(name=shown, data=data)


def read_all(
    sources: Iterable[PictureFile | Path],
    limits: PictureLimits = LIMITS,
    done: Callable[[int], None] = lambda _n: None,
) -> list[ReadPicture]:
    """All pictures; a path is loaded when its turn comes. `done` is told how many are.

    Raises: PictureRefused, SandboxFailed, LimitExceeded, naming the first that failed.
    """
    pictures = []
    files = (load_picture(source, limits) if isinstance(source, Path) else source for source in sources)
    for number, result in enumerate(read_each(files, limits), start=1):
        if isinstance(result, CountermarkError):
            raise result
        pictures.append(result)
        done(number)
    return pictures


def read_each(
    files: Iterable[PictureFile | CountermarkError], limits: PictureLimits = LIMITS
) -> Iterator[Result]:
    """For each file, in order, its picture or the error that it met, which names the file.

    An error in the place of a file is passed on. `files` is taken as it is needed. One child reads up to
    `MAX_BATCH` pictures; where one kills it, that picture gets the error and another child goes on.
    """
    for batch in _batches(files):
        results = _read_files([file for file in batch if isinstance(file, PictureFile)], limits)
        for file in batch:
            yield file if isinstance(file, CountermarkError) else next(results)


def _read_files(files: list[PictureFile], limits: PictureLimits) -> Iterator[Result]:
    while files:
        for result in _read_batch(files, limits):
            yield result
            files = files[1:]


def _batches(
    files: Iterable[PictureFile | CountermarkError],
) -> Iterator[list[PictureFile | CountermarkError]]:
    batch: list[PictureFile | CountermarkError] = []
    total = 0
    for file in files:
        size = len(file.data) if isinstance(file, PictureFile) else 0
        if batch and (len(batch) == MAX_BATCH or total + size > MAX_BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(file)
        total += size
    if batch:
        yield batch


def _read_batch(files: Sequence[PictureFile], limits: PictureLimits) -> Iterator[Result]:
    """Results up to and with the first picture that ends its child."""
    names = [safe_text(file.name) for file in files]
    request: Json = {
        "pictures": [base64.b64encode(file.data).decode() for file in files], "limits": asdict(limits)
    }  # fmt: skip
    with sandbox.spawn("read_pictures", request, PROCESS) as child:
        for name, file in zip(names, files, strict=True):
            try:
                with _deadline(child):
                    result = _answer(child, name, file, limits)
            except (SandboxFailed, LimitExceeded) as error:
                yield type(error)(f"{name}: {error}")
                return
            yield result


@contextlib.contextmanager
def _deadline(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The child dies when the block takes too long; whoever reads from it then sees that it is dead."""
    expired = threading.Event()

    def end() -> None:
        expired.set()
        child.kill()

    timer = threading.Timer(PROCESS.wall_seconds, end)
    timer.start()
    try:
        yield
    except SandboxFailed:
        if expired.is_set():
            raise sandbox.too_slow(PROCESS) from None
        raise
    finally:
        timer.cancel()


def _answer(child: "subprocess.Popen[bytes]", name: str, file: PictureFile, limits: PictureLimits) -> Result:
    """One message. The child may be in a picture's hands: nothing it says is believed."""
    tag, *numbers = MESSAGE.unpack(_take(child, MESSAGE.size))
    if tag == REFUSED and numbers[3] <= MAX_SENTENCE_BYTES:
        sentence = _take(child, numbers[3]).decode("utf-8", "replace")
        return PictureRefused(f"{name}: {safe_text(sentence, MAX_SENTENCE_BYTES)}")
    before, after = numbers[:2], numbers[2:]
    if tag != PICTURE or not 0 < max(after) <= limits.longest or min(after) < 1:
        raise SandboxFailed(HOSTILE)
    if before[0] * before[1] > limits.pixels or min(before) < limits.shortest:
        raise SandboxFailed(HOSTILE)
    rgb = np.frombuffer(_take(child, after[0] * after[1] * 3), np.uint8).reshape(after[1], after[0], 3)
    digest = hashlib.sha256(file.data).hexdigest()
    return ReadPicture(name=name, sha256=digest, width=before[0], height=before[1], rgb=rgb)


def _take(child: "subprocess.Popen[bytes]", count: int) -> bytes:
    assert child.stdout is not None  # noqa: S101 - for the type checker
    data = child.stdout.read(count)
    if len(data) == count:
        return data
    child.wait()
    raise SandboxFailed("the process that reads it died; the file may be hostile, choose another")
