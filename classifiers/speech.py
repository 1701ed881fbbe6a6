"""Words that are spoken: a transcript by any speech-recognition model of transformers.

1. A model is a folder that `save_pretrained` made, with its tokenizer and feature extractor, or
   ``owner/name`` on the hub; only safetensors are read, and no code that comes with a model is run.
2. Both families are taken: those that write text (Whisper and the like), and those that name letters (CTC).
3. Sound comes in windows that overlap, so that no word is cut in all of them; a line that is the same is kept
   once.
4. A transcript is greedy: the same sound gives the same text on the same machine.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import ModelUnusable

Samples = NDArray[np.float32]
RATE: Final = 16_000
"""Samples a second that models are given."""
WINDOW: Final = 30.0
OVERLAP: Final = 3.0
"""Seconds of a window, and that it shares with the next."""
MAX_NEW: Final = 440
"""Pieces of text that are written for one window; Whisper's own limit is 448."""
QUIET: Final = 1e-4
"""Loudness (root mean square of full scale) under which nobody speaks: models invent words in silence."""
CONFIG: Final = "config.json"
WRITES: Final = ("ForConditionalGeneration", "ForSpeechSeq2Seq", "SpeechEncoderDecoderModel")
LETTERS: Final = "ForCTC"
WANTED: Final = ["*.json", "*.safetensors", "*.txt", "*.model"]
_HUB: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
_CODE: Final = frozenset({".py", ".pyc", ".so", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What is said: a line for each window in which anything is; ``seconds``: how much was listened to."""

    lines: tuple[str, ...]
    seconds: float

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)


class SpeechReader:
    """Writes down what is said.

    `source`: a folder or ``owner/name[@revision]``; `sha256`: over all its safetensors, as `folder_digest`
    gives it; another is refused. Raises: ModelUnusable.
    """

    def __init__(self, source: str, *, sha256: str = "") -> None:
        folder = _folder(source)
        kind = _examined(folder)
        if sha256 and folder_digest(folder) != sha256.lower():
            raise ModelUnusable(f"the speech model's weights have the digest {folder_digest(folder)}; "
                                "do not use them, or correct the setting speech_sha256")  # fmt: skip
        self._letters = kind.endswith(LETTERS)
        self._model, self._features, self._tokenizer = _loaded(folder, letters=self._letters)
        if self._features.sampling_rate != RATE:
            raise ModelUnusable(f"the speech model hears {self._features.sampling_rate} samples a second; "
                                f"use one that hears {RATE}")  # fmt: skip

    def transcribe(self, windows: Iterable[Samples]) -> Transcript:
        """The transcript of windows, ``float32[n]`` at `RATE`, of at most `WINDOW` seconds each.

        Raises: ValueError for samples that are no numbers; what the model raises.
        """
        lines: dict[str, None] = {}
        heard = 0
        for samples in windows:
            if not np.isfinite(samples).all():
                raise ValueError("the sound holds values that are no numbers")
            heard += len(samples)
            text = "" if _quiet(samples) else " ".join(self._read(samples).split())
            lines |= {text: None} if text else {}
        return Transcript(lines=tuple(lines), seconds=heard / RATE)

    def _read(self, samples: Samples) -> str:
        import torch

        given = self._features(samples, sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            if self._letters:
                pieces = self._model(**given).logits.argmax(dim=-1)
            else:
                pieces = self._model.generate(**given, max_new_tokens=MAX_NEW, do_sample=False, num_beams=1)
        return str(self._tokenizer.batch_decode(pieces, skip_special_tokens=True)[0])


def folder_digest(folder: Path) -> str:
    """SHA-256 over all safetensors: of lines ``<sha256 of the file>  <its name>``, sorted by name."""
    whole = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{digest}  {file.name}\n".encode())
    return whole.hexdigest()


def _quiet(samples: Samples) -> bool:
    return not len(samples) or float(np.sqrt(np.mean(np.square(samples)))) < QUIET


def _folder(source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        return path.absolute()
    name, _, revision = source.partition("@")
    if not _HUB.fullmatch(name) or ".." in name:
        raise ModelUnusable(
            f"there is no speech model {source[:80]!r}; name a folder, or owner/name on the hub"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=WANTED))
    except Exception as error:
        raise ModelUnusable(
            f"the speech model {name} could not be fetched and is not in the cache: check name and network"
        ) from error


def _examined(folder: Path) -> str:
    """Rule 1; the class of the model."""
    code = sorted(path.name for path in folder.rglob("*") if path.suffix.lower() in _CODE)
    if code:
        raise ModelUnusable(
            f"{code[0]} of the speech model may run code when it is read: keep safetensors only"
        )
    told = [(path.name, _json(path)) for path in sorted(folder.glob("*.json"))]
    if any(isinstance(one, dict) and "auto_map" in one for _, one in told):
        raise ModelUnusable("the speech model wants to run code of its own: use one without such")
    config = dict(told).get(CONFIG)
    kinds = config.get("architectures") if isinstance(config, dict) else None
    kind = str(kinds[0]) if isinstance(kinds, list) and kinds else ""
    if not kind.endswith((*WRITES, LETTERS)):
        raise ModelUnusable(
            f"{kind[:60] or folder.name} is no speech-recognition model of transformers: use one"
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelUnusable(f"{folder.name} has no weights as safetensors; only those are read")
    return kind


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnusable(f"{path.name} of the speech model cannot be read: fetch it again") from error


def _loaded(folder: Path, *, letters: bool) -> tuple[Any, Any, Any]:
    from torch_compat import complete_torchvision

    complete_torchvision()
    import transformers

    auto: Any = transformers
    kind = auto.AutoModelForCTC if letters else auto.AutoModelForSpeechSeq2Seq
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    bars: Any = auto.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()  # the terminal is not ours
    try:
        model = kind.from_pretrained(folder, use_safetensors=True, **local).eval()
        features = auto.AutoFeatureExtractor.from_pretrained(folder, **local)
        tokenizer = auto.AutoTokenizer.from_pretrained(folder, **local)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelUnusable(f"the speech model cannot be loaded ({reason}): fetch it again") from error
    finally:
        if shown:
            bars.enable_progress_bar()
    return model, features, tokenizer
