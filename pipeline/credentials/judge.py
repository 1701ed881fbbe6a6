"""From c2pa's report to a `CredentialReading`. Pure; runs in the child, on hostile input.

Rules: (1) codes are read, message text never; (2) trust counts only by the list it was found in, since c2pa
trusts a claim under any anchor it was given; (3) ours means: found under our claim root *and* exactly this
certificate in the signer table; (4) nothing that names someone leaves here unless trusted; (5) ingredients
are walked at every depth, since a broken parent leaves the child's own state whole; (6) assertions count only
where nothing but the content hash or trust fails: a rewritten one leaves the signature valid; (7) a parent's
manifest that was changed *after* it was sealed into this one is a failure of this one. What was known of it
before stands in our own ingredients, under our signature; what other manifests say of themselves counts not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pipeline.credentials import softbinding
from pipeline.credentials.c2pa_context import CLAIM_LIST, FOREIGN_LIST
from pipeline.credentials.reading import CredentialReading, CredentialState, TimestampState
from pipeline.credentials.text import safe_text
from pipeline.credentials.trust import SignerTable

RELEASE_LABEL: Final = "org.countermark.release"
TRAINING_LABELS: Final = ("cawg.training-mining", "c2pa.training-mining")
HASH_MATCHES: Final = frozenset({"assertion.bmffHash.match", "assertion.dataHash.match"})
HASH_FAILURES: Final = frozenset({"assertion.bmffHash.mismatch"})
# Failures that say who signed, not that anything was changed.
TRUST_FAILURES: Final = frozenset({
    "signingCredential.untrusted", "signingCredential.expired", "signingCredential.invalid",
    "claimSignature.outsideValidity", "timeStamp.untrusted", "timeStamp.outsideValidity",
})  # fmt: skip
# An embedded manifest is no longer the one that the ingredient's hash in the claim names.
SEALED_FAILURES: Final = frozenset({"ingredient.manifest.mismatch", "ingredient.manifest.missing"})
GOOD_STAMPS: Final = frozenset({"timeStamp.trusted", "timeStamp.validated"})
# Ours, beside c2pa's codes: bytes outside everything that the content hash covers.
UNCOVERED: Final = "org.countermark.uncoveredBytes"
MAX_LISTED: Final = 64
MAX_DEPTH: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What made the clip, and when (RFC 3339), as far as it is said."""

    system: str | None = None
    version: str | None = None
    at: str | None = None


def active(report: dict[str, Any]) -> str:
    """The name of the active manifest in a parsed `Reader.json()`; empty without one."""
    return _text(report.get("active_manifest"))


def reached(report: dict[str, Any]) -> frozenset[str]:
    """Names of all manifests of a parsed `Reader.json()`; none if one is not reached through ingredients."""
    manifests, found, left = _dict(report.get("manifests")), set[str](), [active(report)]
    while left:
        name = left.pop()
        if name in manifests and name not in found:
            found.add(name)
            rows = _rows(_dict(manifests[name]).get("ingredients"))
            left += [_text(row.get("active_manifest")) for row in rows]
    return frozenset(found) if found == set(manifests) else frozenset()


