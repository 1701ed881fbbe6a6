"""Machine-readable labels outside the credential, written before signing so that its hash covers them.

The AIGC metadata key of GB 45438-2025 (China) goes through the media writer; the IPTC digital source type
goes into an XMP box, since platforms read one or the other.
"""

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Final

from pipeline.credentials.text import safe_text
from pipeline.errors import StorageFailed

AIGC_KEY: Final = "AIGC"
XMP_UUID: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
TRAINED_ALGORITHMIC_MEDIA: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE_WITH_TRAINED_MEDIA: Final = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
_XMP: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{TRAINED_ALGORITHMIC_MEDIA}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


class AigcLabel(StrEnum):
    """GB 45438's three grades."""

    GENERATED = "1"
    POSSIBLY = "2"
    SUSPECTED = "3"


def aigc_metadata(*, label: AigcLabel, producer: str = "", produce_id: str = "", propagator: str = "",
                  propagate_id: str = "") -> dict[str, str]:  # fmt: skip
    """{"AIGC": JSON}: who made the clip under which number, and who passes it on under which number.

    For a clip we generated: GENERATED with `producer` and `produce_id`. For one that was only guarded:
    `propagator` and `propagate_id`, and no producer, since we do not know it.
    """
    document = {
        "Label": label.value,
        "ContentProducer": safe_text(producer), "ProduceID": safe_text(produce_id), "ReservedCode1": "",
        "ContentPropagator": safe_text(propagator), "PropagateID": safe_text(propagate_id),
        "ReservedCode2": "",
    }  # fmt: skip
    return {AIGC_KEY: json.dumps(document, ensure_ascii=False, separators=(",", ":"))}


def append_generated_xmp(clip: Path) -> None:
    """Append an XMP box that says "made by a trained algorithm" to an unsigned MP4 of our own.

    Only for clips that we generated. A box at the end moves no other byte of the file.
    Raises: StorageFailed.
    """
    packet = _XMP.encode()
    size = 4 + 4 + len(XMP_UUID) + len(packet)
    try:
        with clip.open("ab") as file:
            file.write(size.to_bytes(4, "big") + b"uuid" + XMP_UUID + packet)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageFailed(f"cannot write {clip} ({error.strerror}); check the disk") from None
