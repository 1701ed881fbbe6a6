"""Image classifiers of transformers that judge whole frames, as an operator brings them.

1. A folder, or ``owner/name@commit`` on the hub with a digest (`classifiers.judge_source`): safetensors only,
   no code of its own.
2. Two forms: a classifier with labels (``…ForImageClassification``, as Falconsai's), of which each label is
   one of our categories or harmless; and diffusers' safety checker, which knows what is sexual.
3. Pictures are brought to the model's size by its own image processor. Where that keeps the middle only, a
   wide frame is shown in several squares, so that nothing happens at its sides unseen.
4. Its numbers have a space of their own, named after the files and the map of labels; a calibration for it is
   made by ``python -m training concepts --classifier``.
"""

import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch

import torch_compat
from classifiers.base import Picture, Vectors
from classifiers.errors import ModelUnusable
from classifiers.judge_source import JudgeSource, find_judge
from classifiers.unsafe.check import CATEGORIES, MOST, NEVER
from classifiers.unsafe.heads import JUDGED
from classifiers.unsafe.labels import added, meanings
from classifiers.unsafe.taxonomy import Category

SETTING: Final = "frame_classifier"
BATCH: Final = 8
VERSION: Final = "1"
"""Raised whenever a picture comes out otherwise than before."""
MANY: Final = "multi_label_classification"
LABELLED: Final = "ForImageClassification"
CHECKER: Final = "StableDiffusionSafetyChecker"
SPECIAL_CARE: Final = 0.01
"""What the safety checker adds where a picture needs special care."""
MAX_SQUARES: Final = 4


class PictureClassifier:
    """A model that judges RGB pictures ``uint8[h, w, 3]``; safe to share between threads."""

    def __init__(self, source: JudgeSource, told: Mapping[str, Category | None]) -> None:
        """Load it; `told`: what its labels mean, if that is said. Raises: ModelUnusable."""
        kinds = " ".join(map(str, source.config.get("architectures") or ()))
        name = source.folder.name
        if LABELLED in kinds:
            reads: _Labels | _Checker = _Labels(source, told)
        elif CHECKER in kinds:
            reads = _Checker(source, told)
        else:
            raise ModelUnusable(
                f"{name} is no image classifier of transformers and no safety checker of diffusers "
                f"({kinds[:60] or 'no architectures'}): use one in frame_classifier"
            )
        self._reads = reads
        self._cut = _processor(source)
        self._lock = threading.Lock()
        self.judged = frozenset(reads.judged)
        meant = [f"{label}={category or ''}" for label, category in sorted(told.items())]
        whole = hashlib.sha256("\n".join((VERSION, source.digest, *meant)).encode()).hexdigest()
        self.space = f"pictures-{whole[:16]}"

    def judge(self, pictures: Sequence[Picture]) -> Vectors:
        """Logits ``float32[n, len(CATEGORIES)]``, `NEVER` for what it does not judge.

        Raises: ValueError for what is no number, and what the model raises.
        """
        shown = [(row, part) for row, picture in enumerate(pictures) for part in self._parts(picture)]
        found = np.full((len(pictures), len(CATEGORIES)), NEVER, np.float32)
        for at in range(0, len(shown), BATCH):
            batch = shown[at : at + BATCH]
            for (row, _), told in zip(batch, self._told([part for _, part in batch]), strict=True):
                for category, number in told.items():
                    column = CATEGORIES.index(category)
                    found[row, column] = max(found[row, column], _within(number))
        return found

    def _told(self, pictures: Sequence[Picture]) -> list[dict[Category, float]]:
        given = self._cut(list(pictures), return_tensors="pt", input_data_format="channels_last")
        with self._lock, torch.inference_mode():
            return self._reads(given["pixel_values"])

    def _parts(self, picture: Picture) -> list[Picture]:
        """The picture, or squares over its length where the processor would cut off its ends (rule 3)."""
        height, width = picture.shape[:2]
        side, longest = min(height, width), max(height, width)
        count = min(math.ceil(longest / side - 0.05), MAX_SQUARES)
        if not getattr(self._cut, "do_center_crop", False) or count <= 1:
            return [picture]
        starts = np.linspace(0, longest - side, count).round().astype(int)
        if width > height:
            return [picture[:, start : start + side] for start in starts]
        return [picture[start : start + side] for start in starts]


