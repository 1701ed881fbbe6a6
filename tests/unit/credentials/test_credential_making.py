"""Credentials of clips that models made of prompts, pictures and other clips."""

import io
from datetime import UTC, datetime

import pytest
from encypher_c2pa import verify
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.credentials.c2pa_context import Builder, C2paSigningAlg, Signer, make_context
from pipeline.credentials.labels import COMPOSITE_WITH_TRAINED_MEDIA, TRAINED_ALGORITHMIC_MEDIA
from pipeline.credentials.manifest import (
    Agent,
    Making,
    ReleaseFacts,
    Source,
    created,
    extended,
    guarded,
    input_label,
)
from pipeline.credentials.read import IngredientKind, inspect_ingredient
from pipeline.credentials.reading import PARENT
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.tsa import local_tsa
from pipeline.errors import Refused

MODEL = Agent(name="tiny", version="1")


def making(*inputs: Source) -> Making:
    return Making(model=MODEL, prompt_digest="salted sha256:00", inputs=inputs)


def judged(desk, path, label=PARENT):
    return inspect_ingredient(path, desk.pki.trust, limits=desk.limits, label=label)


def signed_picture(desk, path, pki=None, kind="jpeg"):
    """A small picture with a credential of its own."""
    pki, plain, done = pki or desk.pki, io.BytesIO(), io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(plain, kind)
    plain.seek(0)
    key = LocalKeySigner(pki)
    captured = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    taken = {"actions": [{"action": "c2pa.created", "digitalSourceType": captured}]}
    definition = {
        "claim_generator_info": [{"name": "camera"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": taken}],
    }  # fmt: skip
    with local_tsa(pki, clock=lambda: datetime.now(UTC)) as tsa:
        signer = Signer.from_callback(key.sign, C2paSigningAlg.ES256, key.chain_pem, tsa.url)
        with make_context(pki.trust, signer=signer) as context, Builder(definition, context) as builder:
            builder.sign(f"image/{kind}", plain, done)
    path.write_bytes(done.getvalue())
    return path


def opinion(desk, path):
    """What an independent validator says."""
    trust = desk.pki.trust
    return verify(
        path.read_bytes(), "video/mp4", trust_pem=trust.claim_roots, tsa_trust_pem=trust.tsa_roots,
        no_default_trust=True, telemetry=False, online=False,
    )  # fmt: skip


def test_a_clip_made_of_a_picture_and_a_clip_names_both(desk, signed, tmp_path):
    clip = judged(desk, signed.path, input_label(0))
    assert clip.kind is IngredientKind.OURS
    picture = desk.imported(label=input_label(1), media="image/png")
    source = desk.imported(label=input_label(0), archive=clip.archive)
    made = desk.sign(tmp_path / "remix.mp4", created(desk.facts(), making(source, picture)))
    reading = desk.read(made.path)
    assert reading.intact
    assert reading.actions == ("c2pa.created", "c2pa.watermarked.bound")
    assert reading.digital_source_types == (TRAINED_ALGORITHMIC_MEDIA,)
    assert reading.ingredients == 3  # with the prompt
    assert signed.urn.encode() in made.manifest_bytes


@pytest.mark.parametrize(
    ("of_a_model", "kind"), [(True, TRAINED_ALGORITHMIC_MEDIA), (False, COMPOSITE_WITH_TRAINED_MEDIA)]
)
def test_a_continued_clip_was_opened_and_says_how_the_rest_was_made(desk, signed, tmp_path, of_a_model, kind):
    parent = desk.imported(archive=judged(desk, signed.path).archive)
    definition = extended(desk.facts(), making(), parent=parent, generated=of_a_model)
    made = desk.sign(tmp_path / "longer.mp4", definition)
    reading = desk.read(made.path)
    assert reading.intact
    assert reading.actions == ("c2pa.opened", "c2pa.edited", "c2pa.watermarked.bound")
    assert reading.digital_source_types == (kind,)
    assert signed.urn.encode() in made.manifest_bytes


def test_pictures_bring_their_credential_along(desk, rogue, tmp_path):
    ours = judged(desk, signed_picture(desk, tmp_path / "ours.jpg"), input_label(0))
    theirs = judged(desk, signed_picture(desk, tmp_path / "theirs.png", rogue, "png"), input_label(1))
    # We sign clips alone, and a leaf certificate is read from their boxes: no picture is ours.
    assert (ours.kind, ours.media) == (IngredientKind.UNTRUSTED, "image/jpeg")
    assert (theirs.kind, theirs.media) == (IngredientKind.UNTRUSTED, "image/png")
    sources = [
        desk.imported(label=input_label(n), archive=one.archive) for n, one in enumerate((ours, theirs))
    ]
    made = desk.sign(tmp_path / "made.mp4", created(desk.facts(), making(*sources)))
    reading = desk.read(made.path)
    assert reading.intact
    assert reading.ingredients == 3
    assert reading.untrusted_parent
    assert not reading.laundered_parent


def test_a_changed_picture_is_refused(desk, tmp_path):
    picture = signed_picture(desk, tmp_path / "picture.jpg")
    content = bytearray(picture.read_bytes())
    content[-20] ^= 1
    picture.write_bytes(content)
    with pytest.raises(Refused, match="does not hold"):
        judged(desk, picture, input_label(0))


def test_a_picture_without_a_credential_has_none(desk, tmp_path):
    Image.effect_noise((64, 48), 60).save(tmp_path / "plain.webp")
    found = judged(desk, tmp_path / "plain.webp", input_label(0))
    assert (found.kind, found.media, found.archive) == (IngredientKind.NONE, "image/webp", None)


def test_an_independent_validator_agrees_on_every_shape(desk, signed, tmp_path):
    parent = desk.imported(archive=judged(desk, signed.path).archive)
    shapes = {
        "created": created(desk.facts(), making(desk.imported(label=input_label(0)))),
        "extended": extended(desk.facts(), making(), parent=parent, generated=True),
        "guarded": guarded(desk.facts(), parent=desk.imported(), visible_mark=True),
    }
    for name, definition in shapes.items():
        found = opinion(desk, desk.sign(tmp_path / f"{name}.mp4", definition).path)
        assert found["validation_state"] == "Trusted", (name, found)


LABELS = st.lists(st.booleans(), max_size=4)


@given(inputs=LABELS, shape=st.sampled_from(["created", "extended", "guarded"]))
def test_actions_name_exactly_the_ingredients_there_are(inputs, shape):
    facts = ReleaseFacts(
        urn="urn:c2pa:00000000-0000-4000-8000-000000000000", title="clip", product=MODEL,
        created_at="2026-11-22T12:00:00Z", payload=1, fingerprint=b"", thumbnail=b"\xff\xd8\xff", release={},
    )  # fmt: skip
    sources = [
        Source(
            label=input_label(n), title="x", media="image/png", digest="", archive=b"a" if packed else None
        )
        for n, packed in enumerate(inputs)
    ]
    parent = Source(label=PARENT, title="x", media="video/mp4", digest="")
    definition = {
        "created": lambda: created(facts, making(*sources)),
        "extended": lambda: extended(facts, making(*sources), parent=parent, generated=False),
        "guarded": lambda: guarded(facts, parent=parent, visible_mark=True),
    }[shape]()
    rows = definition.document["assertions"][0]["data"]["actions"]
    named = [one for row in rows for one in row.get("parameters", {}).get("ingredientIds", [])]
    there = {row["label"]: row["relationship"] for row in definition.document["ingredients"]}
    packed = {one.label for one in sources if one.archive} if shape != "guarded" else set()
    assert sorted(named) == sorted(there.keys() | packed)
    assert len(definition.archives) == len(packed)
    assert {label for label, relation in there.items() if relation == "parentOf"} <= {PARENT}
    opened = [row for row in rows if row["action"] == "c2pa.opened"]
    assert all("digitalSourceType" not in row for row in opened)
    assert len(opened) + sum(row["action"] == "c2pa.created" for row in rows) == 1
    assert rows[0]["action"] in ("c2pa.opened", "c2pa.created")
