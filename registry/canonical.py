"""Canonical JSON: one value, one byte string.

The output is RFC 8785 (JCS) for the values that are accepted, and everything on which
implementations of JCS have differed is refused instead of rounded: floating-point numbers, integers
beyond ±(2^53 - 1), keys that are not printable ASCII, and lone surrogates. Text is UTF-8 and not
escaped to ASCII, as JCS demands, so that a leaf can be recomputed by any JCS library.
"""

import json
from typing import Final

from registry.errors import EntryInvalid

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
Json = dict[str, JsonValue]

INTEGER_MAX: Final = 2**53 - 1
DEPTH_MAX: Final = 32
STORED_BYTES_MAX: Final = 16 << 20


def canonical(value: JsonValue) -> bytes:
    """Return the canonical bytes of a value; `EntryInvalid` when there is no single right answer."""
    _check(value, 0)
    try:
        return _dump(value).encode("utf-8")
    except UnicodeEncodeError:
        raise EntryInvalid("The text holds half a surrogate pair; send it as valid Unicode.") from None


def stored(value: JsonValue) -> str:
    """Return JSON text for a column that is not hashed: numbers may be floats, but finite."""
    try:
        text = _dump(value)
        size = len(text.encode("utf-8"))
    except (TypeError, ValueError, RecursionError):
        raise EntryInvalid("The value is not JSON (finite numbers, text, lists, objects).") from None
    if size > STORED_BYTES_MAX:
        raise EntryInvalid(f"The value is {size} bytes long, more than {STORED_BYTES_MAX}; store a file.")
    return text


def _dump(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _check(value: JsonValue, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise EntryInvalid(f"The value is nested more than {DEPTH_MAX} deep; flatten it.")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not (isinstance(key, str) and key.isascii() and key.isprintable()):
                raise EntryInvalid(f"The key {key!r} is not printable ASCII; rename it.")
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise EntryInvalid(f"The number {value} is beyond 2^53; write it as text.")
    elif not (value is None or isinstance(value, str)):
        raise EntryInvalid(f"{value!r} has no canonical form; write it as text.")
