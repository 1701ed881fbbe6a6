"""Manifest definitions: what the signed credential of a clip says.

Two shapes. *Created*: we generated the clip (``c2pa.created``, source type trainedAlgorithmicMedia, a digest
of the prompt as ingredient). *Guarded*: someone else's clip was opened, marked and re-encoded
(``c2pa.opened`` with the import as parent) — nothing says that we made it, and no source type is claimed.
Both bind the clip twice softly (watermark and fingerprint): C2PA 2.2 §18.10.5.1 has a matcher check both,
which is the defence against a watermark copied onto something else. c2pa does not refuse wrong combinations
of actions and ingredients, so only these two shapes can be built.
"""

import uuid
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from pipeline.credentials import softbinding
from pipeline.credentials.child import PARENT, VIDEO
from pipeline.credentials.judge import RELEASE_LABEL
from pipeline.credentials.labels import TRAINED_ALGORITHMIC_MEDIA
from pipeline.credentials.text import safe_text
from pipeline.errors import UsageError
from pipeline.types import Json

SPEC_VERSION: Final = "2.4.0"
RELEASE_VERSION: Final = 2  # from 2 on with the log's checkpoint
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
    """What both shapes say.

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
class ManifestDefinition:
    """A definition ready to sign, once. `parent_archive`: a packed parent ingredient (`inspect_parent`)."""

    urn: str
    document: dict[str, Any]
    thumbnail: bytes = field(repr=False)
    parent_archive: bytes | None = field(default=None, repr=False)


def new_urn() -> str:
    """A fresh manifest name, known before signing so that payload → manifest can be stored first."""
    return f"urn:c2pa:{uuid.uuid4()}"


def created(facts: ReleaseFacts, *, model: Agent, prompt_digest: str) -> ManifestDefinition:
    """The credential of a clip that `model` generated.

    `prompt_digest`: a salted or keyed digest; the prompt itself, or a plain digest that a dictionary would
    undo, does not belong into a public file. Raises: UsageError for facts that cannot be signed.
    """
    action = {
        "action": "c2pa.created", "when": facts.created_at, "softwareAgent": _agent(model),
        "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA, "parameters": {"ingredientIds": [PROMPT]},
    }  # fmt: skip
    prompt = {
        "title": "prompt", "label": PROMPT, "relationship": "inputTo", "format": "text/plain",
        "description": safe_text(prompt_digest), "data_types": [{"type": "c2pa.types.generator.prompt"}],
    }  # fmt: skip
    actions = [action, _action("c2pa.watermarked.bound", facts)]
    return _definition(facts, actions, [prompt], None)


def guarded(facts: ReleaseFacts, *, imported: PurePath, imported_sha256: str, parent_archive: bytes | None,
            visible_mark: bool) -> ManifestDefinition:  # fmt: skip
    """The credential of someone else's clip that passed the guard.

    `parent_archive`: the import's own credential as `inspect_parent` packed it, None when it had none; then
    the parent is named by its digest only. Raises: UsageError for facts that cannot be signed.
    """
    opened = {"action": "c2pa.opened", "when": facts.created_at, "softwareAgent": _agent(facts.product),
              "parameters": {"ingredientIds": [PARENT]}}  # fmt: skip
    edited = [_action("c2pa.edited", facts) | {"description": "visible mark added"}] if visible_mark else []
    actions = [opened, *edited, _action("c2pa.watermarked.bound", facts), _action("c2pa.transcoded", facts)]
    parent = {
        "title": safe_text(imported.name) or "imported clip", "label": PARENT, "relationship": "parentOf",
        "format": VIDEO, "description": f"sha256:{imported_sha256}",
    }  # fmt: skip
    return _definition(facts, actions, [] if parent_archive else [parent], parent_archive)


def _definition(facts: ReleaseFacts, actions: list[dict[str, Any]], ingredients: list[dict[str, Any]],
                parent_archive: bytes | None) -> ManifestDefinition:  # fmt: skip
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
    return ManifestDefinition(
        urn=facts.urn, document=document, thumbnail=facts.thumbnail, parent_archive=parent_archive
    )


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
