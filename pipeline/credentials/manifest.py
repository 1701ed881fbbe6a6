"""Manifest definitions: what the signed credential of a clip says.

Three shapes, and no other can be built, since c2pa does not refuse wrong combinations of actions and
ingredients (C2PA 2.4, actions and ingredients; docs/adr/0065):

*Created*: a model of ours made the clip: ``c2pa.created``, source type trainedAlgorithmicMedia; a digest of
the prompt, and the pictures and clips that it was made from (an image prompt, a remix), are ``inputTo`` it.
*Extended*: a model of ours went on with a clip whose frames it kept: ``c2pa.opened`` with that clip as
``parentOf``, which claims no source type, then ``c2pa.edited`` with one.
*Guarded*: somebody else's clip was opened, marked and re-encoded: ``c2pa.opened`` with the import as
``parentOf``; nothing says that we made it, and no source type is claimed.

All bind the clip twice softly (watermark and fingerprint): C2PA 2.2 §18.10.5.1 has a matcher check both,
which is the defence against a watermark copied onto something else.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.credentials import softbinding
from pipeline.credentials.child import VIDEO
from pipeline.credentials.judge import RELEASE_LABEL
from pipeline.credentials.labels import COMPOSITE_WITH_TRAINED_MEDIA, TRAINED_ALGORITHMIC_MEDIA
from pipeline.credentials.text import safe_text
from pipeline.errors import UsageError
from pipeline.types import Json

SPEC_VERSION: Final = "2.4.0"
RELEASE_VERSION: Final = 3  # from 2 on with the log's checkpoint, from 3 on with what it was made from
PROMPT: Final = "prompt"
THUMBNAIL: Final = "thumbnail.jpg"
JPEG_START: Final = b"\xff\xd8\xff"
MAX_THUMBNAIL_BYTES: Final = 256 * 1024
MINING_USES: Final = (
    "cawg.ai_generative_training", "cawg.ai_inference", "cawg.ai_training", "cawg.data_mining",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A program or model by name and version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts:
    """What all shapes say.

    `payload`: 64 bits of the hidden mark. `fingerprint`: `Fingerprint.to_bytes` of the decoded final frames.
    `thumbnail`: JPEG bytes. `product`: ourselves. `created_at`: RFC 3339. `release`: the JSON of our own
    assertion (release id, decision policy, checked_seq, …), given a version marker here.
    `mining_allowed`: whether others may train on or mine the clip (CAWG training-mining).
    """

    urn: str
    title: str
    product: Agent
    created_at: str
    payload: int
    fingerprint: bytes
    thumbnail: bytes = field(repr=False)
    release: Json
    mining_allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that a clip was made from, under the `label` by which its ingredient is known to actions.

    `archive`: its own credential as `pipeline.credentials.read.inspect_ingredient` packed it under that
    label, None when it has none; then it is named by `title`, `media` (its media type) and `digest`, which
    of a file that was given to a model is salted: a plain one would tell whoever has it that it was used.
    """

    label: str
    title: str
    media: str
    digest: str
    archive: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a clip was generated. `model`: which made it. `prompt_digest`: a salted or keyed digest; the prompt
    itself, or a plain digest that a dictionary would undo, does not belong into a public file.
    `inputs`: pictures and clips that the model was given.
    """

    model: Agent
    prompt_digest: str
    inputs: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestDefinition:
    """A definition ready to sign, once. `archives`: packed ingredients (`inspect_ingredient`)."""

    urn: str
    document: dict[str, Any]
    thumbnail: bytes = field(repr=False)
    archives: tuple[bytes, ...] = field(default=(), repr=False)


def new_urn() -> str:
    """A fresh manifest name, known before signing so that payload → manifest can be stored first."""
    return f"urn:c2pa:{uuid.uuid4()}"


def input_label(place: int) -> str:
    """The label of the input at that place."""
    return f"input-{place}"


def created(facts: ReleaseFacts, making: Making) -> ManifestDefinition:
    """The credential of a clip that a model of ours generated.

    Raises: UsageError for what cannot be signed.
    """
    action = {
        "action": "c2pa.created", "when": facts.created_at, "softwareAgent": _agent(making.model),
        "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA, "parameters": {"ingredientIds": _inputs(making)},
    }  # fmt: skip
    actions = [action, _action("c2pa.watermarked.bound", facts)]
    return _definition(facts, actions, [_prompt(making)], [], making.inputs)


def extended(facts: ReleaseFacts, making: Making, *, parent: Source, generated: bool) -> ManifestDefinition:
    """The credential of a clip that begins with the frames of `parent`, and that a model went on with.

    `generated`: whether the parent itself is known to be made by a model altogether; else the whole is a
    composite. Raises: UsageError for what cannot be signed.
    """
    opened = _action("c2pa.opened", facts) | {"parameters": {"ingredientIds": [parent.label]}}
    edited = {
        "action": "c2pa.edited", "when": facts.created_at, "softwareAgent": _agent(making.model),
        "description": "the clip was continued", "parameters": {"ingredientIds": _inputs(making)},
        "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA if generated else COMPOSITE_WITH_TRAINED_MEDIA,
    }  # fmt: skip
    actions = [opened, edited, _action("c2pa.watermarked.bound", facts)]
    return _definition(facts, actions, [_prompt(making)], [parent], making.inputs)


def guarded(facts: ReleaseFacts, *, parent: Source, visible_mark: bool) -> ManifestDefinition:
    """The credential of somebody else's clip that passed the guard.

    Raises: UsageError for what cannot be signed.
    """
    opened = _action("c2pa.opened", facts) | {"parameters": {"ingredientIds": [parent.label]}}
    edited = [_action("c2pa.edited", facts) | {"description": "visible mark added"}] if visible_mark else []
    actions = [opened, *edited, _action("c2pa.watermarked.bound", facts), _action("c2pa.transcoded", facts)]
    return _definition(facts, actions, [], [parent], [])


def _inputs(making: Making) -> list[str]:
    return [PROMPT, *(source.label for source in making.inputs)]


def _prompt(making: Making) -> dict[str, Any]:
    return {
        "title": "prompt", "label": PROMPT, "relationship": "inputTo", "format": "text/plain",
        "description": safe_text(making.prompt_digest),
        "data_types": [{"type": "c2pa.types.generator.prompt"}],
    }  # fmt: skip


def _ingredient(source: Source, relationship: str) -> dict[str, Any]:
    return {
        "title": safe_text(source.title) or "clip", "label": source.label, "relationship": relationship,
        "format": source.media, "description": safe_text(source.digest),
    }  # fmt: skip


def _definition(facts: ReleaseFacts, actions: list[dict[str, Any]], ingredients: list[dict[str, Any]],
                parents: Sequence[Source], inputs: Sequence[Source]) -> ManifestDefinition:  # fmt: skip
    for sources, relationship in ((parents, "parentOf"), (inputs, "inputTo")):
        ingredients += [_ingredient(source, relationship) for source in sources if source.archive is None]
    archives = tuple(one.archive for one in (*parents, *inputs) if one.archive is not None)
    _check(facts)
    document = {
        "claim_version": 2, "label": facts.urn, "title": safe_text(facts.title) or "clip", "format": VIDEO,
        "claim_generator_info": [_agent(facts.product) | {"specVersion": SPEC_VERSION}],
        "thumbnail": {"format": "image/jpeg", "identifier": THUMBNAIL},
        "ingredients": ingredients,
        "assertions": [
            {"label": "c2pa.actions.v2", "created": True,
             "data": {"allActionsIncluded": True, "actions": actions}},
            _binding(softbinding.WATERMARK_ALGORITHM, softbinding.encode_payload(facts.payload)),
            _binding(softbinding.FINGERPRINT_ALGORITHM, softbinding.encode_fingerprint(facts.fingerprint)),
            _mining(allowed=facts.mining_allowed),
            {"label": RELEASE_LABEL, "created": True, "kind": "Json",
             "data": {**facts.release, "version": RELEASE_VERSION}},
        ],
    }  # fmt: skip
    return ManifestDefinition(urn=facts.urn, document=document, thumbnail=facts.thumbnail, archives=archives)


def _check(facts: ReleaseFacts) -> None:
    try:
        canonical = facts.urn == f"urn:c2pa:{uuid.UUID(facts.urn.removeprefix('urn:c2pa:'))}"
    except ValueError:
        canonical = False
    if not canonical:  # c2pa would silently rename the manifest
        raise UsageError("a manifest's name must be urn:c2pa: and a lower-case UUID; use new_urn()")
    if not 0 <= facts.payload < 1 << 64:
        raise UsageError("the payload of the hidden mark must have 64 bits; take it from the release store")
    if not facts.thumbnail.startswith(JPEG_START) or len(facts.thumbnail) > MAX_THUMBNAIL_BYTES:
        raise UsageError("the thumbnail must be a JPEG of at most 256 KiB; make a smaller one")


def _action(name: str, facts: ReleaseFacts) -> dict[str, Any]:
    return {"action": name, "when": facts.created_at, "softwareAgent": _agent(facts.product)}


def _agent(agent: Agent) -> dict[str, str]:
    return {"name": safe_text(agent.name), "version": safe_text(agent.version)}


def _binding(algorithm: str, value: str) -> dict[str, Any]:
    return softbinding.assertion(algorithm, value) | {"created": True}


def _mining(*, allowed: bool) -> dict[str, Any]:
    use = {"use": "allowed" if allowed else "notAllowed"}
    return {"label": "cawg.training-mining", "data": {"entries": dict.fromkeys(MINING_USES, use)}}
