"""What files that a clip is made from bring along: their own credential, and our hidden mark.

1. Their credentials are judged before anything is signed on top of them; one that does not hold is refused.
2. What holds is packed as an ingredient, whoever signed it, and how far it is believed is recorded.
3. What a clip says of itself outside its credential is read and recorded (`release.labelling`).
4. Our hidden mark is looked for in clips: a copy that lost its credential is recognised by it, so that what
   became of that release (a withdrawal) reaches what is made from the copy.

Pictures have no mark that could be searched. Of a long clip parts are searched (`SEARCHED` of every `EVERY`
seconds): less than that, cut in between, is missed. Nothing here passes a check: it only adds what is known.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from pipeline.credentials.file_labels import read_labels
from pipeline.credentials.labels import TRAINED_ALGORITHMIC_MEDIA
from pipeline.credentials.manifest import Agent, Making, Source, input_label
from pipeline.credentials.read import IngredientJudgement, IngredientKind, inspect_ingredient
from pipeline.credentials.reading import PARENT
from pipeline.credentials.text import safe_text
from pipeline.credentials.trust import TrustStore
from pipeline.media.opening import sniff
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from pipeline.orders import material_of
from pipeline.release.credential import Generated, Imported
from pipeline.release.staging import Staging
from pipeline.sandbox import ProcessLimits
from pipeline.types import Json, JsonValue
from registry import releases
from registry.types import Parent, Release
from watermark.base import Picture
from watermark.detector import HiddenMarkDetector
from watermark.keys import DetectionKey
from watermark.payload import as_hex

IMAGE: Final = "image/"
CONTAINERS: Final = {"mov": "video/mp4", "matroska": "video/x-matroska", "gif": "image/gif"}
NOT_MADE: Final = frozenset({"c2pa.opened", "c2pa.placed"})
SEARCHED: Final = 3.0  # seconds
EVERY: Final = 8.0  # seconds

GUARD: Final = "guard"
EXTEND: Final = "extend"
REMIX: Final = "remix"
CREDENTIAL: Final = "credential"
HIDDEN_MARK: Final = "hidden_mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFile:
    """A file in staging that the clip is made from: the label of its ingredient, its relation to the clip
    (of `registry.types.Parent`), what it is called, and its digest.
    """

    path: Path
    label: str
    relation: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What judging needs. `accepts`: the payload's check code."""

    engine: Engine
    staging: Staging
    trust: TrustStore
    keys: Sequence[DetectionKey]
    accepts: Callable[[int], bool]
    processes: ProcessLimits
    media: MediaLimits


def given_files(inputs: Mapping[str, Any], staging: Staging, imported: str | None) -> list[GivenFile]:
    """The files of a job; `imported`: the name in staging of somebody else's clip, if there is one."""
    found = []
    if imported is not None:
        found.append(GivenFile(path=staging.path(imported), label=PARENT, relation=GUARD, name=inputs["name"],
                               sha256=inputs["sha256"]))  # fmt: skip
    for place, (path, sha256) in enumerate(material_of(inputs)):
        continued = sha256 == inputs.get("extends")
        label, relation = (PARENT, EXTEND) if continued else (input_label(place), REMIX)
        found.append(GivenFile(path=staging.path(f"{sha256}.material"), label=label, relation=relation,
                               name=path.name, sha256=sha256))  # fmt: skip
    return found


def judge(files: Sequence[GivenFile], desk: Desk) -> Json:
    """{"files": a row for each}, as the step records it.

    Raises: Refused for a credential that does not hold; what `inspect_ingredient` and `open_clip` raise.
    """
    return {"files": [_row(file, desk) for file in files]}


def _row(file: GivenFile, desk: Desk) -> Json:
    judged = inspect_ingredient(file.path, desk.trust, limits=desk.processes, label=file.label)
    picture = (judged.media or "").startswith(IMAGE)
    claimed, mark = _claimed(judged, desk.engine), None if picture else _mark(file.path, desk)
    marked = releases.find_by_payload(desk.engine, mark) if mark else None
    return {
        "label": file.label, "relation": file.relation, "name": safe_text(file.name), "sha256": file.sha256,
        "media": judged.media or _container(file.path), "picture": picture,
        "credential": str(judged.kind), "urn": judged.reading.urn,
        "archive": _kept(judged.archive, desk.staging), "mark": mark,
        "generated": _generated(judged),
        "labels": None if picture else read_labels(file.path, limits=desk.processes).to_json(),
        "releases": {
            evidence: found.id for evidence, found in ((HIDDEN_MARK, marked), (CREDENTIAL, claimed)) if found
        },
    }  # fmt: skip


