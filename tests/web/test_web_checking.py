"""The check of a clip as one answer: what arrives when, what breaks it off, and what it then says."""

import http.client
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from sqlalchemy import select
from starlette.testclient import TestClient
from test_web_pages import sound

from benchmarks.tools import newcomers
from benchmarks.tools.video import transcode
from pipeline.api.service import make_service
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import Settings
from pipeline.verify.document import document, for_strangers
from pipeline.verify.opening import open_local
from pipeline.verify.types import CREDENTIAL, HIDDEN_MARK, LINES, LOG, VISIBLE_MARK
from pipeline.web.checking import BEGUN, STEPS, WAITING, Heard, NobodyWaits
from registry.db import read
from registry.tables_queries import verify_query

BOUNDARY = "b0undary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
STATED = re.compile(r'<p class="stated (\w+)"[^>]*>.*?<span class="soft">(.*?)</span></p>', re.DOTALL)
PROGRESS = re.compile(r"Looking for it: \d+ of \d+ s\.")
MARK = 'class="finished"'
NO_ANSWER = "there is no answer"

Make = Callable[..., TestClient]


@pytest.fixture(scope="module", name="make")
def a_maker_of_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(**more: Any) -> TestClient:
            settings = Settings(
                home=tmp_path_factory.mktemp("checked"), policy="marks-only", preset="ultrafast",
                service="Example Studio", rate_reads=0, rate_writes=0, rate_uploads=0, workers=1, **more,
            )  # fmt: skip
            client = TestClient(make_service(settings), raise_server_exceptions=False)
            return stack.enter_context(client)

        yield made


@pytest.fixture(scope="module", name="client")
def a_service(make: Make) -> Any:
    return make(near_queries=0, max_queue=2)


@pytest.fixture(scope="module", name="port")
def its_port(client: Any) -> Iterator[int]:
    with newcomers.listening(client.app) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture(scope="module", name="copy")
