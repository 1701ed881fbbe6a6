"""The world of the fence benchmark: numbered targets, each with one opt-out and with clips that it concerns.

A target's word, picture, face and description follow from its number, so that every process knows them and
an opt-out concerns a clip exactly when both are about the same target. Nothing here asks the code under
test who concerns whom.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import Engine

from classifiers.base import Kind, Line, Seen, Sight, Vectors
from classifiers.thresholds import (
    FACE_PORTRAIT,
    FRAME_PICTURE,
    PROMPT_DESCRIPTION,
    PROMPT_PICTURE,
    Calibration,
    Layer,
)
from classifiers.words import ReadLine, seen_words
from registry import apikeys, optouts, rules
from registry.checkpoint import NoteSigner
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft

KINDS: Final = (
    "name", "pictures", "face", "portfolio", "description", "rule", "licence", "consent", "key",
    "name added", "picture added", "words",
)  # fmt: skip
HARMLESS: Final = -1
SPACE: Final = "clip-fence"
FACES: Final = "dlib-face-fence"
DIMENSION: Final = 512
FACE_DIMENSION: Final = 128
FRAMES: Final = 12
FACE_SCALE: Final = 0.12  # strangers are about 1.9 apart, pictures of one face 0.3
NOISE: Final = 0.02
_SYLLABLES: Final = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]

CALIBRATIONS: Final = {
    SPACE: Calibration(
        space=SPACE, version=1, made={"by": "benchmarks.fence"},
        layers={
            name: Layer(threshold=0.6, slope=10.0, intercept=-6.0)
            for name in (FRAME_PICTURE, PROMPT_PICTURE, PROMPT_DESCRIPTION)
        },
    ),
    FACES: Calibration(
        space=FACES, version=1, made={"by": "benchmarks.fence"},
        layers={FACE_PORTRAIT: Layer(threshold=-0.6, slope=10.0, intercept=6.0)},
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """What was registered before the load began, by target: subjects, licences, keys."""

    subjects: dict[int, str]
    licences: dict[int, str]
    keys: dict[int, str]

    def save(self, path: Path) -> None:
        """Write for the other processes."""
        path.write_text(json.dumps([self.subjects, self.licences, self.keys]))

    @classmethod
    def load(cls, path: Path) -> "Ids":
        """Read `save`'s file."""
        told = [{int(key): value for key, value in part.items()} for part in json.loads(path.read_text())]
        return cls(subjects=told[0], licences=told[1], keys=told[2])


def kind_of(target: int) -> str:
    """The kind of opt-out that this target gets."""
    return KINDS[target % len(KINDS)]


def word(target: int) -> str:
    """A name that nothing else has; negative numbers for other words."""
    chosen = np.random.default_rng(target + 1_000_000).choice(_SYLLABLES, 5)
    return "".join(chosen).capitalize()


def account(target: int) -> str:
    """Who asks for the clips of a target."""
    return f"account-{target}"


def sight(target: int, random: np.random.Generator) -> Sight:
    """What is seen of a clip about a target, or about nobody."""
    kind = "" if target == HARMLESS else kind_of(target)
    named = kind in ("name", "portfolio", "rule", "licence", "name added")
    prompt = f"{word(target)} walks along a beach" if named else "a boat leaves the harbour in the morning"
    frames = _units(random, FRAMES, DIMENSION)
    if kind in ("pictures", "picture added"):
        frames[3] = _near(_direction(target), random)
    faces = _faces(random)
    if kind in ("face", "consent"):
        faces[0] = _face(target) + NOISE * _faces(random)[0]
    signs = [f"The story of {word(target)}"] if kind == "words" else []
    asked = _near(_direction(target), random) if kind == "description" else _units(random, 1, DIMENSION)[0]
    times = tuple(index / 4 for index in range(FRAMES))
    return Sight(
        texts=(prompt,),
        seen=(
            Seen(kind=Kind.PROMPT, space=SPACE, vectors=asked[None]),
            Seen(kind=Kind.FRAME, space=SPACE, vectors=frames, times=times),
            Seen(kind=Kind.FACE, space=FACES, vectors=faces, times=(0.0,)),
            seen_words([(1.0, [_line(text) for text in signs])]),
        ),
    )


def _line(text: str) -> ReadLine:
    return ReadLine(line=Line(text=text, confidence=0.9), box=(0.25, 0.75, 0.75, 1.0))


