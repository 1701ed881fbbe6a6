"""Pictures and texts to vectors of one space, by any open_clip model; the small one of our own by default.

A space is named after everything that a vector depends on: weights, configuration, words and the way a
picture is cut. Scores of two spaces must never be compared.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, cast

import cv2
import numpy as np
import torch
from torch.nn import functional

import torch_compat
from classifiers.base import Picture, Vectors
from classifiers.clip_source import EMBEDDED, Source, find_source
from classifiers.errors import ModelUnusable

# Raised whenever a picture comes out otherwise than before, or a frame is cut into other regions: thresholds
# are about the best of its regions.
CROP_POLICY: Final = "2"
BATCH: Final = 32
TEXT_BATCH: Final = 64
# Of a text of which the model knows a smaller share of the words, it says nothing: what it makes of the rest
# resembles everything. Such a text's vector is zero.
LEAST_KNOWN: Final = 0.7
# bfloat16 weights are taken where they are this much faster, and say almost the same.
FASTER: Final = 0.9
LEAST_COSINE: Final = 0.99
TEST_SECONDS: Final = 0.05
TEST_RUNS: Final = 5
CONTEXT: Final = 77  # pieces that a model sees, where its configuration does not say
ENDS: Final = 2  # of them mark the beginning and the end
# What open_clip assumes where a configuration says nothing.
DEFAULTS: Final[dict[str, Any]] = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "resize_mode": "shortest",
    "fill_color": 0,
}


class OpenClipEmbedder:
    """An open_clip model: ``space`` names its vectors, ``dimension`` is their length."""

    def __init__(
        self,
        model: str | Path = EMBEDDED,
        *,
        tag: str = "",
        sha256: str = "",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Load a folder, ``hf-hub:owner/name``, or a built-in name with a tag.

        ``sha256``: the digest that the weights must have; ``clock``: seconds, for the test that chooses
        the precision. Raises: ModelUnusable.
        """
        source = find_source(model, tag, sha256)
        # A fast tokenizer keeps how it cuts and fills texts, and each call sets that anew: one at a time.
        self._reading = threading.Lock()
        self._model, self._words = _loaded(source)
        self._cut = _Cut(source, self._model)
        policy = hashlib.sha256(f"{source.digest} crop {CROP_POLICY}".encode()).hexdigest()
        self.name = source.name
        self.space = f"clip-{policy[:16]}"
        self.dtype = self._choose(clock)
        self.dimension = int(self.embed_texts([""]).shape[1])
        self.context = int(source.model["text_cfg"].get("context_length", CONTEXT)) - ENDS

    def pieces(self, texts: Sequence[str]) -> list[int]:
        """How many of its own pieces the model makes of each text; those beyond `context` are not seen."""
        words: Any = self._words
        inner = getattr(words, "tokenizer", None)
        with self._reading:
            if inner is None:
                return [len(words.encode(_clean(text))) for text in texts]
            clean = [words.clean_fn(_clean(text)) for text in texts]
            return [len(inner.encode(text, add_special_tokens=False, verbose=False)) for text in clean]

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        """Unit vectors ``float32[n, dimension]`` of RGB pictures ``uint8[h, w, 3]`` of any sizes."""
        parts = [self._embedded(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors ``float32[n, dimension]`` of texts; words beyond the model's context are not seen.

        Zero where a model of few words of its own knows less than `LEAST_KNOWN` of a text's words.
        """
        parts = [self._told(texts[at : at + TEXT_BATCH]) for at in range(0, len(texts), TEXT_BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension), np.float32)

    def known(self, texts: Sequence[str]) -> list[str]:
        """Each text without what the model has no word for; as it is where its words are made of letters."""
        inner: Any = getattr(self._words, "tokenizer", None)
        unknown = getattr(inner, "unk_token_id", None)
        if unknown is None:
            return list(texts)
        with self._reading:
            coded = [inner.encode(_clean(text), add_special_tokens=False, verbose=False) for text in texts]
        return [inner.decode([number for number in numbers if number != unknown]) for numbers in coded]

    @torch.inference_mode()
    def _embedded(self, images: Sequence[Picture]) -> Vectors:
        return _units(self._model.encode_image(self._cut.batch(images).to(self.dtype)))

    @torch.inference_mode()
    def _told(self, texts: Sequence[str]) -> Vectors:
        clean = [_clean(text) for text in texts]
        with self._reading:
            coded = self._words(clean)
        return _units(self._model.encode_text(coded)) * self._readable(coded)

    def _readable(self, coded: torch.Tensor) -> Vectors:
        """1 for a text of which the model knows enough words, 0 for another: ``float32[n, 1]``."""
        words: Any = getattr(self._words, "tokenizer", None)
        unknown = getattr(words, "unk_token_id", None)
        if unknown is None:  # its words are made of letters: it knows them all
            return np.ones((len(coded), 1), np.float32)
        special = torch.tensor([number for number in words.all_special_ids if number != unknown])
        said = ~torch.isin(coded, special)
        known = (said & (coded != unknown)).sum(1) / said.sum(1).clamp(min=1)
        return np.asarray((known >= LEAST_KNOWN).numpy()[:, None], dtype=np.float32)

    @torch.inference_mode()
    def _choose(self, clock: Callable[[], float]) -> torch.dtype:
        """The precision of the picture part's weights: bfloat16 where it is faster and agrees."""
        pictures = self._cut.batch(_test_pictures())
        exact, reduced = self._model.visual, deepcopy(self._model.visual).to(torch.bfloat16)
        try:
            told = functional.cosine_similarity(exact(pictures).float(), reduced(pictures.bfloat16()).float())
        except RuntimeError:  # an operation that this machine has in 32 bits only
            return torch.float32
        slow = _fastest(lambda: exact(pictures), clock)
        if (
            float(told.min()) < LEAST_COSINE
            or _fastest(lambda: reduced(pictures.bfloat16()), clock) > FASTER * slow
        ):
            return torch.float32
        self._model.visual = reduced
        return torch.bfloat16


def _clean(text: str) -> str:
    """A lone surrogate is no character; the tokenizers would stop at one."""
    return text.encode("utf-8", "replace").decode()


class _Cut:
    """Brings pictures to the model's size, in the way that its configuration asks for."""

    def __init__(self, source: Source, model: Any) -> None:
        settings = DEFAULTS | {key: value for key, value in source.preprocess.items() if value is not None}
        size = settings["size"] if "size" in source.preprocess else model.visual.image_size
        try:
            self.high, self.wide = (
                int(side) for side in (size if isinstance(size, list | tuple) else (size, size))
            )
            shape = (1, 3, 1, 1)
            self.mean = torch.tensor(settings["mean"], dtype=torch.float32).view(shape) * 255
            self.spread = torch.tensor(settings["std"], dtype=torch.float32).view(shape) * 255
            self.fill = int(settings["fill_color"])
            self._cut = {"shortest": self._middle, "longest": self._whole, "squash": self._squeezed}[
                settings["resize_mode"]
            ]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelUnusable(
                f"preprocess_cfg of {source.name} is not open_clip's: fetch the model again"
            ) from error

    def batch(self, images: Sequence[Picture]) -> torch.Tensor:
        """Normalised ``float32[n, 3, size, size]``."""
        for image in images:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise ValueError(f"a picture must be uint8[h, w, 3], not {image.dtype}{list(image.shape)}")
        stack = torch.from_numpy(np.stack([self._cut(image) for image in images])).permute(0, 3, 1, 2)
        return stack.float().sub_(self.mean).div_(self.spread)

    def _squeezed(self, image: Picture) -> Picture:
        return _resized(image, self.wide, self.high)

    def _middle(self, image: Picture) -> Picture:
        """The middle, of the model's proportions."""
        height, width = image.shape[:2]
        share = max(self.wide / width, self.high / height)
        wide, high = (
            min(width, max(1, round(self.wide / share))),
            min(height, max(1, round(self.high / share))),
        )
        top, left = (height - high) // 2, (width - wide) // 2
        return _resized(image[top : top + high, left : left + wide], self.wide, self.high)

    def _whole(self, image: Picture) -> Picture:
        """The whole picture, with bars where its proportions are not the model's."""
        height, width = image.shape[:2]
        share = min(self.wide / width, self.high / height)
        wide, high = max(1, round(width * share)), max(1, round(height * share))
        canvas = np.full((self.high, self.wide, 3), self.fill, np.uint8)
        top, left = (self.high - high) // 2, (self.wide - wide) // 2
        canvas[top : top + high, left : left + wide] = _resized(image, wide, high)
        return canvas


def _resized(image: Picture, wide: int, high: int) -> Picture:
    shrinks = image.shape[0] >= high and image.shape[1] >= wide
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (wide, high), interpolation=how), dtype=np.uint8)


