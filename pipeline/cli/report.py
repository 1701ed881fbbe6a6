"""`countermark report`: check a signed report that somebody else wrote, offline."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.cli.report_words import DETAILED, having
from pipeline.credentials.report_key import ReportKey, find_report_key
from pipeline.credentials.safe import safe_of
from pipeline.errors import KeysUnusable, ReportUnreadable, UsageError
from pipeline.keyring import read_bundle
from pipeline.settings import load
from pipeline.verify.examining import digest_of
from pipeline.verify.report_check import MAX_BYTES, CheckedReport, CheckedStatement, State, check
from pipeline.verify.statement import FileDigest

SAID: Final = {
    State.HOLDS: "the signature holds",
    State.BROKEN: "NOT as it was signed: it was changed, or the signature belongs to something else",
    State.UNKNOWN_KEY: "signed by a key that is not known here: it cannot be checked",
    State.UNSIGNED: "not signed: anybody could have written it",
}
PAGE_SAID: Final = {
    State.HOLDS: "the page is as it was written",
    State.BROKEN: "the page was changed after it was signed: believe nothing that it shows",
    State.UNKNOWN_KEY: "the page is sealed by a key that is not known here",
    State.UNSIGNED: "the page is not sealed: anybody could have written it",
}
PROVES: Final = "It proves: whoever holds that report key said this about a file of exactly this SHA-256."
PROVES_NOT: Final = (
    "It does not prove: that the checker was right or honest, when it was (the time is the checker's own), "
    "what the file is called or shows, or what a check with newer keys or a newer registry would say."
)

app = typer.Typer(help="Signed verification reports.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `check` a word of its own."""


@app.command("check")
@output.command
def check_report(
    report: Annotated[Path, typer.Argument(help="A page, or the JSON of `verify --signed` or of a service.")],
    trust: Annotated[Path | None, typer.Option(help="Verifier bundle with the report key.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Public report key, 64 hex digits (`keys list`, GET /v1/report-key).")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="The video: whether the report is about it.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Check who signed a report and that nothing was changed, without any network."""
    known = _known(trust, key, home)
    digest = None if file is None else _digest(file)
    checked = check(_content(report), known)
    about = None if digest is None else any(one.is_about(digest) for one in checked.statements)
    _say(report, checked, known)
    if file is not None:
        output.say(_about(file, checked, about=bool(about)), style="bold")
    if as_json:
        output.answer(_document(checked, digest, about))
    if checked.wrong or (about is False and checked.holds):
        return output.FOUND
    return output.OK if checked.holds else output.COULD_NOT


def _known(trust: Path | None, key: str | None, home: Path | None) -> list[ReportKey]:
    """The keys that count. Raises: UsageError, KeysUnusable."""
    if key is not None:
        try:
            return [ReportKey.from_hex(key)]
        except ValueError:
            raise UsageError("--key is 64 hex digits; `keys list` shows them") from None
    if trust is not None:
        bundle = read_bundle(trust, now=datetime.now(UTC))
        if not bundle.reports:
            raise KeysUnusable(f"{trust} has no report key; ask for a new bundle, or name the key with --key")
        return list(bundle.reports)
    signer = find_report_key(safe_of(load(home)))
    return list(signer.known) if signer else []


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ReportUnreadable(f"{path} is not a file; name a report")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ReportUnreadable(f"cannot read {path} ({error.strerror}); name a report") from None


def _digest(path: Path) -> FileDigest:
    digest = digest_of(path)
    if digest is None:
        raise UsageError(f"cannot read {path}; name the video that the report is about")
    return digest


def _say(path: Path, checked: CheckedReport, known: list[ReportKey]) -> None:
    if not known:
        output.say("No report key is known here: name a bundle with --trust, or a key with --key.")
    if checked.page is not None:
        output.say(f"{path}: {PAGE_SAID[checked.page]}", style="bold")
    for one in checked.statements:
        _say_statement(one, detailed=len(checked.statements) <= DETAILED)
    if not checked.statements:
        output.say("There is no signed statement on it.")
    if any(one.state is State.HOLDS for one in checked.statements):
        output.say(PROVES)
        output.say(PROVES_NOT)


def _say_statement(one: CheckedStatement, *, detailed: bool) -> None:
    told = one.told
    name = f"“{told.file.name}”" if told else "a statement"
    signer = f" ({one.key.name})" if one.key and one.state is State.HOLDS else ""
    output.say(f"{name}: {SAID[one.state]}{signer}", style="bold")
    # What a broken statement says is shown to nobody; of an unchecked one, only with that word before it.
    if told is None or one.state is State.BROKEN:
        return
    if not detailed:
        output.say(f"  {told.verdict}" if one.state is State.HOLDS else f"  claims: {told.verdict}")
        return
    claims = "" if one.state is State.HOLDS else "claims: "
    output.say(f"  {claims}{told.verdict}: {told.report.get('headline', '')}")
    checker = told.checker
    output.say(
        f"  {claims}checked {told.checked_at} by the service {checker.service}, {checker.product} "
        f"{checker.version}, for {checker.audience}; {having(told.at_hand)}"
    )
    output.say(
        f"  {claims}SHA-256 {told.file.sha256}, {told.file.bytes:,} bytes; the name is as it was given"
    )


def _about(file: Path, checked: CheckedReport, *, about: bool) -> str:
    if about:
        return f"{file} is the file that was checked, byte by byte."
    if not any(one.state is State.HOLDS for one in checked.statements):
        return f"Whether it is about {file} cannot be said."
    return f"{file} is NOT a file that this report is about."


def _document(checked: CheckedReport, digest: FileDigest | None, about: bool | None) -> dict[str, Any]:
    return {
        "holds": checked.holds, "page": checked.page and str(checked.page),
        "file": digest and {"sha256": digest.sha256, "bytes": digest.size, "is_it": about},
        "statements": [
            {
                "state": str(one.state), "key": one.key and one.key.to_json(),
                "statement": None if one.told is None or one.state is State.BROKEN else one.told.model_dump(),
            }
            for one in checked.statements
        ],
    }  # fmt: skip
