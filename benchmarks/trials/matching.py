"""Schemes at the price of ours: what a mark costs one clip, and the strength at which a peer costs as much.

The rules:
1. Price is VMAF loss and added bytes behind H.264 crf 23 (`quality`), both as multiples of what our mark
   costs the same clip; the dearer of the two counts. None is divided by less than a
   measurement can tell.
2. Strength is looked for between a sixteenth and eight times the published one, until the price is within
   `CLOSE` of ours or after `MOST` tries. The nearest one is taken, and told with its price.
3. VMAF sees luma only: the PSNR of chroma is told beside it.
"""

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.attacks import codecs
from benchmarks.attacks.footage import Footage, planes
from benchmarks.trials import quality
from benchmarks.trials.cells import Base, Cell, Result, Store, digest, source_digest
from benchmarks.trials.material import SIZES, Source, held, window
from benchmarks.trials.running import CANNOT, DONE
from benchmarks.trials.scheme import CannotMark
from benchmarks.trials.schemes import scheme_of
from watermark.quality import psnr, squared_error

PRICE: Final = "price"  # what the cell is called
FAILED: Final = "failed"
LOSS: Final = "vmaf loss"
BYTES: Final = "bitrate"
CHROMA: Final = "psnr chroma"
LEAST: Final = {LOSS: 0.1, BYTES: 0.005}  # VMAF points; share
LOWEST, HIGHEST = -4.0, 3.0  # powers of two of the published strength
CLOSE: Final = 0.1
MOST: Final = 8

Figures = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One clip and scheme; ``target``: the figures of ours, None to price the scheme's own choice."""

    base: Base
    source: Source
    scheme: str
    store: Path
    target: Mapping[str, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A strength, its figures and its price as a multiple of ours."""

    strength: float
    figures: Figures
    price: float


def match(task: Match) -> Result:
    """The result of one match, kept like a trial's unless it fails. Raises: PeerMissing."""
    published, store = scheme_of(task.scheme, None), Store(task.store)
    cell = Cell(base=task.base, attack=PRICE, seed=0)
    name = digest(cell, published, _work(task.target), visible=False)
    kept = store.get(name)
    if kept is not None:
        return kept
    begun = time.process_time()
    with tempfile.TemporaryDirectory(prefix="countermark-match-") as folder:
        plain = window(task.source, SIZES[task.base.size], task.base.start, Path(folder) / "plain")

        def figures(strength: float | None) -> Figures:
            made = scheme_of(task.scheme, strength).embed(plain, task.base.key)
            marked = held(made.footage, Path(folder) / "marked")
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                return price(plain, marked, Path(scratch))

        try:
            result = _matched(figures, task.target)
        except CannotMark as error:
            result = {"state": CANNOT, "reason": str(error)}
        except Exception as error:  # noqa: BLE001 - a clip that fails must not end the run
            reason = f"{task.scheme}, price of {cell.told}: {type(error).__name__}: {error}"
            return {"state": FAILED, "reason": reason, "cell": asdict(cell), "cpu": 0.0}
    return store.put(name, cell, result | {"cpu": time.process_time() - begun})


def _matched(figures: Callable[[float | None], Figures], target: Mapping[str, float] | None) -> Result:
    if target is None:
        return {"state": DONE, "strength": None, "price": 1.0, "figures": figures(None), "tries": 1}
    tries = nearest(figures, target)
    best = min(tries, key=lambda one: abs(math.log(one.price)))
    return {
        "state": DONE, "strength": best.strength, "price": best.price, "figures": best.figures,
        "tries": len(tries),
    }  # fmt: skip


def nearest(figures: Callable[[float], Figures], target: Mapping[str, float]) -> list[Tried]:
    """Strengths tried, until one costs what `target` says."""
    tried: dict[float, Tried] = {}

    def attempt(power: float) -> float:
        strength = 2.0**power
        found = figures(strength)
        tried[power] = Tried(strength=strength, figures=found, price=dearer(found, target))
        return math.log(tried[power].price)

    def over() -> bool:
        close = any(abs(math.log(one.price)) <= math.log1p(CLOSE) for one in tried.values())
        return close or len(tried) >= MOST

    low = high = 0.0
    at_low = at_high = attempt(0.0)
    while at_high < 0 and high < HIGHEST and not over():
        low, at_low, high = high, at_high, high + 1
        at_high = attempt(high)
    while at_low > 0 and low > LOWEST and not over():
        high, at_high, low = low, at_low, low - 1
        at_low = attempt(low)
    while at_low < 0 < at_high and not over():
        # Where a straight line would cross, but never too near an end: the price may jump.
        share = min(max(-at_low / (at_high - at_low), 0.2), 0.8)
        middle = low + share * (high - low)
        found = attempt(middle)
        low, at_low, high, at_high = (
            (middle, found, high, at_high) if found < 0 else (low, at_low, middle, found)
        )
    return list(tried.values())


def dearer(figures: Mapping[str, float], target: Mapping[str, float]) -> float:
    """The dearer of both prices, as a multiple of the target's; at least a thousandth."""
    return max(1e-3, *(figures[name] / max(target[name], least) for name, least in LEAST.items()))


def price(plain: Footage, marked: Footage, scratch: Path) -> Figures:
    """All figures of `quality`, and the PSNR of both chroma planes together."""
    errors = [
        squared_error(a, b)
        for one, other in zip(plain.play(), marked.play(), strict=True)
        for a, b in zip(planes(one.image)[1:], planes(other.image)[1:], strict=True)
    ]
    found = quality.measure(plain, marked, scratch)
    return found | {CHROMA: psnr(float(np.mean(errors)))}


def _work(target: Mapping[str, float] | None) -> str:
    """Digest of what is done: the code, the encoder and VMAF of the prices, and the target."""
    here = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    wanted: Any = {name: target[name] for name in LEAST} if target else None
    told = [here, source_digest(quality), source_digest(codecs), version("imageio-ffmpeg"), wanted]
    return json.dumps(told, sort_keys=True)
