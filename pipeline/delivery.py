"""Handing a released file out of the home."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from pipeline.credentials.keyfiles import sync_folder
from pipeline.credentials.text import safe_text
from pipeline.errors import StorageFailed

COPY_BYTES: Final = 1 << 20


def deliver(file: Path, target: Path) -> None:
    """Copy a released file to `target`, which appears whole or not at all.

    Raises: StorageFailed, also when something came to lie at `target` meanwhile.
    """
    folder, name = target.absolute().parent, safe_text(str(target))
    temporary: Path | None = None
    try:
        with (
            file.open("rb") as source,
            tempfile.NamedTemporaryFile(dir=folder, prefix=".countermark-", delete=False) as copy,
        ):
            temporary = Path(copy.name)
            shutil.copyfileobj(source, copy, COPY_BYTES)
            copy.flush()
            os.fchmod(copy.fileno(), 0o666 & ~_umask())
            os.fsync(copy.fileno())
        if target.is_symlink() or (target.exists() and target.stat().st_size):
            raise StorageFailed(f"{name} appeared meanwhile; name another file, the release is in the home")
        temporary.replace(target)
        sync_folder(folder)
    except OSError as error:
        raise StorageFailed(
            f"cannot write {name} ({error.strerror}); the release is safe in the home"
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
