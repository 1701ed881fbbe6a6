"""Answers about clips that are judged without a job, as OpenAPI shows them."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from pipeline.api.shapes import GateAnswer

FOX: Final[dict[str, Any]] = {"check": "frames"} | {
    "code": "picture_match", "subject": "01a2259b-5c03-7c80-ae60-7262e7eaea76",
    "name": "Zorblax", "kind": "character", "owner": "Studio Example", "score": 0.93, "threshold": 0.88,
    "probability": 0.97, "reference": "zorblax/front.png", "quote": "", "times": [1.0],
    "boxes": [[0.2, 0.1, 0.6, 0.9]],
}  # fmt: skip


class FoundInClip(BaseModel):
    """Who or what was found: ``times`` in seconds; ``boxes``: left, top, right and bottom as shares of the
    picture, one for each time; scores are null of what is unsafe.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [FOX]})

    check: str
    code: str
    subject: str
    score: float | None
    threshold: float | None
    probability: float | None
    times: list[float]
    boxes: list[list[float]]


class VideoAnswer(GateAnswer):
    """A decision about a clip, at a position of the registry, and what was found in it."""

    findings: list[FoundInClip]
