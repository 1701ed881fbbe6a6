"""What is done to a released clip, and what has to come out: the rows of the provenance benchmark.

A row says how a file is changed, what our reading of its credential may say, and what the verdict may be
where keys, registry and hidden mark are at hand (docs/verdicts.md). Several values mean that it depends on
the place: a flipped bit in a box's length ends the file's structure, one in its type only hides the box.
`stricter` and `laxer` say why we refuse what a validator accepts, or the other way round; a difference
without such a reason is an error.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.tools import jumbf
from benchmarks.tools.containers import ffmpeg, remux, there_and_back, transcode
from benchmarks.tools.jumbf import Span, boxes, with_bytes
from pipeline.credentials.reading import CredentialReading, CredentialState

C2PA: Final = "c2pa"
ENCYPHER: Final = "encypher"

# What a reading of a credential is worth.
INTACT, ALTERED, NOT_WHOLE, UNTRUSTED = "intact", "altered", "not whole", "untrusted"
UNREADABLE, NONE = "unreadable", "none"
VERDICT_OF: Final = {
    INTACT: "intact", ALTERED: "altered", NOT_WHOLE: "untrusted-claim", UNTRUSTED: "untrusted-claim",
    UNREADABLE: "untrusted-claim", NONE: "recovered",
}  # fmt: skip
"""By the ladder, where the frames can be read and the hidden mark, the pictures and the log agree."""

TRIMMED: Final = 2.0  # seconds
SMUGGLED: Final = b"smuggled" * 32
STAMP: Final = "a claim without a trusted time-stamp ends with its certificate, so it is not intact"
FRAMING: Final = "c2pa ignores these bytes; ours have one form (pipeline/credentials/framing.py)"
UNCOVERED: Final = "the hash leaves out such boxes, and what lies behind the last (credentials/boxes.py)"
STANDARD: Final = "the standard leaves ftyp out of the content hash (C2PA 2.4, 9.2.3); brands say nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A released clip, another release, the clip's parts by name, and how a stranger signs: his own clip, or
    with the source as its parent, whatever that is worth.
    """

    content: bytes = field(repr=False)
    other: bytes = field(repr=False)
    spans: dict[str, tuple[Span, ...]]
    sign_as_stranger: Callable[[Path, Path], object]
    sign_over_as_stranger: Callable[[Path, Path], object]


