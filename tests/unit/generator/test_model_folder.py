"""Model folders that are refused, before anything of them is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from generator.conventions import DEFAULTS_FILE, SCHEMA, convention_of, defaults_of
from generator.diffusion import DiffusionGenerator
from generator.errors import GeneratorUnusable
from generator.model_folder import (
    CONFIG,
    INDEX,
    UNWANTED,
    WANTED,
    ModelFolder,
    folder_digest,
    open_folder,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.saved("ltx", tmp_path_factory.mktemp("whole"))


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def refused(model: Path, words: str, **asked: str) -> None:
    with pytest.raises(GeneratorUnusable, match=words):
        open_folder(str(model), **asked)


def test_a_whole_folder_passes(model: Path) -> None:
    found = open_folder(str(model), sha256=folder_digest(model).upper())
    assert found.pipeline == "LTXPipeline"
    assert found.pin == f"sha256:{folder_digest(model)[:16]}"


@pytest.mark.parametrize("name", ["weights.bin", "vae/old.pt", "a/b/c.ckpt", "x.PKL", "tokenizer/t.pickle"])
def test_pickles(model: Path, name: str) -> None:
    (model / name).parent.mkdir(parents=True, exist_ok=True)
    (model / name).write_bytes(b"")
    refused(model, "may run code")


@pytest.mark.parametrize("name", ["pipeline.py", "transformer/block.py", "x.so"])
def test_code(model: Path, name: str) -> None:
    (model / name).write_text("")
    refused(model, "is code")


def test_pickles_behind_a_link(model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.bin").write_bytes(b"")
    (model / "weights.bin").symlink_to(tmp_path / "elsewhere.bin")
    refused(model, "may run code")


@pytest.mark.parametrize(
    "pipeline",
    [["own_pipeline", "OwnPipeline"], None, 3, {"a": 1}],
    ids=["custom", "none", "number", "object"],
)
def test_pipelines_that_are_none_of_diffusers(model: Path, pipeline: Any) -> None:
    edit(model / INDEX, lambda index: index.update(_class_name=pipeline))
    refused(model, "custom pipelines are refused")


@pytest.mark.parametrize("pipeline", ["OwnPipeline", "StableDiffusionPipeline", "os", "DiffusionPipeline"])
def test_pipelines_that_are_not_known(model: Path, pipeline: str) -> None:
    edit(model / INDEX, lambda index: index.update(_class_name=pipeline))
    with pytest.raises(GeneratorUnusable, match="no text-to-video pipeline"):
        DiffusionGenerator(str(model))


@pytest.mark.parametrize("library", ["own_module", "os", "torch", "..", ["diffusers"], None])
def test_components_of_other_libraries(model: Path, library: Any) -> None:
    edit(model / INDEX, lambda index: index.update(vae=[library, "AutoencoderKLLTXVideo"]))
    refused(model, "only classes of diffusers and transformers")


def test_components_outside_the_folder(model: Path) -> None:
    edit(model / INDEX, lambda index: index.update({"../vae": ["diffusers", "AutoencoderKLLTXVideo"]}))
    refused(model, "has no ../vae")


@pytest.mark.parametrize("place", ["transformer/config.json", "tokenizer/tokenizer_config.json"])
def test_configurations_that_ask_for_code(model: Path, place: str) -> None:
    edit(model / place, lambda config: config.update(auto_map={"AutoModel": "own--model.Own"}))
    refused(model, "code of its own")


@pytest.mark.parametrize("part", ["vae", "transformer", "text_encoder", "tokenizer", "scheduler"])
def test_missing_parts(model: Path, part: str) -> None:
    shutil.rmtree(model / part)
    refused(model, f"has no {part}")


def test_missing_weights(model: Path) -> None:
    next((model / "vae").glob("*.safetensors")).unlink()
    refused(model, "vae has no weights as safetensors")


def test_missing_shards(model: Path) -> None:
    shards = {"a": "one.safetensors", "b": "two.safetensors"}
    index = model / "vae" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    refused(model, r"vae lacks one.safetensors \(2 files\)")
    index.write_text(json.dumps({"weight_map": []}))
    refused(model, "lists no weights")


def test_damaged_weights(model: Path) -> None:
    next((model / "vae").glob("*.safetensors")).write_bytes(b"not weights")
    with pytest.raises(GeneratorUnusable, match="cannot be loaded"):
        DiffusionGenerator(str(model))


def test_wrong_digests(model: Path) -> None:
    refused(model, "have the digest", sha256="0" * 64)
    refused(model, "64 hexadecimal digits", sha256="0" * 63)
    right = folder_digest(model)
    weights = next((model / "vae").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    refused(model, "have the digest", sha256=right)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\ud800"], ids=range(5))
def test_unreadable_indexes(model: Path, text: str) -> None:
    (model / INDEX).write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(model, "download the model again")


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(tmp_path, "is missing")
    refused(tmp_path / "file", "is a file")
    for name in (
        "/nowhere/at/all",
        "owner/../name",
        "owner",
        "a/b/c",
        "",
        "\0",
        "~nobody-here/x",
        "http://a/b",
    ):
        with pytest.raises(GeneratorUnusable):
            open_folder(name)


def test_hub_names_without_cache_and_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    refused(Path("owner/never-made"), "not in the local cache and cannot be downloaded")


def test_what_is_fetched_of_a_hub_model() -> None:
    from huggingface_hub.utils import filter_repo_objects

    parts = ["model_index.json", "vae/diffusion_pytorch_model.safetensors", "tokenizer/spiece.model"]
    parts += ["transformer/diffusion_pytorch_model-00001-of-00002.safetensors"]
    others = ["model-13b.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors", "a.py", "vae/a.bin"]
    others += ["transformer/diffusion_pytorch_model.bf16-00001-of-00002.safetensors"]
    wanted, unwanted = list(WANTED[INDEX]), list(UNWANTED)
    kept = filter_repo_objects([*parts, *others], allow_patterns=wanted, ignore_patterns=unwanted)
    assert list(kept) == parts
    single = filter_repo_objects(["model.safetensors", "a.bin"], allow_patterns=list(WANTED[CONFIG]))
    assert list(single) == ["model.safetensors"]


def test_hub_names_in_the_cache(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789" * 4
    place = tmp_path / "models--owner--name"
    snapshot = Path(shutil.copytree(whole, place / "snapshots" / commit))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    assert open_folder("owner/name") == ModelFolder(path=snapshot, pipeline="LTXPipeline", pin="unpinned")
    assert open_folder("owner/name", revision=commit).pin == commit
    shutil.rmtree(snapshot / "vae")  # a part only, and no network for the rest
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    refused(Path("owner/name"), "vae")


def test_defaults_beside_a_model(model: Path) -> None:
    place = model / DEFAULTS_FILE
    good = {"schema": SCHEMA, "width": 64, "height": 64, "frames": 9, "rate": 8, "steps": 2, "version": "v"}
    place.write_text(json.dumps(good))
    assert defaults_of(model).frames == 9
    place.write_text(json.dumps(good | {"noise": 0}))
    assert defaults_of(model).noise == 0
    for change in (
        {"schema": "x/1"},
        {"width": 0},
        {"width": "64"},
        {"other": 1},
        {"steps": True},
        {"rate": -1},
        {"noise": -1},
    ):
        place.write_text(json.dumps(good | change))
        with pytest.raises(GeneratorUnusable, match=DEFAULTS_FILE):
            defaults_of(model)
    with pytest.raises(GeneratorUnusable, match="known here: LTXPipeline"):
        convention_of("X")
