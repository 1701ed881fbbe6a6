"""Machine-readable labels outside the credential, written before signing so that its hash covers them.

The AIGC metadata key of GB 45438-2025 (China) goes through the media writer. An XMP box says, since platforms
read one or the other: IPTC's digital source type, and, in a namespace of our own (docs/compliance.md), what
SB 942 (California) calls a latent disclosure: provider, system, version, time and number. The number is the
hidden mark's payload in every layer, and the credential's name stands beside it, so that each layer leads to
the others. What somebody else's clip said of itself is carried over or recorded: nothing is dropped silently.
"""

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

from pipeline.credentials import xmp
from pipeline.credentials.file_labels import FileLabels
from pipeline.credentials.text import safe_text
from pipeline.errors import StorageFailed

AIGC_KEY: Final = "AIGC"
XMP_UUID: Final = xmp.XMP_UUID
TRAINED_ALGORITHMIC_MEDIA: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE_WITH_TRAINED_MEDIA: Final = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
LATENT_VERSION: Final = "1"
MAX_FIELD: Final = 2000  # characters; reserved codes may hold a signature
MAX_RECORDED: Final = 8000  # characters of an inbound AIGC text that is kept as it was, and of a property
CUT: Final = "cut"
_PREFIXES: Final = ("rdf", "Iptc4xmpExt", "cm", "xmp")


class AigcLabel(StrEnum):
    """GB 45438's three grades."""

    GENERATED = "1"
    POSSIBLY = "2"
    SUSPECTED = "3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """What our XMP box says of a clip.

    ``made``: we generated it; else it was only guarded. ``provider``: the service. ``system``, ``version``:
    of the generator, empty where it is not known. ``at``: RFC 3339. ``number``: 16 hex digits of the payload.
    ``manifest``: name of the credential. ``source_type``: IPTC's, empty where none is claimed. ``inbound``:
    what a guarded clip said of itself.
    """

    made: bool
    provider: str
    at: str
    number: str
    manifest: str
    system: str = ""
    version: str = ""
    source_type: str = ""
    inbound: FileLabels | None = None


def aigc_metadata(*, label: AigcLabel, producer: str = "", produce_id: str = "", propagator: str = "",
                  propagate_id: str = "", manifest: str = "", inbound: FileLabels | None = None,
                  ) -> dict[str, str]:  # fmt: skip
    """{"AIGC": JSON}: who made the clip under which number, and who passes it on under which number.

    For a clip we generated: GENERATED with `producer` and `produce_id`. For one that was only guarded:
    `propagator` and `propagate_id`, and no producer, since we do not know it, unless `inbound` names one: its
    label, producer, number and reserved code are carried over. `manifest`: name of the credential that guards
    the fields; the standard leaves the reserved codes to each provider for that.
    """
    theirs = inbound.aigc_fields if inbound else {}
    grade = theirs.get("Label", "")
    document = {
        "Label": grade if grade in set(AigcLabel) else label.value,
        "ContentProducer": producer or theirs.get("ContentProducer", ""),
        "ProduceID": produce_id or theirs.get("ProduceID", ""),
        "ReservedCode1": (manifest if producer else "") or theirs.get("ReservedCode1", ""),
        "ContentPropagator": propagator, "PropagateID": propagate_id,
        "ReservedCode2": manifest if propagator else "",
    }  # fmt: skip
    cleaned = {name: safe_text(value, MAX_FIELD) for name, value in document.items()}
    return {AIGC_KEY: _json(cleaned)}


def inbound_source_type(inbound: FileLabels | None) -> str:
    """The digital source type that the clip's maker said in XMP, empty where there is none or several."""
    found = set(inbound.values("Iptc4xmpExt:DigitalSourceType")) if inbound else set()
    return found.pop() if len(found) == 1 else ""


def xmp_packet(latent: Latent) -> bytes:
    """The XMP packet that says it, UTF-8."""
    told = {name: safe_text(value, MAX_RECORDED) for name, value in _properties(latent).items()}
    names = " ".join(f'xmlns:{prefix}="{xmp.NAMESPACES[prefix]}"' for prefix in _PREFIXES)
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in told.items() if value)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {names}>'
        f'<rdf:Description rdf:about="" {attributes}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def _properties(latent: Latent) -> dict[str, str]:
    inbound = latent.inbound or FileLabels()
    theirs = {
        f"Iptc4xmpExt:{name}": " · ".join(inbound.values(f"Iptc4xmpExt:{name}"))
        for name in ("AISystemUsed", "AISystemVersionUsed", "AIPromptInformation")
    }
    ours = {"Iptc4xmpExt:AISystemUsed": latent.system, "Iptc4xmpExt:AISystemVersionUsed": latent.version}
    return {
        "Iptc4xmpExt:DigitalSourceType": latent.source_type or inbound_source_type(inbound),
        **{name: ours.get(name) or value for name, value in theirs.items()},
        "xmp:CreateDate": latent.at if latent.made else " ".join(inbound.values("xmp:CreateDate")[:1]),
        "cm:Version": LATENT_VERSION, "cm:Role": "created" if latent.made else "guarded",
        "cm:Provider": latent.provider, "cm:System": latent.system, "cm:SystemVersion": latent.version,
        "cm:At": latent.at, "cm:Number": latent.number, "cm:Manifest": latent.manifest,
        "cm:InboundAIGC": " ".join(found.text for found in inbound.aigc),
        "cm:InboundXMP": " ".join(f"sha256:{found.sha256}" for found in inbound.xmp),
        "cm:InboundProperties": _others(inbound),
    }  # fmt: skip


def _others(inbound: FileLabels) -> str:
    """JSON of all that was read of the clip's own XMP, so that what has no place of its own is kept, too.

    Values that do not fit in `MAX_RECORDED` characters are left out whole, and `CUT` then says so.
    """
    found: dict[str, list[str] | bool] = {}
    room = MAX_RECORDED - len(_json({CUT: True}))
    for name in sorted(inbound.names & xmp.KNOWN):
        kept: list[str] = []
        for value in inbound.values(name):
            size = len(_json({name: [value]})) if not kept else len(_json(value)) + len(",")
            if size <= room:
                kept.append(value)
                room -= size
            else:
                found[CUT] = True
        if kept:
            found[name] = kept
    return _json(found) if found else ""


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def append_xmp(clip: Path, latent: Latent) -> None:
    """Append our XMP box to an unsigned MP4 of our own. A box at the end moves no other byte of the file.

    Raises: StorageFailed.
    """
    packet = xmp_packet(latent)
    size = 4 + 4 + len(XMP_UUID) + len(packet)
    try:
        with clip.open("ab") as file:
            file.write(size.to_bytes(4, "big") + b"uuid" + XMP_UUID + packet)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageFailed(f"cannot write {clip} ({error.strerror}); check the disk") from None
