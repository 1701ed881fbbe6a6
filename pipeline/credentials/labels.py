"""Machine-readable labels outside the credential: the AIGC metadata key of GB 45438-2025 (China).

The media writer puts it into the MP4 before signing, so that the credential's hash covers it.
"""

import json
from enum import StrEnum
from typing import Final

from pipeline.credentials.text import safe_text

AIGC_KEY: Final = "AIGC"


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
