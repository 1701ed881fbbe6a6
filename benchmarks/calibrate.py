"""Makes the calibration that ships for the embedded CLIP: `python -m benchmarks.calibrate --prompts FILE`.

It is `countermark calibrate` on the drawn world, with the target of the thresholds that ship and ordinary
prompts from a file, written to where the package keeps its calibrations; the older one of a CLIP goes.

Only designs of other seeds than those of `benchmarks.checks` are used.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.common import ROOT, commit, say
from benchmarks.tools.drawn_trials import DrawnClip
from benchmarks.tools.plain_references import Pictures
from classifiers import fitting
from classifiers.base import Kind, Seen
from classifiers.fitting import Scores, Target, logistic
from classifiers.sampling import cut_out, regions_of
from classifiers.thresholds import Layer, file_name, load
from pipeline.calibrating.drawn import CLIP_SIZE, DESIGNS, MOMENTS, SEED, DrawnMaterial
from pipeline.calibrating.files import in_force, write
from pipeline.calibrating.measure import Measured, Order, measure
from pipeline.eyes import EMBEDDED, Eyes

__all__ = ["SEED", "SHIPPED", "Scores", "fitted", "logistic", "seen_of"]

SHIPPED: Final = ROOT / "classifiers" / "calibrations"


def seen_of(drawn: DrawnClip, clip: Pictures) -> Seen:
    """What is seen of a drawn clip, as of a file."""
    moments, regions = list(drawn.moments(MOMENTS)), regions_of(*CLIP_SIZE)
    vectors = clip.embed_images([cut_out(frame, box) for _, frame in moments for box in regions])
    return Seen(
        kind=Kind.FRAME, space=clip.space, vectors=vectors,
        times=tuple(at for at, _ in moments for _ in regions), boxes=regions * len(moments),
    )  # fmt: skip


def fitted(scores: Scores, false_share: float) -> Layer:
    """Threshold and curve of a layer."""
    return fitting.fitted(scores, Target(strangers=false_share))


def _texts(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield str(json.loads(line)["text"])


def main() -> None:
    """Make the file and say where it is."""
    given = _options()
    begun = time.monotonic()
    prompts = tuple(_texts(given.prompts)) if given.prompts else ()
    eyes = Eyes(EMBEDDED, None, SHIPPED.parent)
    material = DrawnMaterial(count=given.groups, ordinary=prompts)
    order = Order(
        kinds=(Measured.FRAMES, Measured.PROMPTS), material=material,
        target=Target(strangers=given.false_share, alike=given.look_alikes), made=_made(eyes.clip.name),
    )  # fmt: skip
    folder = given.out or SHIPPED
    (made,) = measure(order, eyes, lambda space: in_force(space, [folder]), say)
    written = write(made, folder, force=True)
    if folder == SHIPPED:
        written.plot.unlink()  # what ships is the file; the diagram is for who looks at it
        for older in SHIPPED.glob("clip-*.json"):
            if older.name != file_name(made.space):
                older.unlink()
    say(f"{written.file}: {time.monotonic() - begun:.0f} s")
    kept = load(made.space, [folder])
    layers = {name: asdict(layer) for name, layer in kept.layers.items()}
    print(json.dumps({"made": dict(kept.made), "layers": layers}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the calibration of the CLIP that ships.")
    parser.add_argument("--groups", type=int, default=10, help=f"groups of {DESIGNS} designs")
    parser.add_argument("--false-share", type=float, default=0.01, help="of strangers that may be held")
    parser.add_argument("--look-alikes", type=float, default=0.35, help="share of them that may be held")
    parser.add_argument("--prompts", type=Path, help="ordinary prompts, a JSON object with `text` a line")
    parser.add_argument("--out", type=Path, help="folder; default: that of the calibrations that ship")
    return parser.parse_args()


def _made(model: str) -> dict[str, str]:
    # Folders of this machine are nobody's business.
    told = [Path(part).name if "/" in part else part for part in sys.argv[1:]]
    return {
        "command": shlex.join(["python", "-m", "benchmarks.calibrate", *told]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(),
        "model": Path(model).name if "/" in model else model,
    }  # fmt: skip


if __name__ == "__main__":
    main()
