"""Labels in a file: each field comes back, an inbound label is carried over, hostile ones do no harm."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.credentials import xmp
from pipeline.credentials.file_labels import AigcText, FileLabels, XmpPacket, read_labels
from pipeline.credentials.labels import (
    TRAINED_ALGORITHMIC_MEDIA,
    AigcLabel,
    Latent,
    aigc_metadata,
    append_xmp,
    inbound_source_type,
    xmp_packet,
)
from pipeline.credentials.labels_child import _Boxes, parse_aigc
from pipeline.credentials.labels_child import read_labels as read_in_child
from pipeline.errors import MediaUnreadable
from pipeline.sandbox import ProcessLimits

LIMITS = ProcessLimits(memory_mib=1024, cpu_seconds=10, wall_seconds=20)
LATENT = Latent(
    made=True, provider='Studio "A" & <b>', at="2026-11-22T12:00:00Z", number="8123456789abcdef",
    manifest="urn:c2pa:1", system="model", version="3", source_type=TRAINED_ALGORITHMIC_MEDIA,
)  # fmt: skip


def remuxed(source: Path, target: Path, metadata: dict[str, str], kind: str = "mp4") -> Path:
    options = {"movflags": "use_metadata_tags"} if kind == "mp4" else {}
    with av.open(str(source)) as old, av.open(str(target), "w", kind, container_options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        new.metadata.update(metadata)
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return target


def box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def with_xmp(source: Path, target: Path, packet: bytes) -> Path:
    target.write_bytes(source.read_bytes() + box(b"uuid", xmp.XMP_UUID + packet))
    return target


def found(path: Path) -> FileLabels:
    """The child's reading without the child, for speed."""
    return FileLabels.from_json(json.loads(json.dumps(read_in_child({"path": str(path)}))))


def rdf(inside: str, attributes: str = "") -> bytes:
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in xmp.NAMESPACES.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {names}><rdf:Description {attributes}>'
        f"{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def test_every_field_comes_back_through_the_sandbox(desk: Any, tmp_path: Path) -> None:
    metadata = aigc_metadata(
        label=AigcLabel.GENERATED, producer="Us", produce_id="n-1", manifest="urn:c2pa:1"
    )
    clip = remuxed(desk.source, tmp_path / "clip.mp4", metadata)
    append_xmp(clip, LATENT)
    labels = read_labels(clip, limits=LIMITS)
    assert labels.aigc_fields == {
        "Label": "1", "ContentProducer": "Us", "ProduceID": "n-1", "ReservedCode1": "urn:c2pa:1",
        "ContentPropagator": "", "PropagateID": "", "ReservedCode2": "",
    }  # fmt: skip
    assert [one.place for one in labels.aigc] == ["moov/udta/meta/ilst, key AIGC"]
    assert {name: labels.values(name) for name in labels.names} == {
        "Iptc4xmpExt:DigitalSourceType": (TRAINED_ALGORITHMIC_MEDIA,),
        "Iptc4xmpExt:AISystemUsed": ("model",), "Iptc4xmpExt:AISystemVersionUsed": ("3",),
        "xmp:CreateDate": (LATENT.at,), "cm:Version": ("1",), "cm:Role": ("created",),
        "cm:Provider": (LATENT.provider,), "cm:System": ("model",), "cm:SystemVersion": ("3",),
        "cm:At": (LATENT.at,), "cm:Number": (LATENT.number,), "cm:Manifest": ("urn:c2pa:1",),
    }  # fmt: skip
    assert not labels.fault


