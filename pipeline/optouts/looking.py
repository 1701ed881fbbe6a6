"""What is seen of an opt-out: its pictures and words in every space, as the registry keeps them.

Pictures of a character, logo or artwork are embedded whole by CLIP. Of a person only the face is kept: what
else a picture shows (a suit, a desk) is not theirs, and would match everybody's clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

import numpy as np

from classifiers.base import Box, Kind, Picture, Vectors
from classifiers.descriptions import vectors_of_exclusions, vectors_of_subject
from classifiers.drawn import of_portrait
from classifiers.errors import TooManyFaces
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
LEAST_FACE: Final = 40
"""Pixels of a portrait's face: smaller ones resemble what is no face at all."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is seen of one picture: its vectors, or, without any, the sentence that says why.

    ``vectors``: float16 each, little endian; ``space``: of them; ``spaces``: of each, where there are others.
    """

    name: str
    sha256: str
    width: int
    height: int
    space: str
    kind: str
    vectors: tuple[bytes, ...] = ()
    spaces: tuple[str, ...] = ()
    note: str = ""

    @property
    def placed(self) -> Sequence[tuple[str, bytes]]:
        """Each vector with its space."""
        return list(zip(self.spaces or (self.space,) * len(self.vectors), self.vectors, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A vector of a description or an attribute, or, with `polarity` -1, of what is not meant."""

    space: str
    kind: str
    vector: bytes
    polarity: int = SHOWN


def look(
    order: OptOutOrder, shown: Sequence[ReadPicture], not_meant: Sequence[ReadPicture], eyes: Eyes
) -> Looked:
    """Look at pictures and words. Raises: PictureRefused, ModelUnusable."""
    pictures, notes = _without_repeats(shown, not_meant)
    seen = see([picture for picture, _ in pictures], order.kind, eyes)
    signed = [(one, polarity) for one, (_, polarity) in zip(seen, pictures, strict=True)]
    looked = _registered(signed)
    vectors = (*looked.vectors, *map(_word_draft, see_words(order, eyes)))
    return Looked(references=looked.references, vectors=vectors, notes=(*notes, *looked.notes))


def compose(shown: Sequence[Seen], not_meant: Sequence[Seen], words: Sequence[Words]) -> Looked:
    """What `look` gives, of pictures and words that were looked at before. Raises: PictureRefused."""
    pictures, notes = _without_repeats(shown, not_meant)
    looked = _registered(pictures)
    vectors = (*looked.vectors, *map(_word_draft, words))
    return Looked(references=looked.references, vectors=vectors, notes=(*notes, *looked.notes))


def see(pictures: Sequence[ReadPicture], kind: str, eyes: Eyes) -> list[Seen]:
    """Look at pictures of a subject of this kind: at the face of a person, else at all of it."""
    if not pictures:
        return []
    return [_face(picture, eyes.faces) for picture in pictures] if kind == PERSON else _whole(pictures, eyes)


def see_words(order: OptOutOrder, eyes: Eyes) -> list[Words]:
    """Look at description, attributes and exclusions, without the names in them."""
    if not (order.description or order.attributes):
        return []
    seen = vectors_of_subject(
        order.description, order.attributes, order.all_names, eyes.clip, eyes.minilm
    )  # fmt: skip
    not_meant = vectors_of_exclusions(order.exclusions, order.all_names, eyes.minilm)
    return [
        Words(space=one.space, kind=str(one.kind), vector=stored(vector), polarity=polarity)
        for parts, polarity in ((seen, SHOWN), (not_meant, NOT_MEANT))
        for one in parts for vector in one.vectors
    ]  # fmt: skip


