"""Learns the map of `classifiers.drawn`: `python -m training.drawn_faces` (two minutes of one core).

From the first half of the hundred faces (25 pixels, grey) that ship with scikit-image, enlarged, what the
filters `benchmarks.tools.face_styles.LEARNT` draw of each, and how each looks otherwise
(`training.face_views`). The map whitens the directions in which vectors of one person differ; a ridge of
twice the mean variance keeps it from trusting directions that fifty faces say little about. Nothing of a
single face is left in it. The other half, the other filters and what is not among the views are kept apart
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
from classifiers.drawn import APART, FILE, MAP, MIDDLE, SOURCE, parse
from classifiers.faces import Face, FaceFinder
from classifiers.faces_dlib import DlibFaces
from training.face_views import VIEWS, Place

TARGET: Final = ROOT / "classifiers" / FILE
RIDGE: Final = 2.0
MIDST: Final = 0.5
DRAWN_APART: Final = 0.2
"""What the square of a distance to a drawing of a portrait is lengthened by: drawings of two persons are
nearer to each other than their photographs are. Chosen on photographs that are measured (ADR 0037)."""


def learnt(groups: Sequence[Vectors], ridge: float = RIDGE) -> tuple[Vectors, Vectors]:
    """Map and middle from each person's vectors ``float[n, d]``."""
    every = np.concatenate(groups).astype(np.float64)
    within = sum((own - own.mean(axis=0)).T @ (own - own.mean(axis=0)) for own in groups) / len(every)
    size = every.shape[1]
    spread = float(np.trace(within)) / size
    root = np.linalg.cholesky(within + ridge * spread * np.eye(size))
    return (np.linalg.inv(root) * spread**0.5).astype(np.float32), every.mean(axis=0).astype(np.float32)


def views(picture: Picture, faces: FaceFinder) -> Iterator[Vectors]:
    """Vectors of a face as it is, as it is drawn, and as it looks otherwise; of a picture in which it is not
    found, none.
    """
    look = faces.look(picture)
    if look:
        yield look[0].vector
        place = _pixels(look[0], picture)
        changed = [draw(picture) for draw in LEARNT.values()] + [
            view(picture, place) for view in VIEWS.values()
        ]
        for one in changed:
            yield from (face.vector for face in faces.look(one) if _in_the_middle(face))


def _pixels(face: Face, picture: Picture) -> Place:
    (left, top, right, bottom), (high, wide) = face.box, picture.shape[:2]
    return round(left * wide), round(top * high), round(right * wide), round(bottom * high)


def _in_the_middle(face: Face) -> bool:
    """Whether it is the one that a stranger's picture is of."""
    left, top, right, bottom = face.box
    return left < MIDST < right and top < MIDST < bottom


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
    apart = np.array([DRAWN_APART], np.float32)
    data = save({MAP: linear, MIDDLE: middle, APART: apart, SOURCE: letters})
    target.write_bytes(data)
    say(f"{target}: {parse(data).space}, {len(groups)} faces, {sum(map(len, groups))} views")


if __name__ == "__main__":
    main()
