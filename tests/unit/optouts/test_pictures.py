"""Pictures: what is whole comes out upright in RGB, what is not is refused by name, whatever its bytes."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from picture_builders import (
    HEIGHT,
    WIDTH,
    animated,
    cmyk,
    cut_jpeg,
    deep_png,
    drawing,
    oriented,
    saved,
    two_headers,
    with_size,
)

from pipeline import sandbox
from pipeline.errors import CountermarkError, LimitExceeded, PictureRefused, SandboxFailed
from pipeline.pictures import reader
from pipeline.pictures.header import read_header
from pipeline.pictures.reader import Result, load_picture, read_all, read_each
from pipeline.pictures.types import LIMITS, PictureFile, PictureLimits, ReadPicture

RGB = drawing()


def results(cases: dict[str, bytes], limits: PictureLimits = LIMITS) -> dict[str, Result]:
    files = [PictureFile(name=name, data=data) for name, data in cases.items()]
    return dict(zip(cases, read_each(files, limits), strict=True))


def apart(one: object, other: np.ndarray) -> float:  # type: ignore[type-arg]
    assert isinstance(one, ReadPicture), one
    assert one.rgb.shape == other.shape
    return float(np.abs(one.rgb.astype(int) - other).mean())


def test_whole_pictures_of_every_kind() -> None:
    whole = results({
        "png": saved(RGB), "deep": deep_png(RGB), "webp": saved(RGB, "WEBP", lossless=True),
        "jpeg": saved(RGB, "JPEG", quality=95), "progressive": saved(RGB, "JPEG", progressive=True),
        "cmyk": cmyk(RGB), "lossy": saved(RGB, "WEBP"), "trailing": saved(RGB, "JPEG") + b"a phone's extras",
    })  # fmt: skip
    for name in ("png", "deep", "webp"):
        assert apart(whole[name], RGB) == 0, name
    for name in ("jpeg", "progressive", "cmyk", "lossy", "trailing"):
        assert apart(whole[name], RGB) < 6, name
    first = whole["png"]
    assert isinstance(first, ReadPicture)
    assert (first.width, first.height, len(first.sha256)) == (WIDTH, HEIGHT, 64)


def test_grey_and_palette_become_rgb() -> None:
    grey = RGB[..., 0]
    told = results({"grey": saved(grey), "black and white": saved((grey > 128).astype(np.uint8) * 255)})
    assert apart(told["grey"], np.repeat(grey[..., None], 3, axis=2)) == 0
    assert apart(told["black and white"], np.repeat(((grey > 128) * 255)[..., None], 3, axis=2)) == 0


def test_what_is_transparent_becomes_grey() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, WIDTH // 2 :] = 255
    cut_out = np.dstack([RGB, alpha])
    for kind in ("PNG", "WEBP"):
        [picture] = read_all([PictureFile(name="a", data=saved(cut_out, kind, lossless=True))])
        assert (picture.rgb[:, : WIDTH // 2] == 128).all()
        assert (picture.rgb[:, WIDTH // 2 :] == RGB[:, WIDTH // 2 :]).all()


TURNS = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: lambda a: np.rot90(a, 1),
}  # fmt: skip


def test_every_orientation_of_every_kind_is_honoured() -> None:
    cases = {
        f"{kind} {turn}": oriented(RGB, kind, turn) for kind in ("PNG", "WEBP", "JPEG") for turn in TURNS
    }
    for name, picture in results(cases).items():
        upright = TURNS[int(name.split()[1])](RGB)
        assert apart(picture, upright) < 4, name
        assert isinstance(picture, ReadPicture)
        assert (picture.height, picture.width) == upright.shape[:2], name


def test_a_large_picture_is_reduced() -> None:
    large = drawing(width=2600, height=1300)
    for kind in ("JPEG", "PNG"):
        [picture] = read_all([PictureFile(name="a", data=saved(large, kind))])
        assert (picture.width, picture.height, picture.rgb.shape) == (2600, 1300, (512, 1024, 3))


BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"I am a picture, believe me", "not a picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "pdf": (b"%PDF-1.7\n", "PDF"),
    "gif": (saved(RGB, "GIF"), "GIF"),
    "bmp": (saved(RGB, "BMP"), "BMP"),
    "heic": (b"\0\0\0\x18ftypheic", "HEIC"),
    "apng": (animated("PNG"), "animated"),
    "awebp": (animated("WEBP"), "animated"),
    "one pixel": (saved(np.zeros((1, 1, 3), np.uint8)), "1 px; needs 96"),
    "small": (saved(drawing(width=300, height=90)), "90 px; needs 96"),
    "narrow": (saved(drawing(width=700, height=100)), "too narrow"),
    "bomb": (with_size(saved(RGB), 60_000, 60_000), "too large"),
    "liar": (with_size(saved(RGB), WIDTH + 1, HEIGHT), "damaged"),
    "two headers": (two_headers(saved(RGB), WIDTH, HEIGHT), "damaged"),
    "half a png": (saved(RGB)[: len(saved(RGB)) // 2], "the end of the file"),
    "half a jpeg": (cut_jpeg(saved(RGB, "JPEG"), 0.6), "the end of the file"),
    "black": (saved(np.zeros((200, 200, 3), np.uint8)), "one colour"),
    "clear": (saved(np.dstack([RGB, np.zeros_like(RGB[..., 0])])), "one colour"),
}


def test_a_second_header_is_refused_before_any_decoder_sees_the_first() -> None:
    with pytest.raises(PictureRefused, match="damaged"):
        read_header(two_headers(with_size(saved(RGB), 60_000, 60_000), 100, 100))


def test_what_is_no_picture_is_refused_by_name_and_the_others_are_read() -> None:
    cases = {"first": saved(RGB)} | {name: data for name, (data, _) in BROKEN.items()} | {"last": saved(RGB)}
    told = results(cases)
    for name, (_, word) in BROKEN.items():
        error = told[name]
        assert isinstance(error, PictureRefused), (name, error)
        assert str(error).startswith(f"{name}: "), error
        assert word in str(error), error
    assert apart(told["first"], RGB) == apart(told["last"], RGB) == 0


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_no_beginning_of_a_picture_is_taken_for_it(kind: str) -> None:
    data = saved(RGB, kind)
    lengths = sorted({*range(0, len(data), max(1, len(data) // 60)), len(data) - 1, len(data) - 2, 1, 2, 11})
    for name, result in results({str(length): data[:length] for length in lengths}).items():
        assert isinstance(result, PictureRefused), (kind, name, len(data))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_damaged_bytes_give_a_picture_or_a_refusal_and_nothing_else(kind: str) -> None:
    whole, chance = saved(RGB, kind), random.Random(kind)
    cases = {"last": whole}
    for number in range(90):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(0, min(len(data), chance.choice((40, 400, 10**9))))] = chance.randrange(256)
        cases[f"{number}"] = bytes(data)
    for name, result in results(cases).items():
        assert isinstance(result, ReadPicture | PictureRefused), (name, result)
        if isinstance(result, ReadPicture):
            assert max(result.rgb.shape) <= LIMITS.longest
            assert result.rgb.shape[2] == 3


def test_a_picture_that_ends_its_reader_is_named_and_the_next_one_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heavy = with_size(saved(RGB), 7000, 7000)  # taken at its word, it needs 150 MB
    monkeypatch.setattr(reader, "PROCESS", sandbox.ProcessLimits(memory_mib=300, cpu_seconds=60))
    told = results({"before": saved(RGB), "heavy": heavy, "after": saved(RGB)})
    error = told["heavy"]
    assert isinstance(error, PictureRefused | SandboxFailed | LimitExceeded)
    assert str(error).startswith("heavy: ")
    assert apart(told["before"], RGB) == apart(told["after"], RGB) == 0


def test_a_reader_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "PROCESS", sandbox.ProcessLimits(wall_seconds=0.01))
    told = results({"one": saved(RGB), "two": saved(RGB)})
    assert [type(error) for error in told.values()] == [LimitExceeded, LimitExceeded]
    assert str(told["two"]).startswith("two: ")


def test_the_first_error_ends_read_all() -> None:
    files = [PictureFile(name="good", data=saved(RGB)), PictureFile(name="bad", data=b"x")]
    with pytest.raises(PictureRefused, match=r"^bad: "):
        read_all(files)


def test_files_that_cannot_be_pictures(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large.png", tmp_path / "pipe.png"
    with large.open("wb") as file:
        file.truncate(LIMITS.bytes + 1)
    os.mkfifo(pipe)
    told = {}
    for path in (large, pipe, tmp_path, tmp_path / "missing.png", Path("a\0b"), tmp_path / "\x1b[31m.png"):
        with pytest.raises(CountermarkError) as caught:
            load_picture(path)
        told[path] = str(caught.value)
        assert isinstance(caught.value, PictureRefused)
        assert "\x1b" not in told[path]
    assert "20 MiB" in told[large]
    assert "not a file" in told[pipe]
