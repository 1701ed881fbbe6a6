"""`countermark keys` beyond their making: seal and unseal, rotate, revoke, and the table of signers."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.cli.moments import past_moment
from pipeline.credentials import sealing
from pipeline.credentials.choice import LOCAL, choice_of, signer_now
from pipeline.credentials.pki import fingerprint, load_pki, revoke_signer, rotate_signer
from pipeline.credentials.report_key import rotate_report_key
from pipeline.credentials.safe import Safe, read_passphrase, safe_of
from pipeline.credentials.trust import SignerEntry, SignerState, SignerTable
from pipeline.errors import KeysUnusable, UsageError
from pipeline.home import Home
from pipeline.keyring import rotate_detection, rotate_minting
from pipeline.settings import Settings, load

SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Rotated(StrEnum):
    """What `keys rotate` can replace."""

    MARKS = "marks"
    MINTING = "minting"
    SIGNER = "signer"
    REPORTS = "reports"


def seal(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Encrypt all secret keys of the home under the pass phrase of the settings; goes on if it was killed."""
    safe, changed = safe_of(load(home)), list[str]()
    left = sealing.seal(safe, changed.append)
    output.say(f"Sealed {len(changed)} files; the secret keys in {safe.folder} are all sealed now.")
    for name in left:
        output.say(f"  {name} is none of ours and was left as it is")
    output.say("Lost pass phrase, lost keys: keep it, and seal.json with the other keys, in a backup.")
    output.say("Restart services and workers that were started without the pass phrase; their jobs wait.")
    output.say("Backups, and the disk, may still hold the keys as they were: rotate what must not be there.")
    return _told(as_json, {"sealed": changed, "left": left})


