"""Learns the map of `classifiers.drawn`: `python -m training.drawn_faces` (a minute of one core).

From the first half of the hundred faces (25 pixels, grey) that ship with scikit-image, enlarged, and what the
filters `benchmarks.tools.face_styles.LEARNT` draw of each. The map whitens the directions in which vectors
of one person differ; a ridge of the mean variance keeps it from trusting directions that fifty faces say
little about. Nothing of a single face is left in it. The other half, and the other filters, are kept apart
for `benchmarks.checks`.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.common import ROOT, say
from benchmarks.tools.face_material import LEARNT_FROM, stranger_pictures
from benchmarks.tools.face_styles import LEARNT
from classifiers.base import Picture, Vectors
from classifiers.drawn import FILE, MAP, MIDDLE, SOURCE, parse
from classifiers.faces import Face, FaceFinder, overlap
from classifiers.faces_dlib import DlibFaces

TARGET: Final = ROOT / "classifiers" / FILE
RIDGE: Final = 1.0
SAME_PLACE: Final = 0.3


def learnt(groups: Sequence[Vectors], ridge: float = RIDGE) -> tuple[Vectors, Vectors]:
    """Map and middle from each person's vectors ``float[n, d]``."""
    every = np.concatenate(groups).astype(np.float64)
    within = sum((own - own.mean(axis=0)).T @ (own - own.mean(axis=0)) for own in groups) / len(every)
    size = every.shape[1]
    spread = float(np.trace(within)) / size
    root = np.linalg.cholesky(within + ridge * spread * np.eye(size))
    return (np.linalg.inv(root) * spread**0.5).astype(np.float32), every.mean(axis=0).astype(np.float32)


def views(picture: Picture, faces: FaceFinder) -> Iterator[Vectors]:
    """Vectors of a face as it is and as it is drawn; of a drawing in which it is not found, none."""
    look = faces.look(picture)
    if look:
        yield look[0].vector
        for draw in LEARNT.values():
            yield from (face.vector for face in _there(look[0], faces.look(draw(picture))))


def _there(face: Face, found: Sequence[Face]) -> Sequence[Face]:
    return [one for one in found if overlap(one.box, face.box) > SAME_PLACE][:1]


def main() -> None:
    """Learn, write, say where."""
    from safetensors.numpy import save

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TARGET)
    target: Path = parser.parse_args().out
    faces = DlibFaces()
    groups = []
    for number, picture in enumerate(stranger_pictures()[:LEARNT_FROM]):
        found = list(views(picture, faces))
        if len(found) > 1:
            groups.append(np.stack(found))
        say(f"{number + 1} of {LEARNT_FROM}: {len(found)} views")
    linear, middle = learnt(groups)
    letters = np.frombuffer(faces.space.encode(), np.uint8)
    data = save({MAP: linear, MIDDLE: middle, SOURCE: letters})
    target.write_bytes(data)
    say(f"{target}: {parse(data).space}, {len(groups)} faces, {sum(map(len, groups))} views")


if __name__ == "__main__":
    main()
