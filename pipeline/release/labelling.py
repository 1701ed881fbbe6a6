"""The labels of one release, from what its job's steps recorded: AIGC fields, and the XMP box.

A clip that a model of ours made names us as its producer, any other one as who passes it on; what the clip
that was opened says of itself is carried over or recorded (`pipeline.credentials.labels`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.credentials.file_labels import FileLabels
from pipeline.credentials.labels import (
    COMPOSITE_WITH_TRAINED_MEDIA,
    TRAINED_ALGORITHMIC_MEDIA,
    AigcLabel,
    Latent,
    aigc_metadata,
    append_xmp,
)
from pipeline.credentials.reading import PARENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """``inputs``: of the job; ``origin``, ``brought`` (`pipeline.release.inbound`), ``reserved``: steps."""

    inputs: Mapping[str, Any]
    origin: Mapping[str, Any]
    brought: Mapping[str, Any]
    reserved: Mapping[str, Any]

    def metadata(self) -> dict[str, str]:
        """Metadata for the media writer."""
        service, number, manifest = self.inputs["service"], self.reserved["payload"], self.reserved["urn"]
        if self._made:
            return aigc_metadata(
                label=AigcLabel.GENERATED, producer=service, produce_id=number, manifest=manifest
            )
        return aigc_metadata(
            label=AigcLabel.GENERATED, propagator=service, propagate_id=number, manifest=manifest,
            inbound=self._inbound,
        )  # fmt: skip

    def append(self, clip: Path) -> None:
        """Append the XMP box to an unsigned clip. Raises: StorageFailed."""
        reserved, origin, made = self.reserved, self.origin, self._made
        latent = Latent(
            made=made, provider=self.inputs["service"], at=reserved["created_at"],
            number=reserved["payload"], manifest=reserved["urn"],
            system=origin["generator"] if made else "", version=origin["version"] if made else "",
            source_type=self._source_type, inbound=self._inbound,
        )  # fmt: skip
        append_xmp(clip, latent)

    @property
    def _made(self) -> bool:
        return "generator" in self.origin

    @property
    def _parent(self) -> Mapping[str, Any]:
        """The clip that was opened: to guard it, or to go on with it."""
        return next((row for row in self.brought.get("files", ()) if row["label"] == PARENT), {})

    @property
    def _source_type(self) -> str:
        """As the manifest says it (`pipeline.credentials.manifest.extended`).

        Of a clip that was only guarded none is claimed, unless its own trusted credential says it.
        """
        parent = self._parent
        if not parent or parent["generated"]:
            return TRAINED_ALGORITHMIC_MEDIA if self._made or parent else ""
        return COMPOSITE_WITH_TRAINED_MEDIA if self._made else ""

    @property
    def _inbound(self) -> FileLabels | None:
        labels = self._parent.get("labels")
        return FileLabels.from_json(labels) if labels else None
