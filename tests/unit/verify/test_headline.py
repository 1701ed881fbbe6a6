"""The one sentence about a file: what a revoked key signed is not said to be released by anybody."""

from dataclasses import replace

import pytest

from pipeline.credentials.reading import CredentialReading, CredentialState, TimestampState
from pipeline.types import FileVerdict
from pipeline.verify.words import headline

OURS = CredentialReading(
    state=CredentialState.PRESENT, trusted=True, ours=True, signature_ok=True, hash_ok=True,
    timestamp=TimestampState.TRUSTED,
)  # fmt: skip


@pytest.mark.parametrize("verdict", [FileVerdict.INTACT, FileVerdict.ALTERED])
def test_a_revoked_key_is_named_first(verdict: FileVerdict) -> None:
    good = headline(verdict, "Countermark", None, None, OURS)
    assert ("Countermark" in good, "revoked" in good) == (True, False)
    told = headline(verdict, "Countermark", None, None, replace(OURS, revoked_signer=True))
    assert told == "Signed with a key of Countermark that was revoked: do not rely on the credential."


def test_what_the_mark_recovered_is_told_as_before() -> None:
    told = headline(FileVerdict.CONFLICT, "Countermark", None, None, replace(OURS, revoked_signer=True))
    assert told == headline(FileVerdict.CONFLICT, "Countermark", None, None, OURS)