def unseal(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Put the keys of the home back in the clear, as files for their owner only."""
    safe, changed = safe_of(load(home)), list[str]()
    sealing.unseal(safe, changed.append)
    output.say(f"The keys in {safe.folder} are plain files again; whoever reads them has them.")
    return _told(as_json, {"unsealed": changed})


def reseal(
    new: Annotated[
        Path, typer.Option("--new-passphrase-file", help="File with the new pass phrase, outside the home.")
    ],
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Seal the keys under a new pass phrase and a new data key; goes on if it was killed."""
    settings, changed = load(home), list[str]()
    safe, phrase = safe_of(settings), read_passphrase(new, settings.home)
    same = _has(safe, phrase)
    sealing.reseal(safe, phrase, changed.append)
    if same:
        output.say(f"The keys in {safe.folder} are sealed under a new data key; the pass phrase is the same.")
        return _told(as_json, {"resealed": changed})
    output.say(f"The keys in {safe.folder} are sealed under the new pass phrase; the old one opens nothing.")
    output.say("Give it to every service and worker: a file named by keys_passphrase_file is read again when")
    output.say("it is needed; where the pass phrase stands in the environment, restart them.")
    output.say("An old backup still opens with the old pass phrase: delete it, or rotate the keys.")
    return _told(as_json, {"resealed": changed})


def rotate(
    what: Annotated[Rotated, typer.Argument(help="Which: marks (a new epoch), minting, signer or reports.")],
    leaked: Annotated[
        bool, typer.Option("--leaked", help="Reports by the old key count no more; with reports only.")
    ] = False,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Replace a key for what is made from now on; what it made before stays good."""
    if leaked and what is not Rotated.REPORTS:
        raise UsageError("--leaked is for reports; docs/threat-model.md says what to do about the other keys")
    settings = load(home)
    work: dict[Rotated, Callable[[Settings, Safe], dict[str, Any]]] = {
        Rotated.MARKS: _marks, Rotated.MINTING: _minting, Rotated.SIGNER: _signer,
        Rotated.REPORTS: partial(_reports, leaked=leaked),
    }  # fmt: skip
    told = work[what](settings, safe_of(settings))
    output.say("Services and workers use it from now on. Back up the keys now.")
    return _told(as_json, told)


def signers(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Show the table of claim signers, present and past."""
    settings = load(home)
    pki = load_pki(Home(settings.home).pki, safe_of(settings))
    now, current = datetime.now(UTC), signer_now(choice_of(settings), pki)
    rows = [_row(entry, current, now) for entry in pki.trust.signers.entries]
    for row in rows:
        output.say(f"{row['use']}, from {row['not_before']} to {row['not_after']}")
        output.say(f"  certificate {row['cert_sha256']}")
        output.say(f"  serial {row['serial']}, issued by {row['issuer_common_name']}")
        if row["state"] == SignerState.REVOKED:
            since = row["revoked_at"]
            output.say(f"  revoked {f'from {since} on' if since else 'altogether'}")
    return _told(as_json, {"signers": rows})


def revoke(
    certificate: Annotated[
        str, typer.Argument(metavar="CERT_SHA256", help="Its fingerprint, of `keys signers`.")
    ],
    at: Annotated[
        str | None,
        typer.Option(help="Since when it is not to be believed, as 2026-11-29T12:00:00Z; else never at all."),
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Revoke a claim signer: from a moment on, by trusted time-stamps, or altogether."""
    named = certificate.replace(":", "").lower()
    if not SHA256.fullmatch(named):
        raise UsageError("a certificate is named by the 64 hexadecimal digits of its SHA-256")
    moment = past_moment(at)
    settings = load(home)
    table = revoke_signer(Home(settings.home).pki, named, at=moment)
    if settings.signer == LOCAL:
        output.say("Revoked. The next clip is signed by a new signer, also by services and workers that run.")
    else:
        output.say(
            "Revoked. Where it is the present signer, clips wait until signer_chain names another one."
        )
    output.say("Hand out new bundles (keys export-verifier): verifiers elsewhere know nothing of it yet.")
    entry = table.find(named)
    return _told(as_json, {"cert_sha256": named, "revoked_at": entry.revoked_at if entry else None})


def _has(safe: Safe, phrase: bytes) -> bool:
    try:
        return safe.passphrase() == phrase
    except KeysUnusable:  # its file is gone, as after a resealing
        return False


def _marks(_settings: Settings, safe: Safe) -> dict[str, Any]:
    keyring = rotate_detection(safe)
    output.say(f"New clips are marked in epoch {keyring.current.epoch}; earlier marks can still be read.")
    output.say("Bundles with --detect do not read the new marks: hand out new ones.")
    return {"epoch": keyring.current.epoch, "epochs": len(keyring.detection)}


def _reports(_settings: Settings, safe: Safe, *, leaked: bool) -> dict[str, Any]:
    made = rotate_report_key(safe, leaked=leaked)
    old = "Reports by the old key count no more" if leaked else "Reports by the old key still count"
    output.say(f"Reports are signed by {made.key.name} from now on. {old}.")
    output.say("Hand out new bundles (keys export-verifier), and the new key to whoever names it.")
    return {"report": made.key.to_json(), "reports_before": [key.to_json() for key in made.before]}


def _minting(settings: Settings, safe: Safe) -> dict[str, Any]:
    from registry.counter import last_payload_counter, skip_payload_counters
    from registry.db import open_database

    if not settings.has_registry:
        raise UsageError("this home has issued no payload yet; there is no key to replace")
    engine = open_database(settings.database)
    try:
        last = last_payload_counter(engine)
        first = rotate_minting(safe, last=last).minting.first
        skip_payload_counters(engine, first - 1 - last)
    finally:
        engine.dispose()
    output.say("New payloads are issued with a new key; those that the old one issued are still accepted.")
    return {"first": first}


def _signer(settings: Settings, safe: Safe) -> dict[str, Any]:
    if settings.signer != LOCAL:
        raise UsageError(
            "the setting signer names a key elsewhere: have a new one certified (docs/signing.md)"
        )
    pki = rotate_signer(Home(settings.home).pki, now=datetime.now(UTC), safe=safe)
    named = fingerprint(pki.claim.certificate)
    output.say(f"New clips are signed by {named}; what earlier signers signed stays good.")
    output.say("Hand out new bundles (keys export-verifier): older ones do not know the new signer.")
    return {"cert_sha256": named}


def _row(entry: SignerEntry, current: str, now: datetime) -> dict[str, Any]:
    [document] = SignerTable(entries=(entry,)).to_json()["signers"]
    if entry.state is SignerState.REVOKED:
        use = "revoked"
    elif entry.cert_sha256 == current:
        use = "current"
    else:
        use = "ended" if datetime.fromisoformat(entry.not_after) <= now else "retired"
    return {"use": use, **document}


def _told(as_json: bool, document: dict[str, Any]) -> int:
    if as_json:
        output.answer(document)
    return output.OK
