"""Rule 7 of `judge`: a parent that was changed after it was sealed in, and who may say that it was so before.

Reports as c2pa writes them, since a changed parent would have to be written anew for each case.
"""

from typing import Any

import pytest

from pipeline.credentials.judge import judge, reached
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
