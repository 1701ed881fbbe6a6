"""Heads that others have trained, as heads of ours: LAION's, and what was derived from them.

1. Read are weights of linear layers by name (``weight``, ``bias``), from safetensors, or from a file of torch
   with nothing but tensors in it (``torch.load(weights_only=True)``, which runs no code).
2. Layers of a ``torch.nn.Sequential`` are numbered (``layers.0``, ``layers.3`` …): between two whose numbers
   follow one another there is room for no ReLU, between others there is one. LAION's ``h14_nsfw.pth`` is so.
   Where none stood there, say so (`plain`); a head taken over wrongly shows in its figures.
   Layers counted from one (``linear_1``, ``linear_2`` …) have a ReLU between all: the ports of LAION's heads
   for ViT-L/14 and ViT-B/32 are so. Their ``norm.mean`` and ``norm.variance`` go into the first layer.
3. A head says of which CLIP's vectors it is only by their length: who converts it says which CLIP that is.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import ModelUnusable
from classifiers.unsafe.heads import MAX_BYTES, Head, Linear, Outputs
from classifiers.unsafe.taxonomy import Category

Floats = NDArray[np.float32]
_LAYER: Final = re.compile(r"(?:.*\.)?(?P<prefix>[A-Za-z]+[._])?(?P<number>\d+)\.weight\Z")
_MEAN: Final = re.compile(r"(?:.*\.)?norm\.mean\Z")
_VARIANCE: Final = re.compile(r"(?:.*\.)?norm\.(?:variance|var)\Z")
LEAST_SPREAD: Final = 1e-7
"""As Keras' Normalization has it."""


def converted(
    path: Path, space: str, dimension: int, categories: Sequence[Category | None], *, one: bool = False,
    plain: bool = False,
) -> Head:  # fmt: skip
    """A head from a file of weights, for a CLIP of that space and dimension.

    `categories`: of its outputs, None for a harmless one; `one`: they are of one softmax; `plain`: there is
    no ReLU anywhere. Raises: ModelUnusable.
    """
    tensors = _tensors(path)
    layers = _normalised(_layers(tensors, path.name, plain=plain), tensors)
    wide, outputs = layers[0].weight.shape[1], len(layers[-1].bias)
    if wide != dimension:
        raise ModelUnusable(
            f"{path.name} takes vectors of {wide} numbers, and this CLIP makes {dimension}: name the CLIP "
            "that it was trained with as --model"
        )
    if outputs != len(categories):
        raise ModelUnusable(
            f"{path.name} has {outputs} outputs, and {len(categories)} are named: say in --outputs what each "
            "means, as sexual, or harmless,sexual"
        )
    return Head(
        space=space, categories=tuple(categories), layers=tuple(layers),
        outputs=Outputs.ONE if one else Outputs.EACH, made={"converted from": path.name},
    )  # fmt: skip


def _tensors(path: Path) -> dict[str, Floats]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelUnusable(f"{path.name} is larger than {MAX_BYTES >> 20} MiB: it is no concept head")
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return {name: np.asarray(one, np.float32) for name, one in load_file(path).items()}
        return _of_torch(path)
    except OSError as error:
        raise ModelUnusable(f"{path} cannot be read ({error.strerror}): name the file of weights") from None
    except Exception as error:
        if isinstance(error, ModelUnusable):
            raise
        raise ModelUnusable(
            f"{path.name} is neither safetensors nor a torch file of tensors alone: save its state_dict"
        ) from None


def _of_torch(path: Path) -> dict[str, Floats]:
    import torch

    told = torch.load(path, map_location="cpu", weights_only=True)
    return {str(name): one.detach().float().numpy() for name, one in told.items() if hasattr(one, "detach")}


def _layers(tensors: dict[str, Floats], name: str, *, plain: bool) -> list[Linear]:
    """Rule 2. Raises: ModelUnusable."""
    found: dict[int, tuple[str, bool]] = {}
    for key in tensors:
        match = _LAYER.match(key)
        if match:
            number = int(match["number"])
            if number in found:
                raise ModelUnusable(f"{name} has two layers with the number {number}: it is no plain head")
            found[number] = (key, bool(match["prefix"] and match["prefix"].endswith("_")))
    numbers = sorted(found)
    if not numbers:
        raise ModelUnusable(f"{name} has no linear layers by number (layers.0.weight): it is no plain head")
    layers = []
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        key, counted = found[number]
        weight, bias = tensors[key], tensors.get(key.removesuffix("weight") + "bias")
        if weight.ndim != 2 or bias is None or bias.shape != weight.shape[:1]:
            raise ModelUnusable(f"{name} has a layer {key[:60]} that is not linear: it is no plain head")
        room = not plain and following is not None and (counted or following > number + 1)
        layers.append(Linear(weight=weight, bias=bias, relu=room))
    for before, after in pairwise(layers):
        if after.weight.shape[1] != before.weight.shape[0]:
            raise ModelUnusable(f"the layers of {name} do not fit together: it is no plain head")
    return layers


def _normalised(layers: list[Linear], tensors: dict[str, Floats]) -> list[Linear]:
    """The layers, of which the first takes vectors as they come, also where they were scaled before."""
    mean = next((one.reshape(-1) for key, one in tensors.items() if _MEAN.match(key)), None)
    variance = next((one.reshape(-1) for key, one in tensors.items() if _VARIANCE.match(key)), None)
    if mean is None or variance is None:
        return layers
    first = layers[0]
    weight = first.weight / np.maximum(np.sqrt(variance), LEAST_SPREAD)
    return [Linear(weight=weight, bias=first.bias - weight @ mean, relu=first.relu), *layers[1:]]
