"""Broken, hostile and senseless files: one clear sentence, the right class, no hang, nothing left behind."""

import contextlib
import os
import random
import signal
import socket
import struct
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import CountermarkError, LimitExceeded, MediaUnreadable, MediaUnsupported, SandboxFailed
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from pipeline.sandbox import ProcessLimits

LIMITS = MediaLimits(process=ProcessLimits(memory_mib=4096, cpu_seconds=20, wall_seconds=20.0))


def read(path, limits=LIMITS, **more):
    with open_clip(path, limits=limits, **more) as reader:
        return sum(1 for _ in reader)


def children():
    """The child processes of a test, dead ones that nobody waited for included."""
    return [child for child in _children() if child not in _FROM_BEFORE]


def _children():
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found += map(int, (task / "children").read_text().split())
    return found


@pytest.fixture(autouse=True)
def _from_before():
    """What other tests started for all (a database server) is none of ours."""
    _FROM_BEFORE[:] = _children()


_FROM_BEFORE: list[int] = []


def refused(path, kind, words, **more):
    with pytest.raises(kind, match=words) as caught:
        read(path, **more)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert not children()


def test_missing_folder_and_special_files(tmp_path):
    refused(tmp_path / "none.mp4", MediaUnreadable, "No such file")
    refused(tmp_path, MediaUnreadable, "regular file")
    os.mkfifo(tmp_path / "pipe.mp4")
    refused(tmp_path / "pipe.mp4", MediaUnreadable, "regular file")
    refused("/dev/zero", MediaUnreadable, "regular file")
    refused("a\0b.mp4", MediaUnreadable, "zero byte")