def _units(values: torch.Tensor) -> Vectors:
    return np.asarray(functional.normalize(values.float(), dim=-1).numpy(), dtype=np.float32)


def _test_pictures() -> list[Picture]:
    """Noise of two grains, the same every time."""
    rng = np.random.default_rng(0)
    coarse = np.asarray(cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (128, 128)), dtype=np.uint8)
    return [coarse, rng.integers(0, 256, (128, 128, 3), np.uint8)]


def _fastest(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """The least seconds of a few runs, which together take about ``TEST_SECONDS``, or of one."""
    times: list[float] = []
    while len(times) < TEST_RUNS and sum(times) < TEST_SECONDS / 2:
        begun = clock()
        work()
        times.append(clock() - begun)
    return min(times)


def _loaded(source: Source) -> tuple[Any, Callable[[list[str]], torch.Tensor]]:
    """The model with its weights, and its tokenizer."""
    torch_compat.complete_torchvision()
    import open_clip
    from safetensors import SafetensorError

    try:
        model = _built(source)
        open_clip.load_checkpoint(model, str(source.weights), strict=True)
        words = _tokenizer(source)
    except (SafetensorError, OSError) as error:
        raise ModelUnusable(
            f"{source.weights} or a file beside it is damaged: fetch the model again"
        ) from error
    except (
        RuntimeError,
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        AssertionError,
        ImportError,
    ) as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise ModelUnusable(
            f"the parts of {source.name} do not fit together: fetch the model again ({first})"
        ) from error
    return model.eval().requires_grad_(False), words


def _built(source: Source) -> Any:
    """The model with random weights: open_clip's classes, chosen as it does; nothing else is fetched."""
    from open_clip.model import CLIP, CustomTextCLIP

    settings = deepcopy(source.model)
    settings["vision_cfg"]["timm_model_pretrained"] = False
    settings["text_cfg"]["hf_model_pretrained"] = False
    custom = settings.pop("custom_text", False) or settings["text_cfg"].get("hf_model_name")
    return (CustomTextCLIP if custom else CLIP)(**settings)


def _tokenizer(source: Source) -> Callable[[list[str]], torch.Tensor]:
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    text = source.model["text_cfg"]
    context = int(text.get("context_length", CONTEXT))
    if not text.get("hf_tokenizer_name"):
        return cast("Callable[[list[str]], torch.Tensor]", open_clip.SimpleTokenizer(context_length=context))
    options = text.get("tokenizer_kwargs") or {}
    words: Any = HFTokenizer(
        str(source.folder), context_length=context, tokenizer_mode=text.get("tokenizer_mode"),
        trust_remote_code=False, local_files_only=True, **options,
    )  # fmt: skip
    return cast("Callable[[list[str]], torch.Tensor]", words)