Make = Callable[[Subject, Random, Path], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; see the module. `places`: tried at several random places."""

    name: str
    make: Make
    worth: frozenset[str]
    verdicts: frozenset[str]
    places: bool = False
    stricter: dict[str, str] = field(default_factory=dict)
    laxer: dict[str, str] = field(default_factory=dict)


def subject(
    content: bytes, other: bytes, sign_as_stranger: Callable[[Path, Path], object],
    sign_over_as_stranger: Callable[[Path, Path], object],
) -> Subject:  # fmt: skip
    """A clip to tamper with. `other`: a clip of another release; the others: (source, target)."""
    spans: dict[str, list[Span]] = {}
    for name, span in _named(content):
        spans.setdefault(name, []).append(span)
    kept = {name: tuple(found) for name, found in spans.items()}
    return Subject(
        content=content, other=other, spans=kept, sign_as_stranger=sign_as_stranger,
        sign_over_as_stranger=sign_over_as_stranger,
    )  # fmt: skip


def _named(content: bytes) -> Iterator[tuple[str, Span]]:
    for one in boxes(content):
        inner = one.start + jumbf.HEADER
        yield f"header of {one.name}", Span(name="", start=one.start, end=inner)
        if one.name != "c2pa":
            yield one.name, Span(name="", start=inner, end=one.end)
            continue
        yield "UUID of c2pa", Span(name="", start=inner, end=inner + jumbf.UUID)
        yield "prefix of c2pa", Span(name="", start=inner + jumbf.UUID, end=inner + jumbf.C2PA_PREFIX)
        found = list(jumbf.parts(content, inner + jumbf.C2PA_PREFIX, one.end))
        manifests = [part.name.split("/")[1] for part in found if "/" in part.name]
        active = manifests[-1].partition("#")[0]
        for part in found:
            yield from _part(content, part, active)


def _part(content: bytes, part: Span, active: str) -> Iterator[tuple[str, Span]]:
    path, _, kind = part.name.partition("#")
    rest = path.partition("/")[2]
    manifest, _, inside = rest.partition("/")
    if manifest not in ("", active):
        yield "parent's manifest", part
    elif kind == "header":
        yield "JUMBF headers", part
    elif not inside.startswith("c2pa.assertions/") and kind:
        yield f"description of {inside or ('manifest' if manifest else 'store')}", part
    elif inside == "c2pa.signature":
        yield from jumbf.cose(content, part).items()
    else:
        yield inside.removeprefix("c2pa.assertions/").partition("__")[0], part


def worth(reading: CredentialReading) -> str:
    """What our reading says, in one of the words above."""
    if reading.state is not CredentialState.PRESENT:
        return NONE if reading.state is CredentialState.NONE else UNREADABLE
    if reading.intact:
        return INTACT
    if not reading.ours:
        return UNTRUSTED
    return NOT_WHOLE if reading.hash_ok else ALTERED


def make_row(name: str, make: Make, *words: str, verdicts: tuple[str, ...] = (), places: bool = False,
             stricter: dict[str, str] | None = None, laxer: dict[str, str] | None = None) -> Row:  # fmt: skip
    """A row with these worths, and by default the verdicts that follow from them."""
    usual = verdicts or tuple(VERDICT_OF[word] for word in words)
    return Row(
        name=name, make=make, worth=frozenset(words), verdicts=frozenset(usual), places=places,
        stricter=stricter or {}, laxer=laxer or {},
    )  # fmt: skip


def written(change: Callable[[Subject, Random], bytes]) -> Make:
    """Write what `change` returns."""

    def make(given: Subject, random: Random, folder: Path) -> Path:
        target = folder / "tampered.mp4"
        target.write_bytes(change(given, random))
        return target

    return make


def _flip(part: str) -> Make:
    """One bit, anywhere in a part. Raises: KeyError where the clip has no such part."""

    def change(given: Subject, random: Random) -> bytes:
        spans = [span for span in given.spans[part] if span.end > span.start]
        [span] = random.choices(spans, weights=[span.end - span.start for span in spans])
        changed = bytearray(given.content)
        changed[random.randrange(span.start, span.end)] ^= 1 << random.randrange(8)
        return bytes(changed)

    return written(change)


def _flips() -> Iterator[Row]:
    broken = ("altered", "untrusted-claim", "unreadable")
    lost = ("recovered", "unreadable")

    def flip(part: str, *words: str, **more: object) -> Row:
        return make_row(f"bit flipped: {part}", _flip(part), *words, places=True, **more)  # type: ignore[arg-type]

    yield flip("mdat", ALTERED)
    yield flip("header of mdat", ALTERED, UNREADABLE, verdicts=broken)
    yield flip("moov", ALTERED, UNREADABLE, verdicts=broken)
    yield flip("header of moov", ALTERED, UNREADABLE, verdicts=broken)
    yield flip("header of free", ALTERED, UNREADABLE, verdicts=broken)
    yield flip("xmp", ALTERED)
    yield flip("header of xmp", ALTERED, UNREADABLE, verdicts=broken)
    yield flip("ftyp", INTACT)
    yield flip("header of ftyp", NONE, verdicts=lost)
    yield flip("header of c2pa", NONE, UNREADABLE, ALTERED, verdicts=(*broken, *lost))
    yield flip("UUID of c2pa", NONE)
    lenient = {C2PA: FRAMING, ENCYPHER: "encypher takes any purpose, version and offset in the box's prefix"}
    yield flip("prefix of c2pa", ALTERED, UNREADABLE, stricter=lenient)
    framing = (ALTERED, NOT_WHOLE, UNTRUSTED, UNREADABLE)
    for part in ("store", "manifest", "c2pa.assertions", "c2pa.claim.v2", "c2pa.signature"):
        yield flip(
            f"description of {part}", *framing,
            stricter={C2PA: FRAMING, ENCYPHER: "encypher reads on where a description's end is not found"},
        )  # fmt: skip
    yield flip("JUMBF headers", *framing, stricter={ENCYPHER: "encypher reads on behind a wrong box type"})
    yield flip("c2pa.claim.v2", UNTRUSTED, UNREADABLE)
    yield flip("certificate", UNTRUSTED, UNREADABLE)
    yield flip("signature", UNTRUSTED)
    yield flip("time-stamp", NOT_WHOLE, ALTERED, UNREADABLE, stricter={C2PA: STAMP})
    yield flip("padding", ALTERED, stricter={C2PA: FRAMING, ENCYPHER: "encypher ignores the padding's bytes"})
    for label in ASSERTIONS:
        # c2pa reports no ingredients beside an assertion that it cannot decode: then no parent is reached.
        yield flip(label, NOT_WHOLE, ALTERED, UNREADABLE)
    yield flip("c2pa.hash.bmff.v3", ALTERED, NOT_WHOLE, UNREADABLE)
    yield flip("parent's manifest", ALTERED, UNREADABLE)


ASSERTIONS: Final = (
    "c2pa.thumbnail.claim", "c2pa.ingredient.v3", "c2pa.actions.v2", "c2pa.soft-binding",
    "cawg.training-mining", "org.countermark.release",
)  # fmt: skip


def _appended(added: Callable[[Subject], bytes]) -> Make:
    return written(lambda given, _random: given.content + added(given))


def _box(kind: bytes, content: bytes) -> bytes:
    return (jumbf.HEADER + len(content)).to_bytes(4, "big") + kind + content


def _of(content: bytes, name: str) -> bytes:
    found = jumbf.box(content, name)
    return content[found.start : found.end]


def _boxes() -> Iterator[Row]:
    unknown = bytes(range(16)) + SMUGGLED
    for kind in (b"free", b"skip", b"uuid", b"mdat", b"abcd"):
        name, one = kind.decode(), _box(kind, unknown)
        yield make_row(f"box appended: {name}", _appended(lambda _given, one=one: one), ALTERED)  # type: ignore[misc]
        for before in ("c2pa", "moov", "mdat") if kind in (b"free", b"uuid") else ():
            yield make_row(f"box inserted before {before}: {name}", _inserted(one, before), ALTERED)
    both = {C2PA: UNCOVERED, ENCYPHER: UNCOVERED}
    for kind in (b"ftyp", b"mfra"):
        one = _box(kind, SMUGGLED)
        add = _appended(lambda _given, one=one: one)  # type: ignore[misc]
        yield make_row(f"box appended: {kind.decode()}", add, ALTERED, UNREADABLE, stricter=both)
    yield make_row("bytes appended", _appended(lambda _given: b"x" * 7), ALTERED, UNREADABLE, stricter=both)
    yield make_row(
        "second C2PA box: its own", _appended(lambda given: _of(given.content, "c2pa")),
        ALTERED, UNREADABLE, stricter=both,
    )  # fmt: skip
    yield make_row(
        "second C2PA box: another file's", _appended(lambda given: _of(given.other, "c2pa")),
        ALTERED, UNREADABLE, stricter=both,
    )  # fmt: skip
    nonsense = _box(b"uuid", jumbf.C2PA_UUID + SMUGGLED)
    third = _appended(lambda _given: nonsense)
    yield make_row("second C2PA box: nonsense", third, ALTERED, UNREADABLE, stricter=both)


def _inserted(one: bytes, before: str) -> Make:
    return written(
        lambda given, _random: with_bytes(given.content, jumbf.box(given.content, before).start, one)
    )


def _manifests() -> Iterator[Row]:
    def transplanted(given: Subject, _random: Random) -> bytes:
        place = jumbf.box(given.content, "c2pa")
        return with_bytes(given.content, place.start, _of(given.other, "c2pa"), place.end - place.start)

    def removed(given: Subject, _random: Random) -> bytes:
        place = jumbf.box(given.content, "c2pa")
        return with_bytes(given.content, place.start, b"", place.end - place.start)

    def renamed_box(given: Subject, _random: Random) -> bytes:
        place = jumbf.box(given.content, "c2pa").start + 4
        return given.content[:place] + b"free" + given.content[place + 4 :]

    def signed_anew(given: Subject, _random: Random, folder: Path) -> Path:
        source, target = folder / "source.mp4", folder / "tampered.mp4"
        source.write_bytes(given.content)
        given.sign_as_stranger(source, target)
        return target

    yield make_row("manifest of another release", written(transplanted), ALTERED, verdicts=("conflict",))
    yield make_row("manifest removed", written(removed), NONE)
    yield make_row("manifest's box renamed free", written(renamed_box), NONE)
    yield make_row("signed anew under a stranger's root with our names", signed_anew, UNTRUSTED)


def _truncations() -> Iterator[Row]:
    def cut(share: float) -> Make:
        def change(given: Subject, _random: Random) -> bytes:
            place = jumbf.box(given.content, "mdat")
            return given.content[: place.start + round(share * (place.end - place.start))]

        return written(change)

    broken = ("altered", "untrusted-claim", "unreadable")
    for name, share in (("half of mdat", 0.5), ("a tenth of mdat left", 0.1), ("mdat gone", 0.0)):
        yield make_row(f"truncated: {name}", cut(share), ALTERED, UNREADABLE, verdicts=broken)
    last = written(lambda given, _random: given.content[:-1])
    yield make_row("truncated: last byte", last, ALTERED, UNREADABLE, verdicts=broken)
    half = written(lambda given, _random: given.content[: len(given.content) // 2])
    yield make_row("truncated: half of the file", half, ALTERED, UNREADABLE, verdicts=broken)


def _metadata() -> Iterator[Row]:
    def edited(old: bytes, new: bytes) -> Make:
        def change(given: Subject, _random: Random) -> bytes:
            if given.content.count(old) != 1:
                raise KeyError(old)
            return given.content.replace(old, new)

        return written(change)

    yield make_row("AIGC label edited", edited(b'{"Label":"', b'{"Labal":"'), ALTERED)
    yield make_row("XMP source type edited", edited(b"DigitalSourceType=", b"DigitalSourceTape="), ALTERED)


def _containers() -> Iterator[Row]:
    """What tools do that know nothing of C2PA: the credential goes, the mark still names the release."""
    for form, suffix in (("mp4", "mp4"), ("mov", "mov"), ("matroska", "mkv"), ("mpegts", "ts")):
        also = UNTAKEN if suffix == "ts" else ()
        yield _remade(f"PyAV: remuxed to {form}", suffix, partial(remux, form=form), also=also)
    faststart = {"movflags": "+faststart"}
    yield _remade("PyAV: faststart", "mp4", partial(remux, form="mp4", options=faststart))
    yield _remade("PyAV: trimmed", "mp4", partial(remux, form="mp4", seconds=TRIMMED), also=UNSURE)
    yield _remade("PyAV: re-encoded, crf 28", "mp4", partial(transcode, crf=28, preset="veryfast"))
    copy = ("-c", "copy")
    for suffix in ("mp4", "mov", "mkv", "ts"):
        also = UNTAKEN if suffix == "ts" else ()
        yield _remade(f"ffmpeg -c copy: to {suffix}", suffix, partial(_ffmpeg, arguments=copy), also=also)
    for suffix in (".mov", ".mkv", ".ts"):
        yield _remade(f"ffmpeg -c copy: to {suffix} and back", "mp4", partial(there_and_back, suffix=suffix))
    tagged = ("-metadata", "title=x", "-movflags", "use_metadata_tags")
    for name, arguments in (
        ("faststart", (*copy, "-movflags", "+faststart")), ("trimmed", ("-t", f"{TRIMMED:g}", *copy)),
        ("metadata added", (*copy, *tagged)),
    ):  # fmt: skip
        yield _remade(f"ffmpeg -c copy: {name}", "mp4", partial(_ffmpeg, arguments=arguments), also=UNSURE)
    encoded = ("-c:v", "libx264", "-crf", "28", "-preset", "veryfast", "-an")
    yield _remade("ffmpeg: re-encoded, crf 28", "mp4", partial(_ffmpeg, arguments=encoded))
    for suffix in ("mov", "txt"):
        yield _remade(f"file renamed to .{suffix}", suffix, shutil.copyfile, INTACT)
    yield make_row("untouched", written(lambda given, _random: given.content), INTACT)


UNTAKEN: Final = ("unreadable",)  # verify takes MP4, MOV, WebM, MKV and GIF, no MPEG-TS
UNSURE: Final = ("recovered-unconfirmed",)  # a part may be too short for its pictures to be confirmed


def _remade(
    name: str, suffix: str, remake: Callable[[Path, Path], object], word: str = NONE,
    also: tuple[str, ...] = (),
) -> Row:  # fmt: skip
    def make(given: Subject, _random: Random, folder: Path) -> Path:
        source, target = folder / "source.mp4", folder / f"tampered.{suffix}"
        source.write_bytes(given.content)
        remake(source, target)
        return target

    return make_row(name, make, word, verdicts=(VERDICT_OF[word], *also))


def _ffmpeg(source: Path, target: Path, *, arguments: Sequence[str]) -> None:
    ffmpeg(source, target, *arguments)


ROWS: Final = (
    *_flips(), *_boxes(), *_manifests(), *_truncations(), *_metadata(), *_containers(),
)  # fmt: skip
