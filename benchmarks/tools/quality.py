"""What the marks cost the picture: the same encoder with and without them, and VMAF against the original."""

import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg

from pipeline.media.limits import media_limits
from pipeline.media.reader import open_clip
from pipeline.media.writer import ClipWriter
from pipeline.settings import Settings
from watermark.base import Picture
from watermark.carrier import HiddenMark, Strength
from watermark.keys import DetectionKey


def ffmpeg() -> str:
    """The FFmpeg program that the package imageio-ffmpeg carries."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def has_vmaf() -> bool:
    """Whether that FFmpeg was built with libvmaf."""
    told = subprocess.run([ffmpeg(), "-hide_banner", "-filters"], capture_output=True, text=True, check=True)
    return "libvmaf" in told.stdout


def vmaf(original: Path, changed: Path) -> float:
    """Mean VMAF (default model, v0.6.1) of `changed` against `original`, frame by frame from the start.

    Both must have the same size and number of frames.
    """
    with tempfile.TemporaryDirectory() as folder:
        # FFmpeg's filter syntax would need escapes in a path: run inside the folder instead.
        graph = (
            "[0:v]setpts=PTS-STARTPTS[a];[1:v]setpts=PTS-STARTPTS[b];"
            "[a][b]libvmaf=log_fmt=json:log_path=vmaf.json"
        )
        command = [ffmpeg(), "-v", "error", "-i", str(changed.absolute()), "-i", str(original.absolute())]
        subprocess.run([*command, "-lavfi", graph, "-f", "null", "-"], cwd=folder, check=True)
        document = json.loads((Path(folder) / "vmaf.json").read_text())
    return float(document["pooled_metrics"]["vmaf"]["mean"])


def encode(
    source: Path, target: Path, settings: Settings, *, crf: float,
    mark: tuple[DetectionKey, int, Strength] | None,
) -> None:  # fmt: skip
    """Encode `source` as a release is encoded, but with the hidden mark alone or with no mark at all.

    `mark`: key, payload, strength.
    """
    with open_clip(source, limits=media_limits(settings)) as clip:
        info = clip.info
        hidden = HiddenMark(mark[0], mark[1], info.width, info.height, mark[2]) if mark else None
        with ClipWriter(target, info, crf=crf, preset=settings.preset) as writer:
            for frame in clip.frames():
                if hidden:
                    _, y, u, v = hidden.embed(Picture(frame.time, frame.y, frame.u, frame.v))
                    frame = replace(frame, y=y, u=u, v=v)
                writer.write(frame)
