"""Reports as one page that a person can keep and send, written piece by piece; signed where there is a key.

The rules: (1) the page asks for nothing and runs nothing: its own policy forbids both; (2) after each
article comes its signed statement, as hidden text, not as a script: mail filters leave it alone; (3) the last
thing on a signed page is a seal over every byte before it, so that what people read is as safe as what
programs read; (4) articles wait in a file, not in memory: the list of files at the top is known last.
"""

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from pipeline.credentials.report_key import ReportSigner
from pipeline.credentials.text import safe_text
from pipeline.types import FileVerdict
from pipeline.verify import dsse, html
from pipeline.verify import html_style as style
from pipeline.verify.html_markup import NOTHING, Html, element, words
from pipeline.verify.statement import FORMAT
from pipeline.verify.types import VerificationReport

PAGE_FORMAT: Final = "countermark-report-page/1"
PAGE_TYPE: Final = "application/vnd.countermark.report-page+json"
PICTURED: Final = 100  # files; a page of more shows no pictures, which are nine tenths of its bytes
CHUNK_BYTES: Final = 1 << 20
END: Final = b"</body></html>\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    name: str
    verdict: FileVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What ties a report to bytes: SHA-256 of the file, and the signed statement, where there is a key."""

    sha256: str
    envelope: dict[str, Any] | None = None


class PageWriter:
    """Takes reports one by one, then writes the page.

    ``spool``: an empty file for reading and writing, where articles wait. ``expected``: how many files were
    to be checked; a page of fewer says so. ``signer``: seals the page.
    """

    def __init__(
        self, spool: IO[bytes], *, service: str, expected: int, signer: ReportSigner | None = None
    ) -> None:
        self._spool, self._service = spool, safe_text(service) or "Countermark"
        self._expected, self._signer = expected, signer
        self._rows: list[_Row] = []

    def add(self, report: VerificationReport, stated: Stated | None = None) -> None:
        """One more file; ``stated``: None for one that no statement can be made about."""
        self._rows.append(_Row(name=html.name(report), verdict=report.verdict))
        article = html.article(
            report, self._service, len(self._rows), wide=self._expected == 1,
            sha256=stated.sha256 if stated else None,
        )  # fmt: skip
        block = data_block(FORMAT, stated.envelope) if stated and stated.envelope else NOTHING
        self._spool.write(f"{article}{block}".encode())

    def write(self, out: IO[bytes]) -> None:
        """The page, to its end."""
        hashed = _Hashed(out)
        hashed.write(self._before().encode())
        self._spool.seek(0)
        shutil.copyfileobj(self._spool, hashed, CHUNK_BYTES)
        key = self._signer.key.name if self._signer else None
        hashed.write(f"</main>{html.how(self._service, key)}".encode())
        if self._signer is not None:
            sealed = hashed.seal(len(self._rows), self._expected)
            payload = json.dumps(sealed, separators=(",", ":")).encode()
            block = data_block(PAGE_FORMAT, dsse.seal(PAGE_TYPE, payload, self._signer))
            out.write(block.encode())
        out.write(END)

    def _before(self) -> str:
        count, several = len(self._rows), self._expected > 1
        subject = self._rows[0].name if count == 1 and not several else f"{count} files"
        title = f"{self._service} verification report: {subject}"
        before = f'<!DOCTYPE html>\n<html lang="en">{_head(title)}<body>'
        contents = _contents(self._rows) if several and self._rows else NOTHING
        return f"{before}{_masthead(self._service, count, self._expected)}{contents}<main>"


class _Hashed:
    """Passes bytes on and takes their digest."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out, self._digest, self._size = out, hashlib.sha256(), 0

    def write(self, piece: bytes) -> int:
        self._digest.update(piece)
        self._size += len(piece)
        return self._out.write(piece)

    def seal(self, reports: int, expected: int) -> dict[str, Any]:
        return {
            "format": PAGE_FORMAT, "sha256": self._digest.hexdigest(), "bytes": self._size,
            "reports": reports, "expected": expected,
        }  # fmt: skip


def data_block(name: str, envelope: dict[str, Any]) -> Html:
    """An envelope as text that nobody sees; `pipeline.verify.report_check` reads it back."""
    return element("pre", words(json.dumps(envelope)), hidden=True, data_format=name)


def render(
    reports: Sequence[VerificationReport], *, service: str = "Countermark",
    signer: ReportSigner | None = None, stated: Sequence[Stated | None] = (),
) -> str:  # fmt: skip
    """One self-contained HTML document about all `reports`, in their order; the same for the same input.

    With a `signer` it is sealed; `stated`: which bytes each report is about.
    """
    page = PageWriter(io.BytesIO(), service=service, expected=len(reports), signer=signer)
    for report, one in zip(reports, stated or [None] * len(reports), strict=True):
        page.add(report, one)
    out = io.BytesIO()
    page.write(out)
    return out.getvalue().decode()


def _head(title: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(style.STYLE.encode()).digest()).decode()
    policy = (f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
              "form-action 'none'")  # fmt: skip
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content=f"countermark report {html.REPORT_VERSION}"),
        element("title", words(title)),
        # A style sheet is not escaped: it is a constant of ours, and its digest stands in the policy.
        element("style", Html(style.STYLE)),
    )


def _masthead(service: str, count: int, expected: int) -> Html:
    checked = f"{count or 'No'} {'file' if count == 1 else 'files'} checked"
    if count < expected:
        checked = f"Broken off: {count} of {expected} files checked"
    elif count > PICTURED:
        checked += f"; pictures are shown for up to {PICTURED}"
    return element("header", element("h1", words(f"{service} verification report")),
                   element("p", words(checked)), class_="masthead")  # fmt: skip


def _contents(rows: Sequence[_Row]) -> Html:
    listed = (
        element("li", element("a", element("bdi", words(row.name)), href=f"#file-{place}"),
                html.verdict_chip(row.verdict))
        for place, row in enumerate(rows, 1)
    )  # fmt: skip
    return element("nav", element("ol", *listed), class_="contents", aria_label="Files in this report")
