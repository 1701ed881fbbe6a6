"""Which labels a release gets, by where it comes from."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.credentials.file_labels import AigcText, FileLabels, XmpPacket
from pipeline.credentials.labels_child import read_labels
from pipeline.release.labelling import Labels

INPUTS = {"service": "Us"}
RESERVED = {"payload": "8123456789abcdef", "urn": "urn:c2pa:1", "created_at": "2026-11-22T12:00:00Z"}
MADE = {"generator": "tiny", "version": "2"}
KINDS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED, COMPOSITE = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
THEIRS = FileLabels(
    aigc=(
        AigcText(place="p", text="{}", fields={"Label": "1", "ContentProducer": "Maker", "ProduceID": "7"}),
    ),
)
SAID = {"Iptc4xmpExt:DigitalSourceType": (f"{KINDS}{COMPOSITE}",)}
SAYS = FileLabels(xmp=(XmpPacket(place="p", sha256="0", properties=SAID),))


def brought(*, generated: bool, labels: FileLabels | None = THEIRS) -> dict[str, Any]:
    told = None if labels is None else json.loads(json.dumps(labels.to_json()))
    row = {"label": "parent", "generated": generated, "labels": told}
    return {"files": [{"label": "input-0", "generated": False, "labels": None}, row]}


def labelled(folder: Path, **told: Any) -> tuple[dict[str, str], FileLabels]:
    labels = Labels(inputs=INPUTS, reserved=RESERVED, **told)
    clip = folder / "clip.mp4"
    clip.write_bytes(b"\0\0\0\x0cftypisom")
    labels.append(clip)
    return json.loads(labels.metadata()["AIGC"]), FileLabels.from_json(read_labels({"path": str(clip)}))


@pytest.mark.parametrize(
    ("origin", "given", "kind"),
    [
        (MADE, {}, TRAINED),  # from a prompt
        (MADE, brought(generated=False), COMPOSITE),  # goes on with anybody's clip
        (MADE, brought(generated=True), TRAINED),  # goes on with a model's
        ({}, brought(generated=True), TRAINED),  # guarded: its own trusted credential says it
        ({}, brought(generated=False), None),
        ({}, brought(generated=False, labels=None), None),
        ({}, brought(generated=False, labels=SAYS), COMPOSITE),  # its maker said so in XMP
    ],
)
def test_the_source_type(tmp_path: Path, origin: Any, given: Any, kind: str | None) -> None:
    _, found = labelled(tmp_path, origin=origin, brought=given)
    assert found.values("Iptc4xmpExt:DigitalSourceType") == ((f"{KINDS}{kind}",) if kind else ())


def test_who_made_it_and_who_passes_it_on(tmp_path: Path) -> None:
    made, ours = labelled(tmp_path, origin=MADE, brought=brought(generated=True))
    assert (made["ContentProducer"], made["ProduceID"], made["ContentPropagator"]) == (
        "Us",
        RESERVED["payload"],
        "",
    )
    assert ours.values("cm:Role") == ("created",)
    assert ours.values("cm:System") == ("tiny",)
    passed, theirs = labelled(tmp_path, origin={}, brought=brought(generated=False))
    assert (passed["ContentProducer"], passed["ProduceID"]) == ("Maker", "7")
    assert (passed["ContentPropagator"], passed["PropagateID"]) == ("Us", RESERVED["payload"])
    assert theirs.values("cm:Role") == ("guarded",)
    assert theirs.values("cm:System") == ()
