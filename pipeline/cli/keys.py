"""`countermark keys`: make the home's keys, list them, export what a verifier needs; see `keys_life`."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.cli import keys_life, output
from pipeline.credentials.envelope import State
from pipeline.credentials.keyfiles import write_private
from pipeline.credentials.pki import Pki, ensure_pki, load_pki
from pipeline.credentials.report_key import ReportKey, ensure_report_key, find_report_key
from pipeline.credentials.safe import Safe, safe_of
from pipeline.home import Home
from pipeline.keyring import Keyring, ensure_keyring, export_verifier, load_keyring
from pipeline.roots import with_roots
from pipeline.settings import load

DEFAULT_DAYS: Final = 365
MAX_DAYS: Final = 3660

app = typer.Typer(help="Keys of the home: marks, signatures, log.", no_args_is_help=True)


@app.command("init")
@output.command
def init(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Make the keys of a home, if it has none; what is there is kept."""
    settings = load(home)
    place, safe = Home(settings.home), safe_of(settings)
    place.make()
    keyring = ensure_keyring(place.keys, safe)
    pki = ensure_pki(place.pki, now=datetime.now(UTC), safe=safe)
    ensure_report_key(safe)
    output.say(f"Keys are in {place.keys}. Back them up: marks of lost keys cannot be read again.")
    _show(keyring, pki, safe, as_json=as_json)
    return output.OK


@app.command("list")
@output.command
def list_keys(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """List keys and signers; no secret is shown."""
    settings = load(home)
    place, safe = Home(settings.home), safe_of(settings)
    _show(load_keyring(place.keys, safe), load_pki(place.pki, safe), safe, as_json=as_json)
    return output.OK


@app.command("export-verifier")
@output.command
def export(
    out: Annotated[Path, typer.Option("-o", "--out", help="The bundle's file; it must not exist.")],
    detect: Annotated[
        bool, typer.Option("--detect", help="Include the detection key: the bundle can read hidden marks.")
    ] = False,
    days: Annotated[
        int, typer.Option(min=1, max=MAX_DAYS, help="Days until the bundle ends.")
    ] = DEFAULT_DAYS,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Write a bundle for `verify --trust`: it reads, and can neither sign nor issue a payload."""
    settings = load(home)
    place, safe = Home(settings.home), safe_of(settings)
    output.check_target(out)
    keyring, pki = load_keyring(place.keys, safe), load_pki(place.pki, safe)
    trust = with_roots(pki.trust, settings)
    reports = ensure_report_key(safe).known
    bundle = export_verifier(keyring, trust, detect=detect, now=datetime.now(UTC), days=days, reports=reports)
    write_private(out.absolute(), json.dumps(bundle.to_json(), indent=1).encode())
    output.say(f"Verifier bundle in {out}, good until {bundle.expires_at[:10]}.")
    if detect:
        output.say(
            "It holds the detection key: whoever has it can find hidden marks, and try to remove them."
        )
    if as_json:
        output.answer({"file": str(out), "expires_at": bundle.expires_at, "detect": detect})
    return output.OK


for _name in ("seal", "unseal", "reseal", "rotate", "revoke", "signers"):
    app.command(_name)(output.command(getattr(keys_life, _name)))


def _show(keyring: Keyring, pki: Pki, safe: Safe, *, as_json: bool) -> None:
    reports = find_report_key(safe)
    document = _document(keyring, pki, safe, reports.known if reports else ())
    output.say(f"  the secret files are {'sealed' if document['sealed'] else 'not sealed'}")
    for key in document["detection"]:
        output.say(f"  hidden mark, epoch {key['epoch']}")
    for signer in document["signers"]:
        output.say(
            f"  signer {signer['cert_sha256'][:16]}… {signer['state']} until {signer['not_after'][:10]}"
        )
    output.say(f"  log {document['log']['name']}")
    report = document["report"]
    told = f"{report['name']} {report['public']}" if report else "none yet: the first signed report makes it"
    output.say(f"  reports {told}")
    for one in document["reports_before"]:
        output.say(f"  reports, before, {one['name']} {one['public']}")
    if as_json:
        output.answer(document)


def _document(keyring: Keyring, pki: Pki, safe: Safe, reports: Sequence[ReportKey]) -> dict[str, Any]:
    log, record = keyring.log_key, safe.record()
    return {
        "folder": str(safe.folder), "sealed": record is not None and record.state is State.SEALED,
        "detection": [{"epoch": key.epoch} for key in keyring.detection],
        "minting": 1 + len(keyring.retired), "signers": pki.trust.signers.to_json()["signers"],
        "log": {"origin": log.origin, "name": log.name, "public": log.public.hex()},
        "report": reports[0].to_json() if reports else None,
        "reports_before": [key.to_json() for key in reports[1:]],
    }  # fmt: skip
