"""Whom a home believes besides itself: the roots that its settings name."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pipeline.credentials.profile import read_roots, roots_without
from pipeline.credentials.trust import TrustStore
from pipeline.errors import KeysUnusable
from pipeline.settings import Settings


def with_roots(trust: TrustStore, settings: Settings) -> TrustStore:
    """`trust`, and what the settings name besides: roots of somebody else's time-stamp service, and of
    signers that are not ours. Roots of our own are left out of these: a public list may hold them too.

    Raises: KeysUnusable for a file without certificates.
    """
    stamps, foreign = _more_roots(settings, "tsa_roots"), _more_roots(settings, "foreign_roots")
    theirs = roots_without(foreign, f"{trust.claim_roots}\n{trust.tsa_roots}")
    if stamps:
        trust = replace(trust, tsa_roots=f"{trust.tsa_roots}\n{stamps}")
    if theirs:
        trust = replace(trust, foreign_roots=f"{trust.foreign_roots}\n{theirs}")
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
