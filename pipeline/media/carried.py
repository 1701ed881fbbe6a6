"""The audio codecs that are carried over into MP4 unchanged."""

from typing import Final

# Codec in the file -> encoder of the same codec, whose set-up describes the track to the muxer.
CARRIED: Final = {
    "aac": "aac",
    "mp3": "libmp3lame",
    "ac3": "ac3",
    "eac3": "eac3",
    "opus": "libopus",
    "flac": "flac",
    "alac": "alac",
}
NEEDS_EXTRADATA: Final = frozenset({"aac", "opus", "flac", "alac"})
