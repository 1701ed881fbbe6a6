"""A model folder of diffusers, or of one transformers model, looked at before anything of it is loaded.

The rules, in order; the first that is broken refuses the folder:
1. a hub name is resolved from the cache if it is there, else downloaded: weights as safetensors only;
2. nothing in it runs code: no pickles, no Python files, no class from outside diffusers and transformers;
3. it is whole: every component of `model_index.json` is there, its weights as safetensors, every shard (of a
   single model: `config.json` and its weights);
4. the digest is the one asked for, if one was.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from generator.errors import GeneratorUnusable

INDEX: Final = "model_index.json"
CONFIG: Final = "config.json"
MAX_JSON_BYTES: Final = 16 * 1024 * 1024
# Suffixes of files that Python unpickles, and of code.
PICKLES: Final = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".joblib", ".msgpack", ".h5"}
)
CODE: Final = frozenset({".py", ".pyc", ".so", ".dll", ".dylib"})
LIBRARIES: Final = ("diffusers", "transformers")
# Classes of these endings have no weights of their own.
WEIGHTLESS: Final = (
    "Scheduler",
    "Tokenizer",
    "TokenizerFast",
    "TokenizersBackend",
    "Processor",
    "ImageProcessor",
    "FeatureExtractor",
)
HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
# Of a pipeline on the hub, weights lie in folders: those beside the index are the same ones in another form,
# often several times over. Variants in less precision are not read either.
TEXTS: Final = ("*.json", "*.txt", "*.model", "*.jinja")
WANTED: Final = {INDEX: (*TEXTS, "*/*.safetensors"), CONFIG: (*TEXTS, "*.safetensors")}
UNWANTED: Final = ("*.fp16.safetensors", "*.bf16.safetensors", "*.fp16-*", "*.bf16-*")
INSTALL: Final = "install the extra: pip install 'countermark[generate]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A folder that passed: where it is, its class (of a pipeline, or of a single model), and what pins it
    (digest, revision or nothing).
    """

    path: Path
    pipeline: str
    pin: str


def open_folder(source: str, *, revision: str | None = None, sha256: str | None = None) -> ModelFolder:
    """Resolve and examine a local folder or a hub name by the rules above.

    `revision`: commit, tag or branch on the hub. `sha256`: what `folder_digest` gives.
    Raises: GeneratorUnusable.
    """
    return _opened(source, revision, sha256, _examined, INDEX)


def open_model(source: str, *, revision: str | None = None, sha256: str | None = None) -> ModelFolder:
    """The same for the folder of one transformers model with its tokenizer. Raises: GeneratorUnusable."""
    return _opened(source, revision, sha256, _examined_model, CONFIG)


def _opened(
    source: str, revision: str | None, sha256: str | None, examined: Callable[[Path], str], index: str
) -> ModelFolder:
    path = _local(source, index) or _from_hub(source, revision, examined, index)
    pipeline = examined(path)
    if sha256 is not None:
        _demand_digest(path, sha256)
    pin = f"sha256:{sha256.lower()[:16]}" if sha256 else (revision or "unpinned")
    return ModelFolder(path=path, pipeline=pipeline, pin=pin)


