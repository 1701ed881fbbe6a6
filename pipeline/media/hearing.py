"""The parent's side of listening: the sound of an untrusted clip as numbers, a window at a time."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline import sandbox
from pipeline.errors import SandboxFailed
from pipeline.media import protocol
from pipeline.media.reader import Pipe, checked, reported
from pipeline.media.types import MediaLimits
from pipeline.types import Json

Samples = NDArray[np.float32]
"""``float32[n]`` from -1 to 1, one channel, `protocol.HEARD_RATE` a second."""
RATE: Final = protocol.HEARD_RATE
HOSTILE: Final = "the process that listens answered nonsense; the file may be hostile"
_FULL: Final = 32768.0


def hear(
    path: str | os.PathLike[str], limits: MediaLimits, window: float, overlap: float
) -> Iterator[Samples]:
    """The sound in windows of so many seconds that overlap; the last may be shorter.

    Raises, also while iterating: MediaUnreadable, MediaUnsupported (no sound among them), LimitExceeded,
    SandboxFailed.
    """
    size, kept = int(window * RATE), int(overlap * RATE)
    waiting = np.zeros(0, np.float32)
    fresh = 0  # samples that no window had yet
    for part in _heard(path, limits):
        waiting, fresh = np.concatenate([waiting, part]), fresh + len(part)
        while len(waiting) >= size:
            yield waiting[:size]
            waiting, fresh = waiting[size - kept :], len(waiting) - size
    if fresh > 0:
        yield waiting


def _heard(path: str | os.PathLike[str], limits: MediaLimits) -> Iterator[Samples]:
    request: Json = {
        "path": checked(path, limits),
        "limits": {key: value for key, value in asdict(limits).items() if key != "process"},
    }
    with sandbox.spawn("listen", request, limits.process) as child:
        pipe = Pipe(child, limits.process)
        left = int((limits.max_seconds + 1) * RATE)
        while True:
            tag, length = pipe.prefix()
            if tag == protocol.END:
                return
            if tag == protocol.ERROR and length <= protocol.MAX_JSON_BYTES:
                raise reported(_document(bytes(pipe.read(length))))
            left -= length // protocol.HEARD_BYTES
            if tag != protocol.HEARD or length > protocol.MAX_AUDIO_BYTES or length % 2 or left < 0:
                raise SandboxFailed(HOSTILE)
            yield np.frombuffer(bytes(pipe.read(length)), "<i2").astype(np.float32) / _FULL


def _document(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        raise SandboxFailed(HOSTILE) from None
