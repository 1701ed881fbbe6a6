"""Roots of other CAs that certified claim signers of ours, and the CAs between, in a key folder.

``claim_roots.pem``: roots besides the folder's own. ``intermediates.pem``: CAs between root and signer, whom
revocation is asked about; they are no anchors. Both are read with the same care as keys: who can add a root
can sign in our name.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.credentials.keyfiles import read_private, write_private
from pipeline.credentials.profile import read_roots

CLAIM_ROOTS: Final = "claim_roots.pem"
INTERMEDIATES: Final = "intermediates.pem"
OCSP_ADDRESS: Final = "ocsp_address"
FILES: Final = (CLAIM_ROOTS, INTERMEDIATES, OCSP_ADDRESS)


def more_roots(folder: Path) -> str:
    """PEM of the registered claim roots besides the folder's own; empty without any. Raises: KeysUnusable."""
    return _read(folder / CLAIM_ROOTS)


def intermediates(folder: Path) -> str:
    """PEM of the CAs between those roots and the signers. Raises: KeysUnusable."""
    return _read(folder / INTERMEDIATES)


def ocsp_address(folder: Path) -> str | None:
    """The responder's address for certificates of the folder's own claim root. Raises: KeysUnusable."""
    return _read(folder / OCSP_ADDRESS).strip() or None


def add(path: Path, certificates: Sequence[x509.Certificate]) -> None:
    """Add what is not in the PEM file yet; the caller holds the folder's lock. Raises: KeysUnusable."""
    known = read_roots(_read(path))
    new = [one for one in certificates if one not in known]
    if new:
        write_private(path, b"".join(one.public_bytes(Encoding.PEM) for one in [*known, *new]))


def _read(path: Path) -> str:
    return read_private(path).decode("ascii", errors="replace") if os.path.lexists(path) else ""
