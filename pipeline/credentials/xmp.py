"""XMP packets out of untrusted files: strict, small, and without entities.

expat alone, with a document type refused at its first byte: nothing is ever expanded or fetched. Of what a
packet says only the properties in `KNOWN` are kept: those by which a clip is labelled, and none that is for
names of people (docs/adr/0061).
"""

from typing import Final
from xml.parsers import expat

from pipeline.credentials.text import safe_text

XMP_UUID: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
NAMESPACES: Final = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
    "cm": "https://countermark.org/ns/latent/1.0/",
}
KNOWN: Final = frozenset({
    "Iptc4xmpExt:DigitalSourceType", "Iptc4xmpExt:AISystemUsed", "Iptc4xmpExt:AISystemVersionUsed",
    "Iptc4xmpExt:AIPromptInformation", "xmp:CreateDate", "xmp:CreatorTool", "dc:rights", "photoshop:Source",
    "plus:DataMining", "TC260:AIGC",
    "cm:Version", "cm:Role", "cm:Provider", "cm:System", "cm:SystemVersion", "cm:At", "cm:Number",
    "cm:Manifest", "cm:InboundAIGC", "cm:InboundXMP", "cm:InboundProperties",
})  # fmt: skip
MAX_PACKET_BYTES: Final = 1024 * 1024
UTF16: Final = (b"\xfe\xff", b"\xff\xfe")  # byte order marks
MAX_DEPTH: Final = 40
MAX_ELEMENTS: Final = 10_000
MAX_VALUES: Final = 16  # of one property
MAX_CHARS: Final = 8000  # of one value
_PREFIX_OF: Final = {uri: prefix for prefix, uri in NAMESPACES.items()}
_RDF: Final = NAMESPACES["rdf"]
_SEPARATOR: Final = " "  # between namespace and name; no URI has one


class XmpInvalid(ValueError):
    """The packet is no XMP that can be read, or not one that will be."""


def properties(packet: bytes) -> dict[str, tuple[str, ...]]:
    """Values of the known properties, fit to show, by prefix and name as in `KNOWN`.

    Raises: XmpInvalid for too much, too deep, not well-formed, or with a document type.
    """
    if len(packet) > MAX_PACKET_BYTES:
        raise XmpInvalid("the packet is larger than 1 MiB")
    reader = _Reader()
    if not packet.startswith(UTF16):
        packet = packet.rstrip(b"\0 \r\n\t")
    try:
        reader.parser.Parse(packet, True)
    except (expat.ExpatError, UnicodeError, LookupError) as error:
        raise XmpInvalid(f"the packet is not well-formed ({error})") from None
    if not reader.rdf:
        raise XmpInvalid("the packet holds no RDF")
    return {name: tuple(values) for name, values in sorted(reader.found.items())}


class _Reader:
    """Collects what stands as attribute or element under ``rdf:Description``."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.found: dict[str, list[str]] = {}
        self.rdf = False
        self._open: list[str] = []
        self._pieces: list[str] = []
        self._elements = self._chars = 0

    def _doctype(self, *_: object) -> None:
        raise XmpInvalid("the packet has a document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._open) >= MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise XmpInvalid("the packet has too many elements, or too deep ones")
        self._open.append(_short(name))
        self._pieces, self._chars = [], 0
        self.rdf = self.rdf or name == f"{_RDF}{_SEPARATOR}RDF"
        if self._open[-1] == "rdf:Description":
            for attribute, value in attributes.items():
                self._keep(_short(attribute), value)
        self._keep(self._open[-1], attributes.get(f"{_RDF}{_SEPARATOR}resource", ""))

    def _end(self, _name: str) -> None:
        text = "".join(self._pieces)
        self._pieces = []
        inner = self._open.pop()
        if inner == "rdf:li":  # in rdf:Bag, rdf:Seq or rdf:Alt in the property
            self._keep(self._open[-2] if len(self._open) > 1 else "", text)
        else:
            self._keep(inner, text)

    def _text(self, text: str) -> None:
        self._chars += len(text)
        if self._chars <= MAX_CHARS:
            self._pieces.append(text)

    def _keep(self, name: str, value: str) -> None:
        values = self.found.get(name, [])
        clean = safe_text(value, MAX_CHARS)
        if name in KNOWN and clean and clean not in values and len(values) < MAX_VALUES:
            self.found[name] = [*values, clean]


def _short(name: str) -> str:
    """Namespace and name as prefix and name; names of other namespaces stay long and are never kept."""
    uri, _, local = name.rpartition(_SEPARATOR)
    return f"{_PREFIX_OF[uri]}:{local}" if uri in _PREFIX_OF else name
