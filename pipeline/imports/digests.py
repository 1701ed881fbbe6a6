"""SHA-256 of files that are open."""

import hashlib
from typing import BinaryIO, Final

READ_BYTES: Final = 1 << 20


def sha256_of(file: BinaryIO) -> str:
    """The digest (hex) of a file from where it is to its end."""
    digest = hashlib.sha256()
    while block := file.read(READ_BYTES):
        digest.update(block)
    return digest.hexdigest()
