"""Makes the calibrations of the spaces of faces: `python -m benchmarks.calibrate_faces --faces DIR`.

1. Photographs whose names begin with who is shown become clips in many conditions, as do strangers that ship
   with scikit-image (`benchmarks.tools.face_checks`); of each space the distances are kept.
2. The threshold is the nearest distance to another person, less a margin, and never beyond ``--most``: no
   pair of the data is false at it.
3. The curve from score to probability is a logistic regression, both sides weighing the same.

``--face-model`` names a folder with YuNet and SFace; without it dlib's spaces are calibrated, that of drawn
faces too. The more persons the folder shows, and the more alike they are, the more a threshold is worth.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibrate import logistic
from benchmarks.checks import Eyes
from benchmarks.common import commit, say
from benchmarks.tools.face_checks import Measured, measured
from classifiers.drawn import spaces_of
from classifiers.embed import OpenClipEmbedder
from classifiers.faces import FaceFinder
from classifiers.faces_dlib import DlibFaces
from classifiers.faces_onnx import OnnxFaces
from classifiers.reader import WordReader
from classifiers.thresholds import FACE_PORTRAIT, Calibration, Layer, dump, file_name

VERSION: Final = 1
MARGIN: Final = 0.03
"""Share of the nearest distance to another person that is left between it and the threshold."""


def fitted(found: Sequence[Measured], place: int, most: float) -> tuple[Layer, dict[str, str]]:
    """Threshold and curve of the space at `place`, and what they rest on."""
    own = _finite([one.own[place] for one in found])
    others = _finite([one.others[place] for one in found])
    nearest = float(others.min())
    apart = min(nearest * (1 - MARGIN), most)
    slope, intercept = logistic(-own, -others)
    told = {
        "threshold": f"nearest other person of {len(others)} pairs at {nearest:.3f}, less {MARGIN:g} of it; "
        f"at most {most:g}",
        "found": f"{float((own <= apart).mean()):.3f} of {len(own)} frames with a face",
    }
    layer = Layer(threshold=-round(apart, 3), slope=round(slope, 4), intercept=round(intercept, 4))
    return layer, told


def _finite(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    values = np.concatenate([part.ravel() for part in parts])
    return np.asarray(values[np.isfinite(values)], np.float64)


def main() -> None:
    """Make the files and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, required=True, help="photographs, named after who is shown")
    parser.add_argument("--face-model", type=Path, help="folder with YuNet and SFace; default: dlib's models")
    parser.add_argument("--most", type=float, default=2.0, help="distance that no threshold is beyond")
    parser.add_argument("--out", type=Path, required=True, help="folder, as HOME/calibrations")
    given = parser.parse_args()
    faces: FaceFinder = OnnxFaces(given.face_model) if given.face_model else DlibFaces()
    found = measured(given.faces, Eyes(clip=OpenClipEmbedder(), faces=faces, words=WordReader()), faces, say)
    # Folders of this machine are nobody's business.
    command = [Path(part).name if "/" in part else part for part in sys.argv[1:]]
    made = {
        "command": shlex.join(["python", "-m", "benchmarks.calibrate_faces", *command]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(),
        "data": f"{len(found)} clips of photographs and of strangers, not held out",
    }  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    for place, space in enumerate(spaces_of(faces.space)):
        layer, told = fitted(found, place, given.most)
        calibration = Calibration(
            space=space, version=VERSION, made={**made, **told}, layers={FACE_PORTRAIT: layer}
        )
        (given.out / file_name(space)).write_bytes(dump(calibration))
        say(f"{given.out / file_name(space)}")
        print(json.dumps({"space": space, "made": dict(calibration.made), "layer": asdict(layer)}, indent=1))


if __name__ == "__main__":
    main()
