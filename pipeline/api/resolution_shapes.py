"""Requests and answers of the Soft Binding Resolution API as OpenAPI shows them (C2PA 2.4, version 2.4.0)."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.credentials.softbinding import FINGERPRINT_ALGORITHM, WATERMARK_ALGORITHM, encode_payload

C2PA: Final = "application/c2pa"
VERSION: Final = "2.4.0"
"""The version of the C2PA specification whose resolution API this is."""
DEFAULT_RESULTS: Final = 10
MAX_RESULTS: Final = 100
MAX_QUERY_VALUE: Final = 4096  # characters of a value in an address; longer ones are posted


class BindingQuery(BaseModel):
    """A soft binding's value: base64 of 8 bytes for the watermark, of the fingerprint's bytes for that."""

    model_config = ConfigDict(
        frozen=True, strict=True,
        json_schema_extra={"examples": [{"alg": WATERMARK_ALGORITHM, "value": encode_payload(1 << 60)}]},
    )  # fmt: skip

    alg: str = Field(description=f"{WATERMARK_ALGORITHM} or {FINGERPRINT_ALGORITHM}")
    value: str = Field(description="the value, base64 with + and /")


class MatchAnswer(BaseModel):
    """A manifest; ``similarityScore``: only for who has a key, and where fingerprints were compared."""

    manifestId: str  # noqa: N815 - the standard's names
    similarityScore: int | None = Field(None, ge=0, le=100)  # noqa: N815


class MatchesAnswer(BaseModel):
    """Manifests that may belong to what was asked about, the likeliest first; each is still to be validated
    against the file.
    """

    matches: list[MatchAnswer]


class Algorithm(BaseModel):
    """A soft binding algorithm by its name in the public list."""

    alg: str


class AlgorithmsAnswer(BaseModel):
    """What may be asked by."""

    watermarks: list[Algorithm]
    fingerprints: list[Algorithm]


class CapabilitiesAnswer(BaseModel):
    """Which optional routes there are; a name that is not listed says that there is no such route."""

    c2paSpecificationVersion: str  # noqa: N815
    supportedCapabilities: list[str]  # noqa: N815


class StatusAnswer(BaseModel):
    """Whether the service resolves: ``degraded`` where some of it fails, ``down`` without its registry."""

    status: Literal["ok", "degraded", "down"]
    timestamp: str


class DiscoveryAnswer(BaseModel):
    """Where the service is, relative to this host."""

    apiEndpoint: str  # noqa: N815
    c2paSpecificationVersion: str  # noqa: N815
    capabilitiesEndpoint: str  # noqa: N815
    statusEndpoint: str  # noqa: N815


_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
ASSET: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True, "description": "A clip, or a PNG, JPEG, WebP or GIF picture, as it is.",
        "content": {"video/*": _BINARY, "image/*": _BINARY},
    }
}  # fmt: skip
MANIFEST: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The manifest store, as it was signed.", "content": {C2PA: _BINARY}}
}
