"""The check of a clip as one answer that is written while it goes on: no script, no second request.

The rules: (1) what was refused before the check began is an answer of its own, with its status; (2) the frame
goes out at once, and says that nothing is known; (3) what the verifier tells is written at ticks, so that the
time at which it is written says less of how long a search took; (4) the report counts only once the mark
after it has arrived: an answer that breaks off, for whatever reason, says that the check was not finished;
(5) when the client goes, the work ends at its next step, and what it held is free.
"""

import asyncio
import base64
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pipeline.api.state import Service
from pipeline.api.verify import envelope, told_to_strangers
from pipeline.types import Evidence, EvidenceState
from pipeline.verify import html
from pipeline.verify.document import document, line_for_strangers
from pipeline.verify.examining import Examined
from pipeline.verify.html_markup import NOTHING, Html
from pipeline.verify.html_page import Stated, render
from pipeline.verify.html_style import ICONS, icon
from pipeline.verify.html_words import LINES_OF_EVIDENCE, OPEN, STATES, TONES
from pipeline.verify.types import (
    CREDENTIAL,
    HIDDEN_MARK,
    LINES,
    LOG,
    VISIBLE_MARK,
    StripFrame,
)
from pipeline.web.rendering import POLICY, download, pieces, sentence_of
from registry.types import ReleaseState

TICK: Final = 0.5  # seconds between two looks at what is new
BEAT: Final = 15.0  # seconds after which something is written in any case: proxies close silent connections
STEPS: Final = 20  # parts of a clip whose end is told
UNKNOWN_STEP: Final = 5.0  # seconds of clip, where its length is not known
HEADERS: Final = {
    "Content-Security-Policy": f"{POLICY}; media-src 'self'",
    "X-Accel-Buffering": "no",  # proxies that know it pass every piece on
}
BEGUN: Final = {
    CREDENTIAL: "Reading the file.", HIDDEN_MARK: "Looking for it.", VISIBLE_MARK: "Looking for it.",
    LOG: "Asking the log.",
}  # fmt: skip

log = logging.getLogger("countermark.service")


class NobodyWaits(Exception):
    """Raised in the verifier: whoever asked has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One statement about a line of evidence. ``state``: its word, empty as long as it is looked for."""

    line: str
    text: str
    state: str = ""
    tone: str = OPEN
    icon: Html = NOTHING

    @property
    def title(self) -> str:
        """What people call the line."""
        return LINES_OF_EVIDENCE[self.line].title


WAITING: Final = tuple(Said(line=line, text="Not looked at yet.") for line in LINES)


class Heard:
    """What the verifier told and the page has not written yet: the newest of each line, nothing else."""

    def __init__(self) -> None:
        self._lock, self._gone = threading.Lock(), threading.Event()
        self._new: dict[str, Said] = {}
        self._step = 0

    def progress(self, done: float, whole: float) -> None:
        """So many seconds of the clip were looked at. Raises: NobodyWaits."""
        step = int(done / (max(1.0, whole / STEPS) if whole > 0 else UNKNOWN_STEP))
        if step > self._step:
            self._step = step
            so_far = f"{done:.0f} of {whole:.0f} s" if done <= whole else f"{done:.0f} s so far"
            self._note(Said(line=HIDDEN_MARK, text=f"Looking for it: {so_far}."))
        self._go_on()

    def tell(self, line: str, evidence: Evidence | None) -> None:
        """A line begins, or has ended. Raises: NobodyWaits."""
        self._note(Said(line=line, text=BEGUN[line]) if evidence is None else _said(line, evidence))
        self._go_on()

    def leave(self) -> None:
        """Nobody waits any more."""
        self._gone.set()

    def take(self) -> list[Said]:
        """What is new, in the order in which it came."""
        with self._lock:
            new, self._new = self._new, {}
        return list(new.values())

    def _note(self, said: Said) -> None:
        with self._lock:
            self._new.pop(said.line, None)
            self._new[said.line] = said

    def _go_on(self) -> None:
        if self._gone.is_set():
            raise NobodyWaits


