"""The listening child: the first track of sound as 16,000 samples a second of one channel.

One request in, messages out (`pipeline.media.protocol`): samples as they are decoded, then the end or the
first error. Gaps in the time stamps become silence, as they are heard.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard

from pipeline.errors import CountermarkError, LimitExceeded, MediaUnreadable, MediaUnsupported
from pipeline.media import opening, protocol
from pipeline.media.child import send_error, send_json, write
from pipeline.media.resampling import drained, resampler

FORM: Final = f"sample_fmts=s16:sample_rates={protocol.HEARD_RATE}:channel_layouts=mono"


def listen(document: dict[str, Any]) -> None:
    """The task "listen": stream the sound of one clip to standard output; never raises for what a file can
    cause.
    """
    out = sys.stdout.fileno()
    limits = document["limits"]
    try:
        with opening.open_regular(document["path"], limits["max_bytes"]) as file:
            file.seek(0)
            with opening.open_container(file, limits["max_pixels"]) as container:
                _stream(container, float(limits["max_seconds"]), out)
    except CountermarkError as error:
        send_error(out, type(error).__name__, str(error))
    except MemoryError:
        send_error(out, "LimitExceeded", "the sound needs more memory than is allowed; use a shorter clip")
    except (av.FFmpegError, ValueError, OverflowError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, av.FFmpegError) else type(error).__name__
        send_error(out, "MediaUnreadable", f"the sound is damaged ({reason}); use an intact copy")


def _stream(container: InputContainer, max_seconds: float, out: int) -> None:
    track = opening.pick_audio(container)
    if track is None:
        raise MediaUnsupported("the file has no track of sound")
    for stream in container.streams:
        if stream is not track:
            stream.discard = Discard.all
    left = int(max_seconds * protocol.HEARD_RATE)
    for samples in _samples(container, track):
        left -= len(samples) // protocol.HEARD_BYTES
        if left < 0:
            raise LimitExceeded(f"the sound is longer than {max_seconds:g} s, the accepted length")
        for start in range(0, len(samples), protocol.MAX_AUDIO_BYTES):
            part = samples[start : start + protocol.MAX_AUDIO_BYTES]
            write(out, protocol.PREFIX.pack(protocol.HEARD, len(part)) + part)
    send_json(out, protocol.END, {})


def _samples(container: InputContainer, track: AudioStream) -> Iterator[bytes]:
    graph: av.filter.Graph | None = None
    for packet in container.demux(track):
        if packet.is_corrupt:
            raise MediaUnreadable("the sound of the video is damaged; use an intact copy")
        for frame in packet.decode():
            if not isinstance(frame, AudioFrame) or frame.is_corrupt:
                raise MediaUnreadable("the sound of the video is damaged; use an intact copy")
            graph = graph or resampler(frame, FORM)
            graph.push(frame)
            yield from _heard(graph)
    if graph is not None:
        graph.push(None)
        yield from _heard(graph)


def _heard(graph: av.filter.Graph) -> Iterator[bytes]:
    for frame in drained(graph):
        yield bytes(frame.planes[0])[: frame.samples * protocol.HEARD_BYTES]
