"""`countermark keys`: make the home's keys, list them, export what a verifier needs."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.credentials.keyfiles import write_private
from pipeline.credentials.pki import Pki, ensure_pki, load_pki
from pipeline.home import Home
from pipeline.keyring import Keyring, ensure_keyring, export_verifier, load_keyring, with_tsa_roots
from pipeline.settings import load

DEFAULT_DAYS: Final = 365
MAX_DAYS: Final = 3660

app = typer.Typer(help="Keys of the home: marks, signatures, log.", no_args_is_help=True)


@app.command("init")
@output.command
def init(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Make the keys of a home, if it has none; what is there is kept."""
    place = Home(load(home).home)
    place.make()
    keyring = ensure_keyring(place.keys)
    pki = ensure_pki(place.pki, now=datetime.now(UTC))
    output.say(f"Keys are in {place.keys}. Back them up: marks of lost keys cannot be read again.")
    _show(keyring, pki, place.keys, as_json=as_json)
    return output.OK


@app.command("list")
@output.command
def list_keys(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """List keys and signers; no secret is shown."""
    place = Home(load(home).home)
    _show(load_keyring(place.keys), load_pki(place.pki), place.keys, as_json=as_json)
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
    place = Home(settings.home)
    output.check_target(out)
    keyring, pki = load_keyring(place.keys), load_pki(place.pki)
    trust = with_tsa_roots(pki.trust, settings.tsa_roots)
    bundle = export_verifier(keyring, trust, detect=detect, now=datetime.now(UTC), days=days)
    write_private(out.absolute(), json.dumps(bundle.to_json(), indent=1).encode())
    output.say(f"Verifier bundle in {out}, good until {bundle.expires_at[:10]}.")
    if detect:
        output.say(
            "It holds the detection key: whoever has it can find hidden marks, and try to remove them."
        )
    if as_json:
        output.answer({"file": str(out), "expires_at": bundle.expires_at, "detect": detect})
    return output.OK


def _show(keyring: Keyring, pki: Pki, folder: Path, *, as_json: bool) -> None:
    document = _document(keyring, pki, folder)
    for key in document["detection"]:
        output.say(f"  hidden mark, epoch {key['epoch']}")
    for signer in document["signers"]:
        output.say(
            f"  signer {signer['cert_sha256'][:16]}… {signer['state']} until {signer['not_after'][:10]}"
        )
    output.say(f"  log {document['log']['name']}")
    if as_json:
        output.answer(document)


def _document(keyring: Keyring, pki: Pki, folder: Path) -> dict[str, Any]:
    log = keyring.log_key
    return {
        "folder": str(folder),
        "detection": [{"epoch": key.epoch} for key in keyring.detection],
        "signers": pki.trust.signers.to_json()["signers"],
        "log": {"origin": log.origin, "name": log.name, "public": log.public.hex()},
    }
