"""One trial is a cell; its result is kept under a digest of everything that can change it.

The rules:
1. A cell's digest covers the scheme's code and settings, the clip's bytes, size and window, key, seed, the
   attack's steps and parameters, the code of the steps, and the versions of the libraries that touch pixels.
2. A result is written whole or not at all (renamed into place), so a run that was killed goes on where it
   stood, and several runs may share a folder.
3. A failure is told and not kept: the next run tries again.
"""

import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.attacks import footage
from benchmarks.attacks.catalog import Attack
from benchmarks.trials import material
from benchmarks.trials.scheme import Scheme

VERSION: Final = 1  # raise it when `running` changes what a cell does or what its result says
MARKED: Final = "marked"
UNMARKED: Final = "unmarked"
QUALITY: Final = "quality"
LIBRARIES: Final = ("numpy", "opencv-python-headless", "av")

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What many cells share: a window of a clip at one size, marked with one key (or not at all).

    ``clip``: the digest of its bytes; ``start``: of the window, in seconds; ``kind``: MARKED or UNMARKED.
    """

    clip: str
    name: str
    material: str
    size: str
    start: float
    key: int
    kind: str = MARKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One trial: a base, an attack by name (or QUALITY) and a seed."""

    base: Base
    attack: str
    seed: int

    @property
    def told(self) -> str:
        """For messages."""
        base = self.base
        return f"{base.name} {base.size} at {base.start:g} s, key {base.key}, {self.attack}, seed {self.seed}"


def digest(cell: Cell, scheme: Scheme, work: str, *, visible: bool) -> str:
    """The name under which a cell is kept; `work`: digest of what is done to the base.

    `visible`: whether the base bears the visible mark too.
    """
    base = {key: value for key, value in asdict(cell.base).items() if key not in ("name", "material")}
    whole = {
        "version": VERSION, "base": base, "size": asdict(material.SIZES[cell.base.size]), "seed": cell.seed,
        "scheme": scheme.name, "code": scheme.fingerprint(visible=visible), "work": work,
        "clips": source_digest(material),
        "libraries": [version(name) for name in LIBRARIES],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()


def attack_digest(attack: Attack) -> str:
    """Of an attack's steps, their parameters and the modules they are in."""
    steps = [(part.told, source_digest(inspect.getmodule(part.step))) for part in attack.parts]
    whole = (steps, attack.visible, source_digest(footage))
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=32)
def source_digest(module: Any) -> str:
    """Of a module's source text."""
    return hashlib.sha256(inspect.getsource(module).encode()).hexdigest()


class Store:
    """Results in a folder, one JSON file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> Result | None:
        """The result kept under a digest; None where there is none, or a file that is not one."""
        try:
            kept = json.loads(self._path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return kept if isinstance(kept, dict) and kept.get("digest") == name else None

    def put(self, name: str, cell: Any, result: Mapping[str, Any]) -> Result:
        """Keep a result, with the cell (a dataclass) it belongs to; returns what `get` will."""
        kept = {"digest": name, "cell": asdict(cell), **result}
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        partial.replace(path)
        return kept

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name}.json"
