"""A created and a guarded release, read back field by field; and with each field removed or damaged."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.app import open_app
from pipeline.cli import output
from pipeline.cli.compliance import _status
from pipeline.compliance import examine as examining
from pipeline.compliance import pictures
from pipeline.compliance.document import document
from pipeline.compliance.rules import judge
from pipeline.compliance.types import ComplianceReport, Facts, Opening, Rule
from pipeline.credentials.child import open_media, read_open_file
from pipeline.credentials.file_labels import FileLabels
from pipeline.credentials.labels_child import read_labels
from pipeline.credentials.reading import CredentialReading, CredentialState
from pipeline.credentials.xmp import NAMESPACES, XMP_UUID
from pipeline.orders import CreateOrder, GuardOrder
from pipeline.policy import Sound
from pipeline.settings import Settings
from pipeline.types import Evidence, EvidenceState
from pipeline.verify.local import Verifier
from pipeline.verify.opening import NO_TRUST, open_local
from watermark.base import TimedLuma
from watermark.visible_standing import StandingLabel

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SIZE = 256
PICTURES = {"watermark", "durable", "visible_label", "visible_disclosure", "log"}
THEIRS = {"Label": "1", "ContentProducer": "Maker", "ProduceID": "m-7", "ReservedCode1": "sig",
          "ContentPropagator": "Shop", "PropagateID": "s-1", "ReservedCode2": ""}  # fmt: skip

Row = tuple[str, str]


class Desk:
    """A home with three releases, and what was read of them once; the pictures of copies are the same.

    `source`: what became `guarded`; `again`: `created`, guarded.
    """

    def __init__(self, verifier: Verifier, source: Path, created: Path, guarded: Path, again: Path) -> None:
        self.verifier, self.source = verifier, source
        self.created, self.guarded, self.again = created, guarded, again
        self.reports: dict[tuple[Path, Verifier | None], ComplianceReport] = {}
        self.whole = {path: self.facts(path) for path in (created, guarded, again)}
        # The marks take their time, and say nothing about the rest.
        self.unmarked = replace(verifier, keys=(), issued=None)

    def facts(self, path: Path, verifier: Verifier | None = None) -> Facts:
        """What was read of the file."""
        caught: list[Facts] = []

        def keep(facts: Facts, rules: Any) -> tuple[Any, ...]:
            caught.append(facts)
            return judge(facts, rules)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(examining, "judge", keep)
            self.reports[path, verifier] = examining.examine(path, verifier or self.verifier)
        return caught[0]

    def states(self, path: Path, original: Path) -> dict[Row, str]:
        """State of each field of a copy with the same pictures; only its metadata is read again."""
        with open_media(path) as file:
            credential = read_open_file(file, self.verifier.trust)
        labels = FileLabels.from_json(read_labels({"path": str(path)}))
        return states(replace(self.whole[original], credential=credential, labels=labels))


def states(facts: Facts) -> dict[Row, str]:
    return {(row.rule, row.field): str(row.finding.state) for row in judge(facts, tuple(Rule))}


def inbound_clip(source: Path, target: Path) -> Path:
    """With a maker's AIGC label and XMP."""
    remux(source, target, {"AIGC": json.dumps(THEIRS)})
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    packet = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {names}><rdf:Description '
        f'Iptc4xmpExt:DigitalSourceType="{TRAINED}" Iptc4xmpExt:AISystemUsed="Maker Video"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()
    with target.open("ab") as file:
        file.write((24 + len(packet)).to_bytes(4, "big") + b"uuid" + XMP_UUID + packet)
    return target


def remux(source: Path, target: Path, metadata: dict[str, str] | None = None) -> Path:
    """The same packets in a new file; `metadata`: its only tags, None to keep what PyAV read."""
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", container_options={"movflags": "use_metadata_tags"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        new.metadata.update(dict(old.metadata) if metadata is None else metadata)
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return target


