"""What goes out has the same pictures, times, colours and sound as what came in."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import StorageFailed
from pipeline.media.reader import open_clip
from pipeline.media.types import ClipInfo, Frame, MediaLimits
from pipeline.media.writer import ClipWriter

LIMITS = MediaLimits()


def copy(source, target, **more):
    with open_clip(source, limits=LIMITS, audio=True) as reader:
        with ClipWriter(target, reader.info, crf=18, preset="veryfast", **more) as writer:
            for part in reader:
                writer.write(part)
        return reader.info


def read(path):
    with open_clip(path, limits=LIMITS, audio=True) as reader:
        parts = list(reader)
    return reader.info, [part for part in parts if isinstance(part, Frame)]


def onset(path):
    """Second at which the tone of `make_clip` begins."""
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            wave = frame.to_ndarray()
            wave = np.abs(wave[0] if frame.format.is_planar else wave[0, ::2]).astype(float)
            wave /= 1.0 if frame.format.name.startswith("flt") else np.iinfo(frame.to_ndarray().dtype).max
            if wave.max() > 0.1:
                return frame.time + int(np.argmax(wave > 0.1)) / frame.sample_rate
    return None


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_round_trip(tmp_path, make_clip, name, fps):
    source = make_clip(tmp_path / name, frames=30, fps=fps, options={"preset": "fast", "bf": "3"})
    copy(source, tmp_path / "out.mp4")
    (before, frames), (after, written) = read(source), read(tmp_path / "out.mp4")
    assert after.codec == "h264"
    assert after.frame_count == before.frame_count == 30
    assert after.duration == pytest.approx(before.duration)
    assert after.frame_rate == pytest.approx(before.frame_rate, rel=0.002)
    assert [frame.time for frame in written] == [frame.time for frame in frames]
    assert np.abs(frames[7].y.astype(int) - written[7].y).mean() < 4


def test_uneven_times_and_the_last_duration_are_kept(tmp_path, make_clip):
    stamps = [0, 1, 5, 6, 20, 21, 22, 30, 31, 40, 41, 60]
    source = make_clip(tmp_path / "a.mp4", pts=stamps, time_base=Fraction(1, 600))
    copy(source, tmp_path / "out.mp4")
    before, after = read(source)[0], read(tmp_path / "out.mp4")
    assert [round(frame.time * 600) for frame in after[1]] == stamps
    assert after[0].duration == pytest.approx(before.duration)
    assert after[1][-1].duration * after[0].time_base == Fraction(25, 600)


@pytest.mark.parametrize(
    ("name", "audio_codec"),
    [
        ("a.mp4", "aac"),
        ("a.mkv", "aac"),
        ("a.mkv", "libopus"),
        ("a.mkv", "libmp3lame"),
        ("a.mkv", "flac"),
        ("a.mkv", "ac3"),
        ("a.mkv", "eac3"),
        ("a.mp4", "alac"),
        ("a.mov", "pcm_s16le"),
        ("a.mkv", "mp2"),
    ],
)
def test_sound_stays_in_step(tmp_path, make_clip, name, audio_codec):
    source = make_clip(tmp_path / name, audio=True, audio_codec=audio_codec, frames=24)
    copy(source, tmp_path / "out.mp4")
    assert onset(tmp_path / "out.mp4") == pytest.approx(onset(source), abs=0.003)


def test_sound_stays_in_step_when_the_picture_starts_late(tmp_path, make_clip):
    stamps = [3 + n for n in range(24)]
    source = make_clip(tmp_path / "a.mp4", audio=True, frames=24, pts=stamps, time_base=Fraction(1, 24))
    copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).time == pytest.approx(3 / 24)
    assert onset(tmp_path / "out.mp4") == pytest.approx(onset(source), abs=0.003)


def test_tags_and_metadata(tmp_path, make_clip):
    source = make_clip(
        tmp_path / "a.mp4", rotate=(90, False, False), sample_aspect=Fraction(4, 3), colour=(2, 1, 1, 1)
    )
    info = copy(source, tmp_path / "out.mp4", metadata={"AIGC": '{"Label":"1"}', "title": "größer"})
    after, _ = read(tmp_path / "out.mp4")
    assert (after.width, after.height, after.rotation, after.mirrored) == (96, 160, 0, False)
    assert after.sample_aspect == info.sample_aspect == Fraction(3, 4)
    assert after.colour == info.colour
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["AIGC"] == '{"Label":"1"}'
        assert container.metadata["title"] == "größer"
        assert container.streams.video[0].codec_context.profile == "High"
    head = (tmp_path / "out.mp4").read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")  # fast start


def write(path, info, parts):
    with ClipWriter(path, info, crf=18) as writer:
        for part in parts:
            writer.write(part)


def generated(width=64, height=48, count=5):
    info = ClipInfo(
        width=width, height=height, time_base=Fraction(1, 25), frame_rate=Fraction(25), variable=False
    )
    luma = np.full((height, width), 90, np.uint8)
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    return info, [
        Frame(index=n, pts=n, time=n / 25, duration=1, y=luma + np.uint8(n), u=chroma, v=chroma)
        for n in range(count)
    ]


def test_frames_that_no_file_gave(tmp_path):
    info, frames = generated()
    write(tmp_path / "out.mp4", info, frames)
    after, written = read(tmp_path / "out.mp4")
    assert (after.frame_count, after.duration, after.frame_rate) == (5, pytest.approx(0.2), 25)
    assert after.colour == info.colour
    assert [int(frame.y.mean().round()) for frame in written] == [90, 91, 92, 93, 94]


def test_a_time_base_too_fine_for_mp4_is_rounded(tmp_path):
    info, frames = generated()
    info = replace(info, time_base=Fraction(1, 1_000_000_000))
    fine = [replace(frame, pts=frame.pts * 40_000_000, duration=40_000_000) for frame in frames]
    write(tmp_path / "out.mp4", info, fine)
    assert [frame.time for frame in read(tmp_path / "out.mp4")[1]] == pytest.approx(
        [n / 25 for n in range(5)]
    )


def test_a_frame_of_another_size_is_refused_and_nothing_is_left(tmp_path):
    info, frames = generated()
    frames[1] = replace(frames[1], y=frames[1].y[:-2])
    with pytest.raises(ValueError, match="not uint8"):
        write(tmp_path / "out.mp4", info, frames)
    assert not (tmp_path / "out.mp4").exists()


def test_an_error_of_the_caller_leaves_nothing(tmp_path):
    info, frames = generated()

    def failing():
        yield frames[0]
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        write(tmp_path / "out.mp4", info, failing())
    assert not (tmp_path / "out.mp4").exists()


def test_a_folder_that_is_missing(tmp_path):
    info, _ = generated()
    with pytest.raises(StorageFailed, match="No such file"):
        ClipWriter(tmp_path / "missing" / "out.mp4", info, crf=18)
    with pytest.raises(StorageFailed, match="directory"):
        ClipWriter(tmp_path, info, crf=18)
    assert tmp_path.is_dir()


FILL_DISK = """
import resource, signal, sys
from fractions import Fraction
import numpy as np
from pipeline.errors import StorageFailed
from pipeline.media.types import ClipInfo, Frame
from pipeline.media.writer import ClipWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
info = ClipInfo(width=320, height=240, time_base=Fraction(1, 25), frame_rate=Fraction(25), variable=False)
noise = np.random.default_rng(0)
try:
    with ClipWriter(sys.argv[1], info, crf=10, preset="ultrafast") as writer:
        for n in range(int(sys.argv[3])):
            luma = noise.integers(16, 235, (240, 320), np.uint8)
            writer.write(Frame(index=n, pts=n, time=n / 25, duration=1, y=luma))
except StorageFailed as error:
    print("refused:", error)
"""


@pytest.mark.parametrize(("limit", "frames"), [(200_000, 60), (200_000, 4), (10_000, 1)])
def test_a_full_disk_is_said_and_nothing_is_left(tmp_path, limit, frames):
    target = tmp_path / "out.mp4"
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", FILL_DISK, str(target), str(limit), str(frames)],
        capture_output=True, text=True, cwd=root, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.startswith("refused: the video cannot be written (File too large)")
    assert not target.exists()
