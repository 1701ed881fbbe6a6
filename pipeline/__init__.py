"""Decides and connects: media files, credentials, release, verification, command line."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipeline.guarded import guard as guard
    from pipeline.safety import SafetyChecker as SafetyChecker


def __getattr__(name: str) -> object:
    """`from pipeline import guard, SafetyChecker`, without importing anything before it is asked for."""
    if name == "guard":
        from pipeline.guarded import guard

        return guard
    if name == "SafetyChecker":
        from pipeline.safety import SafetyChecker

        return SafetyChecker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
