"""The limits of the settings, as the media room takes them."""

from pipeline.media.types import MediaLimits
from pipeline.settings import Settings


def media_limits(settings: Settings) -> MediaLimits:
    """Limits for one clip that is taken in or verified."""
    return MediaLimits(
        max_bytes=settings.max_bytes, max_pixels=settings.max_pixels, max_frames=settings.max_frames,
        max_seconds=settings.max_seconds, process=settings.process_limits,
    )  # fmt: skip