def test_what_a_clip_said_of_itself_is_carried_over(desk: Any, tmp_path: Path) -> None:
    theirs = {"Label": "2", "ContentProducer": "Maker", "ProduceID": "m-7", "ReservedCode1": "sig",
              "ContentPropagator": "Shop", "PropagateID": "s-1", "ReservedCode2": ""}  # fmt: skip
    clip = remuxed(desk.source, tmp_path / "in.mp4", {"AIGC": json.dumps({"AIGC": theirs})})
    told = f"<Iptc4xmpExt:DigitalSourceType>{TRAINED_ALGORITHMIC_MEDIA}</Iptc4xmpExt:DigitalSourceType>"
    rights = "<dc:rights><rdf:Alt><rdf:li>Ours</rdf:li><rdf:li>Tous</rdf:li></rdf:Alt></dc:rights>"
    clip = with_xmp(clip, tmp_path / "in2.mp4", rdf(told + rights, 'Iptc4xmpExt:AISystemUsed="Veo"'))
    inbound = found(clip)
    assert inbound.values("dc:rights") == ("Ours", "Tous")
    ours = aigc_metadata(
        label=AigcLabel.GENERATED, propagator="Us", propagate_id="n", manifest="urn:1", inbound=inbound
    )
    assert json.loads(ours["AIGC"]) == theirs | {
        "ContentPropagator": "Us", "PropagateID": "n", "ReservedCode2": "urn:1",
    }  # fmt: skip
    assert inbound_source_type(inbound) == TRAINED_ALGORITHMIC_MEDIA
    latent = Latent(
        made=False, provider="Us", at="2026-11-22T12:00:00Z", number="n", manifest="urn:1", inbound=inbound
    )
    again = xmp.properties(xmp_packet(latent))
    assert again["Iptc4xmpExt:DigitalSourceType"] == (TRAINED_ALGORITHMIC_MEDIA,)
    assert again["Iptc4xmpExt:AISystemUsed"] == ("Veo",)
    assert "Shop" in again["cm:InboundAIGC"][0]
    assert again["cm:InboundXMP"] == (f"sha256:{inbound.xmp[0].sha256}",)
    assert json.loads(again["cm:InboundProperties"][0])["dc:rights"] == ["Ours", "Tous"]
    silent = xmp.properties(xmp_packet(Latent(made=False, provider="Us", at="t", number="n", manifest="u")))
    assert "Iptc4xmpExt:DigitalSourceType" not in silent


def test_a_grade_of_nobodys_is_not_carried_over() -> None:
    inbound = FileLabels(aigc=(AigcText(place="p", text="{}", fields={"Label": "9"}),))
    ours = aigc_metadata(label=AigcLabel.GENERATED, propagator="Us", inbound=inbound)
    assert json.loads(ours["AIGC"])["Label"] == "1"


def test_two_source_types_are_none() -> None:
    kinds = "".join(f"<Iptc4xmpExt:DigitalSourceType>{k}</Iptc4xmpExt:DigitalSourceType>" for k in "ab")
    told = xmp.properties(rdf(kinds))
    assert told["Iptc4xmpExt:DigitalSourceType"] == ("a", "b")


