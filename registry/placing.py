"""Putting a file in its place in one step: readers see the old one, the new one, or none."""

import os
import tempfile
from pathlib import Path


def put(target: Path, content: bytes) -> None:
    """Write `content` beside `target`, sync it, and rename it; for its owner only. Raises: OSError."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
