"""Where an open_clip model comes from, and what must hold before any of it is read.

1. A folder, a hub repository (``hf-hub:owner/name``) or a built-in name with its tag becomes a folder.
2. Weights are one safetensors file. Pickles can run code when they are read: a folder that has any is
   refused, and from the hub none is fetched.
3. A tokenizer or a model that wants to run downloaded code is refused.
4. Where a digest is expected, the weights have it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from classifiers.errors import ModelUnusable

EMBEDDED: Final = Path(__file__).parent / "embedded"
CONFIG: Final = "open_clip_config.json"
TOKENIZER: Final = "tokenizer.json"
# In the order in which open_clip looks for them.
WEIGHTS: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
TEXT_FILES: Final = ("*.json", "*.txt", "*.model")
HUB: Final = "hf-hub:"
LOCAL: Final = "local-dir:"
MAX_CONFIG_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model's files: what open_clip builds it from, the weights, the digest of all that counts."""

    name: str
    folder: Path
    model: dict[str, Any]
    preprocess: dict[str, Any]
    weights: Path
    digest: str


def find_source(model: str | Path, tag: str = "", sha256: str = "") -> Source:
    """The files of a model: a folder, ``hf-hub:owner/name``, or a built-in name with a tag (``name:tag``).

    ``sha256``: the digest that the weights must have, as hexadecimal digits. Fetches what is not cached
    from the hub. Raises: ModelUnusable.
    """
    name = str(model)
    if not tag and not name.startswith((HUB, LOCAL)) and not Path(name).exists():
        name, _, tag = name.partition(":")
    if tag:
        folder, config = _builtin(name, tag)
    elif name.startswith(HUB):
        folder = _fetched(name.removeprefix(HUB))
        config = _config(folder)
    else:
        folder = Path(name.removeprefix(LOCAL))
        _demand_folder(folder)
        config = _config(folder)
    weights = _weights(folder)
    found = _digest(weights)
    if sha256 and found != sha256.lower():
        raise ModelUnusable(
            f"{weights} has SHA-256 {found}, not {sha256.lower()}: fetch it again, or correct the setting"
        )
    _refuse_code(config["model_cfg"], folder)
    parts = json.dumps(config, sort_keys=True).encode(), found.encode(), _words(folder)
    each = b"".join(hashlib.sha256(part).digest() for part in parts)
    return Source(
        name=name, folder=folder, model=config["model_cfg"], preprocess=config["preprocess_cfg"],
        weights=weights, digest=hashlib.sha256(each).hexdigest(),
    )  # fmt: skip


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ModelUnusable(
                f"{path} is larger than {MAX_CONFIG_BYTES} bytes: it is no open_clip configuration"
            )
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelUnusable(
            f"{path} cannot be read: an open_clip model is a folder with that file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelUnusable(f"{path} is not JSON: fetch the model again") from error
    model = _section(config, "model_cfg")
    if not (_section(model, "vision_cfg") and _section(model, "text_cfg")):
        raise ModelUnusable(f"{path} lacks model_cfg with vision_cfg and text_cfg: fetch the model again")
    return {"model_cfg": model, "preprocess_cfg": _section(config, "preprocess_cfg")}


def _section(config: Any, name: str) -> dict[str, Any]:
    """A section of a configuration; empty where there is none."""
    section = config.get(name) if isinstance(config, dict) else None
    return section if isinstance(section, dict) else {}


def _weights(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise ModelUnusable(
        f"{folder} has no weights as safetensors ({WEIGHTS[0]}): convert or fetch the model again"
    )


def _demand_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelUnusable(
            f"{folder} is not a folder: give an open_clip folder, hf-hub:owner/name, or a name and a tag"
        )
    refuse_pickles(folder)


def refuse_pickles(folder: Path) -> None:
    """Raises: ModelUnusable for a folder that has any (rule 2)."""
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLES)
    if pickles:
        raise ModelUnusable(
            f"{folder} has weights as pickles ({', '.join(pickles[:3])}), which can run code when "
            "they are read: keep only safetensors there"
        )


def _refuse_code(model: dict[str, Any], folder: Path) -> None:
    """The transformers library would run a tokenizer's own code where either file asks for it."""
    options = model["text_cfg"].get("tokenizer_kwargs") or {}
    path = folder / "tokenizer_config.json"
    asked = path.is_file() and b"auto_map" in path.read_bytes()
    if asked or not isinstance(options, dict) or "trust_remote_code" in options:
        raise ModelUnusable(
            f"the tokenizer in {folder} wants to run code of its own: use a model without such"
        )


def _words(folder: Path) -> bytes:
    path = folder / TOKENIZER
    return path.read_bytes() if path.is_file() else b""


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnusable(
            f"{path} cannot be read: give the service's user permission to read it"
        ) from error


def _builtin(name: str, tag: str) -> tuple[Path, dict[str, Any]]:
    """The folder of a built-in model's published weights; its configuration from there or from open_clip."""
    import torch_compat

    torch_compat.complete_torchvision()
    import open_clip

    known = open_clip.get_pretrained_cfg(name.replace("/", "-"), tag)
    repository = str(known.get("hf_hub", "")).rpartition("/")[0] if known else ""
    if not repository:
        raise ModelUnusable(
            f"open_clip knows no weights on the hub by the name {name} and the tag {tag}: "
            "see open_clip.list_pretrained(), or give a folder"
        )
    folder = _fetched(repository)
    if (folder / CONFIG).is_file():
        return folder, _config(folder)
    model = dict(open_clip.get_model_config(name.replace("/", "-")) or {})
    return folder, {
        "model_cfg": {**model, "quick_gelu": bool(known.get("quick_gelu"))},
        "preprocess_cfg": known,
    }


def _fetched(repository: str) -> Path:
    """The folder of a hub repository, without its pickles; from the cache where there is no network."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, allow_patterns=[*WEIGHTS, *TEXT_FILES]))
    except Exception as error:
        raise ModelUnusable(
            f"{HUB}{repository} could not be fetched and is not in the cache: check the name and the network"
        ) from error
