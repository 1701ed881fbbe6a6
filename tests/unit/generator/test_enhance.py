"""Prompt enhancers of both families, loaded from folders as anybody's are."""

import json
from pathlib import Path

import pytest
import tiny_writers

from generator.catalog import open_enhancer
from generator.enhance import PromptEnhancer
from generator.errors import GenerationFailed, GeneratorUnusable
from generator.model_folder import folder_digest

WRITTEN = "Mossa Pondry dances under a silver moon"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_writers.chat(tmp_path_factory.mktemp("chat"), WRITTEN)


def test_a_chat_model_writes_another_prompt(chat: Path) -> None:
    enhancer = open_enhancer(str(chat), sha256=folder_digest(chat), device="cpu")
    assert enhancer("an otter dances") == WRITTEN
    assert enhancer("an otter dances") == WRITTEN


def test_a_text_to_text_model_writes_the_same_twice(tmp_path: Path) -> None:
    enhancer = PromptEnhancer(str(tiny_writers.text_to_text(tmp_path)), device="cpu")
    try:
        first = enhancer("a red kite")
    except GenerationFailed as error:  # random weights may end at once
        assert "wrote nothing" in str(error)  # noqa: PT017
    else:
        assert enhancer("a red kite") == first


def test_prompts_that_are_too_long_are_refused(chat: Path) -> None:
    with pytest.raises(GenerationFailed, match="pieces; shorten it"):
        PromptEnhancer(str(chat), device="cpu")("a " * 3000)


def test_what_is_no_enhancer_is_refused(chat: Path, tmp_path: Path) -> None:
    with pytest.raises(GeneratorUnusable, match="digest"):
        PromptEnhancer(str(chat), sha256="0" * 64)
    with pytest.raises(GeneratorUnusable, match="there is no model folder"):
        PromptEnhancer("nothing here")
    other = tiny_writers.chat(tmp_path / "other", WRITTEN)
    config = json.loads((other / "config.json").read_text())
    for changed, words in (
        ({"architectures": ["BertModel"]}, "writes no text"),
        ({"architectures": None}, "names no model"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "asks for code"),
    ):
        (other / "config.json").write_text(json.dumps(config | changed))
        with pytest.raises(GeneratorUnusable, match=words):
            PromptEnhancer(str(other))
    (other / "config.json").write_text(json.dumps(config))
    (other / "helper.py").write_text("")
    with pytest.raises(GeneratorUnusable, match="is code"):
        PromptEnhancer(str(other))