class _Shown(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


_Picture = TypeVar("_Picture", bound=_Shown)


def _without_repeats(
    shown: Sequence[_Picture], not_meant: Sequence[_Picture]
) -> tuple[list[tuple[_Picture, int]], list[str]]:
    """Pictures with their polarity, each once. Raises: PictureRefused for one that is both."""
    kept: dict[str, tuple[_Picture, int]] = {}
    notes = []
    signed = [(picture, SHOWN) for picture in shown] + [(picture, NOT_MEANT) for picture in not_meant]
    for picture, polarity in signed:
        first = kept.setdefault(picture.sha256, (picture, polarity))
        if first[1] != polarity:
            raise PictureRefused(f"{picture.name}: it is also among the references; it cannot be both")
        if first[0] is not picture:
            notes.append(f"{picture.name}: the same picture as {first[0].name}; one is kept")
    return list(kept.values()), notes


def _whole(pictures: Sequence[ReadPicture], eyes: Eyes) -> list[Seen]:
    parts = [cut_out(picture.rgb, region) for picture in pictures for region in REGIONS]
    vectors = [stored(vector) for vector in eyes.clip.embed_images(parts)]
    each = len(REGIONS)
    return [
        _seen(picture, eyes.clip.space, Kind.PICTURE, tuple(vectors[each * place : each * (place + 1)]))
        for place, picture in enumerate(pictures)
    ]


def _face(picture: ReadPicture, faces: Faces) -> Seen:
    try:
        face, note = _face_of(faces.look(picture.rgb), picture.rgb.shape[1])
    except TooManyFaces as error:
        face, note = None, f"{error}; crop it to the person"
    if face is None:
        return _seen(picture, faces.space, Kind.PORTRAIT, (), f"{picture.name}: {note}")
    found = of_portrait(picture.rgb, face, faces)
    placed = [(space, vector) for space, vectors in found.items() for vector in vectors]
    seen = _seen(picture, faces.space, Kind.PORTRAIT, tuple(stored(vector) for _, vector in placed))
    return replace(seen, spaces=tuple(space for space, _ in placed))


def _seen(
    picture: ReadPicture, space: str, kind: Kind, vectors: tuple[bytes, ...], note: str = ""
) -> Seen:  # fmt: skip
    return Seen(
        name=picture.name, sha256=picture.sha256, width=picture.width, height=picture.height, space=space,
        kind=str(kind), vectors=vectors, note=note,
    )  # fmt: skip


def _registered(pictures: Sequence[tuple[Seen, int]]) -> Looked:
    """A picture in which nothing was found is left out and noted; one at least is needed."""
    found = [(one, polarity) for one, polarity in pictures if one.vectors]
    notes = tuple(one.note for one, _ in pictures if not one.vectors)
    if any(polarity == SHOWN for _, polarity in pictures) and all(sign != SHOWN for _, sign in found):
        raise PictureRefused("; ".join(notes))
    return Looked(
        references=tuple(
            ReferenceDraft(
                sha256=one.sha256, polarity=polarity, width=one.width, height=one.height, name=one.name
            )
            for one, polarity in found
        ),
        vectors=tuple(
            VectorDraft(
                reference=one.sha256, space=space, kind=one.kind, polarity=polarity, vector=vector,
                dimension=len(vector) // 2,
            )
            for one, polarity in found for space, vector in one.placed
        ),
        notes=notes,
    )  # fmt: skip


def _face_of(faces: Sequence[Face], width: int) -> tuple[Face | None, str]:
    """The one face that a picture of this width shows, or why there is none. What is doubtful is none."""
    surest = max((face.certainty for face in faces), default=0.0)
    sure = [face for face in faces if face.certainty >= max(surest * DOUBTFUL, 0.0)]
    if not sure:
        return None, "no face was found; choose a picture that shows the face large and from the front"
    largest, *others = sorted(sure, key=_area, reverse=True)
    if others and _area(others[0]) * PROMINENT > _area(largest):
        return None, f"it shows {len(sure)} faces; crop it to the person"
    pixels = round((largest.box[2] - largest.box[0]) * width)
    if pixels < LEAST_FACE:
        return None, f"the face is too small: {pixels} px; needs {LEAST_FACE}"
    return largest, ""


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def stored(vector: Vectors) -> bytes:
    """A vector as the registry keeps it."""
    return np.ascontiguousarray(vector, "<f2").tobytes()


def _word_draft(words: Words) -> VectorDraft:
    return VectorDraft(
        reference="", space=words.space, kind=words.kind, polarity=words.polarity, vector=words.vector,
        dimension=len(words.vector) // 2,
    )  # fmt: skip
