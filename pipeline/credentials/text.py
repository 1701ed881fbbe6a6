"""Names out of foreign files, made fit for a terminal and a web page."""

import re
import unicodedata
from typing import Final

MAX_NAME_CHARS: Final = 120
# CSI, OSC and two-byte escape sequences, also in their one-character C1 forms.
_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b."
)
# Controls, format characters (bidi overrides, zero width), surrogates, private use, unassigned, separators.
_UNWANTED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_STACKED_MARKS: Final = 3


def safe_text(value: object, limit: int = MAX_NAME_CHARS) -> str:
    """`value` as one line without escapes, controls, bidi overrides or towers of combining marks.

    Longer text ends in "…"; anything but text gives "". HTML must still be escaped where it is written.
    """
    if not isinstance(value, str):
        return ""
    text = _ESCAPES.sub("", value[: 20 * limit])
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category.startswith("M") else 0
        if category not in _UNWANTED and marks <= _STACKED_MARKS:
            kept.append(character)
    clean = "".join(kept).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
