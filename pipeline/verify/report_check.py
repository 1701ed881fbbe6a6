"""A signed report, or the page that carries it, against the keys that one knows; no network, no clock.

The rules: (1) a signature counts only under a key that the caller named: the file's own word for its key is a
hint; (2) the statement must name the key that signed it; (3) on a page the seal must cover every byte before
it, and nothing may follow; (4) a changed page does not spoil the statements on it: each is judged by itself;
(5) what is not signed, or signed by a key unknown here, is neither good nor bad: it cannot be checked.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
from typing import Any, Final

from pipeline.credentials.report_key import ReportKey
from pipeline.errors import ReportUnreadable
from pipeline.verify import dsse
from pipeline.verify.html_page import END, PAGE_FORMAT, PAGE_TYPE
from pipeline.verify.statement import FORMAT, TYPE, FileDigest, Statement, names_key, read

MAX_BYTES: Final = 512 << 20
NO_REPORT: Final = (
    "this is no verification report; name the page or the JSON that `verify` or a service wrote"
)
# Text of ours holds no bare "<", so that a block ends at the first one.
_BLOCKS: Final = re.compile(
    rb'<pre\b[^<>]*\bdata-format="' + re.escape(FORMAT.encode()) + rb'"[^<>]*>([^<]*)</pre>'
)
_SEAL: Final = re.compile(
    rb'<pre hidden data-format="' + re.escape(PAGE_FORMAT.encode()) + rb'">([^<]*)</pre>'
    + re.escape(END) + rb"\Z"
)  # fmt: skip


class State(StrEnum):
    """What the signature on a statement or a page comes to."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNKNOWN_KEY = "unknown-key"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedStatement:
    """One statement. ``told``: None where nothing can be read; worth something only where `state` holds."""

    state: State
    told: Statement | None
    key: ReportKey | None = None

    def is_about(self, file: FileDigest) -> bool:
        """Whether it speaks, under a signature that holds, about exactly these bytes."""
        if self.state is not State.HOLDS or self.told is None:
            return False
        return (self.told.file.sha256, self.told.file.bytes) == (file.sha256, file.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReport:
    """All statements of a file, and the seal, where the file is a page (None: it is none)."""

    statements: tuple[CheckedStatement, ...]
    page: State | None = None
    page_key: ReportKey | None = None

    @property
    def wrong(self) -> bool:
        """Something was changed."""
        return State.BROKEN in self._states

    @property
    def holds(self) -> bool:
        """Everything is signed by a key that is known, and as it was signed."""
        return bool(self.statements) and set(self._states) == {State.HOLDS}

    @property
    def _states(self) -> list[State]:
        return [*(one.state for one in self.statements), *([self.page] if self.page else [])]


def check(content: bytes, known: Sequence[ReportKey]) -> CheckedReport:
    """Judge a report: a page, an envelope, or one envelope on each line. Raises: ReportUnreadable."""
    if len(content) > MAX_BYTES:
        raise ReportUnreadable(f"this is larger than {MAX_BYTES >> 20} MiB; {NO_REPORT}")
    if content.lstrip()[:9].lower() == b"<!doctype":
        blocks = [unescape(text.decode("utf-8", "replace")) for text in _BLOCKS.findall(content)]
        state, key = _seal(content, known)
        found = [_statement(_parsed(text), known) for text in blocks]
        return CheckedReport(statements=_all(found), page=state, page_key=key)
    found = [_statement(_parsed(text), known) for text in _texts(content)]
    if not any(found):
        raise ReportUnreadable(NO_REPORT)
    return CheckedReport(statements=_all(found))


def _texts(content: bytes) -> list[str]:
    """The document, or one on each line."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ReportUnreadable(NO_REPORT) from None
    return [text] if _parsed(text) is not None else [line for line in text.splitlines() if line.strip()]


def _all(found: Sequence[CheckedStatement | None]) -> tuple[CheckedStatement, ...]:
    """What is no statement, where one should be, was one."""
    damaged = CheckedStatement(state=State.BROKEN, told=None)
    return tuple(one or damaged for one in found)


def _seal(content: bytes, known: Sequence[ReportKey]) -> tuple[State, ReportKey | None]:
    at = content.rfind(b"<pre hidden data-format=")
    found = _SEAL.match(content, at) if at >= 0 else None
    if found is None:
        # A page that we signed and somebody took the seal from is not told from one that had none,
        # unless statements are left on it.
        return (State.BROKEN if _BLOCKS.search(content) else State.UNSIGNED), None
    try:
        envelope = dsse.read(_parsed(unescape(found[1].decode())))
        told: Any = json.loads(envelope.payload)
        whole = (
            envelope.kind == PAGE_TYPE and told["format"] == PAGE_FORMAT and told["bytes"] == at
            and told["sha256"] == hashlib.sha256(memoryview(content)[:at]).hexdigest()
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError):
        return State.BROKEN, None
    signed, key = envelope.check(known)
    if signed is dsse.Signed.UNKNOWN_KEY:
        return State.UNKNOWN_KEY, None
    return (State.HOLDS if whole and signed is dsse.Signed.HOLDS else State.BROKEN), key


def _parsed(text: str) -> Any:
    """JSON, or None for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _statement(document: Any, known: Sequence[ReportKey]) -> CheckedStatement | None:
    """A statement, signed or bare; None for what is neither."""
    if isinstance(document, dict) and document.get("format") == FORMAT:
        bare = _told(json.dumps(document).encode())
        return CheckedStatement(state=State.UNSIGNED, told=bare) if bare else None
    try:
        envelope = dsse.read(document)
    except ValueError:
        return None
    told, (signed, key) = _told(envelope.payload), envelope.check(known)
    if envelope.kind != TYPE or told is None:
        return CheckedStatement(state=State.BROKEN, told=None, key=key)
    if signed is dsse.Signed.HOLDS and (key is None or not names_key(told, key)):
        return CheckedStatement(state=State.BROKEN, told=told, key=key)
    return CheckedStatement(state=State(signed), told=told, key=key)


def _told(content: bytes) -> Statement | None:
    try:
        return read(content)
    except ValueError:
        return None