def folder_digest(path: Path) -> str:
    """SHA-256 over all safetensors: of lines ``<sha256 of the file>  <its path>``, sorted by path."""
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*.safetensors"), key=lambda file: file.relative_to(path).as_posix()):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{digest}  {file.relative_to(path).as_posix()}\n".encode())
    return whole.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """An object from a file. Raises: GeneratorUnusable."""
    name = f"{path.parent.name}/{path.name}"
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise GeneratorUnusable(f"{name} is larger than {MAX_JSON_BYTES} bytes; this is no model folder")
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GeneratorUnusable(
            f"{name} is missing; name a folder that diffusers' save_pretrained made"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise GeneratorUnusable(f"{name} cannot be read ({error}); download the model again") from None
    if not isinstance(document, dict):
        raise GeneratorUnusable(f"{name} is not a JSON object; download the model again")
    return document


def _local(source: str, index: str) -> Path | None:
    """The folder of that name; None for a name on the hub."""
    try:
        path = Path(source).expanduser()
        if path.is_dir():
            return path.absolute()
    except (OSError, ValueError, RuntimeError):
        raise GeneratorUnusable(f"the model {source[:80]!r} is no usable path; check the name") from None
    if path.exists():
        raise GeneratorUnusable(f"the model {source[:80]} is a file; name the folder that holds {index}")
    if not HUB_NAME.fullmatch(source) or ".." in source:
        raise GeneratorUnusable(
            f"there is no model folder {source[:80]!r}; name a folder, or owner/name on the hub"
        )
    return None


def _from_hub(name: str, revision: str | None, examined: Callable[[Path], str], index: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise GeneratorUnusable(f"models of the hub need huggingface_hub; {INSTALL}") from None
    wanted: Any = {
        "revision": revision, "allow_patterns": list(WANTED[index]), "ignore_patterns": list(UNWANTED)
    }  # fmt: skip
    # A cache may hold a part of the model only; one that is whole is taken without asking the network.
    with contextlib.suppress(OSError, ValueError, GeneratorUnusable):
        cached = snapshot_download(name, **wanted, local_files_only=True)
        examined(Path(cached))
        return Path(cached)
    try:
        return Path(snapshot_download(name, **wanted))
    except Exception as error:  # noqa: BLE001 - many kinds: no network, no such name, not allowed, disk full
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise GeneratorUnusable(
            f"the model {name} is not in the local cache and cannot be downloaded ({reason})"
        ) from None


def _examined(path: Path) -> str:
    """Rules 2 and 3; gives the pipeline's class."""
    _refuse_code(path)
    index = read_json(path / INDEX)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise GeneratorUnusable(f"{INDEX} names no pipeline of diffusers; custom pipelines are refused")
    for name, entry in index.items():
        if not name.startswith("_"):
            _examine(path, name, entry)
    return pipeline


def _examined_model(path: Path) -> str:
    """Rules 2 and 3 of a single model; gives its class."""
    _refuse_code(path)
    kinds = read_json(path / CONFIG).get("architectures")
    if not isinstance(kinds, list) or len(kinds) != 1 or not isinstance(kinds[0], str):
        raise GeneratorUnusable(f"{CONFIG} names no model of transformers; name a folder of one model")
    _refuse_own_code(path, path.name)
    _demand_weights(path, path.name)
    return str(kinds[0])


def _refuse_own_code(folder: Path, name: str) -> None:
    for config in sorted(folder.glob("*config*.json")):
        if "auto_map" in read_json(config):
            raise GeneratorUnusable(f"{name}/{config.name} asks for code of its own; such models are refused")


def _refuse_code(path: Path) -> None:
    for file in _files(path):
        if file.suffix.lower() in PICKLES:
            raise GeneratorUnusable(
                f"{file.relative_to(path)} may run code when it is loaded; only safetensors are read: "
                "convert the model, or remove that file"
            )
        if file.suffix.lower() in CODE:
            raise GeneratorUnusable(
                f"{file.relative_to(path)} is code; models that bring their own are refused"
            )


def _files(path: Path) -> Iterator[Path]:
    try:
        yield from (file for file in path.rglob("*") if ".cache" not in file.relative_to(path).parts)
    except OSError as error:
        raise GeneratorUnusable(f"the model folder cannot be read ({error.strerror}); check it") from None


def _examine(path: Path, name: str, entry: Any) -> None:
    """A component: `[library, class]`, its folder, its weights. Settings and absent components pass."""
    if not isinstance(entry, list):
        return
    if entry == [None, None]:
        return
    if len(entry) != 2 or entry[0] not in LIBRARIES or not isinstance(entry[1], str):
        raise GeneratorUnusable(
            f"the component {name} comes from {str(entry[0])[:60]!r}; only classes of diffusers and"
            " transformers are loaded"
        )
    folder = path / name
    if "/" in name or "\\" in name or not folder.is_dir():
        raise GeneratorUnusable(f"the model folder has no {name}; download the model again")
    _refuse_own_code(folder, name)
    if not entry[1].endswith(WEIGHTLESS):
        _demand_weights(folder, name)


def _demand_weights(folder: Path, name: str) -> None:
    wanted = set()
    for index in folder.glob("*.safetensors.index.json"):
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict):
            raise GeneratorUnusable(f"{name}/{index.name} lists no weights; download the model again")
        wanted |= {str(shard) for shard in shards.values()}
    missing = sorted(shard for shard in wanted if not (folder / shard).is_file())
    if missing:
        raise GeneratorUnusable(f"{name} lacks {missing[0]} ({len(missing)} files); download the model again")
    if not any(folder.glob("*.safetensors")):
        raise GeneratorUnusable(f"{name} has no weights as safetensors; only those are read")


def _demand_digest(path: Path, sha256: str) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise GeneratorUnusable("the digest asked for is not 64 hexadecimal digits")
    found = folder_digest(path)
    if found != sha256.lower():
        raise GeneratorUnusable(
            f"the model's weights have the digest {found}, not the one asked for; do not use them"
        )
