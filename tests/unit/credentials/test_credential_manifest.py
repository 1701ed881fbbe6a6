"""What manifests say, and what they must not say."""

import json

import pytest
from encypher_c2pa import verify

from pipeline.credentials import softbinding
from pipeline.credentials.labels import (
    TRAINED_ALGORITHMIC_MEDIA,
    XMP_UUID,
    AigcLabel,
    Latent,
    aigc_metadata,
    append_xmp,
)
from pipeline.credentials.manifest import Agent, Making, created, guarded, new_urn
from pipeline.credentials.read import IngredientKind, inspect_ingredient
from pipeline.credentials.text import safe_text
from pipeline.errors import UsageError


def assertion(definition, label):
    return [row for row in definition.document["assertions"] if row["label"] == label]


def actions(definition):
    return assertion(definition, "c2pa.actions.v2")[0]["data"]["actions"]


def test_a_generated_clip_says_so(desk):
    definition = desk.created()
    first, second = actions(definition)
    assert first["action"] == "c2pa.created"
    assert first["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert second["action"] == "c2pa.watermarked.bound"
    assert [row["relationship"] for row in definition.document["ingredients"]] == ["inputTo"]
    assert definition.document["label"] == definition.urn


def test_the_prompt_itself_stays_out(desk):
    making = Making(model=Agent(name="m", version="1"), prompt_digest="hmac-sha256:12")
    definition = created(desk.facts(), making)
    assert definition.document["ingredients"][0]["description"] == "hmac-sha256:12"


def test_a_guarded_clip_never_claims_that_we_made_it(desk):
    definition = guarded(desk.facts(), parent=desk.imported(), visible_mark=True)
    names = [action["action"] for action in actions(definition)]
    assert names == ["c2pa.opened", "c2pa.edited", "c2pa.watermarked.bound", "c2pa.transcoded"]
    assert "digitalSourceType" not in json.dumps(definition.document)
    assert [row["relationship"] for row in definition.document["ingredients"]] == ["parentOf"]


def test_a_guarded_clip_without_a_credential_signs(desk, tmp_path):
    definition = guarded(desk.facts(), parent=desk.imported(), visible_mark=False)
    desk.sign(tmp_path / "out.mp4", definition)
    reading = desk.read(tmp_path / "out.mp4")
    assert reading.intact
    assert reading.ingredients == 1
    assert reading.digital_source_types == ()
    assert reading.actions == ("c2pa.opened", "c2pa.watermarked.bound", "c2pa.transcoded")


def test_our_own_clip_as_parent_keeps_its_credential(desk, signed, guarded, tmp_path):
    judged = inspect_ingredient(signed.path, desk.pki.trust, limits=desk.limits)
    assert judged.kind is IngredientKind.OURS
    assert not judged.flagged
    again = desk.sign(tmp_path / "again.mp4", guarded(judged))
    assert signed.urn.encode() in again.manifest_bytes
    reading = desk.read(again.path)
    assert reading.intact
    assert reading.urn == again.urn
    assert not reading.laundered_parent


def test_both_soft_bindings_are_there_and_read_back(desk):
    definition = desk.created(payload=2**64 - 1, fingerprint=b"\x01\x02")
    rows = assertion(definition, "c2pa.soft-binding")
    assert [row["data"]["alg"] for row in rows] == list(softbinding.ALGORITHMS)
    assert softbinding.values(rows, softbinding.WATERMARK_ALGORITHM) == ("//////////8=",)
    assert softbinding.decode_payload("//////////8=") == 2**64 - 1
    (value,) = softbinding.values(rows, softbinding.FINGERPRINT_ALGORITHM)
    assert softbinding.decode_value(value) == b"\x01\x02"


@pytest.mark.parametrize("value", ["", "AAAA", "not base64!", "AAAAAAAAAAAA", 5, None, "A" * 20000])
def test_other_values_are_no_payload(value):
    assert softbinding.decode_payload(value) is None


def test_contradicting_bindings_are_none(desk, tmp_path):
    document = desk.created().document
    extra = softbinding.assertion(softbinding.WATERMARK_ALGORITHM, softbinding.encode_payload(5))
    document["assertions"].append(extra)
    clip = desk.raw_sign(
        tmp_path / "two.mp4", desk.pki.claim, desk.pki.trust, tsa_of=desk.pki, document=document
    )
    assert desk.read(clip).payload is None


def test_the_caller_cannot_change_the_release_version(desk):
    definition = desk.created(release={"version": 99, "release_id": "r"})
    assert assertion(definition, "org.countermark.release")[0]["data"]["version"] == 3


@pytest.mark.parametrize(
    "changes",
    [{"urn": "urn:c2pa:1"}, {"urn": "urn:uuid:" + new_urn()[9:]}, {"urn": new_urn().upper()}, {"payload": -1},
     {"payload": 2**64}, {"thumbnail": b"GIF89a"}, {"thumbnail": b"\xff\xd8\xff" + bytes(300_000)}],
)  # fmt: skip
def test_what_cannot_be_signed_is_refused(desk, changes):
    with pytest.raises(UsageError):
        desk.created(**changes)


# Labels and names


def test_aigc_metadata_is_compact_json():
    text = aigc_metadata(label=AigcLabel.GENERATED, producer="Wir\x1b[2J", produce_id="r-1")["AIGC"]
    document = json.loads(text)
    assert document["Label"] == "1"
    assert document["ContentProducer"] == "Wir"
    assert document["ProduceID"] == "r-1"
    assert {"ContentPropagator", "PropagateID", "ReservedCode1", "ReservedCode2"} < set(document)
    guarded_label = json.loads(
        aigc_metadata(label=AigcLabel.SUSPECTED, propagator="We", propagate_id="1")["AIGC"]
    )
    assert guarded_label["ContentProducer"] == ""


def test_the_xmp_box_is_covered_by_the_credential(desk, tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(desk.source.read_bytes())
    append_xmp(
        clip,
        Latent(
            made=True, provider="us", at="2026-11-22T12:00:00Z", number="00", manifest="urn:c2pa:x",
            source_type=TRAINED_ALGORITHMIC_MEDIA,
        ),
    )  # fmt: skip
    signed = desk.sign(tmp_path / "signed.mp4", source=clip)
    content = bytearray(signed.path.read_bytes())
    assert desk.read(signed.path).intact
    assert XMP_UUID in content
    opinion = verify(
        bytes(content), "video/mp4", trust_pem=desk.pki.trust.claim_roots,
        tsa_trust_pem=desk.pki.trust.tsa_roots, no_default_trust=True, telemetry=False, online=False,
    )  # fmt: skip
    assert opinion["validation_state"] == "Trusted"
    position = content.index(b"trainedAlgorithmicMedia", content.index(XMP_UUID))
    content[position : position + 7] = b"digital"
    signed.path.write_bytes(content)
    assert desk.read(signed.path).failures == ("assertion.bmffHash.mismatch",)


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("plain", "plain"), ("", ""), (None, ""), (5, ""), ("a\nb\tc", "a b c"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"), ("\x9b31mred", "red"), ("a\u202eb\u2066c\u200d", "abc"), ("\x00\x7f", ""),
        ("naïve 東京 🙂", "naïve 東京 🙂"), ("\ud800x", "x"), ("\x1b[", ""), ("x" * 200, "x" * 119 + "…"),
    ],
)  # fmt: skip
def test_safe_text(dirty, clean):
    assert safe_text(dirty) == clean
