"""Where calibrations lie, and how they are written: whole or not at all, and never over another unasked."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from classifiers import thresholds
from classifiers.errors import CalibrationMissing, CalibrationUnusable
from classifiers.thresholds import Calibration, dump, file_name, parse
from pipeline.calibrating.plot import reliability_svg
from pipeline.errors import StorageFailed, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A calibration as it now lies in a file; ``plot``: the diagram beside it."""

    calibration: Calibration
    file: Path
    plot: Path


def in_force(space: str, folders: Sequence[Path], *, damaged: bool = False) -> Calibration | None:
    """The calibration of a space, if it has one. Raises: CalibrationUnusable for a damaged one.

    ``damaged``: such a one is about to be replaced, and the next of the folders counts.
    """
    for number in range(len(folders) + 1):
        try:
            return thresholds.load(space, folders[number:])
        except CalibrationMissing:
            return None
        except CalibrationUnusable:
            if not damaged or number == len(folders):
                raise
    return None


def refuse_to_overwrite(folder: Path, space: str, *, force: bool) -> None:
    """Raises: UsageError where the folder has a calibration of this space, or is none."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; name one with --out")
    if (folder / file_name(space)).exists() and not force:
        raise UsageError(
            f"{folder} has a calibration of {space} already; keep it, or replace it with --force"
        )


def write(calibration: Calibration, folder: Path, *, force: bool) -> Written:
    """Write the file and its plot, for their owner only. Raises: UsageError, StorageFailed."""
    refuse_to_overwrite(folder, calibration.space, force=force)
    target = folder / file_name(calibration.space)
    document = dump(calibration)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        plot = target.with_suffix(".svg")
        _put(plot, reliability_svg(calibration).encode())
        _put(target, document)
    except OSError as error:
        raise StorageFailed(
            f"{target} cannot be written ({error.strerror}); free space or name another folder with --out"
        ) from None
    return Written(calibration=parse(document, calibration.space), file=target, plot=plot)


def _put(target: Path, content: bytes) -> None:
    """Beside the target first, on the disk, then in its place: a reader sees the old file or the new one."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