def judge(report: dict[str, Any], leaf_sha256: str | None, signers: SignerTable) -> CredentialReading:
    """`report`: Reader.json(), parsed; `leaf_sha256`: of the active manifest's signing certificate, None
    where that is not known, so that it is nobody's of ours. Never raises on odd content.
    """
    urn = active(report)
    manifests = _dict(report.get("manifests"))
    manifest = _dict(manifests.get(urn))
    results = _dict(report.get("validation_results"))
    found = _dict(results.get("activeManifest"))
    passed, failed = _codes(found, "success"), _codes(found, "failure") | _unsealed(manifest, results)
    stamp = _timestamp(found)
    stamped_at = _stamp_time(manifest) if stamp is TimestampState.TRUSTED else None
    signature_ok = "claimSignature.validated" in passed and not _any_with(failed, "claimSignature.")
    credited = signature_ok and "signingCredential.trusted" in passed
    found_in = results.get("trustListUri")
    entry = signers.find(leaf_sha256 or "") if credited and found_in == CLAIM_LIST else None
    trusted = entry is not None or (credited and found_in == FOREIGN_LIST)
    parents = set(_ingredient_failures(manifests, results))
    # The claim's signature holds whatever the assertions say; only their hashes in the claim tell (rule 6).
    assertions = _assertions(manifest) if failed <= HASH_FAILURES | TRUST_FAILURES else []
    making = _making(assertions) if trusted else Making()
    return CredentialReading(
        state=CredentialState.PRESENT,
        trusted=trusted, ours=entry is not None, signature_ok=signature_ok,
        revoked_signer=entry is not None and entry.revoked_for(stamped_at),
        hash_ok=bool(passed & HASH_MATCHES) and not _any_hash_failure(failed),
        timestamp=stamp, timestamp_time=stamped_at,
        failures=tuple(sorted(failed))[:MAX_LISTED],
        content_hash_only_failure=bool(failed) and failed <= HASH_FAILURES,
        laundered_parent=bool(parents - TRUST_FAILURES), untrusted_parent=bool(parents & TRUST_FAILURES),
        urn=safe_text(urn) or None,
        payload=_payload(assertions), fingerprint=_fingerprint(assertions),
        actions=_actions(assertions, "action"),
        digital_source_types=_actions(assertions, "digitalSourceType"),
        training=_training(assertions),
        signer_name=_signer_name(manifest) if trusted else None,
        signer_cert_sha256=entry.cert_sha256 if entry else None,
        generator=_generator(manifest) if trusted else None,
        system=making.system, system_version=making.version, made_at=making.at,
        release=_release(assertions) if entry else None,
        ingredients=len(_rows(manifest.get("ingredients"))),
    )  # fmt: skip


def _timestamp(active: dict[str, Any]) -> TimestampState:
    codes = _codes(active, "success") | _codes(active, "informational") | _codes(active, "failure")
    stamps = {code for code in codes if code.startswith("timeStamp.")}
    if "timeStamp.trusted" in _codes(active, "success") and stamps <= GOOD_STAMPS:
        return TimestampState.TRUSTED
    return TimestampState.UNTRUSTED if stamps else TimestampState.NONE


def _stamp_time(manifest: dict[str, Any]) -> str | None:
    return safe_text(_dict(manifest.get("signature_info")).get("time"), 40) or None


def _ingredient_failures(manifests: dict[str, Any], results: dict[str, Any]) -> Iterator[str]:
    """Failure codes of all ingredients: as recorded when they were taken in, and as found just now."""
    for manifest in manifests.values():
        yield from _recorded_failures(_dict(manifest))
    yield from _result_failures({"ingredientDeltas": results.get("ingredientDeltas")})


def _recorded_failures(manifest: dict[str, Any]) -> Iterator[str]:
    for ingredient in _rows(manifest.get("ingredients")):
        yield from _result_failures(_dict(ingredient.get("validation_results")))
        yield from (_text(row.get("code")) for row in _failed_rows(ingredient.get("validation_status")))


def _unsealed(manifest: dict[str, Any], results: dict[str, Any]) -> set[str]:
    """Rule 7: found just now, and not on record in the active manifest from when the parent was taken in."""
    found = set(_result_failures({"ingredientDeltas": results.get("ingredientDeltas")}))
    return (found & SEALED_FAILURES) - set(_recorded_failures(manifest))


def _failed_rows(status: object) -> Iterator[dict[str, Any]]:
    """Rows of a version 1 or 2 ingredient's ``validation_status`` that are not successes."""
    for row in _rows(status):
        code = _text(row.get("code"))
        if row.get("success") is not True and not code.endswith((".match", ".validated", ".trusted")):
            yield row


