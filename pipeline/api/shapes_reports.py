"""Signed reports, and the key that signs them, as OpenAPI shows them."""

from typing import Literal

from pydantic import BaseModel


class EnvelopeSignature(BaseModel):
    """A signature over an envelope's type and payload; ``keyid``: SHA-256 of the report key."""

    keyid: str
    sig: str


class EnvelopeAnswer(BaseModel):
    """A signed report (DSSE 1); ``payload`` is the report, `countermark-report/1`, in base64."""

    payloadType: str  # noqa: N815 - DSSE calls it so
    payload: str
    signatures: list[EnvelopeSignature]


class PublicKey(BaseModel):
    """A public report key, in hex; ``id``: its SHA-256."""

    name: str
    algorithm: Literal["ed25519"]
    public: str
    id: str


class ReportKeyAnswer(PublicKey):
    """The present one; ``before``: those that it replaced, whose reports still count, the newest first."""

    before: list[PublicKey]
