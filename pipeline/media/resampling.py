"""Decoded sound into another form, by FFmpeg's filters, inside the decoding children."""

from collections.abc import Iterator
from typing import Final

import av
from av.audio.frame import AudioFrame

FILL_GAPS: Final = "async=1000"  # gaps in the time stamps become silence, so sound stays in step


def resampler(frame: AudioFrame, form: str) -> av.filter.Graph:
    """A graph from frames like this one to `form`, which `aformat` understands."""
    graph = av.filter.Graph()
    assert frame.time_base  # noqa: S101 - set by the decoder
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout, time_base=frame.time_base
    )
    resample, shape = graph.add("aresample", FILL_GAPS), graph.add("aformat", form)
    graph.link_nodes(source, resample, shape, graph.add("abuffersink")).configure()
    return graph


def drained(graph: av.filter.Graph) -> Iterator[AudioFrame]:
    """The frames that are ready."""
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, AudioFrame)  # noqa: S101 - the graph has one audio sink
        yield frame
