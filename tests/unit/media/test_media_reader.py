"""Clips of every container come in as they are shown, with exact times."""

import os
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from pipeline.errors import LimitExceeded, MediaUnsupported
from pipeline.media.reader import open_clip
from pipeline.media.types import AudioPacket, Frame, MediaLimits

LIMITS = MediaLimits()


def read(path, **more):
    with open_clip(path, limits=LIMITS, **more) as reader:
        frames = list(reader.frames())
    return reader.info, frames


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "mjpeg", "yuvj420p"),
        ("a.mkv", "libx264", "yuv444p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_every_container_gives_all_frames(tmp_path, make_clip, name, codec, pix_fmt):
    info, frames = read(make_clip(tmp_path / name, codec=codec, pix_fmt=pix_fmt, fps=10))
    assert (info.width, info.height, info.frame_count, len(frames)) == (160, 96, 12, 12)
    assert info.duration == pytest.approx(1.2)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx([n / 10 for n in range(12)], abs=0.001)
    assert all(frame.y.shape == (96, 160) and frame.u.shape == frame.v.shape == (48, 80) for frame in frames)
    assert frames[0].y.std() > 20
    assert frames[0].y.flags.c_contiguous
    assert frames[0].y.flags.writeable


def test_pixels_are_those_that_were_encoded(tmp_path, make_clip, scene):
    _, frames = read(make_clip(tmp_path / "a.mp4", options={"crf": "0"}))
    for index, frame in enumerate(frames):
        for plane, original in zip((frame.y, frame.u, frame.v), scene(index, 160, 96), strict=True):
            np.testing.assert_array_equal(plane, original)


def test_luma_alone(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4")
    (_, whole), (_, luma) = read(path), read(path, planes="y")
    assert luma[3].u is None
    assert luma[3].v is None
    np.testing.assert_array_equal(luma[3].y, whole[3].y)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("anticlockwise", [0, 90, 180, 270])
def test_display_matrix_is_applied(tmp_path, make_clip, scene, anticlockwise, mirror):
    path = make_clip(
        tmp_path / "a.mp4", width=48, height=32, frames=2, options={"crf": "0"},
        rotate=(anticlockwise, mirror, False), sample_aspect=Fraction(4, 3),
    )  # fmt: skip
    info, frames = read(path)
    # The matrix is the rotation, then the flip.
    turned = [np.rot90(plane, anticlockwise // 90) for plane in scene(0, 48, 32)]
    shown = [plane[:, ::-1] if mirror else plane for plane in turned]
    for plane, expected in zip((frames[0].y, frames[0].u, frames[0].v), shown, strict=True):
        np.testing.assert_array_equal(plane, expected)
    sideways = anticlockwise in (90, 270)
    assert (info.width, info.height) == ((32, 48) if sideways else (48, 32))
    assert (info.source_width, info.source_height) == (48, 32)
    assert info.sample_aspect == (Fraction(3, 4) if sideways else Fraction(4, 3))
    assert info.mirrored is mirror
    luma = scene(0, 48, 32)[0]
    luma = luma[:, ::-1] if info.mirrored else luma
    np.testing.assert_array_equal(np.rot90(luma, -info.rotation // 90), frames[0].y)


def test_odd_sides_are_padded_and_said(tmp_path, make_clip):
    info, frames = read(make_clip(tmp_path / "a.mp4", width=65, height=33, pix_fmt="yuv444p"))
    assert (info.width, info.height, info.padded) == (66, 34, True)
    assert any("even" in note for note in info.notes)
    np.testing.assert_array_equal(frames[5].y[:, 65], frames[5].y[:, 64])
    np.testing.assert_array_equal(frames[5].y[33], frames[5].y[32])


def test_one_frame(tmp_path, make_clip):
    info, frames = read(make_clip(tmp_path / "a.mp4", frames=1))
    assert len(frames) == 1
    assert frames[0].time == 0.0
    assert info.duration == pytest.approx(1 / 24)


def test_uneven_time_stamps(tmp_path, make_clip):
    stamps = [0, 1, 5, 6, 20, 21, 22, 30, 31, 40, 41, 60]
    path = make_clip(tmp_path / "a.mp4", pts=stamps, time_base=Fraction(1, 600))
    info, frames = read(path)
    assert info.variable is True
    assert [round(frame.time * 600) for frame in frames] == stamps


def test_late_start_counts_from_the_first_frame(tmp_path, make_clip):
    stamps = [100 + n for n in range(12)]
    info, frames = read(make_clip(tmp_path / "a.mkv", pts=stamps, time_base=Fraction(1, 24)))
    assert frames[0].pts == 0
    assert frames[-1].time == pytest.approx(11 / 24, abs=0.001)
    assert info.duration == pytest.approx(0.5)


def test_colour_tags(tmp_path, make_clip):
    info, _ = read(make_clip(tmp_path / "a.mp4", colour=(2, 1, 1, 1)))
    assert (info.colour.range, info.colour.primaries, info.colour.transfer, info.colour.matrix) == (
        2,
        1,
        1,
        1,
    )
    info, _ = read(make_clip(tmp_path / "a.gif", codec="gif", pix_fmt="rgb8", fps=10))
    assert (info.colour.range, info.colour.primaries, info.colour.transfer, info.colour.matrix) == (
        1,
        1,
        1,
        1,
    )


@pytest.mark.parametrize("pix_fmt", ["yuvj422p", "yuvj444p"])
def test_full_range_luma_is_kept_when_chroma_is_made_smaller(tmp_path, make_clip, pix_fmt):
    small, _ = read(make_clip(tmp_path / "a.mov", codec="mjpeg", pix_fmt=pix_fmt))
    assert small.colour.range == 2


def test_ten_bits_and_hdr_are_refused(tmp_path, make_clip):
    with pytest.raises(MediaUnsupported, match="10 bits"):
        read(make_clip(tmp_path / "ten.mp4", pix_fmt="yuv420p10le"))
    with pytest.raises(MediaUnsupported, match="HDR"):
        read(make_clip(tmp_path / "hdr.mp4", colour=(1, 9, 16, 9)))


@pytest.mark.parametrize(
    ("name", "audio_codec", "codec", "copied"),
    [
        ("a.mp4", "aac", "aac", True),
        ("a.mkv", "libopus", "opus", True),
        ("a.mkv", "libmp3lame", "mp3", True),
        ("a.mkv", "flac", "flac", True),
        ("a.mov", "pcm_s16le", "aac", False),
        ("a.mkv", "mp2", "aac", False),
    ],
)
def test_sound_is_copied_or_made_aac(tmp_path, make_clip, name, audio_codec, codec, copied):
    path = make_clip(tmp_path / name, audio=True, audio_codec=audio_codec)
    with open_clip(path, limits=LIMITS, audio=True) as reader:
        parts = list(reader)
    sound = [part for part in parts if isinstance(part, AudioPacket)]
    assert sum(isinstance(part, Frame) for part in parts) == 12
    assert (reader.info.audio.codec, reader.info.audio.copyable) == (codec, copied)
    assert (reader.info.audio.sample_rate, reader.info.audio.channels) == (48_000, 2)
    seconds = (sound[-1].dts + sound[-1].duration - sound[0].dts) * reader.info.audio.time_base
    assert float(seconds) == pytest.approx(0.5, abs=0.08)
    assert all(a.dts < b.dts for a, b in pairwise(sound))


def test_without_audio_only_frames_come(tmp_path, make_clip):
    with open_clip(make_clip(tmp_path / "a.mp4", audio=True), limits=LIMITS) as reader:
        assert all(isinstance(part, Frame) for part in reader)
        assert reader.info.audio is None


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (replace(LIMITS, max_bytes=1000), "bytes"),
        (replace(LIMITS, max_pixels=160 * 95), "160x96"),
        (replace(LIMITS, max_frames=11), "frames"),
        (replace(LIMITS, max_seconds=0.4), "longer"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_limits(tmp_path, make_clip, name, limits, words):
    path = make_clip(tmp_path / name)
    with pytest.raises(LimitExceeded, match=words), open_clip(path, limits=limits) as reader:
        list(reader)


def test_limits_allow_what_just_fits(tmp_path, make_clip):
    limits = replace(LIMITS, max_pixels=160 * 96, max_frames=12, max_seconds=0.5)
    with open_clip(make_clip(tmp_path / "a.mp4"), limits=limits) as reader:
        assert len(list(reader)) == 12


@pytest.mark.parametrize(
    "name",
    [
        "-i.mp4",
        "http:x.mp4",
        "a\nb.mp4",
        "concat:a|b.mp4",
        "%03d.mp4",
        "ü \x01.mp4",
        os.fsdecode(b"\xff.mp4"),
    ],
)
def test_odd_names_are_only_names(tmp_path, make_clip, monkeypatch, name):
    make_clip(tmp_path / "plain.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    _, frames = read(name)
    assert len(frames) == 12
