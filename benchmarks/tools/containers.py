"""Files put into other containers, as tools and platforms do: by PyAV and by the `ffmpeg` program."""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg

from benchmarks.tools.processes import CommandFailed
from benchmarks.tools.video import transcode

__all__ = ["ffmpeg", "remux", "there_and_back", "transcode"]


def remux(
    source: Path,
    target: Path,
    *,
    form: str,
    options: dict[str, str] | None = None,
    seconds: float | None = None,
) -> Path:
    """All packets of `source` copied by PyAV into the container `form`, metadata left behind.

    `options`: of the muxer; `seconds`: where it ends (None: whole).
    """
    with av.open(str(source)) as file, av.open(str(target), "w", format=form, options=options or {}) as made:
        tracks = {stream.index: made.add_stream_from_template(stream) for stream in file.streams
                  if stream.type in ("video", "audio")}  # fmt: skip
        for packet in _until(file.demux(), seconds):
            if packet.dts is not None and packet.stream.index in tracks:
                packet.stream = tracks[packet.stream.index]
                made.mux(packet)
    return target


def _until(packets: Iterable[Any], seconds: float | None) -> Iterator[Any]:
    for packet in packets:
        at = None if packet.pts is None else packet.pts * (packet.time_base or Fraction(1))
        if seconds is None or at is None or at < seconds:
            yield packet


def ffmpeg(source: Path, target: Path, *arguments: str, before: Sequence[str] = ()) -> Path:
    """`ffmpeg` from `source` to `target`; `arguments` between, `before` ahead of the source.

    Raises: CommandFailed.
    """
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-nostdin", "-v", "error", "-y", *before, "-i", str(source), *arguments, str(target)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise CommandFailed(f"ffmpeg: {done.stderr.decode(errors='replace')[-500:]}")
    return target


def there_and_back(source: Path, target: Path, suffix: str) -> Path:
    """Into a container of that suffix and back into MP4, by ``ffmpeg -c copy``."""
    between = ffmpeg(source, target.with_suffix(f".between{suffix}"), "-c", "copy")
    return ffmpeg(between, target, "-c", "copy")
