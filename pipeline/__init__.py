"""Decides and connects: media files, credentials, release, verification, command line."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`from pipeline import guard`, without importing anything before it is asked for."""
    if name == "guard":
        from pipeline.guarded import guard

        return guard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
