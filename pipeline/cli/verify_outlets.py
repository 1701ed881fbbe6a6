"""Where reports go while `verify` makes them: words, JSON, JSON lines, the page, the signed file."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from pipeline.cli import output
from pipeline.cli.report_words import DETAILED, Tally, say
from pipeline.credentials.report_key import ReportSigner, ensure_report_key, find_report_key
from pipeline.credentials.safe import HOW, safe_of
from pipeline.credentials.text import safe_text
from pipeline.errors import KeysUnusable, StorageFailed
from pipeline.keyring import MARKS_FILE
from pipeline.settings import Settings
from pipeline.verify.document import document
from pipeline.verify.examining import Examined
from pipeline.verify.html_page import PICTURED, PageWriter, Stated
from pipeline.verify.statement import Checker, signed, statement

NAME_CHARS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What was asked for: the page, the signed file, one JSON document, JSON lines."""

    page: Path | None = None
    signed: Path | None = None
    as_json: bool = False
    as_lines: bool = False

    @property
    def states(self) -> bool:
        """Whether statements are needed, and so the digests of files."""
        return self.page is not None or self.signed is not None

    def pictures(self, count: int) -> bool:
        """Whether pictures of so many files are shown."""
        return self.page is not None and count <= PICTURED


NO_KEYS: Final = "this home has no keys; `countermark keys init` makes keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who signs statements. ``unsigned``: why there is no signer, for the middle of a sentence."""

    signer: ReportSigner | None = None
    unsigned: str = ""


def signing_of(settings: Settings, bundle: Path | None = None) -> Signing:
    """The home's report key; made where the home has other keys and not yet this one, none without a home.

    With a `bundle` the home's keys need not be open: where they are sealed and there is no pass phrase,
    nobody signs. Raises: KeysUnusable for any other key that is there and cannot be used.
    """
    safe = safe_of(settings)
    if not os.path.lexists(safe.folder / MARKS_FILE):
        return Signing(unsigned=NO_KEYS)
    if bundle is not None and safe.is_locked():
        return Signing(unsigned=f"the keys in {safe.folder} are sealed, and no pass phrase is set; {HOW}")
    if found := find_report_key(safe):
        return Signing(signer=found)
    try:
        return Signing(signer=ensure_report_key(safe))
    except KeysUnusable as error:
        return Signing(unsigned=f"no report key could be made: {error}")


@dataclass(slots=True, kw_only=True)
class Outlets:
    """Takes one examined file after the other. ``paths``: all that are to come; ``signing``: who signs."""

    settings: Settings
    targets: Targets
    paths: Sequence[Path]
    signing: Signing
    tally: Tally = field(default_factory=Tally)
    unstated: int = 0
    _documents: list[dict[str, Any]] = field(default_factory=list)
    _page: PageWriter | None = None
    _signed: IO[str] | None = None
    _below: str = ""
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def signer(self) -> ReportSigner | None:
        """Who signs, if anybody."""
        return self.signing.signer

    def __enter__(self) -> Self:
        """Open what is written while the work goes on. Raises: StorageFailed."""
        if self.targets.page is not None:
            spool = self._open.enter_context(tempfile.TemporaryFile())
            self._page = PageWriter(
                spool, service=self.settings.service, expected=len(self.paths), signer=self.signer
            )
        if self.targets.signed is not None:
            with _writing(self.targets.signed):
                self._signed = self._open.enter_context(self.targets.signed.open("w", encoding="utf-8"))
        folders = [os.path.dirname(os.path.abspath(path)) for path in self.paths]  # noqa: PTH100, PTH120
        self._below = os.path.commonpath(folders) if folders else ""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._open.close()

    def take(self, path: Path, examined: Examined) -> None:
        """One more file. Raises: StorageFailed."""
        report = examined.report
        self.tally.add(report)
        say(report, detailed=len(self.paths) <= DETAILED)
        if self.targets.as_json:
            self._documents.append(document(report))
        if self.targets.as_lines:
            sys.stdout.write(json.dumps(document(report)) + "\n")
            sys.stdout.flush()
        if self.targets.states:
            self._state(path, examined)

    def _state(self, path: Path, examined: Examined) -> None:
        # What leaves this machine names the file below what all files have in common, not our folders.
        named = replace(examined.report, file=self._name(path))
        envelope = None
        if examined.file is None or examined.having is None:
            self.unstated += 1
        else:
            checker = Checker(
                service=self.settings.service, version=version("countermark"), signer=self.signer
            )
            told = statement(named, examined.file, examined.having, checker, "key holders")
            envelope = signed(told, self.signer)
        if self._page is not None:
            sealed, file = envelope if self.signer else None, examined.file
            self._page.add(named, Stated(sha256=file.sha256, envelope=sealed) if file else None)
        if self._signed is not None and self.targets.signed and envelope is not None:
            with _writing(self.targets.signed):
                self._signed.write(json.dumps(envelope) + "\n")
                self._signed.flush()

    def _name(self, path: Path) -> str:
        return safe_text(os.path.relpath(path, self._below or None), NAME_CHARS)

    def finish(self) -> None:
        """The page, the JSON document, the words at the end. Raises: StorageFailed."""
        if len(self.paths) > 1:
            self.tally.say(len(self.paths))
        if self._page is not None and self.targets.page is not None:
            with _writing(self.targets.page), self.targets.page.open("wb") as file:
                self._page.write(file)
            output.say(f"Report: {self.targets.page}")
        if self.targets.signed is not None:
            output.say(f"{'Signed report' if self.signer else 'Report'}: {self.targets.signed}")
        if self.targets.states:
            self._say_signature()
        if self.targets.as_json:
            output.answer(self._documents)

    def _say_signature(self) -> None:
        if self.signer is None:
            output.say(f"It is not signed, so anybody could have written it: {self.signing.unsigned}.")
        else:
            output.say(f"Signed by {self.signer.key.name}; `countermark report check` checks it.")
        if self.unstated:
            files = "1 file" if self.unstated == 1 else f"{self.unstated} files"
            output.say(f"Nothing is signed about {files}: not readable to the end, or changed meanwhile.")


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """An OSError becomes a sentence about the file. Raises: StorageFailed."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"cannot write the report {target} ({error.strerror}); name another file"
        ) from None
