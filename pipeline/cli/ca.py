"""`countermark ca`: a certification authority of one's own for claim signers, and its OCSP responder."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.cli import output
from pipeline.cli.moments import past_moment
from pipeline.credentials import anchors, ca
from pipeline.credentials.keyfiles import write_private
from pipeline.credentials.pki import fingerprint, load_signers
from pipeline.credentials.safe import safe_of
from pipeline.errors import UsageError
from pipeline.home import Home
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.credentials.ocsp import Authority

MAX_CRL_DAYS: Final = 366

app = typer.Typer(help="A CA of your own for claim signers (docs/signing.md).", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option("--ca", help="The CA's folder; default: `ca` in the home.", show_default=False)
]


@app.command("init")
@output.command
def init(
    organisation: Annotated[str, typer.Option("--organisation", help="Whose CA it is; its signers' O.")],
    ocsp_address: Annotated[
        str | None, typer.Option("--ocsp", help="Address of its OCSP responder, for its certificates.")
    ] = None,
    crl: Annotated[
        str | None, typer.Option("--crl", help="Address of its revocation list, likewise.")
    ] = None,
    folder: Folder = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Make a CA: a root of ten years under which only claim signers are certified."""
    for address in (ocsp_address, crl):
        _demand_http(address)
    place = _place(folder, home)
    made = ca.create(place, organisation, now=datetime.now(UTC), ocsp=ocsp_address, crl=crl)
    (place / "root-certificate.pem").write_text(made.root.certificate_pem)
    output.say(f"CA in {place}; its root for verifiers is root-certificate.pem there. Back the folder up.")
    if as_json:
        output.answer({"folder": str(place), "root": str(place / "root-certificate.pem")})
    return output.OK


@app.command("issue")
@output.command
def issue(
    csr: Annotated[Path, typer.Option("--csr", help="Certificate request (PEM), from `keys csr`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The certificate's file; it must not exist.")],
    days: Annotated[int, typer.Option(min=1, max=ca.MAX_DAYS, help="Days for which it is valid.")] = 90,
    folder: Folder = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Certify a claim signer, with the C2PA profile of assurance level 1."""
    output.check_target(out, csr)
    made = ca.issue(_place(folder, home), _read(csr), now=datetime.now(UTC), days=days)
    out.write_bytes(made.public_bytes(Encoding.PEM))
    digest = fingerprint(made)
    output.say(f"Certificate {digest[:16]}… in {out}, valid until {made.not_valid_after_utc.date()}.")
    if as_json:
        output.answer({"file": str(out), "cert_sha256": digest, "serial": str(made.serial_number)})
    return output.OK


@app.command("list")
@output.command
def list_issued(folder: Folder = None, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """List what the CA issued."""
    record = ca.load(_place(folder, home)).record
    for one in record.issued:
        state = f"revoked {one.revoked_at} ({one.reason})" if one.revoked_at else f"until {one.not_after}"
        output.say(f"  {one.cert_sha256} {one.subject} {state}")
    if as_json:
        output.answer([{name: getattr(one, name) for name in ca.Issued.__slots__} for one in record.issued])
    return output.OK


@app.command("revoke")
@output.command
def revoke(
    cert_sha256: Annotated[str, typer.Argument(help="SHA-256 of the certificate; see `ca list`.")],
    at: Annotated[
        str | None, typer.Option("--at", help="From when on, RFC 3339 with a zone; default: now.")
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", help=f"One of: {', '.join(ca.REASONS)}.")
    ] = "unspecified",
    folder: Folder = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Revoke a certificate, also again from an earlier moment on; responder and list say so from now on."""
    moment = past_moment(at) or datetime.now(UTC)
    found = ca.revoke(_place(folder, home), cert_sha256, at=moment.replace(microsecond=0), reason=reason)
    output.say(f"Revoked from {found.revoked_at} on ({found.reason}). Revoke it in the signer table, too.")
    if as_json:
        output.answer({"cert_sha256": cert_sha256, "revoked_at": found.revoked_at, "reason": found.reason})
    return output.OK


@app.command("crl")
@output.command
def crl(
    out: Annotated[Path, typer.Option("-o", "--out", help="The list's file (DER); it is replaced.")],
    days: Annotated[int, typer.Option(min=1, max=MAX_CRL_DAYS, help="Days for which it holds.")] = 7,
    folder: Folder = None,
    home: output.Home = None,
) -> int:
    """Write the revocation list, to be served where the certificates say."""
    content = ca.revocation_list(_place(folder, home), now=datetime.now(UTC), days=days)
    write_private(out.absolute(), content)
    out.chmod(0o644)
    output.say(f"Revocation list in {out}; write it again within {days} days.")
    return output.OK


@app.command("ocsp")
@output.command
def answer_ocsp(
    request: Annotated[
        Path | None, typer.Option("--request", help="Answer this file (DER), then end.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Where that answer goes.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Or serve on this port.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    development: Annotated[
        bool, typer.Option("--development", help="For the home's own claim root instead of a CA.")
    ] = False,
    folder: Folder = None,
    home: output.Home = None,
) -> int:
    """Say which certificates are revoked (RFC 6960): answer one request, or serve over HTTP."""
    from pipeline.credentials import ocsp

    if development:
        settings = load(home)
        authority = ocsp.of_development(Home(settings.home).pki, safe_of(settings))
    else:
        authority = ocsp.of_ca(_place(folder, home))
    if port is not None and request is None:
        return _serve(authority, host, port)
    if request is None or out is None or port is not None:
        raise UsageError("name either --port, or --request and --out")
    now = datetime.now(UTC)
    out.write_bytes(ocsp.answer(_read(request), authority, authority.responder(now), now))
    return output.OK


@app.command("address")
@output.command
def address(
    url: Annotated[str, typer.Argument(help="http:// address of the responder that you run.")],
    home: output.Home = None,
) -> int:
    """Name the OCSP responder in the home's own signer certificates, from the next one on."""
    _demand_http(url)
    folder = Home(load(home).home).pki
    load_signers(folder)  # only where there are keys
    write_private(folder / anchors.OCSP_ADDRESS, url.encode())
    output.say(f"The home's next signer certificate names {url}.")
    return output.OK


def _serve(authority: "Authority", host: str, port: int) -> int:
    from pipeline.credentials.ocsp import Server

    try:
        server = Server((host, port), authority, lambda: datetime.now(UTC))
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port} ({error.strerror}); name another port") from None
    with server, contextlib.suppress(KeyboardInterrupt):
        output.say(f"OCSP responder on http://{host}:{server.server_address[1]}/")
        server.serve_forever()
    return output.OK


def _place(folder: Path | None, home: Path | None) -> Path:
    return (folder or load(home).home / "ca").absolute()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(ca.MAX_REQUEST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); name another file") from None


def _demand_http(address: str | None) -> None:
    if address is not None and not (address.startswith(("http://", "https://")) and address.isascii()):
        raise UsageError("an address in certificates begins with http:// and is ASCII; name such a one")
