"""Words written in base64, hexadecimal or letters that are not seen (tags), decoded, with their place."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

MIN_TEXT: Final = 3  # characters that a decoded word has at least
MAX_WORDS: Final = 4096  # encoded words that are tried in one text
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{6,}={0,2}(?![A-Za-z0-9+/=_-])")
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:0x)?(?:[0-9a-fA-F]{2}[ :-]?){3,}[0-9a-fA-F]{2}(?![0-9A-Za-z])")
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]{3,}")
_FIRST_TAG: Final = 0xE0000
_PROSE: Final = re.compile(r"[A-Z]?[a-z]+(?:-[A-Z]?[a-z]+)*|[A-Z]+")


def decoded(text: str) -> Iterator[tuple[str, int, int]]:
    """What encoded words of a text say: (plain text, start, end). Bounded by the length of the text."""
    tried = 0
    for pattern, decode in ((_TAGS, _from_tags), (_HEX, _from_hex), (_BASE64, _from_base64)):
        for found in pattern.finditer(text):
            plain = decode(found.group())
            tried += 1
            if plain is not None:
                yield plain, found.start(), found.end()
            if tried > MAX_WORDS:
                return


def _from_tags(word: str) -> str | None:
    return "".join(chr(ord(tag) - _FIRST_TAG) for tag in word)


def _from_hex(word: str) -> str | None:
    digits = re.sub(r"[ :-]", "", word.removeprefix("0x"))
    return _readable(bytes.fromhex(digits)) if len(digits) % 2 == 0 else None


def _from_base64(word: str) -> str | None:
    if _PROSE.fullmatch(word):
        return None
    bare = word.rstrip("=").replace("-", "+").replace("_", "/")
    if len(bare) % 4 == 1:
        return None
    try:
        return _readable(base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


def _readable(content: bytes) -> str | None:
    """The text of these bytes, when it is one: UTF-8 without control characters, with some letters."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    sound = text.isprintable() and sum(map(str.isalpha, text)) >= MIN_TEXT
    return text if sound else None
