"""What a file says of itself outside its credential: AIGC fields and XMP, as far as they can be read.

All of it are claims that anybody can write; nothing here is believed, only shown, compared and carried over.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pipeline import sandbox
from pipeline.errors import SandboxFailed
from pipeline.sandbox import ProcessLimits

AIGC_FIELDS: Final = (
    "Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID",
    "ReservedCode2",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AigcText:
    """One AIGC text. ``place``: where in the file. ``fields``: None where it is no such document, and
    ``fault`` says why. ``text``: as it was, cut and cleaned.
    """

    place: str
    text: str
    fields: dict[str, str] | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class XmpPacket:
    """One XMP packet: its place, digest, and known properties; None where it cannot be read, and why."""

    place: str
    sha256: str
    properties: dict[str, tuple[str, ...]] | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLabels:
    """All labels of one file. ``fault``: why the file could not be searched to its end, else empty."""

    aigc: tuple[AigcText, ...] = ()
    xmp: tuple[XmpPacket, ...] = ()
    fault: str = ""

    @property
    def aigc_fields(self) -> dict[str, str]:
        """The fields of the first AIGC text that can be read; empty without one."""
        return next((found.fields for found in self.aigc if found.fields is not None), {})

    @property
    def names(self) -> frozenset[str]:
        """Names of all XMP properties that were read."""
        return frozenset(name for packet in self.xmp for name in packet.properties or {})

    def values(self, name: str) -> tuple[str, ...]:
        """Values of an XMP property, of all packets."""
        values = [value for packet in self.xmp for value in (packet.properties or {}).get(name, ())]
        return tuple(dict.fromkeys(values))

    @property
    def found(self) -> bool:
        """Whether there is any label."""
        return bool(self.aigc or self.xmp)

    def to_json(self) -> dict[str, Any]:
        """The child's answer, and what a job records."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Any) -> "FileLabels":
        """Read `to_json`'s document. Raises: SandboxFailed when it is not one."""
        try:
            return cls(
                aigc=tuple(_aigc(row) for row in document["aigc"]),
                xmp=tuple(_packet(row) for row in document["xmp"]), fault=_text(document["fault"]),
            )  # fmt: skip
        except (TypeError, KeyError, AttributeError, ValueError):
            raise SandboxFailed("the process that reads labels answered nonsense; try again") from None


def read_labels(path: Path, *, limits: ProcessLimits) -> FileLabels:
    """Labels of an untrusted file, read in the sandbox child.

    Raises: MediaUnreadable when the path is no readable file, LimitExceeded, SandboxFailed.
    """
    return FileLabels.from_json(sandbox.call("read_labels", {"path": str(path.absolute())}, limits))


def _aigc(row: dict[str, Any]) -> AigcText:
    fields = row["fields"]
    if fields is not None:
        fields = {_text(name): _text(value) for name, value in fields.items() if name in AIGC_FIELDS}
    return AigcText(
        place=_text(row["place"]), text=_text(row["text"]), fields=fields, fault=_text(row["fault"])
    )


def _packet(row: dict[str, Any]) -> XmpPacket:
    told = row["properties"]
    if told is not None:
        told = {_text(name): tuple(_text(value) for value in values) for name, values in told.items()}
    return XmpPacket(
        place=_text(row["place"]), sha256=_text(row["sha256"]), properties=told, fault=_text(row["fault"])
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value
