"""The name of the space of the CLIP that ships, without loading it."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "classifiers" / "calibrations"


def embedded_space() -> str:
    """That of its calibration: tests hold that there is exactly one."""
    (file,) = FOLDER.glob("clip-*.json")
    return file.stem
