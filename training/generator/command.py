"""``python -m training generator --folder DIR``: makes the embedded generator, from nothing.

Goes on where it stopped: what lies in DIR is not made again, and the transformer and the decoder go on from
their last state, saved every two minutes. Steps, in order: start (only with --start), fit, draw, text,
transformer, decoder, upsampler, export (only with --target).
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from torch_compat import complete_torchvision

complete_torchvision()

from training.generator import data, decoder, export, text, transformer, upsampler  # noqa: E402

FITTED_TO: Final = 200  # clips
PIXELS: Final = 500  # clips whose pixels are kept


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--folder", type=Path, required=True, metavar="DIR", help="outside version control, as var/generator")
    add("--start", type=Path, metavar="MODEL", help="an export whose weights training goes on with")
    add("--only", choices=STEPS, help="one step alone")
    add("--clips", type=int, default=6000, help="drawn for training")
    add("--text-steps", type=int, default=3000)
    add("--steps", type=int, default=12_000, help="of the transformer, in all")
    add("--cooldown", type=float, default=0.3, help="share of the steps in which the rate falls")
    add("--decoder-steps", type=int, default=1500)
    add("--upsampler-steps", type=int, default=3000)
    add("--compile", action="store_true", help="twice as fast, where there is a C++ compiler")
    add("--threads", type=int, default=2)
    add("--target", type=Path, metavar="DIR", help="folder that the model is written to")
    add("--version", default="embedded 3 (LTX, rendered world)")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(asked.threads)
    for name, step in STEPS.items():
        if asked.only in (None, name):
            print(f"step: {name}", flush=True)
            step(asked)
    return 0


def _start(asked: argparse.Namespace) -> None:
    if asked.start is not None and not (asked.folder / data.CODE).exists():
        for part in ("transformer", "vae", "text_encoder", "tokenizer"):
            shutil.copytree(asked.start / part, asked.folder / part, dirs_exist_ok=True)
        shutil.copyfile(asked.start / data.CODE, asked.folder / data.CODE)


def _fit(asked: argparse.Namespace) -> None:
    if not (asked.folder / data.CODE).exists():
        data.fit(asked.folder, FITTED_TO)


def _draw(asked: argparse.Namespace) -> None:
    data.draw(asked.folder, 0, asked.clips, min(PIXELS, asked.clips))


def _text(asked: argparse.Namespace) -> None:
    if not (asked.folder / text.DONE).exists():
        text.train(asked.folder, asked.text_steps)


def _transformer(asked: argparse.Namespace) -> None:
    transformer.Training(asked.folder).run(asked.steps, asked.cooldown, compiled=asked.compile)


def _decoder(asked: argparse.Namespace) -> None:
    decoder.Training(asked.folder).run(asked.decoder_steps)


def _upsampler(asked: argparse.Namespace) -> None:
    if not (asked.folder / upsampler.FILE).exists():
        upsampler.train(asked.folder, asked.upsampler_steps)


def _export(asked: argparse.Namespace) -> None:
    if asked.target is not None:
        export.export(asked.folder, asked.target, asked.version)


STEPS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "start": _start, "fit": _fit, "draw": _draw, "text": _text, "transformer": _transformer,
    "decoder": _decoder, "upsampler": _upsampler, "export": _export,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