def prepare(engine: Engine, targets: int, now: str, signer: NoteSigner) -> Ids:
    """Register what later changes need: subjects that are allowed or licensed, and API keys."""
    told: dict[str, Any] = {"now": now, "sign_checkpoint": signer}
    before: dict[str, Callable[[int], OptOutDraft]] = {
        "rule": lambda t: _named(t, word(t), mode="allow"),
        "licence": lambda t: _named(t, word(t)),
        "consent": _person,
        "name added": lambda t: _named(t, word(-2 - t)),
        "picture added": lambda t: _pictured(t, _direction(-2 - t)),
    }
    first = [target for target in range(targets) if kind_of(target) in before]
    drafts = [before[kind_of(target)](target) for target in first]
    made = optouts.add_many(engine, drafts, **told)
    subjects = {target: receipt.subject for target, receipt in zip(first, made, strict=True)}
    licences, keys = {}, {}
    for target in range(targets):
        if kind_of(target) in ("licence", "consent"):
            licences[target] = rules.grant_licence(engine, subjects[target], account(target), **told).id
        if kind_of(target) == "key":
            keys[target] = apikeys.create(engine, account(target), "key", ["create"], now=now)[0].id
    return Ids(subjects=subjects, licences=licences, keys=keys)


def opt_out(engine: Engine, target: int, ids: Ids, now: str, signer: NoteSigner) -> int:
    """Make the opt-out of a target and return its log position."""
    told: dict[str, Any] = {"now": now, "sign_checkpoint": signer}
    kind = kind_of(target)
    if kind == "rule":
        rules.set_rule(engine, ids.subjects[target], "block", **told)
    elif kind in ("licence", "consent"):
        return rules.revoke_licence(engine, ids.licences[target], **told)
    elif kind == "key":
        return apikeys.revoke(engine, ids.keys[target], why={}, **told).revoked_seq or 0
    elif kind == "name added":
        names = [NameDraft(text=word(target))]
        return optouts.extend(engine, ids.subjects[target], names=names, **told).seq
    elif kind == "picture added":
        picture, vector = _picture(target, _direction(target))
        return optouts.extend(
            engine, ids.subjects[target], references=[picture], vectors=[vector], **told
        ).seq
    else:
        return optouts.add(engine, _DRAFTS[kind](target), **told).seq
    record = optouts.get(engine, ids.subjects[target])
    return record.seq if record else 0


def _named(target: int, name: str, mode: str = "block", kind: str = "character") -> OptOutDraft:
    return OptOutDraft(
        kind=kind, name=f"{kind} {target}", owner=f"Owner {target % 40}", mode=mode,
        names=(NameDraft(text=name, kind="official"),),
    )  # fmt: skip


def _pictured(target: int, direction: Vectors) -> OptOutDraft:
    picture, vector = _picture(target, direction)
    return OptOutDraft(
        kind="character", name=f"character {target}", owner=f"Owner {target % 40}", references=(picture,),
        vectors=(vector,),
    )  # fmt: skip


def _person(target: int) -> OptOutDraft:
    picture, _ = _picture(target, _direction(target))
    return OptOutDraft(
        kind="person", name=f"person {target}", owner=f"person {target}", references=(picture,),
        vectors=(_vector(_face(target), FACES, "portrait", picture.sha256),),
    )  # fmt: skip


def _described(target: int) -> OptOutDraft:
    return OptOutDraft(
        kind="character", name=f"character {target}", owner=f"Owner {target % 40}",
        description=f"the description of {target}",
        vectors=(_vector(_direction(target), SPACE, "description", ""),),
    )  # fmt: skip


_DRAFTS: Final[dict[str, Callable[[int], OptOutDraft]]] = {
    "name": lambda target: _named(target, word(target)),
    "words": lambda target: _named(target, word(target)),
    "portfolio": lambda target: _named(target, word(target), kind="portfolio"),
    "pictures": lambda target: _pictured(target, _direction(target)),
    "face": _person,
    "description": _described,
}


def _picture(target: int, direction: Vectors) -> tuple[ReferenceDraft, VectorDraft]:
    digest = direction.tobytes().hex()[:64]
    picture = ReferenceDraft(sha256=digest, polarity=1, width=512, height=512, name=f"{target}.png")
    return picture, _vector(direction, SPACE, "picture", digest)


def _vector(values: Vectors, space: str, kind: str, reference: str) -> VectorDraft:
    return VectorDraft(
        reference=reference, space=space, kind=kind, polarity=1, vector=values.astype("<f2").tobytes(),
        dimension=len(values),
    )  # fmt: skip


def _direction(target: int) -> Vectors:
    direction: Vectors = _units(np.random.default_rng(target + 2_000_000), 1, DIMENSION)[0]
    return direction


def _near(direction: Vectors, random: np.random.Generator) -> Vectors:
    moved = direction + NOISE * random.standard_normal(len(direction)).astype(np.float32)
    return np.asarray(moved / np.linalg.norm(moved), np.float32)


def _face(target: int) -> Vectors:
    face: Vectors = _faces(np.random.default_rng(target + 3_000_000))[0]
    return face


def _faces(random: np.random.Generator) -> Vectors:
    return np.asarray(FACE_SCALE * random.standard_normal((1, FACE_DIMENSION)), np.float32)


def _units(random: np.random.Generator, count: int, dimension: int) -> Vectors:
    values = random.standard_normal((count, dimension)).astype(np.float32)
    lengths: Vectors = np.linalg.norm(values, axis=1, keepdims=True)
    return values / lengths
