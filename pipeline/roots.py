"""Whom a home believes besides itself: the roots that its settings name."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA256

from pipeline.credentials.profile import read_roots
from pipeline.credentials.trust import TrustStore
from pipeline.errors import KeysUnusable
from pipeline.settings import Settings


def with_roots(trust: TrustStore, settings: Settings) -> TrustStore:
    """`trust`, and what the settings name besides: roots of somebody else's time-stamp service, and of
    signers that are not ours. Raises: KeysUnusable for a file without certificates, or with a root of ours.
    """
    stamps, foreign = _more_roots(settings, "tsa_roots"), _more_roots(settings, "foreign_roots")
    if stamps:
        trust = replace(trust, tsa_roots=f"{trust.tsa_roots}\n{stamps}")
    if foreign:
        ours = {root.fingerprint(SHA256()) for root in read_roots(trust.claim_roots + trust.tsa_roots)}
        if any(root.fingerprint(SHA256()) in ours for root in read_roots(foreign)):
            raise KeysUnusable(
                f"{settings.foreign_roots} holds a root of our own, whose clips would read as somebody "
                "else's; take it out of the file that the setting foreign_roots names"
            )
        trust = replace(trust, foreign_roots=f"{trust.foreign_roots}\n{foreign}")
    return trust


def _more_roots(settings: Settings, name: Literal["tsa_roots", "foreign_roots"]) -> str:
    path: Path | None = getattr(settings, name)
    if path is None:
        return ""
    try:
        roots = path.read_text(encoding="utf-8")
        there = bool(read_roots(roots))
    except (OSError, ValueError, KeysUnusable) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not PEM text"
        raise KeysUnusable(f"cannot read {path} ({reason}); correct the setting {name}") from None
    if not there:
        raise KeysUnusable(f"there is no certificate in {path}; correct the setting {name}")
    return roots