def flipped(source: Path, target: Path, at: bytes, to: bytes) -> Path:
    """The same file with one text of it changed at its last place, the length kept."""
    content = bytearray(source.read_bytes())
    place = content.rindex(at)
    content[place : place + len(to)] = to
    target.write_bytes(content)
    return target


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Path]) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("compliance")
    settings = Settings(home=folder / "home", service="Studio", standing_label="AI生成", preset="ultrafast")  # type: ignore[call-arg]
    order = CreateOrder(
        prompt="waves", policy="marks-only", generator="scene", seconds=2.25, seed=3, width=SIZE, height=SIZE
    )
    source = inbound_clip(make_clip(folder / "a.mp4", SIZE, SIZE, 27, fps=12, seed=4), folder / "in.mp4")
    with open_app(settings) as app:
        created = app.create(order, silent).file
        assert created is not None
        files = [
            app.guard(GuardOrder(source=brought, policy="marks-only", sound=Sound.STRIP), silent).file
            for brought in (source, created)
        ]
    with open_local(settings) as verifier:
        yield Desk(verifier, source, created, *(file for file in files if file is not None))


def silent(_step: str, _event: str, _value: float) -> None:
    """Nobody watches."""


def test_a_created_clip_carries_every_field(desk: Desk) -> None:
    rows = {(row.rule, row.field): row for row in judge(desk.whole[desk.created], tuple(Rule))}
    missing = {field for (_, field), row in rows.items() if row.finding.state != "found"}
    assert missing == {"inbound_marks", "ContentPropagator", "PropagateID"}  # no layer of which is asked for
    assert not any(rows[key].required for key in rows if key[1] in missing)
    told = {key: row.finding.value for key, row in rows.items()}
    number = told[Rule.EU, "watermark"]
    assert len(number) == 16
    assert {
        told[Rule.EU, "identifier"],
        told[Rule.SB942, "unique_identifier"],
        told[Rule.GB45438, "ProduceID"],
    } == {number}
    assert told[Rule.GB45438, "ContentProducer"] == told[Rule.SB942, "provider"] == "Studio"
    assert told[Rule.GB45438, "Label"] == "1"
    assert told[Rule.GB45438, "ReservedCode1"] == told[Rule.EU, "signed_metadata"]
    assert told[Rule.SB942, "system"] == told[Rule.IPTC, "AISystemUsed"] != ""
    assert told[Rule.IPTC, "DigitalSourceType"] == told[Rule.EU, "ai_flag"] == TRAINED
    assert "AI生成" in told[Rule.GB45438, "visible_label"]
    assert all(len(row.finding.where) >= 1 for key, row in rows.items() if key[1] not in missing)


def test_a_guarded_clip_carries_what_its_maker_said(desk: Desk) -> None:
    rows = {(row.rule, row.field): row.finding for row in judge(desk.whole[desk.guarded], tuple(Rule))}
    told = {name: rows[Rule.GB45438, name].value for name in THEIRS}
    assert told | {"PropagateID": "", "ReservedCode2": ""} == THEIRS | {
        "ContentPropagator": "Studio", "PropagateID": "", "ReservedCode2": "",
    }  # fmt: skip
    assert told["PropagateID"] == rows[Rule.EU, "identifier"].value
    assert rows[Rule.EU, "inbound_marks"].state == "found"
    assert rows[Rule.SB942, "system"].value == "Maker Video"
    assert rows[Rule.SB942, "provider"].value == "Maker"  # not whoever guarded it
    assert rows[Rule.SB942, "system_version"].state == "absent"  # nobody said it
    assert rows[Rule.IPTC, "DigitalSourceType"].value == TRAINED


def test_one_service_may_make_a_clip_and_guard_it_again(desk: Desk) -> None:
    """Both numbers stand under the same name; that of the guard is the release's."""
    rows = {(row.rule, row.field): row.finding for row in judge(desk.whole[desk.again], tuple(Rule))}
    told = {name: rows[Rule.GB45438, name].value for name in THEIRS}
    assert told["ContentProducer"] == told["ContentPropagator"] == "Studio"
    assert told["ProduceID"] != told["PropagateID"]
    number = rows[Rule.EU, "identifier"]
    assert (number.state, number.value) == ("found", told["PropagateID"])


