"""The reader of words: it reads, within limits, from weights that are what they were, without a network."""

import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from classifiers import reader
from classifiers.base import Picture
from classifiers.errors import ModelUnusable, TooManyWords
from classifiers.reader import ReadLimits, WordReader


@pytest.fixture(scope="module")
def words() -> WordReader:
    return WordReader()


def drawn(*texts: str, size: int = 32, width: int = 640, height: int = 360, ink: int = 20) -> Picture:
    picture = Image.new("RGB", (width, height), (208, 214, 220))
    draw = ImageDraw.Draw(picture)
    for place, text in enumerate(texts):
        draw.text((40, 30 + place * size * 2), text, (ink, ink, ink), ImageFont.load_default(size))
    return np.asarray(picture)


def test_lines_come_from_top_to_bottom_with_their_boxes(words: WordReader) -> None:
    first, second = words.look(drawn("Vexmoor Quandle", "comes home at 12"))
    assert (first.line.text, second.line.text) == ("Vexmoor Quandle", "comes home at 12")
    assert first.line.confidence > 0.8
    left, top, right, bottom = first.box
    assert (0.02 < left < 0.08, 0.05 < top < 0.12, 0.4 < right < 0.55, 0.15 < bottom < 0.25) == (True,) * 4


def test_upside_down_and_on_end(words: WordReader) -> None:
    picture = drawn("Vexmoor Quandle")
    for turns in (1, 2, 3):
        assert [one.line.text for one in words.look(np.rot90(picture, turns))] == ["Vexmoor Quandle"], turns


def test_nothing_is_read_where_nothing_stands(words: WordReader) -> None:
    rng = np.random.default_rng(2)
    assert words.look(np.full((90, 160, 3), 127, np.uint8)) == ()
    assert words.look(rng.integers(0, 256, (240, 320, 3), np.uint8)) == ()
    assert words.look(np.zeros((3, 900, 3), np.uint8)) == ()


def test_a_very_flat_picture_is_read(words: WordReader) -> None:
    """The detector's own way of making it smaller would leave no row of it."""
    ribbon = drawn("news of Vexmoor", size=14, width=1280, height=90)[30:54]
    [found] = words.look(ribbon)
    assert found.line.text == "news of Vexmoor"
    assert (0.0 <= found.box[1] < found.box[3] <= 1.0, found.box[2] < 0.3) == (True, True)


def test_more_lines_than_the_limit_is_an_error() -> None:
    few = WordReader(limits=ReadLimits(lines=2))
    assert len(few.look(drawn("one", "two"))) == 2
    with pytest.raises(TooManyWords, match="2 lines"):
        few.look(drawn("one", "two", "three"))


def test_missing_or_other_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="install rapidocr"):
        WordReader(tmp_path)
    for name, _ in (reader.DETECTOR, reader.TURNER, reader.RECOGNISER):
        shutil.copy(reader._packaged() / name, tmp_path)
    (tmp_path / reader.TURNER[0]).write_bytes(b"other")
    with pytest.raises(ModelUnusable, match="not the file that it was"):
        WordReader(tmp_path)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it asked for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert WordReader().look(drawn("offline"))[0].line.text == "offline"