def _claimed(judged: IngredientJudgement, engine: Engine) -> Release | None:
    """The release of ours that a file is, by its own credential."""
    reading = judged.reading
    if judged.kind is not IngredientKind.OURS or reading.payload is None:
        return None
    found = releases.find_by_payload(engine, as_hex(reading.payload))
    return found if found is not None and found.urn == reading.urn else None


def _generated(judged: IngredientJudgement) -> bool:
    """Whether somebody who is trusted says that a model made the whole of it."""
    reading = judged.reading
    if reading.digital_source_types != (TRAINED_ALGORITHMIC_MEDIA,):
        return False
    if judged.kind is IngredientKind.OURS:
        return True  # of a clip that was continued our credential tells the whole
    begun = "c2pa.created" in reading.actions and not NOT_MADE & set(reading.actions)
    return judged.kind is IngredientKind.TRUSTED and begun


def _container(path: Path) -> str:
    """The media type of a clip that cannot carry a credential. Raises: MediaUnreadable."""
    with FileIO(path) as file:
        return CONTAINERS[sniff(file)]


def _kept(archive: bytes | None, staging: Staging) -> str | None:
    if archive is None:
        return None
    path = staging.draft("ingredient")
    path.write_bytes(archive)
    return staging.keep(path, ".ingredient")


def _mark(path: Path, desk: Desk) -> str | None:
    """The payload of our hidden mark in a clip, in hex."""
    detector = HiddenMarkDetector(desk.keys, desk.accepts)
    with open_clip(path, limits=desk.media) as clip:

        def searched() -> Iterator[Picture]:
            for frame in clip.frames():
                if frame.time % EVERY <= SEARCHED:
                    yield Picture(frame.time, frame.y, frame.u, frame.v)

        found = detector.detect(searched()).payload
    return None if found is None else as_hex(found)


def parents(recorded: dict[str, Any]) -> tuple[Parent, ...]:
    """The releases of ours that a clip was made from, each once: by what is best known of it."""
    rows = recorded.get("files", [])
    ranked = sorted(rows, key=lambda row: (GUARD, EXTEND, REMIX).index(row["relation"]))
    known: dict[str, Parent] = {}
    for evidence in (CREDENTIAL, HIDDEN_MARK):
        for row in ranked:
            if (release := row["releases"].get(evidence)) and release not in known:
                known[release] = Parent(release=release, relation=row["relation"], evidence=evidence)
    return tuple(known[release] for release in sorted(known))


def told(recorded: dict[str, Any]) -> list[JsonValue]:
    """What the manifest says of each file: how far its credential is believed, and our mark in it."""
    names = ("label", "relation", "credential", "mark")
    return [{name: row[name] for name in names} for row in recorded.get("files", [])]


def origin_of(
    origin: dict[str, Any], facts: Json, recorded: dict[str, Any], staging: Staging
) -> Generated | Imported:
    """Where a clip comes from, as its manifest tells it: made by the model of `origin`, or by others."""
    rows = {row["label"]: row for row in recorded.get("files", [])}
    if "generator" not in origin:
        return Imported(parent=_source(rows[PARENT], staging, f"sha256:{rows[PARENT]['sha256']}"))
    sources = {
        label: _source(row, staging, salted(origin["salt"], row["sha256"])) for label, row in rows.items()
    }
    continued = sources.pop(PARENT, None)
    making = Making(
        model=Agent(name=origin["generator"], version=origin["version"]),
        prompt_digest=str(facts["prompt_digest"]), inputs=tuple(sources.values()),
    )  # fmt: skip
    of_a_model = continued is not None and bool(rows[PARENT]["generated"])
    return Generated(making=making, extends=continued, of_a_model=of_a_model)


def salted(salt: str, text: str) -> str:
    """A digest that tells nothing to whoever guesses the text, without the salt."""
    return f"salted sha256:{hashlib.sha256(f'{salt} {text}'.encode()).hexdigest()}"


def _source(row: dict[str, Any], staging: Staging, digest: str) -> Source:
    archive = staging.whole(row["archive"]).read_bytes() if row["archive"] else None
    kind = "picture" if row["picture"] else "clip"
    title = row["name"] if row["relation"] == GUARD else f"{kind} given to the model"
    return Source(label=row["label"], title=title, media=row["media"], digest=digest, archive=archive)