def _result_failures(results: dict[str, Any]) -> Iterator[str]:
    yield from _codes(_dict(results.get("activeManifest")), "failure")
    for delta in _rows(results.get("ingredientDeltas")):
        yield from _codes(_dict(delta.get("validationDeltas")), "failure")


def _payload(assertions: list[dict[str, Any]]) -> int | None:
    """The one watermark payload that is claimed; several different ones are none."""
    found = set(softbinding.values(assertions, softbinding.WATERMARK_ALGORITHM))
    return softbinding.decode_payload(found.pop()) if len(found) == 1 else None


def _fingerprint(assertions: list[dict[str, Any]]) -> bytes | None:
    found = set(softbinding.values(assertions, softbinding.FINGERPRINT_ALGORITHM))
    return softbinding.decode_value(found.pop()) if len(found) == 1 else None


def _actions(assertions: list[dict[str, Any]], field: str) -> tuple[str, ...]:
    found = [safe_text(row[field], 160) for row in _action_rows(assertions) if field in row]
    return tuple(name for name in found if name)[:MAX_LISTED]


def _making(assertions: list[dict[str, Any]]) -> Making:
    """Agent and time of the last action that claims a digital source type."""
    made: dict[str, Any] = next(
        (row for row in reversed(_action_rows(assertions)) if "digitalSourceType" in row), {}
    )
    agent = _dict(made.get("softwareAgent"))
    return Making(
        system=safe_text(agent.get("name")) or None, version=safe_text(agent.get("version")) or None,
        at=safe_text(made.get("when"), 40) or None,
    )  # fmt: skip


def _action_rows(assertions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for assertion in assertions:
        if _text(assertion.get("label")).partition("__")[0] in ("c2pa.actions.v2", "c2pa.actions"):
            found += _rows(_dict(assertion.get("data")).get("actions"))
    return found


def _training(assertions: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The entries of the assertion about training and mining, under CAWG's names of the uses."""
    found: dict[str, dict[str, str]] = {}
    for assertion in assertions:
        if _text(assertion.get("label")).partition("__")[0] in TRAINING_LABELS:
            entries = _dict(_dict(assertion.get("data")).get("entries"))
            for use, told in list(entries.items())[:MAX_LISTED]:
                name = safe_text(use).replace("c2pa.", "cawg.", 1)
                kept = {key: safe_text(_dict(told).get(key), 1000) for key in ("use", "constraint_info")}
                found[name] = {key: text for key, text in kept.items() if text}
    return found


def _signer_name(manifest: dict[str, Any]) -> str | None:
    info = _dict(manifest.get("signature_info"))
    return safe_text(info.get("issuer")) or safe_text(info.get("common_name")) or None


def _generator(manifest: dict[str, Any]) -> str | None:
    first = next(iter(_rows(manifest.get("claim_generator_info"))), {})
    return safe_text(f"{safe_text(first.get('name'))} {safe_text(first.get('version'))}") or None


def _release(assertions: list[dict[str, Any]]) -> dict[str, Any] | None:
    for assertion in assertions:
        if assertion.get("label") == RELEASE_LABEL and isinstance(data := assertion.get("data"), dict):
            cleaned = _clean(data, MAX_DEPTH)
            return cleaned if isinstance(cleaned, dict) else None
    return None


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, dict) and depth:
        return {safe_text(key): _clean(item, depth - 1) for key, item in list(value.items())[:MAX_LISTED]}
    if isinstance(value, list) and depth:
        return [_clean(item, depth - 1) for item in value[:MAX_LISTED]]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return safe_text(value, 1000)


def _assertions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return _rows(manifest.get("assertions"))


def _any_with(codes: set[str], prefix: str) -> bool:
    return any(code.startswith(prefix) and code not in TRUST_FAILURES for code in codes)


def _any_hash_failure(codes: set[str]) -> bool:
    return any("Hash." in code for code in codes)


def _codes(results: dict[str, Any], kind: str) -> set[str]:
    return {safe_text(row.get("code"), 100) for row in _rows(results.get(kind))}


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
