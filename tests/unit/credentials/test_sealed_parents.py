"""Rule 7 of `judge`: a parent that was changed after it was sealed in, and who may say that it was so before.

Reports as c2pa writes them, since a changed parent would have to be written anew for each case; but for a
parent's parent, of which c2pa keeps silent once it records its own change.
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.trials.stuffing import manifests, slimmer, with_manifests
from benchmarks.trials.witnesses import Desk
from pipeline.credentials.judge import UNCOVERED, judge, reached
from pipeline.credentials.read import inspect_ingredient
from pipeline.credentials.trust import SignerTable

OURS, PARENT, STRANGER = "urn:c2pa:ours", "urn:c2pa:parent", "urn:c2pa:stranger"
MISMATCH, MISSING = "ingredient.manifest.mismatch", "ingredient.manifest.missing"


def failing(code: str) -> dict[str, Any]:
    return {"activeManifest": {"failure": [{"code": code}]}}


def deltas(code: str) -> dict[str, Any]:
    return {"ingredientDeltas": [{"validationDeltas": {"failure": [{"code": code}]}}]}


def failures(found: str, **told: dict[str, Any]) -> tuple[str, ...]:
    """What fails with `found` at a parent, where manifests tell such results of their own ingredients."""
    manifests = {
        name: {"ingredients": [{"active_manifest": PARENT, **told.get(key, {})}]}
        for key, name in (("ours", OURS), ("parent", PARENT), ("stranger", STRANGER))
    }
    results = {"activeManifest": {"success": [{"code": "claimSignature.validated"}]}, **deltas(found)}
    report = {"active_manifest": OURS, "manifests": manifests, "validation_results": results}
    return judge(report, None, SignerTable()).failures


@pytest.mark.parametrize("found", [MISMATCH, MISSING])
@pytest.mark.parametrize("who", ["parent", "stranger"])
@pytest.mark.parametrize("how", [failing, deltas])
def test_nobody_else_can_say_that_a_parent_was_broken_before(found: str, who: str, how: Any) -> None:
    assert failures(found) == (found,)
    assert failures(found, **{who: {"validation_results": how(found)}}) == (found,)
    assert failures(found, **{who: {"validation_status": [{"code": found}]}}) == (found,)


@pytest.mark.parametrize("told", [
    {"validation_results": failing(MISMATCH)}, {"validation_results": deltas(MISMATCH)},
    {"validation_status": [{"code": MISMATCH}]},
])  # fmt: skip
def test_what_our_own_ingredient_recorded_is_not_found_anew(told: dict[str, Any]) -> None:
    assert failures(MISMATCH, ours=told) == ()
    assert failures(MISSING, ours=told) == (MISSING,)


def chain(**to: list[str]) -> dict[str, Any]:
    return {
        "active_manifest": "a",
        "manifests": {
            name: {"ingredients": [{"active_manifest": other} for other in others]}
            for name, others in to.items()
        },
    }


def test_every_manifest_is_reached_or_none_counts() -> None:
    assert reached(chain(a=["b", "c"], b=["c"], c=["a"])) == {"a", "b", "c"}
    assert reached(chain(a=["gone"])) == {"a"}
    assert reached(chain(a=["b"], b=[], stranger=["a"])) == frozenset()
    assert reached(chain(b=[])) == reached({}) == frozenset()


def test_a_parents_parent_that_records_its_own_change_is_seen(
    desk: Any, guarded: Any, tmp_path: Path
) -> None:
    """A stranger's clip over another of his; then he signs the first anew, under its old name."""
    stranger, path = Desk(tmp_path / "stranger"), tmp_path / "ours.mp4"
    first = stranger.definition()
    stranger.sign(desk.source, tmp_path / "first.mp4", first)
    stranger.sign_over(tmp_path / "first.mp4", tmp_path / "second.mp4")
    judged = inspect_ingredient(tmp_path / "second.mp4", desk.pki.trust, limits=desk.limits)
    desk.sign(path, guarded(judged))
    assert desk.read(path).intact
    changed = copy.deepcopy(first.document)
    name = changed["label"]
    row = {"code": MISMATCH, "url": f"self#jumbf=/c2pa/{name}", "explanation": "ingredient hash incorrect"}
    told = {"activeManifest": {"success": [], "informational": [], "failure": [row]}}
    changed["ingredients"].append(
        {"title": "x", "format": "video/mp4", "relationship": "inputTo", "validation_results": told}
    )
    stranger.sign(desk.source, tmp_path / "anew.mp4", replace(first, document=changed))
    anew = slimmer(manifests((tmp_path / "anew.mp4").read_bytes())[-1])
    inner = manifests(path.read_bytes())
    [place] = [index for index, one in enumerate(inner) if name.encode() in one[:100]]
    room = len(inner[place]) - len(anew)
    inner[place], inner[-1] = anew, slimmer(inner[-1], -room)
    path.write_bytes(with_manifests(path.read_bytes(), inner))
    reading = desk.read(path)
    assert reading.ours
    assert reading.failures == (UNCOVERED,)  # c2pa names nothing
    assert not reading.intact
