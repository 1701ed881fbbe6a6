"""Every rule of the ladder, and which of two that fit comes first."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.credentials.reading import CredentialReading, CredentialState, TimestampState
from pipeline.types import EvidenceState, FileVerdict
from pipeline.verify.ladder import Facts, FingerprintMatch, names_release, state_of_log, verdict

OURS, THEIRS = 0x1234, 0x5678
SAME, OTHER, UNDECIDED = FingerprintMatch.SAME, FingerprintMatch.OTHER, FingerprintMatch.UNDECIDED

ABSENT = CredentialReading(state=CredentialState.NONE)
DAMAGED = CredentialReading(state=CredentialState.UNREADABLE)
WHOLE = CredentialReading(
    state=CredentialState.PRESENT, trusted=True, ours=True, signature_ok=True, hash_ok=True,
    timestamp=TimestampState.TRUSTED, payload=OURS,
)  # fmt: skip
CHANGED = replace(WHOLE, hash_ok=False, failures=("assertion.bmffHash.mismatch",))
UNSTAMPED = replace(WHOLE, timestamp=TimestampState.UNTRUSTED)
REWRITTEN = replace(WHOLE, payload=None, failures=("assertion.hashedURI.mismatch",))
REVOKED = replace(WHOLE, revoked_signer=True)
FOREIGN = replace(WHOLE, ours=False, payload=None)
FOREIGN_CHANGED = replace(FOREIGN, hash_ok=False, failures=("assertion.bmffHash.mismatch",))
STRANGER = replace(FOREIGN, trusted=False, payload=OURS, failures=("signingCredential.untrusted",))

NOTHING = Facts(
    readable=True, credential=ABSENT, payload=None, resolves=False, fingerprint=None, manifest_holds=False,
    mark_present=False, unchecked=False,
)  # fmt: skip
RELEASED = replace(
    NOTHING, payload=OURS, resolves=True, fingerprint=SAME, manifest_holds=True, mark_present=True
)

CASES: dict[str, tuple[Facts, dict[str, Any], str]] = {
    # 1
    "no frames": (NOTHING, {"readable": False}, "unreadable"),
    "no frames, nothing readable": (NOTHING, {"readable": False, "credential": None}, "unreadable"),
    "no frames, but our whole credential": (NOTHING, {"readable": False, "credential": WHOLE}, "unreadable"),
    "no frames, and ours says why": (NOTHING, {"readable": False, "credential": CHANGED}, "altered"),
    "no frames, a stranger's claim": (NOTHING, {"readable": False, "credential": STRANGER}, "unreadable"),
    # 2
    "our mark on other pictures": (RELEASED, {"fingerprint": OTHER}, "conflict"),
    "the same under our credential": (RELEASED, {"fingerprint": OTHER, "credential": WHOLE}, "conflict"),
    "the same, changed": (RELEASED, {"fingerprint": OTHER, "credential": CHANGED}, "conflict"),
    "the same, a stranger's claim": (RELEASED, {"fingerprint": OTHER, "credential": STRANGER}, "conflict"),
    "mark of another release, intact": (RELEASED, {"payload": THEIRS, "credential": WHOLE}, "conflict"),
    "mark of another release, changed": (RELEASED, {"payload": THEIRS, "credential": CHANGED}, "conflict"),
    "other pictures, no mark": (NOTHING, {"fingerprint": OTHER, "credential": CHANGED}, "altered"),
    # 3
    "somebody else's credential, our mark": (RELEASED, {"credential": FOREIGN}, "conflict"),
    "the same, unresolved": (NOTHING, {"credential": FOREIGN, "payload": OURS}, "conflict"),
    # 4
    "intact": (RELEASED, {"credential": WHOLE}, "intact"),
    "intact without keys": (NOTHING, {"credential": WHOLE, "unchecked": True}, "intact"),
    "intact, signer revoked": (RELEASED, {"credential": REVOKED}, "intact"),
    # 5
    "altered": (RELEASED, {"credential": CHANGED}, "altered"),
    "altered beyond the mark": (NOTHING, {"credential": CHANGED, "unchecked": True}, "altered"),
    # 6
    "a stranger's claim": (NOTHING, {"credential": STRANGER}, "untrusted-claim"),
    "a stranger's claim on our clip": (RELEASED, {"credential": STRANGER}, "untrusted-claim"),
    "ours without a time-stamp": (RELEASED, {"credential": UNSTAMPED}, "untrusted-claim"),
    "ours with a rewritten assertion": (RELEASED, {"credential": REWRITTEN}, "untrusted-claim"),
    "a damaged credential": (RELEASED, {"credential": DAMAGED}, "untrusted-claim"),
    "somebody else's on changed content": (NOTHING, {"credential": FOREIGN_CHANGED}, "untrusted-claim"),
    # 7
    "recovered": (RELEASED, {}, "recovered"),
    "recovered without certainty": (RELEASED, {"fingerprint": UNDECIDED}, "recovered-unconfirmed"),
    "no stored manifest that holds": (RELEASED, {"manifest_holds": False}, "traces"),
    "no fingerprint to compare": (RELEASED, {"fingerprint": None}, "traces"),
    "credential could not be asked": (RELEASED, {"credential": None, "unchecked": True}, "inconclusive"),
    # 8
    "foreign": (NOTHING, {"credential": FOREIGN}, "foreign"),
    "foreign, keys missing": (NOTHING, {"credential": FOREIGN, "unchecked": True}, "foreign"),
    "foreign over a faint mark": (NOTHING, {"credential": FOREIGN, "mark_present": True}, "foreign"),
    # 9
    "a faint mark": (NOTHING, {"mark_present": True}, "traces"),
    "a faint mark, credential failed": (
        NOTHING, {"mark_present": True, "credential": None, "unchecked": True}, "traces",
    ),
    "a payload of no release": (NOTHING, {"payload": OURS, "mark_present": True}, "traces"),
    "a payload, and no log to ask": (
        NOTHING, {"payload": OURS, "mark_present": True, "unchecked": True}, "inconclusive",
    ),
    # 10, 11
    "no keys": (NOTHING, {"unchecked": True}, "inconclusive"),
    "nothing": (NOTHING, {}, "none"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_verdict(case: str) -> None:
    facts, changes, expected = CASES[case]
    assert verdict(replace(facts, **changes)) == expected


@pytest.mark.parametrize(
    ("asked", "failed", "found", "proven", "state"),
    [
        (False, False, False, False, EvidenceState.NOT_CHECKED),
        (False, True, True, True, EvidenceState.NOT_CHECKED),
        (True, True, False, False, EvidenceState.FAILED),
        (True, True, True, True, EvidenceState.FAILED),
        (True, False, True, False, EvidenceState.FAILED),
        (True, False, True, True, EvidenceState.FOUND),
        (True, False, False, False, EvidenceState.ABSENT),
    ],
)
def test_state_of_log(asked: bool, failed: bool, found: bool, proven: bool, state: EvidenceState) -> None:
    assert state_of_log(asked=asked, failed=failed, found=found, proven=proven) is state


NAMED = {
    SAME: {"intact", "altered", "recovered", "recovered-unconfirmed", "untrusted-claim", "traces",
           "inconclusive"},
    UNDECIDED: {"intact", "altered", "recovered", "recovered-unconfirmed"},
    None: {"intact", "altered", "recovered", "recovered-unconfirmed"},
    OTHER: set(),
}  # fmt: skip


@pytest.mark.parametrize("found", FileVerdict)
@pytest.mark.parametrize("match", NAMED)
def test_which_report_names_a_release(found: FileVerdict, match: FingerprintMatch | None) -> None:
    assert names_release(found, match) is (found in NAMED[match])
