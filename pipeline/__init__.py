"""Decides and connects: media files, credentials, release, verification, command line."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipeline.guarded import guard as guard


def __getattr__(name: str) -> object:
    """`from pipeline import guard`, without importing anything before it is asked for."""
    if name == "guard":
        from pipeline.guarded import guard

        return guard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
