"""The forms in which image classifiers judge pictures: by labels, by concepts, or asked about policies.

Sources: transformers' ``…ForImageClassification`` models (Falconsai's among them), diffusers'
``StableDiffusionSafetyChecker``, and the model card of ShieldGemma 2, which answers "Yes" where a picture
violates a policy. Each is loaded from local files, safetensors only, and answers a number for each category.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import torch

import torch_compat
from classifiers.base import Picture
from classifiers.errors import ModelUnusable
from classifiers.judge_source import JudgeSource, whole_model
from classifiers.unsafe.labels import added, meanings
from classifiers.unsafe.taxonomy import Category

MANY: Final = "multi_label_classification"
LABELLED: Final = "ForImageClassification"
CHECKER: Final = "StableDiffusionSafetyChecker"
ASKED: Final = "ShieldGemma2ForImageClassification"
SPECIAL_CARE: Final = 0.01
"""What the safety checker adds where a picture needs special care."""
POLICIES: Final[Mapping[str, Category | None]] = {
    "dangerous": Category.ILLEGAL, "sexual": Category.SEXUAL, "violence": Category.VIOLENCE,
}  # fmt: skip
"""What the policies that ShieldGemma 2 was trained on are called here."""

Told = Mapping[str, Category | None]
Answer = dict[Category, float]


class Form(Protocol):
    """A loaded model. ``crops``: whether it sees only the middle of a picture that is not square."""

    @property
    def judged(self) -> frozenset[Category]: ...  # noqa: D102
    @property
    def crops(self) -> bool: ...  # noqa: D102
    def __call__(self, pictures: list[Picture]) -> list[Answer]:
        """A number for each category of each RGB picture ``uint8[h, w, 3]``."""
        ...


def open_form(source: JudgeSource, told: Told) -> Form:
    """The model of these files; `told`: what its labels mean, if that is said. Raises: ModelUnusable."""
    kinds = " ".join(map(str, source.config.get("architectures") or ()))
    if ASKED in kinds:
        return Asked(source, told)
    if LABELLED in kinds:
        return Labelled(source, told)
    if CHECKER in kinds:
        return Checker(source, told)
    raise ModelUnusable(
        f"{source.folder.name} is no image classifier of transformers and no safety checker of diffusers "
        f"({kinds[:60] or 'no architectures'}): use one in frame_classifier"
    )


class Labelled:
    """What an image classifier's labels say."""

    def __init__(self, source: JudgeSource, told: Told) -> None:
        """Raises: ModelUnusable."""
        labels = source.config.get("id2label")
        try:
            names = [str(labels[key]) for key in sorted(labels, key=int)]  # type: ignore[index,arg-type]
        except (TypeError, ValueError):
            raise ModelUnusable(
                f"the config.json of {source.folder.name} has no id2label: name its labels there"
            ) from None
        self._meant = meanings(names, told, source.folder.name)
        self._many = source.config.get("problem_type") == MANY or len(names) == 1
        self._cut = _processor(source)
        self._model = _loaded(source, _class("AutoModelForImageClassification"))
        self.judged = frozenset(category for category in self._meant if category)
        self.crops = _crops(self._cut)

    def __call__(self, pictures: list[Picture]) -> list[Answer]:
        """As `Form` says."""
        logits = self._model(pixel_values=_pixels(self._cut, pictures)).logits.float()
        shares = torch.sigmoid(logits) if self._many else torch.softmax(logits, dim=-1)
        return [added(self._meant, row, many=self._many) for row in shares.tolist()]


class Checker:
    """What diffusers' safety checker says: how far a picture is over the bar of its nearest concept."""

    judged = frozenset({Category.SEXUAL})

    def __init__(self, source: JudgeSource, told: Told) -> None:
        """Raises: ModelUnusable."""
        if told:
            raise ModelUnusable("a safety checker has no labels: leave frame_classifier_labels empty")
        try:
            from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        except ImportError:
            raise ModelUnusable(
                "a safety checker takes diffusers: install countermark[generate], or use another classifier"
            ) from None
        self._cut = _processor(source)
        self._model = _loaded(source, StableDiffusionSafetyChecker)
        self.crops = _crops(self._cut)

    def __call__(self, pictures: list[Picture]) -> list[Answer]:
        """As `Form` says."""
        model = self._model
        seen = model.visual_projection(model.vision_model(_pixels(self._cut, pictures))[1])
        special = _cosines(seen, model.special_care_embeds) - model.special_care_embeds_weights
        over = _cosines(seen, model.concept_embeds) - model.concept_embeds_weights
        care = (special > 0).any(dim=1).float() * SPECIAL_CARE
        return [{Category.SEXUAL: number} for number in (over.max(dim=1).values + care).tolist()]


class Asked:
    """What ShieldGemma 2 answers, asked about each of its policies: how much likelier yes is than no."""

    crops = False

    def __init__(self, source: JudgeSource, told: Told) -> None:
        """Raises: ModelUnusable."""
        self._cut = _of_files(source, "AutoProcessor", "the processor")
        names = [str(name) for name in self._cut.policy_definitions]
        known = {name: POLICIES[name] for name in names} if POLICIES.keys() >= set(names) else {}
        self._meant = meanings(names, told or known, source.folder.name)
        self._model = _loaded(source, _class("AutoModelForImageClassification"))
        self.judged = frozenset(category for category in self._meant if category)

    def __call__(self, pictures: list[Picture]) -> list[Answer]:
        """As `Form` says; one picture at a time, which is as many questions as there are policies."""
        return [self._answers(picture) for picture in pictures]

    def _answers(self, picture: Picture) -> Answer:
        logits = self._model(**self._cut(images=[picture], return_tensors="pt")).logits.float()
        found: Answer = {}
        for category, number in zip(self._meant, (logits[:, 0] - logits[:, 1]).tolist(), strict=True):
            if category is not None:
                found[category] = max(found.get(category, number), number)
        return found


def _pixels(cut: Any, pictures: Sequence[Picture]) -> torch.Tensor:
    pixels: torch.Tensor = cut(list(pictures), return_tensors="pt", input_data_format="channels_last")[
        "pixel_values"
    ]
    return pixels


def _crops(cut: Any) -> bool:
    return bool(getattr(cut, "do_center_crop", False))


def _cosines(seen: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    normal = torch.nn.functional.normalize
    return (normal(seen) @ normal(concepts).T).float()


def _class(name: str) -> Any:
    torch_compat.complete_torchvision()
    import transformers

    return getattr(transformers, name)


def _processor(source: JudgeSource) -> Any:
    return _of_files(source, "AutoImageProcessor", "preprocessor_config.json")


def _of_files(source: JudgeSource, kind: str, what: str) -> Any:
    """What brings pictures to the model's size: PIL's, which gives the same pixels on every machine."""
    try:
        return _class(kind).from_pretrained(
            str(source.folder), local_files_only=True, trust_remote_code=False, backend="pil"
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise _damaged(source, error, what) from None


def _loaded(source: JudgeSource, kind: Any) -> Any:
    from safetensors import SafetensorError

    kept: dict[str, Any] = {"local_files_only": True} if kind.__module__.startswith("transformers.") else {}
    bars: Any = _class("utils").logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()  # the terminal is not ours
    try:
        model = whole_model(kind, source, **kept)
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
