"""The audio track inside the decoding child: copied where MP4 carries the codec, otherwise made AAC."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.stream import Stream

from pipeline.errors import MediaUnreadable
from pipeline.media.carried import CARRIED, NEEDS_EXTRADATA
from pipeline.media.resampling import drained, resampler
from pipeline.media.types import AudioInfo, AudioPacket

AAC_RATES: Final = frozenset(
    {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
)
AAC_BITS_PER_CHANNEL: Final = 80_000
FALLBACK_RATE: Final = 48_000


def codec_name(stream: AudioStream) -> str:
    """The codec's own name: "mp3" also where the decoder is called "mp3float"."""
    return str(stream.codec_context.codec.canonical_name)


def audio_context(codec: str, rate: int, layout: str) -> AudioCodecContext:
    """An open encoder for `codec`. Raises: FFmpegError, ValueError when it cannot do rate or layout."""
    context = av.CodecContext.create(CARRIED[codec], "w")
    assert isinstance(context, AudioCodecContext)  # noqa: S101 - for the type checker
    formats = context.codec.audio_formats
    assert formats  # noqa: S101 - every encoder of CARRIED lists some
    context.format, context.layout, context.sample_rate = formats[0], layout, rate
    context.time_base = Fraction(1, rate)
    context.flags |= Flags.global_header
    if codec == "aac":
        context.bit_rate = AAC_BITS_PER_CHANNEL * context.layout.nb_channels
    context.open()
    return context


class CopiedSound:
    """Passes the packets on as they are."""

    def __init__(self, stream: AudioStream, shift: Fraction) -> None:
        context = stream.codec_context
        codec = codec_name(stream)
        assert stream.time_base  # noqa: S101 - demuxers always set it
        self.info = AudioInfo(
            codec=codec, source_codec=codec, sample_rate=context.sample_rate,
            channels=context.layout.nb_channels, layout=context.layout.name, copyable=True,
            time_base=stream.time_base, extradata=context.extradata,
        )  # fmt: skip
        self._shift = round(shift / stream.time_base)
        self._last_dts: int | None = None
        # An edit list may cut the last packet short; later bytes of it are not meant to be heard.
        self._end = (stream.start_time or 0) + (stream.duration or 1 << 62) - self._shift

    def packets(self, packet: "av.Packet[Stream]") -> Iterator[AudioPacket]:
        """The packet itself, its time stamps moved by the clip's start. Raises: MediaUnreadable."""
        if packet.size == 0:  # the end of the stream
            return
        stamp = packet.dts if packet.dts is not None else packet.pts
        if packet.is_corrupt or stamp is None:
            raise MediaUnreadable("the sound of the video is damaged; use an intact copy")
        dts = stamp - self._shift
        if self._last_dts is not None and dts <= self._last_dts:
            dts = self._last_dts + 1  # time stamps in milliseconds can meet
        self._last_dts = dts
        duration = max(0, min(packet.duration or 0, self._end - dts))
        yield AudioPacket(data=bytes(packet), pts=dts, dts=dts, duration=duration)


class RemadeSound:
    """Decodes, fills gaps and encodes as AAC."""

    def __init__(self, stream: AudioStream, shift: Fraction) -> None:
        context = stream.codec_context
        rate = context.sample_rate if context.sample_rate in AAC_RATES else FALLBACK_RATE
        layout = {1: "mono", 2: "stereo", 6: "5.1"}.get(context.layout.nb_channels, "stereo")
        self._encoder = audio_context("aac", rate, layout)
        self._graph: av.filter.Graph | None = None
        self._shift = round(shift * rate)
        self.info = AudioInfo(
            codec="aac", source_codec=codec_name(stream), sample_rate=rate,
            channels=self._encoder.layout.nb_channels, layout=layout, copyable=False,
            time_base=Fraction(1, rate), extradata=self._encoder.extradata,
        )  # fmt: skip

    def packets(self, packet: "av.Packet[Stream]") -> Iterator[AudioPacket]:
        """The AAC packets that are ready after this packet; an empty packet flushes everything."""
        for frame in packet.decode():
            if not isinstance(frame, AudioFrame) or frame.is_corrupt:
                raise MediaUnreadable("the sound of the video is damaged; use an intact copy")
            graph = self._graph = self._graph or self._filters(frame)
            graph.push(frame)
            yield from self._drain(graph)
        if packet.size == 0 and self._graph is not None:
            self._graph.push(None)
            yield from self._drain(self._graph)
            yield from self._encoded(None)

    def _filters(self, frame: AudioFrame) -> av.filter.Graph:
        encoder = self._encoder
        form = f"sample_fmts={encoder.format.name}:sample_rates={encoder.sample_rate}"
        return resampler(frame, f"{form}:channel_layouts={encoder.layout.name}")

    def _drain(self, graph: av.filter.Graph) -> Iterator[AudioPacket]:
        for frame in drained(graph):
            yield from self._encoded(frame)

    def _encoded(self, frame: AudioFrame | None) -> Iterator[AudioPacket]:
        for packet in self._encoder.encode(frame):
            assert packet.pts is not None  # noqa: S101 - our own encoder sets it
            pts = packet.pts - self._shift
            yield AudioPacket(data=bytes(packet), pts=pts, dts=pts, duration=packet.duration or 0)


def sound_of(stream: AudioStream, shift: Fraction) -> CopiedSound | RemadeSound:
    """How this track gets into an MP4; ``shift``: seconds to take off every time stamp."""
    return CopiedSound(stream, shift) if _carried(stream) else RemadeSound(stream, shift)


def _carried(stream: AudioStream) -> bool:
    context = stream.codec_context
    codec = codec_name(stream)
    if codec not in CARRIED or (codec in NEEDS_EXTRADATA and not context.extradata):
        return False
    try:
        audio_context(codec, context.sample_rate, context.layout.name)
    except (av.FFmpegError, ValueError):
        return False  # our muxer could not describe it
    return True
