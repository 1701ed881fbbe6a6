"""What is seen of an opt-out: its pictures and words in every space, as the registry keeps them.

Pictures of a character, logo or artwork are embedded whole by CLIP. Of a person only the face is kept: what
else a picture shows (a suit, a desk) is not theirs, and would match everybody's clips.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from classifiers.base import Box, Kind, Picture, Vectors
from classifiers.descriptions import vectors_of_subject
from classifiers.faces import Face
from classifiers.sampling import WHOLE, cut_out
from pipeline.errors import PictureRefused
from pipeline.optouts.fitting import Measures
from pipeline.optouts.order import OptOutOrder
from pipeline.pictures.types import ReadPicture
from registry.subject_types import ReferenceDraft, VectorDraft

PERSON: Final = "person"
REGIONS: Final[tuple[Box, ...]] = (WHOLE,)
"""What of a registered picture is embedded; the calibrations of frames were made with the same."""
PROMINENT: Final = 2.0
"""A face stands for the picture when no other is larger than its area divided by this."""
DOUBTFUL: Final = 1 / 3
"""Share of the surest face's certainty under which another is taken for a trick of the light."""
SHOWN, NOT_MEANT = 1, -1


class Faces(Protocol):
    """Finds faces in RGB ``uint8[h, w, 3]``."""

    @property
    def space(self) -> str: ...  # noqa: D102
    def look(self, picture: Picture) -> tuple[Face, ...]: ...  # noqa: D102


class Eyes(Measures, Protocol):
    """The models that an opt-out is looked at and measured with; each may load when first asked for."""

    @property
    def faces(self) -> Faces: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Pictures and vectors to register; ``notes``: sentences about pictures that protect nothing."""

    references: tuple[ReferenceDraft, ...] = ()
    vectors: tuple[VectorDraft, ...] = ()
    notes: tuple[str, ...] = ()


def look(
    order: OptOutOrder, shown: Sequence[ReadPicture], not_meant: Sequence[ReadPicture], eyes: Eyes
) -> Looked:
    """Look at pictures and words. Raises: PictureRefused, ModelUnusable."""
    pictures, notes = _without_repeats(shown, not_meant)
    seen = _portraits(pictures, eyes.faces) if order.kind == PERSON else _embedded(pictures, eyes)
    return Looked(
        references=seen.references, vectors=(*seen.vectors, *_words(order, eyes)), notes=(*notes, *seen.notes)
    )


_Signed = list[tuple[ReadPicture, int]]


def _without_repeats(
    shown: Sequence[ReadPicture], not_meant: Sequence[ReadPicture]
) -> tuple[_Signed, list[str]]:
    """Pictures with their polarity, each once. Raises: PictureRefused for one that is both."""
    kept: dict[str, tuple[ReadPicture, int]] = {}
    notes = []
    signed = [(picture, SHOWN) for picture in shown] + [(picture, NOT_MEANT) for picture in not_meant]
    for picture, polarity in signed:
        first = kept.setdefault(picture.sha256, (picture, polarity))
        if first[1] != polarity:
            raise PictureRefused(f"{picture.name}: it is also among the references; it cannot be both")
        if first[0] is not picture:
            notes.append(f"{picture.name}: the same picture as {first[0].name}; one is kept")
    return list(kept.values()), notes


def _embedded(pictures: _Signed, eyes: Eyes) -> Looked:
    if not pictures:
        return Looked()
    parts = [cut_out(picture.rgb, region) for picture, _ in pictures for region in REGIONS]
    vectors = eyes.clip.embed_images(parts)
    owners = [pair for pair in pictures for _ in REGIONS]
    return Looked(
        references=tuple(_reference(picture, polarity) for picture, polarity in pictures),
        vectors=tuple(
            _vector(vector, eyes.clip.space, Kind.PICTURE, picture.sha256, polarity)
            for vector, (picture, polarity) in zip(vectors, owners, strict=True)
        ),
    )


def _portraits(pictures: _Signed, faces: Faces) -> Looked:
    """The face of each picture. A picture without one is left out and noted; one at least is needed."""
    found, notes = [], []
    for picture, polarity in pictures:
        face, note = _face_of(faces.look(picture.rgb))
        if face is None:
            notes.append(f"{picture.name}: {note}")
        else:
            found.append((picture, polarity, face))
    if any(polarity == SHOWN for _, polarity in pictures) and all(sign != SHOWN for _, sign, _ in found):
        raise PictureRefused("; ".join(notes))
    return Looked(
        references=tuple(_reference(picture, polarity) for picture, polarity, _ in found),
        vectors=tuple(
            _vector(face.vector, faces.space, Kind.PORTRAIT, picture.sha256, polarity)
            for picture, polarity, face in found
        ),
        notes=tuple(notes),
    )


def _face_of(faces: Sequence[Face]) -> tuple[Face | None, str]:
    """The one face that a picture shows, or why there is none."""
    if not faces:
        return None, "no face was found; choose a picture that shows the face large and from the front"
    surest = max(face.certainty for face in faces)
    sure = [face for face in faces if face.certainty >= surest * DOUBTFUL]
    largest, *others = sorted(sure, key=_area, reverse=True)
    if others and _area(others[0]) * PROMINENT > _area(largest):
        return None, f"it shows {len(sure)} faces; crop it to the person"
    return largest, ""


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _words(order: OptOutOrder, eyes: Eyes) -> Iterator[VectorDraft]:
    """Description and attributes, without the names in them."""
    if not (order.description or order.attributes):
        return
    for seen in vectors_of_subject(
        order.description, order.attributes, order.all_names, eyes.clip, eyes.minilm
    ):
        for vector in seen.vectors:
            yield _vector(vector, seen.space, seen.kind, "", SHOWN)


def _reference(picture: ReadPicture, polarity: int) -> ReferenceDraft:
    return ReferenceDraft(
        sha256=picture.sha256, polarity=polarity, width=picture.width, height=picture.height,
        name=picture.name,
    )  # fmt: skip


def _vector(vector: Vectors, space: str, kind: Kind, reference: str, polarity: int) -> VectorDraft:
    stored = np.ascontiguousarray(vector, "<f2")
    return VectorDraft(
        reference=reference, space=space, kind=str(kind), polarity=polarity, vector=stored.tobytes(),
        dimension=stored.size,
    )  # fmt: skip
