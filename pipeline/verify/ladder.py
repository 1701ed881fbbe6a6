"""From the evidence to one verdict. Pure. First rule that fits wins:

1. the frames cannot be read -> unreadable; but if our credential says that the file was changed, -> altered
2. a payload resolves to a release, and the fingerprint is another clip's -> conflict (a transplanted mark);
   so is a payload that differs from the one our own credential names
3. somebody else's trusted, whole credential with our payload -> conflict
4. our credential, pinned signer, whole, trusted time-stamp -> intact
5. our credential, content hash broken -> altered; one whose signer could not be asked about, though that is
   demanded -> inconclusive
6. a credential that we do not trust, or somebody's on changed content -> untrusted-claim (the claimed
   issuer is never named)
7. no credential, but payload, fingerprint and stored manifest agree -> recovered;
   with a fingerprint that cannot be decided -> recovered-unconfirmed
8. somebody else's trusted, whole credential -> foreign
9. a mark of ours is there, but no payload or no release -> traces
10. credential, hidden mark or log was not checked, or failed -> inconclusive
11. otherwise -> none, which proves nothing
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipeline.credentials.reading import CredentialReading, CredentialState, RevocationState, TimestampState
from pipeline.types import EvidenceState, FileVerdict


class FingerprintMatch(StrEnum):
    """The clip's fingerprint against the release's."""

    SAME = "same"
    OTHER = "other"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the ladder looks at.

    `credential`: None when it could not be read at all. `payload`: of the hidden mark. `resolves`: the
    payload belongs to a known release. `fingerprint`: None when there is nothing to compare with.
    `manifest_holds`: the release's stored manifest names this payload, and fails on this file in nothing
    but the content hash.
    `mark_present`: a mark of our key is there, readable or not. `unchecked`: some line of evidence that
    could have spoken was not checked or failed.
    """

    readable: bool
    credential: CredentialReading | None
    payload: int | None
    resolves: bool
    fingerprint: FingerprintMatch | None
    manifest_holds: bool
    mark_present: bool
    unchecked: bool


def verdict(facts: Facts) -> FileVerdict:
    """Apply the rules above, in order."""
    rules = (
        (not facts.readable and not _changed(facts.credential), FileVerdict.UNREADABLE),  # 1
        (_transplanted(facts), FileVerdict.CONFLICT),  # 2
        (_foreign(facts) and facts.payload is not None, FileVerdict.CONFLICT),  # 3
        (_whole(facts.credential), FileVerdict.INTACT),  # 4
        (_changed(facts.credential), FileVerdict.ALTERED),  # 5
        (_not_asked_about(facts.credential), FileVerdict.INCONCLUSIVE),
        (_untrusted(facts.credential), FileVerdict.UNTRUSTED_CLAIM),  # 6
        (_recovered(facts, FingerprintMatch.SAME), FileVerdict.RECOVERED),  # 7
        (_recovered(facts, FingerprintMatch.UNDECIDED), FileVerdict.RECOVERED_UNCONFIRMED),
        (_foreign(facts), FileVerdict.FOREIGN),  # 8
        (facts.mark_present and not _unasked(facts), FileVerdict.TRACES),  # 9
        (facts.unchecked, FileVerdict.INCONCLUSIVE),  # 10
    )
    return next((found for fits, found in rules if fits), FileVerdict.NONE)  # 11


def _transplanted(facts: Facts) -> bool:
    if facts.payload is None:
        return False
    credential = facts.credential
    claimed = credential.payload if credential is not None and credential.ours else None
    return facts.fingerprint is FingerprintMatch.OTHER or claimed not in (None, facts.payload)


def _whole(credential: CredentialReading | None) -> bool:
    # A revoked signer is a flag beside the verdict, not another verdict.
    return (
        credential is not None and credential.ours and credential.hash_ok and not credential.failures
        and credential.timestamp is TimestampState.TRUSTED
    )  # fmt: skip


def _changed(credential: CredentialReading | None) -> bool:
    return credential is not None and credential.ours and not credential.hash_ok


def _not_asked_about(credential: CredentialReading | None) -> bool:
    return credential is not None and credential.revocation is RevocationState.NOT_CHECKED


def _untrusted(credential: CredentialReading | None) -> bool:
    if credential is None or credential.state is CredentialState.NONE:
        return False
    return not credential.trusted or not (_whole(credential) or _foreign_whole(credential))


def _foreign(facts: Facts) -> bool:
    return facts.credential is not None and _foreign_whole(facts.credential)


def _foreign_whole(credential: CredentialReading) -> bool:
    return credential.trusted and not credential.ours and credential.hash_ok and not credential.failures


def _recovered(facts: Facts, match: FingerprintMatch) -> bool:
    absent = facts.credential is not None and facts.credential.state is CredentialState.NONE
    return absent and facts.resolves and facts.manifest_holds and facts.fingerprint is match


def _unasked(facts: Facts) -> bool:
    """A payload that nobody could be asked about is not a trace: it may well be a release."""
    return facts.payload is not None and facts.unchecked


def state_of_log(*, asked: bool, failed: bool, found: bool, proven: bool) -> EvidenceState:
    """State of the log line: an entry that does not prove itself is a failure, never a find.

    `asked`: there is a log, and something to ask it about. `failed`: it could not answer.
    """
    if not asked:
        return EvidenceState.NOT_CHECKED
    if failed or (found and not proven):
        return EvidenceState.FAILED
    return EvidenceState.FOUND if found else EvidenceState.ABSENT


def names_release(found: FileVerdict, match: FingerprintMatch | None) -> bool:
    """Whether a report with this verdict may say to which release the file belongs.

    A verdict that rests on our credential or on mark, log and manifest may. Pictures that are another clip's
    never do: our credential can be put on any file. Any other verdict needs pictures that are the same.
    """
    if match is FingerprintMatch.OTHER:
        return False
    return found in _RESTING_ON_OURS or (found in _UNSURE and match is FingerprintMatch.SAME)


_RESTING_ON_OURS: Final = (
    FileVerdict.INTACT, FileVerdict.ALTERED, FileVerdict.RECOVERED, FileVerdict.RECOVERED_UNCONFIRMED,
)  # fmt: skip
_UNSURE: Final = (FileVerdict.UNTRUSTED_CLAIM, FileVerdict.TRACES, FileVerdict.INCONCLUSIVE)