class _Labels:
    """What an image classifier's labels say."""

    def __init__(self, source: JudgeSource, told: Mapping[str, Category | None]) -> None:
        labels = source.config.get("id2label")
        try:
            names = [str(labels[key]) for key in sorted(labels, key=int)]  # type: ignore[index,arg-type]
        except (TypeError, ValueError):
            raise ModelUnusable(
                f"the config.json of {source.folder.name} has no id2label: name its labels there"
            ) from None
        self._meant = meanings(names, told, source.folder.name)
        self._many = source.config.get("problem_type") == MANY or len(names) == 1
        self.judged = {category for category in self._meant if category}
        self._model = _loaded(source, _class("AutoModelForImageClassification"))

    def __call__(self, pixels: torch.Tensor) -> list[dict[Category, float]]:
        logits = self._model(pixel_values=pixels).logits.float()
        shares = torch.sigmoid(logits) if self._many else torch.softmax(logits, dim=-1)
        return [added(self._meant, row, many=self._many) for row in shares.tolist()]


class _Checker:
    """What diffusers' safety checker says: how far a picture is over the bar of its nearest concept."""

    judged = frozenset({Category.SEXUAL})

    def __init__(self, source: JudgeSource, told: Mapping[str, Category | None]) -> None:
        if told:
            raise ModelUnusable("a safety checker has no labels: leave frame_classifier_labels empty")
        try:
            from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        except ImportError:
            raise ModelUnusable(
                "a safety checker takes diffusers: install countermark[generate], or use another classifier"
            ) from None
        self._model = _loaded(source, StableDiffusionSafetyChecker)

    def __call__(self, pixels: torch.Tensor) -> list[dict[Category, float]]:
        model = self._model
        seen = model.visual_projection(model.vision_model(pixels)[1])
        special = _cosines(seen, model.special_care_embeds) - model.special_care_embeds_weights
        over = _cosines(seen, model.concept_embeds) - model.concept_embeds_weights
        care = (special > 0).any(dim=1).float() * SPECIAL_CARE
        return [{Category.SEXUAL: number} for number in (over.max(dim=1).values + care).tolist()]


def open_classifier(
    model: str, *, sha256: str = "", labels: Mapping[str, Category | None] | None = None
) -> PictureClassifier:
    """The classifier of a folder or ``owner/name@commit``. Raises: ModelUnusable."""
    return PictureClassifier(find_judge(model, sha256, SETTING), labels or {})


def _cosines(seen: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    normal = torch.nn.functional.normalize
    return (normal(seen) @ normal(concepts).T).float()


def _within(number: float) -> float:
    if math.isnan(number):
        raise ValueError("the image classifier answered with no number")
    return min(max(number, JUDGED), MOST)


def _class(name: str) -> Any:
    torch_compat.complete_torchvision()
    import transformers

    return getattr(transformers, name)


def _processor(source: JudgeSource) -> Any:
    """The model's own image processor: PIL's, which gives the same pixels on every machine."""
    try:
        return _class("AutoImageProcessor").from_pretrained(
            str(source.folder), local_files_only=True, trust_remote_code=False, backend="pil"
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError) as error:
        raise _damaged(source, error, "preprocessor_config.json") from None


def _loaded(source: JudgeSource, kind: Any) -> Any:
    from safetensors import SafetensorError

    kept: dict[str, Any] = {"local_files_only": True} if kind.__module__.startswith("transformers.") else {}
    bars: Any = _class("utils").logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()  # the terminal is not ours
    try:
        model, told = kind.from_pretrained(
            str(source.folder), use_safetensors=True, output_loading_info=True, **kept
        )
        # What a file lacks would otherwise be filled with random numbers.
        lacking = sorted(map(str, (*told["missing_keys"], *told["mismatched_keys"])))
        if lacking:
            raise ValueError(f"it lacks {len(lacking)} weights, {lacking[0][:60]} among them")
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(source, error, "its weights") from None
    finally:
        if shown:
            bars.enable_progress_bar()
    return model.eval().requires_grad_(False)


def _damaged(source: JudgeSource, error: Exception, what: str) -> ModelUnusable:
    why = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
    return ModelUnusable(
        f"{what} of the image classifier {source.folder.name} cannot be loaded ({why}); fetch it again"
    )