@pytest.mark.parametrize("place", ["itunes", "udta", "quicktime", "tc260", "matroska"])
def test_other_places_are_found(desk: Any, tmp_path: Path, place: str) -> None:
    text, clip = b'{"Label":"1"}', tmp_path / "clip.mp4"
    if place == "matroska":
        clip = remuxed(desk.source, tmp_path / "clip.mkv", {"AIGC": text.decode()}, "matroska")
    elif place == "tc260":
        with_xmp(desk.source, clip, rdf("<TC260:AIGC>{&quot;Label&quot;:&quot;1&quot;}</TC260:AIGC>"))
    else:
        item = box(b"----", box(b"mean", bytes(4) + b"com.x") + box(b"name", bytes(4) + b"AIGC")
                   + box(b"data", bytes(8) + text))  # fmt: skip
        handler = box(b"hdlr", bytes(25))
        inside = {
            "itunes": box(b"meta", bytes(4) + handler + box(b"ilst", item)),
            "udta": box(b"AIGC", text),
            "quicktime": box(b"XMP_", rdf("<TC260:AIGC>{&quot;Label&quot;:&quot;1&quot;}</TC260:AIGC>")),
        }[place]
        clip.write_bytes(desk.source.read_bytes() + box(b"moov", box(b"udta", inside)))
    assert found(clip).aigc_fields == {"Label": "1"}


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 30_000, b'{"a":' * 9_000, b'{"Label":' + b'"' + b"x" * 70_000 + b'"}', b"\xff\xfe", b"", b"[]",
        b"1", b'{"Label":{"a":1}}', b'{"Label":1.5}', b'{"Label":"1"', b"9" * 5000,
    ],
)  # fmt: skip
def test_hostile_aigc_texts_are_a_fault(raw: bytes) -> None:
    told = parse_aigc("here", raw)
    assert told.fields is None
    assert told.fault
    assert len(told.text) <= 8000


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b"<rdf:Description>&b;</rdf:Description></rdf:RDF></x:xmpmeta>"
)
OUTSIDE = rdf("").replace(b"<x:xmpmeta", b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x:xmpmeta', 1)


@pytest.mark.parametrize(
    "packet",
    [BOMB, OUTSIDE, b"", b"<", b"<a/>", rdf("<a>" * 60 + "</a>" * 60), rdf("<dc:creator/>" * 11_000),
     b" " * (xmp.MAX_PACKET_BYTES + 1), rdf("&undefined;"), rdf("")[:-20]],
)  # fmt: skip
def test_hostile_packets_are_a_fault(packet: bytes) -> None:
    with pytest.raises(xmp.XmpInvalid):
        xmp.properties(packet)


def test_values_are_cut_and_cleaned() -> None:
    told = xmp.properties(
        rdf(f"<dc:rights>{'x' * 100_000}</dc:rights>" + "<cm:System>&#x9b;31m\u202ea</cm:System>")
    )
    assert len(told.get("dc:rights", ("",))[0]) <= xmp.MAX_CHARS
    assert told["cm:System"] == ("a",)


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes_in_boxes_are_read_to_an_end(raw: bytes, cut: int) -> None:
    whole = box(b"ftyp", b"isom") + box(b"moov", box(b"udta", box(b"meta", bytes(4) + raw)))
    search = _Boxes(io.BytesIO(whole[: len(whole) - cut] + raw))
    search.run()
    assert isinstance(search.found, FileLabels)


def test_a_flood_of_boxes_is_said(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(box(b"ftyp", b"isom") + box(b"free", b"") * 100_001)
    assert "more boxes" in found(clip).fault


AIGC_BOX = box(b"AIGC", b'{"Label":"1"}')
HIDDEN = box(b"uuid", xmp.XMP_UUID + rdf(""))


def nested(depth: int, inner: bytes) -> bytes:
    return nested(depth - 1, box(b"udta", inner)) if depth else inner


@pytest.mark.parametrize(
    ("boxes", "fault"),
    [
        (box(b"moov", box(b"udta", AIGC_BOX * 16)), ""),
        (box(b"moov", box(b"udta", AIGC_BOX * 17)), "more labels"),
        (HIDDEN * 16, ""),
        (HIDDEN * 17, "more labels"),
        (box(b"moov", nested(7, AIGC_BOX)), ""),
        (box(b"moov", nested(8, AIGC_BOX)), "deeper"),
        (box(b"free", b"") + (4).to_bytes(4, "big") + b"free" + HIDDEN, "cannot be"),
        (box(b"moov", b"\0\0\1\0free" + bytes(8)) + HIDDEN, "cannot be"),
        (box(b"moov", box(b"meta", bytes(4) + box(b"keys", bytes(8) + b"\0\0\0\1mdta"))), "cannot be"),
        (box(b"moov", box(b"udta", bytes(4))), ""),  # QuickTime ends a list so
    ],
    ids=range(10),
)  # fmt: skip
def test_a_search_that_did_not_come_to_its_end_says_so(tmp_path: Path, boxes: bytes, fault: str) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(box(b"ftyp", b"isom") + boxes)
    told = found(clip)
    assert fault in told.fault
    assert bool(told.fault) is bool(fault)


def test_what_is_kept_of_their_xmp_stays_readable() -> None:
    many = dict.fromkeys(("dc:rights", "photoshop:Source", "xmp:CreatorTool"), ("x" * 3000,))
    kind = {"Iptc4xmpExt:DigitalSourceType": ("y",)}

    def kept(properties: dict[str, tuple[str, ...]]) -> Any:
        inbound = FileLabels(xmp=(XmpPacket(place="p", sha256="0", properties=properties),))
        latent = replace(LATENT, made=False, inbound=inbound)
        return json.loads(xmp.properties(xmp_packet(latent))["cm:InboundProperties"][0])

    told = kept(many | kind)
    assert told.pop("cut") is True
    assert len(told) == 3
    assert all(tuple(values) == (many | kind)[name] for name, values in told.items())
    assert kept(kind) == {"Iptc4xmpExt:DigitalSourceType": ["y"]}
    assert kept({"dc:rights": ('"' * 5000, "short")}) == {"dc:rights": ["short"], "cut": True}


def test_names_of_people_are_not_taken_out_of_xmp() -> None:
    people = "<dc:creator><rdf:Seq><rdf:li>Ann</rdf:li></rdf:Seq></dc:creator>"
    told = xmp.properties(
        rdf(people, 'photoshop:Credit="Ann" Iptc4xmpExt:AIPromptWriterName="Ann" dc:rights="Studio"')
    )
    assert told == {"dc:rights": ("Studio",)}


def test_what_is_no_video_has_no_labels(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text('AIGC{"Label":"1"}')
    assert found(text).fault
    assert not found(text).found
    with pytest.raises(MediaUnreadable):
        read_in_child({"path": str(tmp_path)})
