"""Speech models of both families, from folders; what may run code, or is no speech model, is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import tiny_speech

from classifiers.errors import ModelUnusable
from classifiers.speech import RATE, SpeechReader, folder_digest

NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_speech.letters(tmp_path_factory.mktemp("letters"), "Mossa")


def test_a_model_of_letters_writes_what_it_hears(letters: Path) -> None:
    reader = SpeechReader(str(letters), sha256=folder_digest(letters))
    said = reader.transcribe([NOISE, NOISE, np.zeros(RATE, np.float32)])
    assert set(said.text.split()) == {"Mossa"}
    assert len(said.lines) == 1  # the same line twice is kept once, and silence says nothing
    assert said.seconds == 5
    assert reader.transcribe([]).text == ""
    with pytest.raises(ValueError, match="no numbers"):
        reader.transcribe([np.full(RATE, np.nan, np.float32)])


def test_a_model_that_writes_text_is_taken_too(tmp_path: Path) -> None:
    reader = SpeechReader(str(tiny_speech.whisper(tmp_path)))
    first = reader.transcribe([NOISE])
    assert reader.transcribe([NOISE]) == first
    assert set(first.text.split()) <= {"<s>", "kite", "moon", "sea"}


def test_what_cannot_be_used_says_so(letters: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="digest"):
        SpeechReader(str(letters), sha256="0" * 64)
    with pytest.raises(ModelUnusable, match="there is no speech model"):
        SpeechReader("no such thing")
    folder = tiny_speech.letters(tmp_path / "other", "Mossa")
    config = json.loads((folder / "config.json").read_text())
    for changed, words in (
        ({"architectures": ["BertModel"]}, "no speech-recognition model"),
        ({"auto_map": {"AutoModel": "x.Y"}}, "code of its own"),
    ):
        (folder / "config.json").write_text(json.dumps(config | changed))
        with pytest.raises(ModelUnusable, match=words):
            SpeechReader(str(folder))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "more.bin").write_bytes(b"")
    with pytest.raises(ModelUnusable, match="may run code"):
        SpeechReader(str(folder))
    (folder / "more.bin").unlink()
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelUnusable, match="cannot be loaded"):
        SpeechReader(str(folder))
