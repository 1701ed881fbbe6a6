"""An importer on a registry of its own, with small eyes that count how often they look."""

import json
import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from desk_builders import NOW, SIGNER, Colours, Letters, RedFaces
from picture_builders import drawing, saved

from classifiers.base import Picture, Vectors
from classifiers.faces import Face
from classifiers.thresholds import Calibration
from pipeline.cohort import Cohort
from pipeline.imports.importer import Importer
from pipeline.imports.types import ImportOrder
from registry.db import open_database

Line = dict[str, Any]


class Counting(Colours):
    """Counts the pictures that it embeds."""

    def __init__(self) -> None:
        self.seen = 0

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        self.seen += len(images)
        return super().embed_images(images)


class CountingFaces(RedFaces):
    """Counts the pictures in which it looks for faces."""

    def __init__(self) -> None:
        self.seen = 0

    def look(self, picture: Picture) -> tuple[Face, ...]:
        self.seen += 1
        return super().look(picture)


class CountingEyes:
    """Without calibrations, so that nothing is measured."""

    calibrations: Mapping[str, Calibration] = {}
    cohort = Cohort(None)

    def __init__(self) -> None:
        self.clip, self.minilm, self.faces = Counting(), Letters(), CountingFaces()


def importer_in(folder: Path, eyes: Any = None) -> Importer:
    engine = open_database(folder / "registry.db")
    return Importer(
        engine=engine, eyes=eyes or CountingEyes(), signer=SIGNER, clock=lambda: NOW,
        staging=folder / "imports", calibrated=lambda space: space in ("colours-1", "red-1"),
    )  # fmt: skip


def catalogue(folder: Path, *lines: Line, name: str = "subjects.ndjson") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def pictures_in(folder: Path, count: int = 4) -> Path:
    """A zip file of different pictures 0.png, 1.png …, and words.png, which is none."""
    path = folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for seed in range(count):
            packed.writestr(f"{seed}.png", saved(drawing(seed)))
        packed.writestr("words.png", b"words")
    return path


def order(file: Path, pictures: Path | None = None, **options: Any) -> ImportOrder:
    return ImportOrder(file=file, pictures=pictures, **options)


def rows(path: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """What a table of the registry holds."""
    with sqlite3.connect(path) as conn:
        return conn.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()
