"""Model folders: what is refused before anything of it is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from classifiers.clip_source import CONFIG, EMBEDDED, WEIGHTS, find_source
from classifiers.embed import OpenClipEmbedder
from classifiers.errors import ModelUnusable

FILES = (CONFIG, WEIGHTS[0], "tokenizer.json", "tokenizer_config.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the embedded model."""
    made = tmp_path / "model"
    made.mkdir()
    for name in FILES:
        shutil.copy(EMBEDDED / name, made / name)
    return made


def changed(folder: Path, change: Callable[[dict], object]) -> None:
    config = json.loads((folder / CONFIG).read_text())
    change(config)
    (folder / CONFIG).write_text(json.dumps(config))


def test_the_same_files_are_the_same_space(folder: Path) -> None:
    assert (
        find_source(folder).digest
        == find_source(EMBEDDED).digest
        == find_source(f"local-dir:{folder}").digest
    )


def test_other_files_are_another_space(folder: Path) -> None:
    before = find_source(folder).digest
    changed(folder, lambda config: config["preprocess_cfg"].update(resize_mode="longest"))
    after = find_source(folder).digest
    words = folder / "tokenizer.json"
    words.write_text(words.read_text() + "\n")
    assert len({before, after, find_source(folder).digest}) == 3


@pytest.mark.parametrize(
    "name", ["model.bin", "open_clip_pytorch_model.bin", "x.PT", "y.pth", "z.ckpt", "w.pkl"]
)
def test_pickles_are_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelUnusable, match="pickles"):
        OpenClipEmbedder(folder)


def test_digests_are_compared(folder: Path) -> None:
    import hashlib

    digest = hashlib.sha256((folder / WEIGHTS[0]).read_bytes()).hexdigest()
    assert find_source(folder, sha256=digest.upper()).weights == folder / WEIGHTS[0]
    with pytest.raises(ModelUnusable, match="SHA-256"):
        OpenClipEmbedder(folder, sha256="0" * 64)


@pytest.mark.parametrize("name", FILES[:3])
def test_missing_parts(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelUnusable):
        OpenClipEmbedder(folder)


@pytest.mark.parametrize("name", FILES[:3])
@pytest.mark.parametrize("keep", [0, 5, 0.5, -1])
def test_truncated_parts(folder: Path, name: str, keep: float) -> None:
    whole = (folder / name).read_bytes().rstrip()
    (folder / name).write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(ModelUnusable):
        OpenClipEmbedder(folder)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "{}",
        '{"model_cfg": []}',
        '{"model_cfg": {"vision_cfg": {}}}',
        "[" * 90_000,
        " " * (1 << 21),
    ],
)
def test_configurations_that_are_none(folder: Path, text: str) -> None:
    (folder / CONFIG).write_text(text)
    with pytest.raises(ModelUnusable):
        OpenClipEmbedder(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["model_cfg"].update(embed_dim=64),
        lambda config: config["model_cfg"].pop("embed_dim"),
        lambda config: config["model_cfg"].update(embed_dim="many"),
        lambda config: config["model_cfg"]["vision_cfg"].update(layers=[1, 2, 3, 3]),
        lambda config: config["model_cfg"]["vision_cfg"].update(nonsense=1),
        lambda config: config["model_cfg"]["text_cfg"].update(context_length="x"),
        lambda config: config["preprocess_cfg"].update(resize_mode="unknown"),
        lambda config: config["preprocess_cfg"].update(mean=[1, 2]),
        lambda config: config["preprocess_cfg"].update(std="wide"),
    ],
)
def test_parts_that_do_not_fit(folder: Path, change: Callable[[dict], object]) -> None:
    changed(folder, change)
    with pytest.raises(ModelUnusable):
        OpenClipEmbedder(folder)


def test_code_of_its_own_is_refused(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoTokenizer": ["code.Words", None]}})
    )
    with pytest.raises(ModelUnusable, match="code"):
        OpenClipEmbedder(folder)
    shutil.copy(EMBEDDED / path.name, path)
    changed(
        folder,
        lambda config: config["model_cfg"]["text_cfg"].update(tokenizer_kwargs={"trust_remote_code": True}),
    )
    with pytest.raises(ModelUnusable, match="code"):
        OpenClipEmbedder(folder)


@pytest.mark.parametrize("name", ["no-such-folder", "ViT-B-32", "ViT-B-32:no-such-tag", "local-dir:", "a\0b"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ModelUnusable):
        OpenClipEmbedder(name)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_hub_models_come_from_the_cache_where_there_is_no_network(cache: Path) -> None:
    commit = "0" * 40
    snapshot = cache / "models--somebody--small-clip" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name in FILES:
        shutil.copy(EMBEDDED / name, snapshot / name)
    (snapshot / "open_clip_pytorch_model.bin").write_bytes(b"never read")
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    found = find_source("hf-hub:somebody/small-clip")
    assert found.digest == find_source(EMBEDDED).digest
    assert found.weights.suffix == ".safetensors"


@pytest.mark.parametrize(
    "name", ["hf-hub:nobody/nothing", "hf-hub:", "hf-hub:../../etc", "ViT-B-32:laion2b_s34b_b79k"]
)
def test_hub_models_that_are_not_there(cache: Path, name: str) -> None:
    with pytest.raises(ModelUnusable, match="could not be fetched"):
        OpenClipEmbedder(name)