def test_without_the_credential(desk: Desk, tmp_path: Path) -> None:
    """A remux takes it away, and XMP with it; the AIGC label stays, unsigned."""
    told = desk.states(remux(desk.created, tmp_path / "a.mp4"), desk.created)
    for field in ("signed_metadata", "timestamp", "fingerprint"):
        assert told[Rule.EU, field] == "absent"
    for field in ("system", "system_version", "time"):
        assert told[Rule.SB942, field] == "absent"
    assert told[Rule.IPTC, "DigitalSourceType"] == "absent"
    assert told[Rule.GB45438, "ContentProducer"] == "found"
    assert told[Rule.EU, "identifier"] == "absent"  # one layer is left
    bare = desk.states(remux(desk.created, tmp_path / "b.mp4", {}), desk.created)
    assert {bare[Rule.GB45438, field] for field in THEIRS} == {"absent"}
    assert bare[Rule.EU, "ai_flag"] == "absent"


@pytest.mark.parametrize("field", [*THEIRS])
@pytest.mark.parametrize("signed", [True, False])
def test_each_aigc_field_removed(desk: Desk, tmp_path: Path, field: str, signed: bool) -> None:
    name = f'"{field}"'.encode()
    gone = f'"{field[:-1]}_"'.encode()
    source = desk.guarded if signed else remux(desk.guarded, tmp_path / "bare.mp4")
    content = source.read_bytes()
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(content.replace(name, gone))
    told = desk.states(changed, desk.guarded)
    assert told[Rule.GB45438, field] == "absent"
    others = {told[Rule.GB45438, other] for other in THEIRS if other != field}
    assert others <= ({"failed"} if signed else {"found"})


@pytest.mark.parametrize(
    ("at", "to", "rule", "field"),
    [
        (b"ContentProducer", b"Content!roducer", Rule.GB45438, "ContentProducer"),
        (b'"Label":"1"', b'"Label":"7"', Rule.GB45438, "Label"),
        (b'"Label":"1"', b'"Label"!"1"', Rule.GB45438, "ProduceID"),
        (b"trainedAlgorithmicMedia", b"digitalCapture.........", Rule.IPTC, "DigitalSourceType"),
        (b"cm:Number=", b"cm:Nimber=", Rule.EU, "identifier"),
        (b"cm:System=", b"cm:Sistem=", Rule.SB942, "system"),
        (b"cm:At=", b"cm:Et=", Rule.SB942, "time"),
        (b"<rdf:Description", b"<rdf!Description", Rule.SB942, "provider"),
        (b"cm:SystemVersion", b"cm:SystemVersien", Rule.SB942, "system_version"),
        (b"c2pa.soft-binding", b"c2pa.soft-bindinh", Rule.EU, "fingerprint"),
        (b"c2pa.actions", b"c2pa.actiens", Rule.EU, "signed_metadata"),
        (b"moov", b"moow", Rule.EU, "signed_metadata"),
    ],
)  # fmt: skip
def test_each_damage_shows(desk: Desk, tmp_path: Path, at: bytes, to: bytes, rule: Rule, field: str) -> None:
    told = desk.states(flipped(desk.created, tmp_path / "damaged.mp4", at, to), desk.created)
    assert told[rule, field] in ("absent", "failed")
    assert told[Rule.EU, "signed_metadata"] == "failed"


def test_an_unsigned_copy_whose_number_was_changed_contradicts_the_mark(desk: Desk, tmp_path: Path) -> None:
    credentialled, number = desk.created.read_bytes(), desk.whole[desk.created].credential.payload  # type: ignore[union-attr]
    bare = remux(desk.created, tmp_path / "bare.mp4")
    start = credentialled.index(b"uuid" + XMP_UUID) - 4
    size = int.from_bytes(credentialled[start : start + 4], "big")
    with bare.open("ab") as file:
        file.write(credentialled[start : start + size])
    assert desk.states(bare, desk.created)[Rule.EU, "identifier"] == "found"
    other = flipped(bare, tmp_path / "b.mp4", f'cm:Number="{number:016x}"'.encode(), b'cm:Number="0000')
    assert desk.states(other, desk.created)[Rule.EU, "identifier"] == "failed"
    aigc = flipped(bare, tmp_path / "c.mp4", f'"ProduceID":"{number:016x}"'.encode(), b'"ProduceID":"0000')
    assert desk.states(aigc, desk.created)[Rule.EU, "identifier"] == "failed"


