"""Segments of the index in files, so that a start does not read every release again.

A cache, never the truth. A segment is two files: ``NAME.words.npy``, which is mapped and shared by all
processes, and ``NAME.npz`` with the rest; ``NAME.json`` holds the digests and says of which releases it is.
What is missing, damaged, of another format or of another history of the log is not used, and made again.
Files are written beside their places, synced and renamed, the sidecar last. All are for their owner only.
"""

import contextlib
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.verify.similar_index import Segment
from pipeline.verify.similar_keys import KEY_STEP, MOST_KEYS, WINDOWS
from registry.placing import put

FORMAT: Final = "countermark-similar/1"
_PARTS: Final = (".words.npy", ".npz")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranged:
    """A segment of all releases with ``after < log_seq <= upto``; ``leaf``: the log's hash at `upto`, hex."""

    after: int
    upto: int
    leaf: str
    segment: Segment


class SimilarFiles:
    """The segments in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> list[Ranged]:
        """Segments that follow each other from the beginning of the log, the longest ones first chosen."""
        known = sorted((_range(path) for path in self._folder.glob("similar-*-*.json")), key=_longest_first)
        found: list[Ranged] = []
        for after, upto in known:
            if after == (found[-1].upto if found else 0):
                segment = self._read(after, upto)
                found += [segment] if segment else []
        return found

    def save(self, ranged: Ranged) -> None:
        """Write a segment. Raises: OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name, segment = _name(ranged.after, ranged.upto), ranged.segment
        rest = io.BytesIO()
        np.savez(rest, names=segment.names, times=segment.times, owners=segment.owners)
        words = io.BytesIO()
        np.save(words, segment.words)
        contents = dict(zip(_PARTS, (words.getvalue(), rest.getvalue()), strict=True))
        for suffix, content in contents.items():
            put(self._folder / f"{name}{suffix}", content)
        about = _about() | {"leaf": ranged.leaf, "sha256": {s: _digest(c) for s, c in contents.items()}}
        put(self._folder / f"{name}.json", json.dumps(about, sort_keys=True).encode())

    def remove(self, ranged: Ranged) -> None:
        """Delete a segment; who has it mapped keeps it."""
        for suffix in (".json", *_PARTS):
            with contextlib.suppress(OSError):
                (self._folder / f"{_name(ranged.after, ranged.upto)}{suffix}").unlink(missing_ok=True)

    def _read(self, after: int, upto: int) -> Ranged | None:
        name = self._folder / _name(after, upto)
        try:
            about = json.loads(name.with_name(f"{name.name}.json").read_bytes())
            paths = {suffix: name.with_name(f"{name.name}{suffix}") for suffix in _PARTS}
            whole = all(_digest_of(paths[suffix]) == about["sha256"][suffix] for suffix in _PARTS)
            if not whole or any(about[key] != value for key, value in _about().items()):
                return None
            words: NDArray[np.uint64] = np.load(paths[".words.npy"], mmap_mode="r", allow_pickle=False)
            with np.load(paths[".npz"], allow_pickle=False) as rest:
                segment = Segment(words=words, **{key: rest[key] for key in ("names", "times", "owners")})
            return Ranged(after=after, upto=upto, leaf=str(about["leaf"]), segment=segment)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _about() -> dict[str, Any]:
    """What keys depend on: other ones cannot be compared with today's."""
    return {
        "format": FORMAT,
        "keys": [KEY_STEP, MOST_KEYS],
        "windows": [list(window) for window in WINDOWS],
    }


def _name(after: int, upto: int) -> str:
    return f"similar-{after}-{upto}"


def _range(sidecar: Path) -> tuple[int, int]:
    _, first, last = sidecar.stem.split("-")
    return (int(first), int(last)) if first.isdecimal() and last.isdecimal() else (-1, -1)


def _longest_first(where: tuple[int, int]) -> tuple[int, int]:
    return where[0], -where[1]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