def a_release_without_its_credential(
    client: Any, make_clip: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A release, encoded again: its credential is lost, its hidden mark is not."""
    folder = tmp_path_factory.mktemp("copies")
    clip = make_clip(folder / "clip.mp4", 480, 272, 48, fps=12, seed=71)
    app = client.app.state.service.app
    made = app.guard(GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT), lambda *_: None)
    transcode(made.file, folder / "copy.mp4", crf=16, preset="ultrafast")
    return folder / "copy.mp4"


@contextmanager
def busy(client: Any) -> Iterator[threading.Event]:
    """The only thread that checks clips does something else until the event is set, or the block ends."""
    go_on = threading.Event()
    with client.app.state.service.looks.reserve() as slot:
        work = slot.start(go_on.wait)
    try:
        yield go_on
    finally:
        go_on.set()
        work.result()


@contextmanager
def asked(port: int, clip: Path) -> Iterator[http.client.HTTPResponse]:
    """The answer to a clip, at its first byte."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{clip.name}"\r\n\r\n'
    body = head.encode() + clip.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
    there = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    there.request("POST", "/verify", body, {"Content-Type": KIND})
    try:
        yield there.getresponse()
    finally:
        there.close()


def until(answer: http.client.HTTPResponse, words: str) -> str:
    """What has arrived when these words have."""
    text = ""
    while words not in text:
        piece = answer.read1().decode()
        assert piece, "the answer ended before"
        text += piece
    return text


def soon(what: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


def uploads(client: Any) -> list[Path]:
    home = client.app.state.service.settings.home / "uploads"
    return [path for path in home.iterdir() if path.name != "kept"]


def test_the_frame_is_there_before_anything_was_looked_at(client: Any, port: int, copy: Path) -> None:
    with busy(client) as go_on, asked(port, copy) as answer:
        assert answer.status == 200
        frame = until(answer, "Log</b>")
        assert "Not finished" in frame
        assert "copy.mp4" in frame
        assert MARK not in frame
        go_on.set()
        rest = answer.read().decode()
    assert rest.index("through the hidden mark") < rest.index(MARK) < rest.index("</html>")


def test_the_lines_come_in_the_order_of_the_checks(client: Any, copy: Path) -> None:
    answer = client.post("/verify", files={"file": ("copy.mp4", copy.read_bytes())})
    assert answer.status_code == 200
    page = sound(answer)
    assert [len(page.all(tag)) for tag in ("h1", "main", "article")] == [1, 1, 1]
    said = [(line, unescape(text)) for line, text in STATED.findall(answer.text)]
    assert said[: len(LINES)] == [(one.line, one.text) for one in WAITING]
    ends = [line for line, text in said if text not in BEGUN.values() and not PROGRESS.fullmatch(text)]
    assert ends[len(LINES) :] in (
        [CREDENTIAL, HIDDEN_MARK, CREDENTIAL, LOG, VISIBLE_MARK],
        [HIDDEN_MARK, CREDENTIAL, LOG, VISIBLE_MARK],  # what was told within a tick is one statement
    )
    assert "Later changed: the credential was lost" in answer.text


def test_strangers_are_told_as_it_goes_what_the_report_tells_them(client: Any, copy: Path) -> None:
    settings = client.app.state.service.settings
    told: list[tuple[str, Any]] = []
    with open_local(settings) as verifier:
        whole = verifier.verify(copy, tell=lambda *one: told.append(one))
    assert [line for line, evidence in told if evidence is None] == [
        CREDENTIAL,
        HIDDEN_MARK,
        LOG,
        VISIBLE_MARK,
    ]
    last = {line: evidence.summary for line, evidence in told if evidence is not None}
    assert last == {line: evidence.summary for line, evidence in whole.evidence.items()}
    public = document(for_strangers(whole))["evidence"]
    assert last[HIDDEN_MARK] != public[HIDDEN_MARK]["summary"]  # it says where, and how strong
    known = {line: {public[line]["summary"], BEGUN[line], WAITING[0].text} for line in LINES}
    known[CREDENTIAL].add("None.")
    answer = client.post("/verify", files={"file": ("copy.mp4", copy.read_bytes())})
    for line, text in STATED.findall(answer.text):
        assert unescape(text) in known[line] or PROGRESS.fullmatch(text), (line, text)


def test_a_recovered_release_is_beside_it(client: Any, copy: Path) -> None:
    answer = client.post("/verify", files={"file": ("copy.mp4", copy.read_bytes())})
    page = sound(answer)
    [shown] = page.all("video")
    source = str(shown["src"]).partition("#")[0]
    assert client.get(source).headers["content-type"] == "video/mp4"
    assert "media-src 'self'" in answer.headers["content-security-policy"]
    links = [str(one["href"]) for one in page.all("a")]
    release = source.split("/")[3]
    assert {f"/v/{release}", f"/v/{release}/report"} <= {*links}
    assert "The one it had was found through the hidden mark" in answer.text


def test_what_is_full_says_so_with_its_status(client: Any, copy: Path) -> None:
    with busy(client), ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(client.app.state.service.looks.reserve())
        answer = client.post("/verify", files={"file": ("copy.mp4", copy.read_bytes())})
    assert (answer.status_code, "as much work as it takes" in answer.text) == (503, True)
    assert answer.headers["retry-after"]
    assert MARK not in answer.text


@pytest.fixture(scope="module", name="refused")
def an_answer_that_ends_in_a_refusal(
    make: Make, make_clip: Any, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    client, folder = make(near_queries=1), tmp_path_factory.mktemp("forms")
    answers = []
    for crf in ("18", "24"):
        form = make_clip(folder / f"{crf}.mp4", 320, 180, 24, fps=12, options={"crf": crf})
        answers.append(client.post("/verify", files={"file": ("clip.mp4", form.read_bytes())}))
    assert "Nothing found" in answers[0].text
    return answers[1]


def test_asked_too_often_after_the_answer_began(refused: Any) -> None:
    sound(refused)
    assert NO_ANSWER in refused.text
    assert "slightly different forms" in refused.text
    assert not re.search(r"Nothing found|<article|download=|Finished", refused.text)
    ends = [text for line, text in STATED.findall(refused.text) if line != CREDENTIAL]
    assert all(text in (*BEGUN.values(), WAITING[0].text) or PROGRESS.fullmatch(text) for text in ends)


def test_a_check_that_fails_is_no_report(make: Make, copy: Path) -> None:
    client = make()
    keys = client.app.state.service.settings.home / "keys"  # type: ignore[attr-defined]
    shutil.move(keys, keys.with_name("keys.aside"))
    keys.mkdir(mode=0o700)
    for path in keys.with_name("keys.aside").iterdir():
        (keys / path.name).write_bytes(b"damaged")
    answer = client.post("/verify", files={"file": ("copy.mp4", copy.read_bytes())})
    sound(answer)
    assert NO_ANSWER in answer.text
    assert not re.search(r"Nothing found|<article|download=|Finished", answer.text)


def test_who_goes_before_the_check_began_takes_their_clip_along(client: Any, port: int, copy: Path) -> None:
    service = client.app.state.service
    with busy(client):
        with asked(port, copy) as answer:
            until(answer, "Log</b>")
            assert len(uploads(client)) == 1
        assert soon(lambda: not uploads(client))
    assert soon(lambda: service.looks.taken == 0)


def test_who_goes_ends_the_check(client: Any, copy: Path) -> None:
    heard, seen = Heard(), list[float]()

    def progress(done: float, whole: float) -> None:
        seen.append(done)
        if len(seen) == 5:
            heard.leave()
        heard.progress(done, whole)

    with open_local(client.app.state.service.settings) as verifier, pytest.raises(NobodyWaits):
        verifier.verify(copy, progress=progress, tell=heard.tell)
    assert len(seen) == 5  # of 48 frames


def test_who_goes_in_the_middle_ends_the_check(make: Make, make_clip: Any, tmp_path: Path) -> None:
    """A check that was looked through to its end is remembered among the queries; this one is not."""
    client = make(near_queries=5)
    service = client.app.state.service  # type: ignore[attr-defined]
    clip = make_clip(tmp_path / "long.mp4", 320, 180, 1440, fps=24)
    with newcomers.listening(client.app) as address:
        with asked(int(address.rpartition(":")[2]), clip) as answer:
            until(answer, BEGUN[HIDDEN_MARK].rstrip("."))  # or how far that is
        assert soon(lambda: not uploads(client) and service.looks.taken == 0)
        with read(service.app.engine) as conn:
            assert conn.execute(select(verify_query)).all() == []


def test_progress_is_told_a_few_times_however_long_the_clip_is() -> None:
    heard, told = Heard(), list[str]()
    for tenth in range(72_000):
        heard.progress(tenth / 10, 7200)
        told += [one.text for one in heard.take()]
    assert len(told) <= STEPS
    assert told[0] == "Looking for it: 360 of 7200 s."
    for tenth in range(72_000):  # nobody reads: the newest is enough
        heard.progress(8000 + tenth / 10, 0)
    assert len(heard.take()) == 1


@pytest.fixture(scope="module", name="body")
def a_whole_answer(client: Any, copy: Path) -> str:
    return str(client.post("/verify", files={"file": ("copy.mp4", copy.read_bytes())}).text)


@pytest.mark.parametrize(
    "end", ["Log</b>", "through the hidden mark", "Finished.", "</h2>", "What this means", MARK]
)
def test_an_answer_that_breaks_off_says_so(browser: Any, port: int, body: str, end: str) -> None:
    """Cut anywhere before the mark after the report, it shows no report."""
    start = body.index('class="answer"') if end in ("</h2>", "What this means") else 0
    cut = body[: body.index(end, start)]
    with newcomers.Hand.at(browser, f"http://127.0.0.1:{port}", 390, script=False) as hand:
        hand.page.route("**/cut", lambda route: route.fulfill(body=cut, content_type="text/html"))
        hand.open("/cut", "cut")
        assert [one.inner_text() for one in hand.page.locator("h2:visible").all()] == [
            "Not finished: it is being checked."
        ]
        hand.page.unroute("**/cut")
        hand.page.route("**/cut", lambda route: route.fulfill(body=body, content_type="text/html"))
        hand.open("/cut", "whole")
        assert hand.page.locator("h2:visible").first.inner_text().startswith("Released by")
        assert not hand.page.get_by_text("Not finished").is_visible()


def serious(page: Any, width: int) -> list[Any]:
    """What is wrong with a page by axe; it is no wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], one["nodes"][0]["html"][:200])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_every_phase_is_fit_for_everybody(
    client: Any, port: int, browser: Any, copy: Path, refused: Any, width: int, dark: bool
) -> None:
    with newcomers.Hand.at(browser, f"http://127.0.0.1:{port}", width, dark=dark) as hand:
        with busy(client):
            hand.open("/verify", "verify")
            hand.choose("#file", [copy])
            hand.press("Check the clip")
            hand.page.get_by_text("Not finished").wait_for()
            assert serious(hand.page, width) == []
        hand.page.locator(".finished").wait_for()
        assert serious(hand.page, width) == []
        hand.page.route(
            "**/refused", lambda route: route.fulfill(body=refused.text, content_type="text/html")
        )
        hand.open("/refused", "refused")
        assert hand.page.get_by_role("alert").is_visible()
        assert not hand.page.get_by_text("Not finished").is_visible()
        assert serious(hand.page, width) == []
