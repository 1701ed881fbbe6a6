"""What embedding frames and texts costs with the open_clip models that users would name.

Each has the real architecture and random weights, since none ship: a folder as open_clip writes them is made,
and loaded by the code that looks at frames, which also chooses the precision of the weights. Speed does not
depend on the weights' values; nothing else is said about these models. A process and one thread for each; its
memory is the most that it took, and it made the weights, too.
"""

import json
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import common
from benchmarks.common import Conditions, Row, median, once, say
from classifiers.clip_source import CONFIG, WEIGHTS

SUITE: Final = "towers"
FRAMES: Final = 8  # a round
SIDES: Final = (360, 640)  # pixels of a frame, height and width
TEXTS: Final = ("a fox in the snow", "two owls dance in front of a city at night, seen from far away")
SMALLEST: Final = 20.0  # processor seconds after which no further round begins
HALVES: Final = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}
PLAIN: Final = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "resize_mode": "shortest"}
MODELS: Final[dict[str, dict[str, Any]]] = {
    "ViT-B-32": {},
    "ViT-L-14": {},
    "ViT-B-32-SigLIP2-256": HALVES,
    "ViT-B-16-SigLIP2": HALVES,
    "MobileCLIP2-S0": PLAIN,
    "MobileCLIP2-B": PLAIN,
}
"""By open_clip's names; each with how its pictures are brought to its size, as its published folder says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of one model: frames and texts a processor second, in each round."""

    dtype: str
    side: int
    millions: float
    megabytes: float
    frames: tuple[float, ...]
    texts: tuple[float, ...]


def main() -> None:
    """Run."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="NAME")
    parser.add_argument("--rounds", type=common.whole(1), default=5)
    given = parser.parse_args()
    # The child reads these when it loads numpy; by then it is too late for this process.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    found: list[Row] = common.machine()
    at_commit = common.commit()
    for name in given.models:
        say(name)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found += rows(name, pool.submit(measured, name, given.rounds).result())
    common.present(SUITE, found, at_commit, as_json=given.json)


def rows(name: str, taken: Measured) -> list[Row]:
    """The figures of one model."""
    conditions: Conditions = {"model": name, "weights": "random", "dtype": taken.dtype, "side": taken.side}
    return [
        median("frames a processor second", taken.frames, "1/s", conditions),
        median("texts a processor second", taken.texts, "1/s", conditions),
        once("parameters", taken.millions, "million", conditions),
        once("most memory", taken.megabytes, "MB", conditions),
    ]


def measured(name: str, rounds: int) -> Measured:
    """Make the model's folder, load it as the product does, and time it."""
    import torch

    from classifiers.embed import OpenClipEmbedder

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="countermark-towers-") as folder:
        place = Path(folder)
        millions = write(place, real(name), MODELS[name])
        embedder = OpenClipEmbedder(place)
    rng = np.random.default_rng(0)
    frames = list(rng.integers(0, 256, (FRAMES, *SIDES, 3), np.uint8))
    return Measured(
        dtype=str(embedder.dtype).removeprefix("torch."), side=embedder._cut.high, millions=millions,
        frames=_speeds(lambda: embedder.embed_images(frames), FRAMES, rounds),
        texts=_speeds(lambda: embedder.embed_texts(TEXTS), len(TEXTS), rounds),
        megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )  # fmt: skip


def _speeds(work: Callable[[], object], count: int, rounds: int) -> tuple[float, ...]:
    """How many of so many things are done in a processor second, in each round after the first."""
    work()
    speeds: list[float] = []
    spent = 0.0
    while len(speeds) < rounds and (not speeds or spent < SMALLEST):
        begun = _cpu()
        work()
        took = max(_cpu() - begun, 1e-6)
        spent += took
        speeds.append(count / took)
    return tuple(speeds)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def real(name: str) -> dict[str, Any]:
    """open_clip's own configuration of that model."""
    _open_clip()
    import open_clip

    return dict(open_clip.get_model_config(name))


def write(folder: Path, model: dict[str, Any], preprocess: dict[str, Any]) -> float:
    """A folder as open_clip writes it, of a model with random weights; gives millions of parameters.

    Of a model with words of its own (``hf_tokenizer_name``), the tokenizer has letters for words.
    """
    _open_clip()
    import torch
    from open_clip.model import CLIP, CustomTextCLIP
    from safetensors.torch import save_file

    torch.manual_seed(1)
    settings = dict(model)
    made = (CustomTextCLIP if settings.pop("custom_text", False) else CLIP)(**settings)
    document = {"model_cfg": model, "preprocess_cfg": preprocess}
    (folder / CONFIG).write_text(json.dumps(document))
    save_file({name: part.contiguous() for name, part in made.state_dict().items()}, str(folder / WEIGHTS[0]))
    if model["text_cfg"].get("hf_tokenizer_name"):
        letters().save_pretrained(folder)
    return float(sum(part.numel() for part in made.parameters())) / 1e6


def letters() -> Any:
    """A tokenizer with SigLIP2's marks, whose other pieces are letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    marks: Sequence[str] = ("<pad>", "<eos>", "<bos>", "<unk>")
    pieces = [*marks, "▁", *(chr(code) for code in range(33, 127))]
    unigrams = models.Unigram([(piece, 0.0 if piece in marks else -3.0) for piece in pieces], unk_id=3)
    made = Tokenizer(unigrams)
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    wrapped: Any = PreTrainedTokenizerFast
    return wrapped(
        tokenizer_object=made, pad_token=marks[0], eos_token=marks[1], bos_token=marks[2], unk_token=marks[3]
    )


def _open_clip() -> None:
    import torch_compat

    torch_compat.complete_torchvision()


if __name__ == "__main__":
    main()
