"""The sandbox child's task: find AIGC texts and XMP packets in an untrusted file.

MP4 and MOV are walked here, box by box, so that each finding has a place: XMP in a ``uuid`` box or a track
user datum ``XMP_``; AIGC as an item of a ``meta`` box (by key, as FFmpeg writes it, or iTunes' free form),
as a user datum, or as a property of XMP. Of Matroska and GIF FFmpeg reads the tags. Imports stay light. A
search that ends early says so: what was not looked at is not absent.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import IO, Any, Final

from pipeline.credentials import xmp
from pipeline.credentials.boxes import is_base_media
from pipeline.credentials.child import open_media
from pipeline.credentials.file_labels import AIGC_FIELDS, AigcText, FileLabels, XmpPacket
from pipeline.credentials.text import safe_text
from pipeline.types import Json

AIGC: Final = "AIGC"
MAX_AIGC_BYTES: Final = 64 * 1024
MAX_BOXES: Final = 100_000
MAX_FOUND: Final = 16  # texts, and packets
MAX_ITEM_BYTES: Final = 2 * 1024 * 1024  # of a box that is taken into memory
MAX_NAME_BYTES: Final = 64
MAX_FIELD: Final = 2000
MAX_TEXT: Final = 8000
MAX_DEPTH: Final = 8
HEADER: Final = 8
UUID: Final = 16
FULL_BOX: Final = 4
DATA_HEAD: Final = 8  # type and locale of a ``data`` box
CONTAINERS: Final = frozenset({b"moov", b"udta", b"meta", b"trak"})
QUICKTIME_XMP: Final = b"XMP_"
FREE_FORM: Final = "----"  # iTunes' item whose name stands in it
TOO_MANY: Final = "the file has more boxes than are looked at"
TOO_MANY_LABELS: Final = "the file has more labels than are looked at"
TOO_DEEP: Final = "its boxes are nested deeper than is looked at"
NO_SIZE: Final = "one of its boxes has a size that cannot be"


def read_labels(request: Json) -> Json:
    """Answer `FileLabels.to_json`. Request: ``path``. Raises: MediaUnreadable when it is no readable file."""
    with open_media(Path(str(request["path"]))) as file:
        search = _Boxes(file) if is_base_media(file) else _Tags(file)
        search.run()
    return search.found.to_json()


class _Search:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.found = FileLabels()

    def run(self) -> None:
        raise NotImplementedError

    def _aigc(self, place: str, raw: bytes) -> None:
        if len(self.found.aigc) >= MAX_FOUND:
            self._failed(TOO_MANY_LABELS)
            return
        self.found = _with(self.found, aigc=parse_aigc(place, raw))

    def _xmp(self, place: str, packet: bytes) -> None:
        if len(self.found.xmp) >= MAX_FOUND:
            self._failed(TOO_MANY_LABELS)
            return
        digest, told, fault = hashlib.sha256(packet).hexdigest(), None, ""
        try:
            told = xmp.properties(packet)
        except xmp.XmpInvalid as error:
            fault = safe_text(str(error), 200)
        for text in (told or {}).get("TC260:AIGC", ()):
            self._aigc(f"{place}, TC260:AIGC", text.encode())
        self.found = _with(
            self.found, xmp=XmpPacket(place=place, sha256=digest, properties=told, fault=fault)
        )

    def _failed(self, fault: str) -> None:
        fault = self.found.fault or fault  # the first tells why
        self.found = FileLabels(aigc=self.found.aigc, xmp=self.found.xmp, fault=fault)


class _Tags(_Search):
    """Whatever else FFmpeg reads: its tags alone, no stream is decoded."""

    def run(self) -> None:
        import av  # slow to load, and needed for these files only

        from pipeline.errors import MediaUnreadable
        from pipeline.media.opening import sniff

        raw = FileIO(self.file.fileno(), "rb", closefd=False)
        try:
            raw.seek(0)
            kind = sniff(raw)
            with av.open(raw, "r", format=kind, options={"protocol_whitelist": "none"},
                         metadata_errors="replace") as container:  # fmt: skip
                tags = [(name, value) for name, value in container.metadata.items() if name.upper() == AIGC]
        except (av.FFmpegError, MediaUnreadable, ValueError) as error:
            self._failed(safe_text(f"its tags cannot be read ({type(error).__name__})", 200))
            return
        for name, value in tags:
            self._aigc(f"{kind} tag {safe_text(name, 20)}", value.encode("utf-8", "replace"))


class _Boxes(_Search):
    """The boxes of an ISO base media file."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._left = MAX_BOXES

    def run(self) -> None:
        self._walk(0, self.file.seek(0, os.SEEK_END), (), b"")

    def _walk(self, start: int, end: int, path: tuple[str, ...], parent: bytes) -> None:
        keys: list[str] = []
        for kind, body, stop in self._children(start, end):
            place = "/".join((*path, safe_text(kind.decode("latin-1"), 8) or "?"))
            if kind == b"uuid" and self._read(body, UUID) == xmp.XMP_UUID:
                self._packet(place, body + UUID, stop)
            elif kind == QUICKTIME_XMP:
                self._packet(place, body, stop)
            elif kind == AIGC.encode() and parent == b"udta":
                self._aigc(place, self._read(body, min(stop - body, MAX_AIGC_BYTES + 1)).lstrip(b"\0"))
            elif kind == b"keys" and parent == b"meta":
                keys = self._keys(body, stop)
            elif kind == b"ilst" and parent == b"meta":
                self._items(body, stop, place, keys)
            elif kind in CONTAINERS and len(path) >= MAX_DEPTH:
                self._failed(TOO_DEEP)
            elif kind in CONTAINERS:
                self._walk(self._inside(kind, body), stop, (*path, kind.decode()), kind)

    def _inside(self, kind: bytes, body: int) -> int:
        """A ``meta`` box is a full box in MP4 and a plain one in QuickTime."""
        full = kind == b"meta" and self._read(body + 4, 4) != b"hdlr"
        return body + FULL_BOX if full else body

    def _children(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """(type, first byte of the body, end) of the boxes in a stretch; ends where they make no sense."""
        while end - start >= HEADER:
            self._left -= 1
            if self._left < 0:
                self._failed(TOO_MANY)
                return
            head = self._read(start, 2 * HEADER)
            size, kind, body = int.from_bytes(head[:4], "big"), head[4:8], start + HEADER
            if size == 1:
                size, body = int.from_bytes(head[8:16], "big"), start + 2 * HEADER
            elif size == 0:
                size = end - start
            if size < body - start or start + size > end:
                self._failed(NO_SIZE)
                return
            yield kind, body, start + size
            start += size

    def _keys(self, body: int, stop: int) -> list[str]:
        """Names in a ``keys`` box; items of ``ilst`` count them from 1."""
        raw = self._read(body + 2 * FULL_BOX, min(stop - body - 2 * FULL_BOX, MAX_ITEM_BYTES))
        if stop - body - 2 * FULL_BOX > MAX_ITEM_BYTES:
            self._failed(TOO_MANY)
        names: list[str] = []
        at = 0
        while at + HEADER <= len(raw):
            size = int.from_bytes(raw[at : at + 4], "big")
            if size < HEADER or at + size > len(raw):
                self._failed(NO_SIZE)
                break
            names.append(raw[at + HEADER : at + size].decode("utf-8", "replace"))
            at += size
        return names

    def _items(self, start: int, end: int, place: str, keys: list[str]) -> None:
        for kind, body, stop in self._children(start, end):
            index = int.from_bytes(kind, "big")
            name = keys[index - 1] if 1 <= index <= len(keys) else kind.decode("latin-1")
            if name != FREE_FORM and not _is_aigc(name):
                continue
            parts = list(self._children(body, stop))
            if name == FREE_FORM:
                name = next((self._name(at, to) for part, at, to in parts if part == b"name"), "")
            if not _is_aigc(name):
                continue
            for part, at, to in parts:
                if part == b"data":
                    length = min(max(0, to - at - DATA_HEAD), MAX_AIGC_BYTES + 1)
                    self._aigc(f"{place}, key {AIGC}", self._read(at + DATA_HEAD, length))

    def _name(self, start: int, stop: int) -> str:
        """The text of a ``name`` box, which is a full box."""
        start += FULL_BOX
        return self._read(start, min(stop - start, MAX_NAME_BYTES)).decode("utf-8", "replace")

    def _packet(self, place: str, start: int, stop: int) -> None:
        self._xmp(place, self._read(start, min(stop - start, xmp.MAX_PACKET_BYTES + 1)))

    def _read(self, position: int, length: int) -> bytes:
        self.file.seek(position)
        return self.file.read(max(0, length))


def parse_aigc(place: str, raw: bytes) -> AigcText:
    """The fields of an AIGC text, plain or as ``{"AIGC": {…}}``; unknown ones are left out."""
    text = safe_text(raw[:MAX_TEXT].decode("utf-8", "replace"), MAX_TEXT)
    try:
        document = _document(raw)
    except (ValueError, RecursionError) as error:
        fault = str(error) if type(error) is ValueError else "it is not JSON"
        return AigcText(place=place, text=text, fault=fault)
    fields: dict[str, str] = {
        name: safe_text(document[name] if isinstance(document[name], str) else str(document[name]), MAX_FIELD)
        for name in AIGC_FIELDS
        if name in document
    }
    return AigcText(place=place, text=text, fields=fields)


def _is_aigc(name: str) -> bool:
    return name.rpartition(".")[2].upper() == AIGC


def _document(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_AIGC_BYTES:
        raise ValueError("it is longer than 64 KiB")
    document = json.loads(raw.decode("utf-8").strip("\0 \t\r\n"))
    if isinstance(document, dict) and isinstance(document.get(AIGC), dict):
        document = document[AIGC]
    if not isinstance(document, dict):
        raise ValueError("it is not an object of fields")
    if any(not isinstance(document[name], str | int) for name in AIGC_FIELDS if name in document):
        raise ValueError("a field is neither text nor a number")
    return document


def _with(found: FileLabels, *, aigc: AigcText | None = None, xmp: XmpPacket | None = None) -> FileLabels:
    return FileLabels(
        aigc=(*found.aigc, aigc) if aigc else found.aigc, xmp=(*found.xmp, xmp) if xmp else found.xmp,
        fault=found.fault,
    )  # fmt: skip
