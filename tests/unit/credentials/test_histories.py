"""Clips that come in with a history of other tools, also of those that still write claims of version 1."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.credentials.c2pa_context import Builder, C2paSigningAlg, Signer, make_context
from pipeline.credentials.judge import UNCOVERED
from pipeline.credentials.read import IngredientKind, inspect_ingredient
from pipeline.credentials.reading import CredentialReading, CredentialState, TimestampState
from pipeline.credentials.sign import demand_whole
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.tsa import local_tsa
from pipeline.errors import Refused, SigningFailed

CAPTURED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
CREATED = {"action": "c2pa.created", "digitalSourceType": CAPTURED}
OPENED = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["p"]}}
PARENT = {"title": "p", "label": "p", "relationship": "parentOf"}


def another_tool(pki: Any, source: Path, target: Path, version: int, *, opened: bool) -> Path:
    """Somebody else's tool signs `source`, which it opened or captured."""
    key = LocalKeySigner(pki)
    definition = {
        "claim_version": version, "claim_generator_info": [{"name": "tool"}],
        "assertions": [{
            "label": "c2pa.actions.v2" if version == 2 else "c2pa.actions",
            "data": {"actions": [OPENED if opened else CREATED]},
        }],
    }  # fmt: skip
    with local_tsa(pki, clock=lambda: datetime.now(UTC)) as tsa:
        signer = Signer.from_callback(key.sign, C2paSigningAlg.ES256, key.chain_pem, tsa.url)
        with (
            make_context(pki.trust, signer=signer) as context,
            Builder(definition, context) as builder,
            source.open("rb") as old,
            target.open("w+b") as new,
        ):
            if opened:
                builder.add_ingredient(PARENT, "video/mp4", old)
                old.seek(0)
            builder.sign("video/mp4", old, new)
    return target


@pytest.mark.parametrize("version", [1, 2])
def test_the_whole_history_is_kept(desk: Any, rogue: Any, guarded: Any, tmp_path: Path, version: int) -> None:
    clip = desk.source
    for generation in range(3):
        clip = another_tool(rogue, clip, tmp_path / f"{generation}.mp4", version, opened=generation > 0)
    judged = inspect_ingredient(clip, desk.pki.trust, limits=desk.limits)
    assert judged.kind is IngredientKind.UNTRUSTED
    made = desk.sign(tmp_path / "ours.mp4", guarded(judged))
    assert desk.read(made.path).intact
    assert made.manifest_bytes.count(b"c2pa.signature\0") >= 4


def test_a_history_that_cannot_be_sealed_in_is_refused_and_not_tried_for_ever() -> None:
    reading = CredentialReading(
        state=CredentialState.PRESENT, trusted=True, ours=True, urn="urn", timestamp=TimestampState.TRUSTED,
        timestamp_time="2026-11-29T12:00:00Z", failures=(UNCOVERED,),
    )  # fmt: skip
    with pytest.raises(Refused, match="cannot be carried along"):
        demand_whole(reading, "urn", carried=True)
    with pytest.raises(SigningFailed):
        demand_whole(reading, "urn")
