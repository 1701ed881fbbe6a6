"""RFC 7512: naming a key of a hardware module by a URI. No PIN is ever taken from the URI itself.

pkcs11:token=claims;object=signer-2026?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/pin
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from pipeline.errors import UsageError

SCHEME: Final = "pkcs11:"
TEXTS: Final = ("token", "manufacturer", "serial", "model", "object")
PATH_NAMES: Final = frozenset({*TEXTS, "id", "type", "slot-id"})
QUERY_NAMES: Final = frozenset({"module-path", "pin-source"})
MAX_URI: Final = 2000
_PART: Final = re.compile(r"([a-z0-9-]+)=([A-Za-z0-9\-._~:\[\]@!$'()*+,=&/?|%]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Uri:
    """A key of a token. Every given attribute must fit; `id`: CKA_ID; `object`: CKA_LABEL."""

    module: Path
    pin_file: Path | None = None
    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    slot_id: int | None = None
    object: str | None = None
    id: bytes | None = None

    @property
    def told(self) -> str:
        """How errors name the key: neither PIN nor paths."""
        key = self.object or (self.id or b"").hex()
        return f"key {key} of token {self.token or self.serial or self.slot_id}"


def parse(uri: str) -> Pkcs11Uri:
    """Read a URI. Raises: UsageError for what RFC 7512 does not allow or this program does not support."""
    if not uri.startswith(SCHEME) or len(uri) > MAX_URI:
        raise _wrong(f"it does not begin with {SCHEME}")
    path, _, query = uri.removeprefix(SCHEME).partition("?")
    named, asked = _parts(path, ";", PATH_NAMES), _parts(query, "&", QUERY_NAMES)
    if named.get("type", b"private") != b"private":
        raise _wrong("its type is not private")
    if not named.keys() & {"object", "id"}:
        raise _wrong("it names no key, by object= or id=")
    if not named.keys() & {"token", "serial", "slot-id"}:
        raise _wrong("it names no token, by token=, serial= or slot-id=")
    texts = {
        name: _text(named[name])
        for name in ("token", "manufacturer", "serial", "model", "object")
        if name in named
    }
    return Pkcs11Uri(
        module=_module(asked), pin_file=_pin_file(asked), id=named.get("id"), slot_id=_slot(named), **texts
    )  # fmt: skip


def _parts(text: str, separator: str, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else []:
        fits = _PART.fullmatch(part)
        if fits is None:
            raise _wrong("one of its parts is not of the form name=value, percent-encoded")
        name, value = fits.groups()
        if name == "pin-value":
            raise _wrong("it holds a PIN; use pin-source=file:/path or the setting signer_pin")
        if name not in known:
            raise _wrong(f"{name}= is not supported")
        if name in found:
            raise _wrong(f"{name}= stands in it twice")
        found[name] = unquote_to_bytes(value)
    return found


def _module(asked: dict[str, bytes]) -> Path:
    path = Path(_text(asked.get("module-path", b"")))
    if not path.is_absolute():
        raise _wrong("module-path= must name the module's library with its whole path")
    return path


def _pin_file(asked: dict[str, bytes]) -> Path | None:
    if "pin-source" not in asked:
        return None
    text = _text(asked["pin-source"])
    path = Path(text.removeprefix("file://").removeprefix("file:"))
    if not text.startswith(("file:", "/")) or not path.is_absolute():
        raise _wrong("pin-source= must be file: and an absolute path")
    return path


def _slot(named: dict[str, bytes]) -> int | None:
    text = named.get("slot-id")
    if text is None:
        return None
    if not text.isdigit():
        raise _wrong("slot-id= is not a decimal number")
    return int(text)


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise _wrong("one of its parts is not UTF-8") from None
    if not text.isprintable():
        raise _wrong("one of its parts holds control characters")
    return text


def _wrong(why: str) -> UsageError:
    return UsageError(f"the setting signer is no usable pkcs11 URI: {why}; see docs/signing.md")
