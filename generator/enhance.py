"""A model that rewrites prompts before they are drawn: any text-to-text or chat model of transformers.

What it writes is judged like a prompt before anything is drawn from it (`pipeline.workflow`). It is greedy,
so the same prompt gives the same text on the same machine.
"""

import threading
from pathlib import Path
from typing import Any, Final

from generator.errors import GenerationFailed, GeneratorUnusable
from generator.loading import DEVICES, quiet
from generator.model_folder import INSTALL, open_model

ASKED: Final = (
    "Rewrite this request for a text-to-video model as one detailed sentence. Name nobody and nothing that "
    "the request does not name. Answer with the sentence alone.\n\n{prompt}"
)
MAX_PIECES: Final = 2048
"""Pieces of a prompt that are read; a longer one is refused rather than cut."""
MAX_NEW: Final = 256
"""Pieces that are written."""
TEXT_TO_TEXT: Final = "ForConditionalGeneration"
CHAT: Final = ("ForCausalLM", "LMHeadModel")


class PromptEnhancer:
    """A model in a folder that `save_pretrained` made with its tokenizer, or ``owner/name`` on the hub.

    A text-to-text model is given the prompt as it is, a chat model `ASKED` in its own template. `sha256`:
    what `model_folder.folder_digest` gives. Safe to share between threads. Raises: GeneratorUnusable.
    """

    def __init__(
        self, source: str, *, revision: str | None = None, sha256: str | None = None, device: str = "auto"
    ) -> None:
        folder = open_model(source, revision=revision, sha256=sha256)
        self._chat = folder.pipeline.endswith(CHAT)
        if not self._chat and not folder.pipeline.endswith(TEXT_TO_TEXT):
            raise GeneratorUnusable(
                f"{folder.pipeline[:60]} writes no text; an enhancer is a text-to-text or a chat model"
            )
        self._tokenizer, self._model = _loaded(folder.path, chat=self._chat, device=device)
        self._busy = threading.Lock()
        self.name = f"{Path(source).name} {folder.pin}"

    def __call__(self, prompt: str) -> str:
        """The rewritten prompt. Raises: GenerationFailed for one that is too long, or an empty answer."""
        import torch

        with self._busy, torch.inference_mode():
            given = self._given(prompt)
            length = given["input_ids"].shape[1]
            if length > MAX_PIECES:
                raise GenerationFailed(f"the prompt has over {MAX_PIECES} pieces; shorten it")
            try:
                [made] = self._model.generate(**given, max_new_tokens=MAX_NEW, do_sample=False, num_beams=1)
            except (ValueError, IndexError, RuntimeError) as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
                raise GenerationFailed(f"the enhancer stopped ({reason}); use another model") from error
        written = made[length:] if self._chat else made
        text = str(self._tokenizer.decode(written, skip_special_tokens=True)).strip()
        if not text:
            raise GenerationFailed("the enhancer wrote nothing; draw without it, or use another model")
        return text

    def _given(self, prompt: str) -> Any:
        tokenizer = self._tokenizer
        if not self._chat:
            return tokenizer(prompt, return_tensors="pt").to(self._model.device)
        asked = ASKED.format(prompt=prompt)
        if tokenizer.chat_template:
            turns = [{"role": "user", "content": asked}]
            asked = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return tokenizer(asked, return_tensors="pt", return_token_type_ids=False).to(self._model.device)


def _loaded(folder: Path, *, chat: bool, device: str) -> tuple[Any, Any]:
    if device not in DEVICES:
        raise GeneratorUnusable(f"there is no device {device[:20]!r}; choose one of: {', '.join(DEVICES)}")
    try:
        import torch

        from torch_compat import complete_torchvision

        complete_torchvision()
        from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
    except ImportError as error:
        raise GeneratorUnusable(f"enhancing needs {error.name or 'transformers'}; {INSTALL}") from None
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    kind: Any = AutoModelForCausalLM if chat else AutoModelForSeq2SeqLM
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model = kind.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, trust_remote_code=False,
                dtype=torch.bfloat16 if chosen == "cuda" else torch.float32,
            )  # fmt: skip
        model = model.to(chosen).eval()
    except Exception as error:  # whatever a damaged folder makes the loaders raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise GeneratorUnusable(f"the enhancer cannot be loaded ({reason}); download it again") from error
    return tokenizer, model