@pytest.mark.skipif(os.geteuid() == 0, reason="does not apply: root may read everything")
def test_no_permission(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4")
    path.chmod(0)
    refused(path, MediaUnreadable, "Permission")


@pytest.mark.parametrize(
    "content",
    [
        b"hello, this is text\n" * 50,
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"\x7fELF\x02\x01\x01" + bytes(200),
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(200),
        bytes(5000),
        random.Random(1).randbytes(5000),
        b"\x00",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_what_is_not_a_video(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    refused(path, MediaUnreadable, "not a video file")


def test_zero_bytes(tmp_path):
    (tmp_path / "a.mp4").touch()
    refused(tmp_path / "a.mp4", MediaUnreadable, "empty")


@pytest.mark.parametrize("start", [b"\x00\x00\x00\x18ftypmp42", b"\x1a\x45\xdf\xa3", b"GIF89a"])
def test_a_right_start_and_then_rubbish(tmp_path, start):
    for seed in range(4):
        (tmp_path / "a").write_bytes(start + random.Random(seed).randbytes(3000) + b";")
        refused(tmp_path / "a", MediaUnreadable, ".")


def test_sound_alone(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", 48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    refused(path, MediaUnsupported, "no video track")


@pytest.mark.parametrize("name", ["a.mp4", "fast.mp4", "a.mkv", "a.gif"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_a_file_that_breaks_off(tmp_path, make_clip, name, share):
    more = {"codec": "gif", "pix_fmt": "rgb8", "fps": 10} if name == "a.gif" else {}
    if name == "fast.mp4":
        more["container_options"] = {"movflags": "faststart"}
    path = make_clip(tmp_path / name, frames=30, **more)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, MediaUnreadable, "missing|damaged")


def test_a_picture_size_that_no_memory_holds(tmp_path, make_clip):
    """The header claims 65535x65535; the limit answers before a picture is made."""
    path = make_clip(tmp_path / "a.mp4", codec="mpeg4", container_options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    entry = content.index(b"mp4v", content.index(b"stsd"))
    content[entry + 28 : entry + 32] = struct.pack(">HH", 65535, 65535)
    at = content.index(b"\x00\x00\x01\x20")  # the decoder's own header goes away, so that the claim stands
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    began = time.monotonic()
    refused(path, (LimitExceeded, MediaUnreadable), ".")
    assert time.monotonic() - began < 10


def test_a_gif_of_65535_by_65535(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.gif", codec="gif", pix_fmt="rgb8", fps=10)
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", 65535, 65535)
    path.write_bytes(content)
    refused(path, MediaUnreadable, "far too large")
    content[6:10] = struct.pack("<HH", 6000, 6000)
    path.write_bytes(content)
    refused(path, LimitExceeded, "6000x6000")


def test_a_picture_size_of_nothing(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.gif", codec="gif", pix_fmt="rgb8", fps=10)
    content = bytearray(path.read_bytes())
    content[6:10] = bytes(4)
    path.write_bytes(content)
    refused(path, MediaUnreadable, ".")


def test_little_memory_is_a_limit_not_a_crash(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", width=1920, height=1080, frames=3)
    tight = replace(LIMITS, process=replace(LIMITS.process, memory_mib=200))
    refused(path, (LimitExceeded, SandboxFailed), ".", limits=tight)


def test_an_external_reference_is_not_followed(tmp_path, make_clip):
    """A MOV whose data reference names an address on this machine: nobody connects."""
    path = make_clip(tmp_path / "a.mov")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        port = server.getsockname()[1]
        address = f"http://127.0.0.1:{port}/a.mov\0".encode()
        content = path.read_bytes()
        old = content.index(b"url ", content.index(b"dref")) - 4
        entry = struct.pack(">I4sI", 12 + len(address), b"url ", 0) + address
        path.write_bytes(content[:old] + entry + content[old + 12 :])  # its sizes no longer fit: also hostile
        with pytest.raises(CountermarkError):
            read(path)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_play_list_opens_no_connection(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        text = f"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:{server.getsockname()[1]}/a.ts\n#EXT-X-ENDLIST\n"
        for name in ("a.m3u8", "a.mp4", "a.webm"):
            (tmp_path / name).write_text(text)
            refused(tmp_path / name, MediaUnreadable, "not a video file")
        with pytest.raises(TimeoutError):
            server.accept()


def write_pictures(path, widths, stamps):
    """An MKV whose pictures, each 48 high, are as wide and as late (in ms) as the lists say."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mjpeg", 10)
        video.width, video.height, video.pix_fmt = widths[0], 48, "yuvj420p"
        video.time_base = Fraction(1, 1000)
        for width, stamp in zip(widths, stamps, strict=True):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, 48, "yuvj420p"
            encoder.time_base = Fraction(1, 1000)
            frame = av.VideoFrame(width, 48, "yuvj420p")
            for packet in [*encoder.encode(frame), *encoder.encode(None)]:
                packet.stream, packet.time_base = video, Fraction(1, 1000)
                packet.pts = packet.dts = stamp
                out.mux(packet)
    return path


def test_the_picture_size_may_not_change(tmp_path):
    path = write_pictures(tmp_path / "a.mkv", widths=[64, 64, 96], stamps=[0, 100, 200])
    refused(path, MediaUnsupported, "size changes")


def test_repeated_time_stamps_are_moved_and_said(tmp_path):
    path = write_pictures(tmp_path / "a.mkv", widths=[64] * 5, stamps=[0, 100, 200, 200, 300])
    with open_clip(path, limits=LIMITS) as reader:
        frames = list(reader.frames())
    assert [frame.pts for frame in frames] == [0, 100, 200, 201, 300]
    assert any("out of order" in note for note in reader.info.notes)


def test_stopping_early_ends_the_child(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", width=640, height=360, frames=60)
    with open_clip(path, limits=LIMITS) as reader:
        next(iter(reader))
        assert children()
    assert not children()
    with pytest.raises(RuntimeError, match="mine"), open_clip(path, limits=LIMITS):
        raise RuntimeError("mine")
    assert not children()


def test_a_slow_consumer_is_not_the_childs_fault(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", width=640, height=360, frames=14)
    limits = replace(LIMITS, process=replace(LIMITS.process, wall_seconds=1.0))
    with open_clip(path, limits=limits) as reader:
        for _ in reader:
            time.sleep(0.1)


def test_a_stuck_child_is_stopped(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", width=640, height=360, frames=60)
    limits = replace(LIMITS, process=replace(LIMITS.process, wall_seconds=4.0))
    with open_clip(path, limits=limits) as reader:
        parts = iter(reader)
        next(parts)
        os.kill(children()[0], signal.SIGSTOP)
        with pytest.raises(LimitExceeded, match="stopped"):
            list(parts)
    assert not children()


def test_a_killed_child_is_said(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", width=640, height=360, frames=60)
    with open_clip(path, limits=LIMITS) as reader:
        parts = iter(reader)
        next(parts)
        os.kill(children()[0], signal.SIGKILL)
        with pytest.raises(SandboxFailed, match="died"):
            list(parts)


@settings(max_examples=24, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bits(tmp_path, make_clip, data):
    """Whatever is flipped: all pictures, or one sentence; never a hang, never another exception."""
    name = data.draw(st.sampled_from(["a.mp4", "b.mp4", "a.mkv", "a.gif"]))
    path = tmp_path / name
    if not path.exists():
        gif = {"codec": "gif", "pix_fmt": "rgb8", "fps": 10}
        more = (
            gif
            if name == "a.gif"
            else {"audio": True, "audio_codec": "libmp3lame" if name == "b.mp4" else "aac"}
        )
        make_clip(path, width=64, height=48, frames=6, **more)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    broken = tmp_path / ("broken-" + name)
    broken.write_bytes(content)
    refusals = contextlib.suppress(MediaUnreadable, MediaUnsupported, LimitExceeded)
    with refusals, open_clip(broken, limits=LIMITS, audio=True) as reader:
        assert sum(1 for _ in reader.frames()) == reader.info.frame_count