def test_labels_that_contradict_each_other(desk: Desk) -> None:
    whole = desk.whole[desk.created]
    assert whole.labels is not None
    [text], [packet] = whole.labels.aigc, whole.labels.xmp
    other = replace(text, fields=(text.fields or {}) | {"ContentProducer": "Nobody"})
    told = states(replace(whole, labels=replace(whole.labels, aigc=(text, other))))
    assert told[Rule.GB45438, "ContentProducer"] == "failed"
    assert told[Rule.GB45438, "ProduceID"] == "found"
    kind = {"Iptc4xmpExt:DigitalSourceType": (TRAINED.replace("trained", "x"),)}
    for more in (replace(packet, properties=kind), replace(packet, properties=None, fault="damaged")):
        told = states(replace(whole, labels=replace(whole.labels, xmp=(packet, more))))
        assert told[Rule.IPTC, "DigitalSourceType"] == "failed"
    composite = {"Iptc4xmpExt:DigitalSourceType": (TRAINED.replace("trained", "compositeWithTrained"),)}
    told = states(replace(whole, labels=replace(whole.labels, xmp=(replace(packet, properties=composite),))))
    assert told[Rule.IPTC, "DigitalSourceType"] == "failed"  # the credential says another one
    named = replace(packet, properties=(packet.properties or {}) | {"cm:Manifest": ("urn:c2pa:another",)})
    told = states(replace(whole, labels=replace(whole.labels, xmp=(named,))))
    assert told[Rule.EU, "identifier"] == "failed"


def test_what_was_not_looked_at_is_never_found_or_absent(desk: Desk) -> None:
    whole = desk.whole[desk.created]
    with open_media(desk.created) as file:
        stranger = read_open_file(file, NO_TRUST)
    told = states(replace(whole, credential=stranger))
    for field in ("signed_metadata", "timestamp", "fingerprint"):
        assert told[Rule.EU, field] == "not_checked"
    silent = states(replace(whole, credential=None, labels=None))
    assert {told for (_, field), told in silent.items() if field not in PICTURES} == {"failed"}
    lost = states(replace(whole, labels=FileLabels(fault="too many boxes")))
    evidence = whole.report.evidence | {
        "hidden_mark": Evidence(state=EvidenceState.ABSENT, summary="Not found.")
    }
    unmarked = replace(whole, report=replace(whole.report, evidence=evidence))
    assert states(unmarked)[Rule.EU, "watermark"] == "absent"  # our credential says that there was one
    foreign = replace(unmarked, credential=CredentialReading(state=CredentialState.NONE))
    assert states(foreign)[Rule.EU, "watermark"] == "not_checked"
    assert lost[Rule.GB45438, "Label"] == lost[Rule.IPTC, "DigitalSourceType"] == "not_checked"
    assert whole.labels is not None
    some = replace(whole, labels=replace(whole.labels, fault="too many boxes"))
    for row, was in states(whole).items():  # what was not read may contradict what was
        if row[0] in (Rule.IPTC, Rule.GB45438) and row[1] != "visible_label":
            assert states(some)[row] == "not_checked" != was
    damaged = replace(some, credential=CredentialReading(state=CredentialState.UNREADABLE))
    assert states(damaged)[Rule.GB45438, "Label"] == "failed"


@pytest.mark.parametrize(
    ("gone", "there"),
    [((), True), ((9, 10), True), ((19,), False), ((18, 19), False), ((0,), False), ((8, 9, 10), False),
     (range(20), False)],
)  # fmt: skip
def test_the_standing_label_has_to_stand_for_two_seconds(gone: Collection[int], there: bool) -> None:
    """Between looks that see it a flash may hide it twice; not at the start, nor at the end."""
    label = StandingLabel(640, 360, "AI生成", light=False, full_range=False)
    noise, frames = np.random.default_rng(1), []
    for index in range(20):
        y = noise.integers(60, 180, (360, 640), dtype=np.uint8)
        chroma = np.full((2, 180, 320), 128, np.uint8)
        if index not in gone:
            label.draw(y, *chroma)
        frames.append(TimedLuma(index / 10, y))
    assert pictures.opening(frames, "AI生成", light=False, layout=None).standing is there
    guessed = pictures.opening(frames, "AI生成", light=False, layout=None, told=False)
    assert guessed.standing is (True if there else None)


