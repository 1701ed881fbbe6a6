"""Vectors of pictures and texts: by the embedded model, and by a tiny one that the test makes."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import torch_compat
from classifiers.clip_source import CONFIG, EMBEDDED, WEIGHTS
from classifiers.embed import OpenClipEmbedder
from classifiers.wording import within
from generator.embedded.world.design import NAMED_DESIGNS
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene
from generator.embedded.world.words import describe

torch_compat.complete_torchvision()


@pytest.fixture(scope="module")
def embedder() -> OpenClipEmbedder:
    return OpenClipEmbedder()


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Two scenes of each named character, one after the other."""
    rng = np.random.default_rng(11)
    return [
        render_frame(design, random_scene(rng), width=240, height=180, time=0.5).picture
        for design in NAMED_DESIGNS.values()
        for _ in range(2)
    ]


def tiny(folder: Path, resize_mode: str = "shortest", side: int = 32) -> Path:
    """A vision transformer with random weights and open_clip's own vocabulary, as others ship theirs."""
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    vision = {"image_size": side, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {"resize_mode": resize_mode}})
    )
    torch.manual_seed(1)
    save_file(CLIP(**config).state_dict(), str(folder / WEIGHTS[0]))
    return folder


def test_unit_vectors_of_one_space(embedder: OpenClipEmbedder, pictures: list[np.ndarray]) -> None:
    assert embedder.space.startswith("clip-")
    assert len(embedder.space) == 21
    for vectors in (embedder.embed_images(pictures), embedder.embed_texts(["a fox", "an owl"])):
        assert vectors.dtype == np.float32
        assert vectors.shape[1] == embedder.dimension == 256
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed_images([]).shape == embedder.embed_texts([]).shape == (0, 256)


def test_batches_change_nothing(embedder: OpenClipEmbedder, pictures: list[np.ndarray]) -> None:
    many = embedder.embed_images([*pictures, *pictures, *pictures])
    for index in (0, 31, 32, 47):
        assert float(many[index] @ embedder.embed_images([pictures[index % 16]])[0]) > 0.999
    texts = [f"a round orange fox with {word} stripes" for word in ("teal", "red", "no")] * 30
    assert np.allclose(embedder.embed_texts(texts)[-2:], embedder.embed_texts(texts[-2:]), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 7), (96, 96), (720, 1280)])
def test_pictures_of_any_size(embedder: OpenClipEmbedder, shape: tuple[int, int]) -> None:
    vectors = embedder.embed_images([np.full((*shape, 3), 90, np.uint8)])
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture(embedder: OpenClipEmbedder, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="picture"):
        embedder.embed_images([wrong])


@pytest.mark.parametrize(
    "text", ["", " ", "x" * 100_000, "fox " * 30_000, "\udcff\ud800", "\0", "лиса 狐", "-- --"]
)
def test_texts_of_any_kind(embedder: OpenClipEmbedder, text: str) -> None:
    assert np.isfinite(embedder.embed_texts([text])).all()


def test_case_and_punctuation_do_not_count(embedder: OpenClipEmbedder) -> None:
    one, other = embedder.embed_texts(["a pear-shaped purple owl", "A Pear shaped, PURPLE owl!"])
    assert np.allclose(one, other, atol=1e-5)


def test_as_open_clip_itself_loads_it(embedder: OpenClipEmbedder) -> None:
    import open_clip

    name = f"local-dir:{EMBEDDED}"
    model, words = open_clip.create_model(name).eval(), open_clip.get_tokenizer(name)
    texts = ["a round orange fox with teal stripes", "nobody in the snow"]
    with torch.inference_mode():
        told = model.encode_text(words(texts), normalize=True).numpy()
        shown = model.encode_image(
            (torch.full((1, 3, 96, 96), 90 / 255) - 0.5) / 0.25, normalize=True
        ).numpy()
    assert np.allclose(told, embedder.embed_texts(texts), atol=1e-4)
    assert float(shown[0] @ embedder.embed_images([np.full((50, 70, 3), 90, np.uint8)])[0]) > 0.99


def test_characters_are_told_apart(embedder: OpenClipEmbedder, pictures: list[np.ndarray]) -> None:
    vectors = embedder.embed_images(pictures)
    nearest = (vectors[0::2] @ vectors[1::2].T).argmax(axis=1)
    assert (nearest == np.arange(8)).sum() >= 7
    texts = embedder.embed_texts([describe(design) for design in NAMED_DESIGNS.values()])
    assert ((texts @ vectors[0::2].T).argmax(axis=1) == np.arange(8)).sum() >= 6


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_any_open_clip_folder(tmp_path: Path, mode: str) -> None:
    made = OpenClipEmbedder(tiny(tmp_path / "tiny", mode))
    assert made.dimension == 24
    assert made.embed_texts(["a photo of a cat"]).shape == (1, 24)
    edge = np.full((40, 120, 3), 128, np.uint8)
    edge[:, :20] = 255
    plain = np.full((40, 120, 3), 128, np.uint8)
    one, other = made.embed_images([edge, plain])
    # Only the middle square is looked at where the shortest side counts.
    assert np.allclose(one, other, atol=1e-3) == (mode == "shortest")


def test_spaces_of_two_models_differ(tmp_path: Path) -> None:
    spaces = {OpenClipEmbedder(tiny(tmp_path / mode, mode)).space for mode in ("shortest", "squash")}
    assert len(spaces) == 2


def test_precision_is_chosen_by_speed(tmp_path: Path) -> None:
    """By a clock that says that everything takes the same time, and one that favours what comes later."""
    folder = tiny(tmp_path / "tiny")
    same = OpenClipEmbedder(folder, clock=itertools.count().__next__)
    assert same.dtype == torch.float32
    shrinking = (sum(1 / (step + 1) for step in range(index)) for index in range(100))
    faster = OpenClipEmbedder(folder, clock=lambda: next(shrinking))
    assert faster.dtype == torch.bfloat16
    picture = [np.full((32, 32, 3), 77, np.uint8)]
    assert float(same.embed_images(picture)[0] @ faster.embed_images(picture)[0]) > 0.99


def test_it_says_what_of_a_text_it_sees(embedder: OpenClipEmbedder, tmp_path: Path) -> None:
    assert embedder.context == 54
    assert embedder.pieces(["a round fox", "", "zzqx"]) == [3, 0, 1]
    assert embedder.known(["a zzqx fox"]) == ["a fox"]
    letters = OpenClipEmbedder(tiny(tmp_path / "letters"))
    assert letters.context == 14
    assert letters.pieces(["a fox", "zzqxjv"])[0] == 2 < letters.pieces(["zzqxjv"])[0]
    assert letters.known(["zzqx"]) == ["zzqx"]
    text = "zzqxjv kjqxw " * 40 + "a round fox"
    for model in (embedder, letters):
        cut = within(text, model.context, model.pieces)
        assert max(model.pieces(cut)) <= model.context
        assert cut[-1].endswith("a round fox")