def _said(line: str, evidence: Evidence) -> Said:
    told = line_for_strangers(line, evidence)
    state = EvidenceState(told.state)
    return Said(
        line=line, text=told.summary, state=STATES[state], tone=TONES.get(state, OPEN),
        icon=icon(*ICONS[state]),
    )  # fmt: skip


class Checking(Response):
    """The answer. ``stack``: closed when it ends, whatever happens; it holds the upload."""

    def __init__(
        self, here: Service, name: str, work: Future[Examined], heard: Heard, stack: AsyncExitStack
    ) -> None:
        super().__init__(headers=HEADERS, media_type="text/html")
        del self.headers["content-length"]
        self._here, self._name, self._work, self._heard, self._stack = here, name, work, heard, stack
        self._end: Mapping[str, Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the page while the check goes on."""
        left = asyncio.create_task(_left(receive))
        try:
            with suppress(NobodyWaits):
                await self._write(send, left)
        finally:
            left.cancel()
            self._heard.leave()
            self._work.cancel()  # if it has not begun
            try:
                await asyncio.gather(asyncio.wrap_future(self._work), return_exceptions=True)
            finally:
                await self._stack.aclose()

    async def _write(self, send: Send, left: asyncio.Task[None]) -> None:
        pending: list[str] = []

        async def flush(*, more: bool = True) -> None:
            body = "".join(pending).encode()
            pending.clear()
            await send({"type": "http.response.body", "body": body, "more_body": more})

        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        page = pieces(
            self._here, "checking.html", name=self._name, waiting=WAITING, heard=self._told(flush, left),
            ended=self._ended,
        )  # fmt: skip
        async with aclosing(page):
            async for piece in page:
                pending.append(piece)
        await flush(more=False)

    async def _told(
        self, flush: Callable[[], Awaitable[None]], left: asyncio.Task[None]
    ) -> AsyncIterator[Said | None]:
        """What is new, at each tick, until the work has ended; None: nothing for a while."""
        await flush()
        silent = 0.0
        while True:
            await asyncio.wait([left], timeout=TICK)
            if left.done():
                raise NobodyWaits
            ended, new = self._work.done(), self._heard.take()
            for said in new:
                yield said
            if ended:
                return
            silent = 0.0 if new else silent + TICK
            if silent >= BEAT:
                silent = 0.0
                yield None
            if not silent:
                await flush()

    async def _ended(self) -> Mapping[str, Any]:
        """What the page ends with: ``error``, or the report. The clip is deleted before that is written."""
        if self._end is None:
            try:
                async with self._stack:
                    found = told_to_strangers(await asyncio.wrap_future(self._work))
                self._end = await asyncio.to_thread(_parts, self._here, found)
            except Exception as error:  # noqa: BLE001 - the answer has begun: the page itself must say it
                log.info("a check on the page ended without a report: %s", type(error).__name__)
                self._end = {"error": sentence_of(error)}
        return self._end


def _parts(here: Service, found: Examined) -> Mapping[str, Any]:
    report = found.report
    service, release = here.settings.service, report.release
    sealed, digest = envelope(here, found, "everybody"), found.file.sha256 if found.file else ""
    stated = Stated(sha256=digest, envelope=sealed)
    whole = render([report], service=service, signer=here.reports.latest, stated=[stated])
    return {
        "error": None, "article": html.article(report, service, sha256=digest), "how": html.how(service),
        "page": download("text/html", whole),
        "record": download("application/json", json.dumps(document(report), indent=2)),
        "signed": download("application/json", json.dumps(sealed)),
        "release": release.id if release else None,
        "served": release is not None and release.state == ReleaseState.RELEASED,
        "recovered": bool(report.evidence[CREDENTIAL].found.get("recovered")),
        "still": _still(report.strip[0]) if report.strip else None,
    }  # fmt: skip


def _still(frame: StripFrame) -> Mapping[str, str]:
    return {"time": f"{frame.time:.1f}", "picture": base64.b64encode(frame.jpeg).decode()}


async def _left(receive: Receive) -> None:
    """Return when the client has gone. The request is read to its end before."""
    while (await receive())["type"] != "http.disconnect":
        pass
