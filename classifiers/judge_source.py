"""Where a transformers model that judges comes from, and what must hold before any of it is read.

1. A folder, or ``owner/name@revision`` on the hub, of which only safetensors and texts are fetched. A hub
   model needs a revision (a full commit, so that nobody can change what it means) and a digest.
2. A folder with pickles is refused, and so is anything that wants to run code of its own (``auto_map``).
3. The digest covers all weights, the configuration, and the words; where one is expected, it must be that.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from classifiers.clip_source import refuse_pickles
from classifiers.errors import ModelUnusable

SETTING: Final = "prompt_judge"
FETCHED: Final = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
CONFIG: Final = "config.json"
MAX_JSON_BYTES: Final = 64 << 20
_HUB: Final = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSource:
    """A judge's files, and what its configuration says."""

    folder: Path
    config: dict[str, Any]
    digest: str


def find_judge(model: str, sha256: str = "", setting: str = SETTING) -> JudgeSource:
    """The files of a judge: a folder, or ``owner/name@commit``; `setting`: which names it, for errors.

    Raises: ModelUnusable.
    """
    if Path(model).is_dir():
        folder = Path(model)
    elif _HUB.match(model):
        if not sha256:
            raise ModelUnusable(f"{model} comes from the hub without a digest: set {setting}_sha256")
        folder = _fetched(*model.split("@"))
    else:
        raise ModelUnusable(
            f"{model[:120]} is no folder and no owner/name@commit with 40 digits; correct {setting}"
        )
    _refuse_code(folder)
    digest = judge_digest(folder)
    if sha256 and digest != sha256.lower():
        raise ModelUnusable(
            f"the judge {model[:120]} has the digest {digest}, not {sha256.lower()}: fetch it again, or "
            f"correct {setting}_sha256"
        )
    return JudgeSource(folder=folder, config=_json(folder / CONFIG), digest=digest)


def judge_digest(folder: Path) -> str:
    """SHA-256 over names and digests of all weights and texts of a model's folder. Raises: ModelUnusable."""
    names = sorted(path.name for path in folder.iterdir() if any(path.match(one) for one in FETCHED))
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelUnusable(f"{folder} has no weights as safetensors: convert or fetch the model again")
    whole = hashlib.sha256()
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                whole.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        except OSError as error:
            raise ModelUnusable(
                f"{folder / name} cannot be read ({error.strerror}): give the service's user the right to"
            ) from None
    return whole.hexdigest()


def _refuse_code(folder: Path) -> None:
    refuse_pickles(folder)
    for path in folder.glob("*.json"):
        if path.name.endswith("config.json") and "auto_map" in _json(path):
            raise ModelUnusable(f"{path} wants to run code of its own: use a model without such")


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelUnusable(f"{path} is larger than {MAX_JSON_BYTES} bytes: it is no configuration")
        found = json.loads(path.read_bytes())
    except OSError:
        raise ModelUnusable(f"{path} cannot be read: a judge is a folder with that file") from None
    except (ValueError, RecursionError):
        raise ModelUnusable(f"{path} is not JSON: fetch the model again") from None
    if not isinstance(found, dict):
        raise ModelUnusable(f"{path} is no configuration: fetch the model again")
    return found


def _fetched(repository: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(FETCHED)))
    except Exception as error:
        raise ModelUnusable(
            f"{repository}@{revision} could not be fetched and is not cached: check name, commit and network"
        ) from error


def whole_model(kind: Any, source: JudgeSource, **settings: Any) -> Any:
    """The model of a class of transformers or diffusers by its files, from safetensors alone.

    Raises: ValueError for weights that lack a part, which would otherwise be filled with random numbers, and
    what the library raises.
    """
    model, told = kind.from_pretrained(
        str(source.folder), use_safetensors=True, output_loading_info=True, **settings
    )
    lacking = sorted(map(str, (*told["missing_keys"], *told["mismatched_keys"])))
    if lacking:
        raise ValueError(f"it lacks {len(lacking)} weights, {lacking[0][:60]} among them")
    return model
