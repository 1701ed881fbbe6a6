"""Video files of the benchmarks' own making: what a platform does to a clip, and what a file holds.

Run as `python -m benchmarks.tools.video SOURCE TARGET` it is the plain transcode that the release is
compared with: decode, x264, sound copied, in one process that does nothing else.
"""

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file holds: pixels as stored, pictures, seconds and bytes of the video track, the sound.

    `sound`: SHA-256 over the compressed packets of the first audio track, None where there is none.
    """

    width: int
    height: int
    frames: int
    seconds: float
    video_bytes: int
    sound: str | None

    @property
    def short_side(self) -> int:
        """Pixels of the shorter side."""
        return min(self.width, self.height)


def contents(path: Path) -> Contents:
    """Read the packets of `path` without decoding them."""
    digest, count, size, first, end = hashlib.sha256(), 0, 0, None, 0.0
    with av.open(str(path)) as file:
        video = file.streams.video[0]
        audio = file.streams.audio[0] if file.streams.audio else None
        for packet in file.demux():
            if packet.size == 0 or packet.pts is None:
                continue
            if packet.stream is audio:
                digest.update(bytes(packet))
            elif packet.stream is video and packet.time_base is not None:
                start = float(packet.pts * packet.time_base)
                first = start if first is None else min(first, start)
                end = max(end, start + float((packet.duration or 0) * packet.time_base))
                count, size = count + 1, size + packet.size
        return Contents(
            width=video.width, height=video.height, frames=count, seconds=end - (first or 0.0),
            video_bytes=size, sound=digest.hexdigest() if audio else None,
        )  # fmt: skip


def transcode(
    source: Path, target: Path, *, crf: float, preset: str = "medium", size: tuple[int, int] | None = None
) -> None:
    """`source` decoded and encoded by x264 into an MP4; sound copied; all other metadata is left behind.

    `size`: (width, height) to scale to.
    """
    with av.open(str(source)) as file, av.open(str(target), "w", format="mp4") as made:
        video = file.streams.video[0]
        video.thread_type = "AUTO"
        sound = file.streams.audio[0] if file.streams.audio else None
        tracks = _tracks(made, video, sound, size, {"crf": f"{crf:g}", "preset": preset})
        _copy(file, made, (video, sound), tracks)


def _tracks(
    made: OutputContainer, video: VideoStream, sound: AudioStream | None, size: tuple[int, int] | None,
    wanted: dict[str, str],
) -> tuple[VideoStream, AudioStream | None]:  # fmt: skip
    track = made.add_stream("libx264", video.average_rate or 25, options=wanted)
    assert isinstance(track, VideoStream)
    context = track.codec_context
    context.width, context.height = size or (video.width, video.height)
    context.pix_fmt = "yuv420p"
    if video.time_base:
        context.time_base = video.time_base
    return track, made.add_stream_from_template(sound) if sound else None


def _copy(
    file: InputContainer, made: OutputContainer, streams: tuple[VideoStream, AudioStream | None],
    tracks: tuple[VideoStream, AudioStream | None],
) -> None:  # fmt: skip
    (video, sound), (track, sound_track) = streams, tracks
    context = track.codec_context
    for packet in file.demux([stream for stream in streams if stream]):
        if packet.stream is sound:
            if sound_track and packet.dts is not None:
                packet.stream = sound_track
                made.mux(packet)
            continue
        for frame in video.decode(packet):
            picture = frame.reformat(width=context.width, height=context.height, format="yuv420p")
            picture.pict_type = PictureType.NONE  # x264 chooses anew
            made.mux(track.encode(picture))
    made.mux(track.encode(None))


def main() -> None:
    """The plain transcode as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--crf", type=float, default=18.0)
    parser.add_argument("--preset", default="medium")
    asked = parser.parse_args()
    transcode(asked.source, asked.target, crf=asked.crf, preset=asked.preset)


if __name__ == "__main__":
    main()
