"""`countermark keys csr` and `keys trust-signer`: claim keys that another CA certifies."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from pipeline.cli import output
from pipeline.credentials.choice import LOCAL, choice_of, open_key, read_chain_file
from pipeline.credentials.csr import make_request
from pipeline.credentials.pki import fingerprint, load_pki, load_signers
from pipeline.credentials.profile import demand_validity, read_chain
from pipeline.credentials.safe import safe_of
from pipeline.credentials.signer import LocalKeySigner, SigningKey
from pipeline.credentials.signers import register
from pipeline.errors import UsageError
from pipeline.home import Home
from pipeline.roots import with_roots
from pipeline.settings import Settings, load


@output.command
def csr(
    out: Annotated[Path, typer.Option("-o", "--out", help="The request's file (PEM); it must not exist.")],
    organisation: Annotated[str, typer.Option("--organisation", help="Who signs: O of the subject.")],
    name: Annotated[str, typer.Option("--name", help="Which signer of theirs: CN of the subject.")],
    country: Annotated[str | None, typer.Option("--country", help="C of the subject, two letters.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Make a certificate request with the key that the setting `signer` names, wherever it lies."""
    settings = load(home)
    output.check_target(out)
    request = make_request(_key(settings), organisation=organisation, common_name=name, country=country)
    out.write_text(request)
    output.say(f"Certificate request in {out}. Let a CA certify it, then: countermark keys trust-signer")
    if as_json:
        output.answer({"file": str(out), "signer": settings.signer.partition(":")[0]})
    return output.OK


@output.command
def trust_signer(
    chain: Annotated[Path, typer.Argument(help="PEM file: the signer's certificate, then intermediates.")],
    root: Annotated[
        Path | None, typer.Option("--root", help="PEM file: the root above them, believed from now on.")
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Make a signer of another CA known as ours; before that it may sign nothing here."""
    settings = load(home)
    folder, safe = Home(settings.home).pki, safe_of(settings)
    certificates = read_chain(read_chain_file(chain))
    demand_validity(certificates, datetime.now(UTC))
    trust = with_roots(load_pki(folder, safe).trust, settings)
    register(folder, certificates, _root(root), safe, trust)
    digest = fingerprint(certificates[0])
    output.say(f"Signer {digest[:16]}… is in the signer table. Verifier bundles made before do not know it.")
    if as_json:
        output.answer({"cert_sha256": digest, "signers": len(load_signers(folder).entries)})
    return output.OK


def _key(settings: Settings) -> SigningKey:
    if settings.signer != LOCAL:
        return open_key(choice_of(settings))
    return LocalKeySigner(load_pki(Home(settings.home).pki, safe_of(settings)))


def _root(path: Path | None) -> x509.Certificate | None:
    if path is None:
        return None
    try:
        found = x509.load_pem_x509_certificates(read_chain_file(path).encode())
    except ValueError:
        found = []
    if len(found) != 1:
        raise UsageError(f"{os.fspath(path)} does not hold one certificate in PEM; name the root's file")
    return found[0]
