"""Weights that come inside ordinary packages: where they lie, and that they are the expected files."""

import hashlib
import importlib.util
from pathlib import Path

from classifiers.errors import ModelUnusable


def folder_of(package: str, missing: str) -> Path:
    """The folder of an installed package, whose code is not imported. Raises: ModelUnusable (`missing`)."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnusable(missing)
    return Path(spec.submodule_search_locations[0])


def checked(path: Path, digest: str, package: str) -> Path:
    """The file, if its SHA-256 is `digest`; `package`: what to install again. Raises: ModelUnusable."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelUnusable(
            f"{path.name} cannot be read ({error.strerror}); install {package} again"
        ) from None
    if found != digest:
        raise ModelUnusable(f"{path.name} is not the file that it was; install {package} again")
    return path