def test_a_demanded_answer_about_the_signer_that_does_not_come(desk: Desk) -> None:
    """Nothing of the credential is believed, nor called absent; `verify` and this command read it once."""
    demanding = desk.unmarked.settings.model_copy(
        update={"ocsp": "require", "ocsp_responders": "http://127.0.0.1:1/"}
    )
    facts = desk.facts(desk.created, replace(desk.unmarked, settings=demanding))
    assert facts.credential is not None
    assert facts.credential.revocation == "not_checked"
    assert facts.credential is facts.report.credential
    rows = {(row.rule, row.field): row.finding for row in judge(facts, tuple(Rule))}
    assert rows[Rule.EU, "signed_metadata"].state == "not_checked"
    assert "revoked" in rows[Rule.EU, "signed_metadata"].why
    assert rows[Rule.EU, "timestamp"].state == rows[Rule.EU, "fingerprint"].state == "not_checked"
    assert not any(place.endswith(", signed") for told in rows.values() for place in told.where)
    bare = replace(facts, labels=FileLabels())
    told = states(bare)
    for field in ("provider", "system", "system_version", "time"):
        assert told[Rule.SB942, field] == "not_checked"


def test_a_label_that_nobody_promised_is_not_called_absent(desk: Desk) -> None:
    """What the settings would draw is a guess about anybody else's clip: a hit counts, a miss does not."""
    assert desk.unmarked.settings.standing_label == "AI生成"
    facts = desk.facts(desk.source, desk.unmarked)
    assert facts.opening.seconds > 1.5
    assert states(facts)[Rule.GB45438, "visible_label"] == "not_checked"


def test_pictures_without_label_or_mark(desk: Desk) -> None:
    whole = desk.whole[desk.created]
    unmarked = {**whole.report.evidence}
    unmarked["visible_mark"] = replace(unmarked["visible_mark"], found={"verdict": "removed"})
    facts = replace(
        whole, report=replace(whole.report, evidence=unmarked), opening=Opening(standing=False, text="x")
    )
    assert states(facts)[Rule.GB45438, "visible_label"] == "failed"
    small = replace(whole, opening=Opening(seconds=2.0, text_height=0.04))
    assert states(small)[Rule.GB45438, "visible_label"] == "failed"
    unknown = replace(whole, opening=Opening(seconds=2.0))
    assert states(unknown)[Rule.GB45438, "visible_label"] == "not_checked"
    moving = replace(whole, opening=replace(whole.opening, standing=None))
    assert states(moving)[Rule.GB45438, "visible_label"] == "found"


def test_the_command(desk: Desk, run: Any, clip: Path, tmp_path: Path) -> None:
    whole = desk.reports[desk.created, None]
    assert _status(whole) == output.OK
    told = document(whole)
    assert {rule: found["missing"] for rule, found in told["rules"].items()} == {key: [] for key in Rule}
    assert document(desk.reports[desk.guarded, None])["rules"]["sb942"]["missing"] == ["system_version"]
    assert _status(desk.reports[desk.guarded, None]) == output.FOUND
    foreign = run("compliance", clip, "--rule", "gb45438")  # no keys here
    [told] = foreign.document
    assert foreign.status == 1
    assert told["rules"]["gb45438"]["fields"]["ContentProducer"]["state"] == "absent"
    assert told["rules"]["gb45438"]["fields"]["visible_label"]["state"] == "not_checked"
    assert run("compliance", clip, "--rule", "moon").status == 2
    (tmp_path / "text.mp4").write_text("no video")
    assert run("compliance", tmp_path / "text.mp4").status == 3
